"""Nobody is shut out: axe-core finds nothing serious on any page, in light and dark, both languages, both widths.

Every page sees each scheme, each language and each width. A page joins by itself, from ``ui.pages``.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from playwright import sync_api as playwright

from retrieval.core.types import Filters
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.jobs import State
from retrieval.workflows.jobs.folder import JobFolder
from retrieval.workflows.labelling import answer, take_away
from retrieval.workflows.mapping import draw_map
from tests.ui.accessibility import Excuse, audit, settle
from tests.ui.conftest import Visit, running
from tests.ui.finished import ADVICE, diagnosis, finished
from tests.ui.library_pieces import library_pieces
from tests.ui.test_teach import EVENTS, LESSON, REPORT
from tests.ui.twins import SearcherTwin
from ui.library.library import Library
from ui.pages import PAGES
from ui.teach import answers as teaching

expect = playwright.expect

BRIGHT = {"color_scheme": "light", "locale": "en-US", "viewport": {"width": 1440, "height": 900}}
DARK = {"color_scheme": "dark", "locale": "zh-CN", "viewport": {"width": 390, "height": 844}}
OTHERS = (
    {"color_scheme": "light", "locale": "zh-CN", "viewport": {"width": 390, "height": 844}},
    {"color_scheme": "dark", "locale": "en-US", "viewport": {"width": 1440, "height": 900}},
)

ADDRESSES = [page.address for page in PAGES]
# One look at each page, every second one the other way; the rest takes longer.
QUICK = [(address, (BRIGHT, DARK)[n % 2]) for n, address in enumerate(ADDRESSES)]
SLOW = [(address, how) for address in ADDRESSES for how in (BRIGHT, DARK, *OTHERS) if (address, how) not in QUICK]


@pytest.fixture(scope="module")
def labelled(opened: Callable[..., FastAPI], indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server for a gallery with labels, of which all pages are there."""
    folder = tmp_path_factory.mktemp("labelled") / "gallery"
    shutil.copytree(indexed, folder)
    with running(opened(folder, gallery=folder)) as address:
        yield address


def named(value: Any) -> str:
    if isinstance(value, str):
        return value or "search"
    return f"{value['color_scheme']} {value['locale']} {value['viewport']['width']}"


def assert_open_to_all(page: Any) -> None:
    found = audit(page)
    assert found.severe == []
    assert found.judged > 2, "the page was not there when it was looked at"


def look_at(contexts: Callable[..., Any], site: str, address: str, how: dict[str, Any]) -> None:
    visit = Visit(contexts(**how), f"{site}/{address}")
    try:
        visit.page.goto(visit.address)
        settle(visit.page)
        assert visit.page.evaluate("document.body.classList.contains('dark')") == (how["color_scheme"] == "dark")
        assert visit.page.evaluate("document.documentElement.lang").startswith(how["locale"][:2])
        assert_open_to_all(visit.page)
    finally:
        visit.page.close()


@pytest.mark.parametrize(("address", "how"), QUICK, ids=named)
def test_a_page_shuts_nobody_out(
    contexts: Callable[..., Any], labelled: str, address: str, how: dict[str, Any]
) -> None:
    look_at(contexts, labelled, address, how)


@pytest.mark.slow
@pytest.mark.parametrize(("address", "how"), SLOW, ids=named)
def test_a_page_shuts_nobody_out_seen_otherwise(
    contexts: Callable[..., Any], labelled: str, address: str, how: dict[str, Any]
) -> None:
    look_at(contexts, labelled, address, how)


@pytest.fixture(scope="module")
def unfilled(opened: Callable[..., FastAPI], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server for a gallery without a picture."""
    folder = tmp_path_factory.mktemp("unfilled")
    with running(opened(folder, gallery=folder)) as address:
        yield address


@pytest.mark.parametrize(
    ("address", "how"),
    [
        *((address, BRIGHT) for address in ADDRESSES),
        *(pytest.param(address, DARK, marks=pytest.mark.slow) for address in ADDRESSES),
    ],
    ids=named,
)
def test_a_page_without_pictures_shuts_nobody_out(
    contexts: Callable[..., Any], unfilled: str, address: str, how: dict[str, Any]
) -> None:
    look_at(contexts, unfilled, address, how)


@pytest.mark.slow
@pytest.mark.parametrize("how", [BRIGHT, DARK], ids=named)
def test_what_opens_on_the_search_page_shuts_nobody_out(staged: Callable[..., Visit], how: dict[str, Any]) -> None:
    here = staged(SearcherTwin(), **how).open()
    settle(here.page)
    here.page.locator("button.sample").first.click()
    here.cards.first.wait_for()
    settle(here.page)
    assert_open_to_all(here.page)
    here.page.locator("[data-crop]").click()
    expect(here.page.locator("#cropper")).to_be_visible()
    assert_open_to_all(here.page)
    here.page.keyboard.press("Escape")
    here.cards.first.click()
    here.page.locator(".viewer-image.is-loaded").wait_for()
    here.page.wait_for_timeout(400)
    assert_open_to_all(here.page)
    here.page.locator(".viewer-match").click()
    here.page.locator("#matcher .match-frame").first.wait_for()
    assert_open_to_all(here.page)


# -- what opens on the other pages -----------------------------------------------------------------------------------

OPENED = pytest.mark.parametrize("how", [BRIGHT, DARK], ids=named)


@pytest.fixture
def gallery(indexed: Path, tmp_path: Path) -> Path:
    """An own copy of the gallery."""
    return Path(shutil.copytree(indexed, tmp_path / "gallery"))


@pytest.fixture
def enter(
    contexts: Callable[..., Any], opened: Callable[..., FastAPI], gallery: Path
) -> Iterator[Callable[[str, dict[str, Any]], Any]]:
    """Opens a page of the own gallery."""
    with ExitStack() as stack:

        def open_page(address: str, how: dict[str, Any]) -> Any:
            site = stack.enter_context(running(opened(gallery, gallery=gallery)))
            page = Visit(contexts(**how), site).page
            stack.callback(page.close)
            page.goto(f"{site}/{address}")
            return page

        yield open_page


def ids_of(gallery: Path) -> list[int]:
    with Gallery(gallery) as found:
        return [int(one) for one in found.catalog.images.passing(found.live_space().id, Filters())]


@pytest.mark.slow
@OPENED
def test_the_parts_of_the_labels_page_shut_nobody_out(
    enter: Callable[..., Any], gallery: Path, how: dict[str, Any]
) -> None:
    ids = ids_of(gallery)
    take_away(gallery, ids)
    page = enter("labels", how)
    page.locator(".labels-tabs [data-tab=groups]").click()
    page.locator(".group").first.wait_for()
    assert_open_to_all(page)
    answer(gallery, {image_id: f"kind {n % 2}" for n, image_id in enumerate(ids[:-1])})
    page.locator(".labels-tabs [data-tab=ask]").click()
    page.locator(".question").first.wait_for()
    assert_open_to_all(page)
    page.keyboard.press("?")
    expect(page.locator(".labels-keys")).to_be_visible()
    assert_open_to_all(page)
    page.keyboard.press("Escape")
    page.locator(".labels-tabs [data-tab=files]").click()
    page.locator(".labels-files").wait_for()
    assert_open_to_all(page)


@pytest.mark.slow
@OPENED
def test_a_proof_and_an_open_question_shut_nobody_out(
    enter: Callable[..., Any], gallery: Path, how: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(gallery, 1, "train", dataset="gallery", recipe="quick-head", events=EVENTS)
    monkeypatch.setattr(teaching, "run_of", lambda *_: gallery / "runs" / "1")
    monkeypatch.setattr(teaching, "read_lesson", lambda *_: LESSON)
    monkeypatch.setattr(teaching, "switch", lambda *_, **__: REPORT)
    page = enter("teach", how)
    page.locator(".teach-rows img").first.wait_for()
    page.locator(".teach-curve").first.wait_for()
    page.locator("[data-do=ask-switch]").first.click()
    expect(page.locator("[data-do=switch-now]")).to_be_focused()
    settle(page)
    assert_open_to_all(page)


@pytest.mark.slow
@OPENED
def test_the_map_and_what_was_found_shut_nobody_out(
    enter: Callable[..., Any], gallery: Path, how: dict[str, Any]
) -> None:
    draw_map(gallery)
    # One finding of each kind: well, fair, and bad.
    found = diagnosis(ids_of(gallery)[0], "another model", collapse=0.001, first=0.6)
    finished(gallery, 1, "diagnose", dataset="gallery", page="<h1>x</h1>", result=found)
    finished(gallery, 2, "temperature", dataset="gallery", page="<h1>x</h1>", result={"recommendation": ADVICE})
    page = enter("understand", how)
    page.locator(".und-map[data-ready]").wait_for()
    for kind in ("is-good", "is-fair", "is-bad"):
        page.locator(f".und-finding.{kind}").first.wait_for()
    page.locator(".und-canvas").focus()
    page.keyboard.press("s")
    page.keyboard.press("n")
    expect(page.locator(".und-pin")).to_be_visible()
    expect(page.locator(".und-list img").first).to_be_visible()
    settle(page)
    assert_open_to_all(page)


@pytest.mark.slow
@OPENED
def test_failures_duplicates_and_a_question_of_the_library_shut_nobody_out(
    enter: Callable[..., Any], how: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def piece(name: str) -> Callable[..., str]:
        return lambda self, *_: library_pieces(self._words, self._site.addresses)[name]

    for method, name in (("failures", "failures"), ("twins", "twins"), ("account", "account")):
        monkeypatch.setattr(Library, method, piece(name))
    page = enter("library", how)
    page.locator("[data-do=ask-remove]").first.click()
    expect(page.get_by_role("alertdialog")).to_be_visible()
    page.locator("#library-failures table, #library-failures li").first.wait_for()
    page.locator("#library-twins img").first.wait_for()
    settle(page)
    assert_open_to_all(page)


@pytest.mark.slow
@OPENED
def test_a_running_job_in_the_strip_shuts_nobody_out(
    enter: Callable[..., Any], gallery: Path, how: dict[str, Any]
) -> None:
    finished(gallery, 1, "index", state=State.RUNNING)
    folder = JobFolder(gallery / ".jobs" / "1")
    folder.write("progress.json", {"part": "Indexing", "done": 5, "total": 9, "seconds_left": 70.0})
    with folder.living():
        page = enter("", how)
        page.locator("[data-job-cancel]").wait_for()
        expect(page.locator("#jobs progress")).to_have_attribute("value", "5")
        settle(page)
        assert_open_to_all(page)


_BAD = """<!doctype html><html lang="en"><title>t</title><main><h1>t</h1><p style="color: #aaa">Hard to read.</p>
<div class="theirs"><button></button></div><button></button></main></html>"""


def test_what_is_wrong_is_found_and_an_excuse_is_about_one_rule_in_one_place(contexts: Callable[..., Any]) -> None:
    page = contexts(**BRIGHT).new_page()
    try:
        page.set_content(_BAD)
        assert sorted(one.split()[1] for one in audit(page).severe) == ["button-name", "button-name", "color-contrast"]
        theirs = [Excuse(".theirs", "button-name", "as an example")]
        left = audit(page, theirs).severe
        assert sorted(one.split()[1] for one in left) == ["button-name", "color-contrast"]
        assert len(audit(page, [Excuse("main", "button-name", "")]).severe) == 1
    finally:
        page.close()
