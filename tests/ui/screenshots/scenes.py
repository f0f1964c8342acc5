"""What is photographed: pages, and how each comes to show what it is for."""

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page

from tests.ui.screenshots.sample import QUERY


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture.

    Attributes:
        name: of its file.
        address: of the page, below the server's.
        set_up: brings the page, which has just been opened, to what is to be seen.
        whole: the whole length of the page is worth looking at, not what a window holds of it.
    """

    name: str
    address: str
    set_up: Callable[[Page], None]
    whole: bool = True


def _first(page: Page) -> None:
    page.locator("button.sample img").first.wait_for()


def _search(page: Page) -> None:
    page.locator("button.sample").first.wait_for()
    page.set_input_files("#photo input[type=file]", QUERY)
    page.locator("#results button.card img").first.wait_for()


def _large(page: Page) -> None:
    _search(page)
    page.locator("#results button.card").nth(1).click()
    page.locator("dialog img").first.wait_for()


def _bad(page: Page) -> None:
    _first(page)
    bad = {"name": "bad.jpg", "mimeType": "image/jpeg", "buffer": b"this is text, not a picture"}
    page.set_input_files("#photo input[type=file]", bad)
    page.locator("#results .notice").wait_for()


def _library(page: Page) -> None:
    page.locator("#library-folders li").first.wait_for()
    page.locator("#library-account section").wait_for()


def _labels(page: Page) -> None:
    page.locator(".tile[data-id] img").first.wait_for()


def _picked(page: Page) -> None:
    _labels(page)
    for n in (1, 2, 5):
        page.locator(".tiles > .tile[data-id]").nth(n).click()


def _tab(name: str) -> Callable[[Page], None]:
    def open_tab(page: Page) -> None:
        _labels(page)
        page.locator(f"[data-tab={name}]").click()

    return open_tab


def _teach(page: Page) -> None:
    page.locator("#teach-proof .teach-rows img").first.wait_for()


def _proof(page: Page) -> None:
    _teach(page)
    page.locator("#teach-proof").evaluate("element => element.scrollIntoView({block: 'start'})")


def _asked(page: Page) -> None:
    _teach(page)
    page.locator("[data-do=ask-switch], [data-do=ask-force]").first.click()
    page.locator("[data-do=switch-now], [data-do=force-now]").first.wait_for()


def _map(page: Page) -> None:
    page.locator(".und-map[data-ready]").wait_for()


SCENES = (
    Scene("search", "", _search, whole=False),
    Scene("library", "library", _library),
    Scene("labels", "labels", _labels, whole=False),
    Scene("teach", "teach", _proof, whole=False),
    Scene("understand", "understand", _map),
)
"""Those of the README, one a page."""

MORE = (
    Scene("search-first", "", _first),
    Scene("search-large", "", _large, whole=False),
    Scene("search-bad", "", _bad, whole=False),
    Scene("labels-picked", "labels", _picked, whole=False),
    Scene("labels-groups", "labels", _tab("groups"), whole=False),
    Scene("labels-ask", "labels", _tab("ask"), whole=False),
    Scene("labels-files", "labels", _tab("files")),
    Scene("teach-whole", "teach", _teach),
    Scene("teach-asked", "teach", _asked),
)
"""What else is worth looking at."""
