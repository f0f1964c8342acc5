"""Nobody is shut out: axe-core finds nothing serious on any page, in light and dark, both languages, both widths.

Every page sees each scheme, each language and each width. A page joins by itself, from ``ui.pages``.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from playwright import sync_api as playwright

from tests.ui.accessibility import Excuse, audit, settle
from tests.ui.conftest import Visit, running
from tests.ui.twins import SearcherTwin
from ui.pages import PAGES

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
