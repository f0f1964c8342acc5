"""Where visitors may only look, in a real browser: no page has a control that the server would refuse."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from playwright import sync_api as playwright

from retrieval.core.types import Filters
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.jobs import State
from retrieval.workflows.labelling import answer, progress
from tests.ui.conftest import Visit, running
from tests.ui.finished import finished
from tests.ui.test_teach import EVENTS, LESSON
from ui.teach import answers as teaching

expect = playwright.expect

WIDE = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light", "locale": "en-US"}
NARROW = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "locale": "zh-CN"}
BOTH = pytest.mark.parametrize("how", [WIDE, pytest.param(NARROW, marks=pytest.mark.slow)], ids=["wide", "narrow"])

CHANGES = (
    ".labels-dock, .group-form, .question, .labels-auto, [data-do=undo], [data-do=folders], #labels-table, "
    "#teach-more, #teach-start, .teach-card, .teach-buttons, "
    "#library-add, #library-stop, #library-check, #library-target, #library-backup, "
    ".lib-switch, .lib-actions button, .lib-folder + button, "
    "[data-do=map], [data-do=check], [data-do=strict], .und-form"
)
"""Whatever begins or changes something on a page."""


@pytest.fixture(scope="module")
def gallery(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy with labels, of which one can be taken back, a lesson that is proven, and one that was stopped."""
    folder = Path(shutil.copytree(indexed, tmp_path_factory.mktemp("looked at") / "gallery"))
    with Gallery(folder) as opened:
        ids = opened.catalog.images.passing(opened.live_space().id, Filters()).tolist()
    answer(folder, {image_id: f"kind {n % 2}" for n, image_id in enumerate(ids[:-1])})
    finished(folder, 1, "train", dataset="gallery", recipe="quick-head", events=EVENTS)
    finished(folder, 2, "train", state=State.CANCELLED, dataset="gallery", recipe="quick-head")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teaching, "run_of", lambda *_: folder / "runs" / "1")
        patch.setattr(teaching, "read_lesson", lambda *_: LESSON)
        yield folder


@pytest.fixture(scope="module")
def addresses(opened: Callable[..., FastAPI], gallery: Path) -> Iterator[dict[bool, str]]:
    """Of two servers for the gallery, by whether visitors may change it."""
    with (
        running(opened(gallery, gallery=gallery, read_only=True)) as looked_at,
        running(opened(gallery, gallery=gallery)) as owned,
    ):
        yield {False: looked_at, True: owned}


@pytest.fixture
def enter(contexts: Callable[..., Any], addresses: dict[bool, str]) -> Iterator[Callable[..., Visit]]:
    """Opens a page of the gallery as a visitor sees it, or as its owner; checks in the end that all was calm."""
    visits: list[Visit] = []

    def open_page(path: str, *, may_write: bool = False, **how: Any) -> Visit:
        visits.append(Visit(contexts(**how), addresses[may_write]))
        visits[-1].page.goto(f"{addresses[may_write]}/{path}")
        return visits[-1]

    yield open_page
    for one in visits:
        assert one.overflow() == 0
        one.leave()


THERE = {
    "labels": ".tile[data-id]",
    "teach": "#teach-proof .teach-figure",
    "library": "#library-disk table",
    "understand": "#understand-strict .und-part",
}
"""What a page shows last, or nearly so, to whoever opens it."""


@BOTH
def test_what_would_be_refused_is_not_there(enter: Callable[..., Visit], how: dict[str, Any]) -> None:
    for path, shown in THERE.items():
        page = enter(path, **how).page
        expect(page.locator(shown).first).to_be_visible(timeout=30_000)
        # What comes later would be there after another look at the jobs.
        page.wait_for_timeout(1500)
        there = page.locator(CHANGES).evaluate_all("all => all.map((one) => one.outerHTML.slice(0, 200))")
        assert there == [], path


def test_nor_in_what_a_page_is_built_from(addresses: dict[bool, str]) -> None:
    """Where the owner has it, so that this can fail."""
    for may_write, address in addresses.items():
        with httpx.Client(base_url=address) as client:
            built = client.get("/config", timeout=60).text
        for name in ("labels-table", "teach-start", "teach-more"):
            assert (name in built) is may_write, name


def test_the_same_is_there_for_the_owner(enter: Callable[..., Visit]) -> None:
    """So that what is looked for above can be found."""
    for path in THERE:
        page = enter(path, may_write=True, **WIDE).page
        expect(page.locator(CHANGES).filter(visible=True).first).to_be_visible(timeout=30_000)


@BOTH
def test_the_parts_of_the_labels_page_are_to_look_at(
    enter: Callable[..., Visit], gallery: Path, how: dict[str, Any]
) -> None:
    before = progress(gallery)
    page = enter("labels", **how).page
    tile = page.locator(".tile[data-id]").first
    tile.click()
    expect(tile).to_be_focused()
    expect(tile).to_have_attribute("aria-selected", "false")
    # Keys that would change something do nothing, others what they always do.
    for key in ("x", "u", "a", "1", "l"):
        page.keyboard.press(key)
    page.keyboard.press("?")
    expect(page.locator(".labels-keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".labels-notice .notice")).to_have_count(0)
    expect(page.locator(".labels-tabs [data-tab]")).to_have_count(3)
    page.locator(".labels-tabs [data-tab=groups]").click()
    page.locator('.labels-page[data-tab=groups][data-stamp]:not([data-stamp=""])').wait_for()
    expect(page.locator(CHANGES)).to_have_count(0)
    page.locator(".labels-tabs [data-tab=files]").click()
    page.locator(".labels-files").wait_for()
    expect(page.locator(CHANGES)).to_have_count(0)
    expect(page.locator(".labels-links a")).to_have_count(2)
    assert progress(gallery) == before
