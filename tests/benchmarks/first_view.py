"""The first view of every page: a warm server, a browser whose cache is empty, at both widths.

The server is a process of its own, as ``retrieval serve`` starts it, over the 2,640 training photos of grocery with
their labels and their map; every page was opened once before anything is measured. Each visit has a browser context of
its own, and so nothing in its cache; its clock is the page's, from the beginning of the navigation. A page can be used
once what it is for is there: the field for a photo takes a file (which one more visit tries, up to its results), a
folder is listed, pictures can be picked, a lesson can be chosen, the map is drawn.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.workflows.indexing import index_paths
from retrieval.workflows.mapping import draw_map
from tests.benchmarks.page_load import served
from tests.benchmarks.support import CACHE, fresh, show, spread, unpacked

VISITS = 5
"""Of each page at each width."""

WIDTHS = {1440: 900, 390: 844}

USABLE = {
    "": "#photo input[type=file]",
    "library": "#library-folders li",
    "labels": ".tile[data-id]",
    "teach": "#teach-choose .teach-card",
    "understand": ".und-map[data-ready]",
}
"""By the page's address: what is there once it can be used."""

_AT_MOST = 120_000
"""Milliseconds, after which a page counts as one that never came."""

_WATCH = """(() => {
  const look = () => {
    if (document.querySelector(%r)) window.usableAt = performance.now();
    else requestAnimationFrame(look);
  };
  look();
})();"""
_PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


def run(quick: bool = False) -> None:
    """Print the table; ``quick`` looks once at each page of a small gallery."""
    visits, rows = 1 if quick else VISITS, []
    with served(_gallery(quick)) as address, _browser() as browser:
        for page in USABLE:
            _visited(browser, address, page, next(iter(WIDTHS)))
        _try_the_search(browser, address)
        for page in USABLE:
            for width in WIDTHS:
                seen = np.array([_visited(browser, address, page, width) for _ in range(visits)])
                rows.append([page or "search", f"{width} px", *(f"{value:.0f}" for value in _told(seen))])
    show(
        f"The first view, warm server, cold browser, {visits} visits each (milliseconds)",
        ["page", "width", "first paint, median", "worst", "usable, median", "worst"],
        rows,
    )


def _told(seen: np.ndarray[Any, np.dtype[np.float64]]) -> list[float]:
    """Median and worst of both columns of [visits, 2]."""
    return [float(value) for column in seen.T for value in (np.median(column), column.max())]


def _gallery(quick: bool) -> Path:
    """Of grocery's training photos (``quick``: its 296 for validation) with the starter, kept in the cache; its labels
    are the folders' names.
    """
    folder = CACHE / ("first-view-quick" if quick else "first-view")
    if not (folder / "ready").exists():
        fresh(folder.name)
        index_paths(folder, [unpacked("grocery") / ("val" if quick else "train")])
        draw_map(folder)
        (folder / "ready").touch()
    return folder


@contextmanager
def _browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    from tests.ui.conftest import CHROMIUM_FLAGS, chromium

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@contextmanager
def _page(browser: Any, width: int) -> Iterator[Any]:
    """A page of a context of its own."""
    context = browser.new_context(viewport={"width": width, "height": WIDTHS[width]})
    page = context.new_page()
    page.set_default_timeout(_AT_MOST)
    yield page
    context.close()


def _visited(browser: Any, address: str, name: str, width: int) -> tuple[float, float]:
    """Milliseconds to the first contentful paint of a page, and until it can be used."""
    with _page(browser, width) as page:
        page.add_init_script(_WATCH % USABLE[name])
        page.goto(f"{address}/{name}", wait_until="commit")
        page.wait_for_function("window.usableAt !== undefined", timeout=_AT_MOST)
        return float(page.evaluate(_PAINTED)), float(page.evaluate("window.usableAt"))


def _try_the_search(browser: Any, address: str) -> None:
    """A photo that is given as soon as the field is there is searched with."""
    (photo,) = spread(unpacked("grocery") / "test", 1)
    with _page(browser, next(iter(WIDTHS))) as page:
        page.goto(f"{address}/", wait_until="commit")
        page.locator(USABLE[""]).wait_for(state="attached")
        page.set_input_files(USABLE[""], photo)
        page.locator("#results button.card").first.wait_for()
