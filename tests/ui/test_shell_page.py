"""The frame in a real browser: navigation, language and colours, at both widths, by keyboard."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
import pytest
from playwright import sync_api as playwright

from tests.ui.conftest import Visit, running
from tests.ui.drawing import picture
from tests.ui.twins import SearcherTwin, ViewsTwin
from ui.app import create_app
from ui.pages import PAGES
from ui.shell.page import Page
from ui.words import CHINESE, ENGLISH

expect = playwright.expect

NAMES = ("library", "labels", "teach", "understand")
OTHERS = tuple(
    Page(
        lambda words, name=name: getattr(words.shell, name),  # type: ignore[misc]
        name,
        lambda _site, _words, _blocks, name=name: gr.Markdown(f"Here is {name}."),  # type: ignore[misc]
        needs_gallery=False,
    )
    for name in NAMES
)
LIGHT, DARK = "rgb(247, 246, 243)", "rgb(21, 21, 19)"
EVERY_TEXT = """
() => {
  const own = ["SCRIPT", "STYLE", "TITLE", "NOSCRIPT"];
  return [...document.querySelectorAll("body, body *")].filter((e) => !own.includes(e.tagName)).flatMap((element) => [
    ...[...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.textContent.trim()),
    ...["aria-label", "title", "alt", "placeholder"].map((name) => element.getAttribute(name)),
  ]).filter(Boolean);
}
"""
# Names of things: labels, files, formats, units, keys, the product, and what another language calls itself.
DATA = re.compile(
    r"apple|red|Shift|/photos/fruit|1\.jpg|JPEG|MB|ms|Retrieval|mobilenetv2_100|faiss-flat|English|caf\\xe9"
)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running(create_app(SearcherTwin(), ViewsTwin(), pages=(PAGES[0], *OTHERS))) as address:
        yield address


@pytest.fixture
def arrive(browser: Any, address: str) -> Iterator[Callable[..., Visit]]:
    """Opens an address in a browser that remembers nothing; checks in the end that all was calm."""
    visits: list[Visit] = []

    def open_page(path: str = "/", **arguments: Any) -> Visit:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **arguments})
        visits.append(Visit(context, address))
        visits[-1].page.goto(address + path)
        return visits[-1]

    yield open_page
    for one in visits:
        one.leave()
        one.context.close()


def background(here: Visit) -> str:
    return str(here.page.evaluate("getComputedStyle(document.body).backgroundColor"))


@pytest.mark.parametrize("width", [1440, 390])
def test_every_page_is_one_step_away_and_has_an_address(arrive: Callable[..., Visit], width: int) -> None:
    here = arrive(viewport={"width": width, "height": 844})
    for name in NAMES:
        link = here.page.get_by_role("link", name=getattr(ENGLISH.shell, name), exact=True)
        expect(link).to_be_in_viewport(ratio=0.99)
        link.click()
        expect(here.page).to_have_url(re.compile(f"/{name}$"))
        expect(here.page.get_by_text(f"Here is {name}.")).to_be_visible()
        expect(link).to_have_attribute("aria-current", "page")
        expect(here.page).to_have_title(f"{getattr(ENGLISH.shell, name)} · Retrieval")
        expect(here.page.get_by_role("heading", level=1)).to_have_text(getattr(ENGLISH.shell, name))
        assert here.overflow() == 0
    assert here.page.locator(".nav-holder:visible").count() == 0
    here.page.go_back()
    expect(here.page.get_by_text("Here is teach.")).to_be_visible()


def test_the_frame_is_there_before_gradio(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    expect(page.get_by_role("link", name="Library")).to_be_visible()
    expect(page.locator(".state")).to_contain_text("1,234 images")
    context.close()


@pytest.mark.slow
@pytest.mark.parametrize("width", [1440, pytest.param(390, marks=pytest.mark.slow)])
def test_by_keyboard(arrive: Callable[..., Visit], width: int) -> None:
    here = arrive(viewport={"width": width, "height": 844})
    here.page.get_by_text("Start with a photo").wait_for()
    here.page.keyboard.press("Tab")
    skip = here.page.get_by_role("link", name=ENGLISH.shell.skip)
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    order = [ENGLISH.shell.home.format(title="Retrieval"), "Search", "Library", "Labels", "Teach", "Understand"]
    for name in order:
        here.page.keyboard.press("Tab")
        link = here.page.get_by_role("link", name=name, exact=True)
        expect(link).to_be_focused()
        assert link.evaluate("link => getComputedStyle(link).outlineStyle") == "solid"
    here.page.keyboard.press("Tab")
    expect(here.page.get_by_role("combobox", name="Language")).to_be_focused()
    here.page.keyboard.press("Tab")
    expect(here.page.get_by_role("button", name="Dark colours")).to_be_focused()
    here.page.keyboard.press("Enter")
    assert background(here) == DARK
    skip.focus()
    here.page.keyboard.press("Enter")
    assert here.page.evaluate("document.activeElement.id") == "page"
    assert here.page.url.endswith("/#page")


def test_the_language_is_the_browser_s_until_another_is_chosen_and_is_then_remembered(
    arrive: Callable[..., Visit],
) -> None:
    here = arrive("/library", locale="zh-CN")
    language = here.page.get_by_role("combobox", name=CHINESE.shell.language)
    expect(here.page.get_by_role("link", name=CHINESE.shell.teach)).to_be_visible()
    assert here.page.evaluate("document.documentElement.lang") == "zh-CN"
    language.select_option(label="English")
    expect(here.page.get_by_role("link", name="Teach")).to_be_visible()
    expect(here.page).to_have_url(re.compile("/library$"))
    here.page.goto(here.address)
    expect(here.page.get_by_text(ENGLISH.search.start_title)).to_be_visible()
    assert here.page.evaluate("document.documentElement.lang") == "en"
    (cookie,) = here.context.cookies()
    assert (cookie["name"], cookie["value"], cookie["sameSite"]) == ("language", "en", "Lax")


def test_in_chinese_nothing_is_english_from_the_first_view_to_the_large_picture(arrive: Callable[..., Visit]) -> None:
    here = arrive(locale="zh-CN")
    here.page.locator("button.sample img").first.wait_for()
    seen = here.page.evaluate(EVERY_TEXT)
    photo = {"name": "1.jpg", "mimeType": "image/png", "buffer": picture((200, 120, 40), 1)}
    here.search(photo)
    seen += here.page.evaluate(EVERY_TEXT)
    here.cards.first.click()
    expect(here.page.get_by_role("dialog", name=CHINESE.search.viewer)).to_be_visible()
    seen += here.page.evaluate(EVERY_TEXT)
    assert CHINESE.search.viewer_similar in seen
    english = {text for text in seen if re.search(r"[A-Za-z]", DATA.sub("", text))}
    assert english == set()


@pytest.mark.slow
def test_colours_follow_the_system_until_others_are_chosen(arrive: Callable[..., Visit]) -> None:
    here = arrive("/library", color_scheme="light")
    here.page.get_by_text("Here is library.").wait_for()
    assert background(here) == LIGHT
    here.page.emulate_media(color_scheme="dark")
    expect(here.page.locator("body")).to_have_css("background-color", DARK)
    here.page.get_by_role("button", name="Light colours").click()
    assert background(here) == LIGHT
    # Remembered, on every page, whatever the system does.
    here.page.goto(here.address)
    here.page.get_by_text("Start with a photo").wait_for()
    assert background(here) == LIGHT
    here.page.emulate_media(color_scheme="light")
    here.page.emulate_media(color_scheme="dark")
    here.page.wait_for_timeout(100)
    assert background(here) == LIGHT
    # The system's own colours again: nothing is left to remember.
    here.page.get_by_role("button", name="Dark colours").click()
    assert here.page.evaluate("localStorage.getItem('retrieval-colours')") is None
    here.page.emulate_media(color_scheme="light")
    expect(here.page.locator("body")).to_have_css("background-color", LIGHT)


def test_a_dark_page_is_dark_before_gradio_draws(browser: Any, address: str) -> None:
    context = browser.new_context(color_scheme="light")
    context.add_init_script("localStorage.setItem('retrieval-colours', 'dark')")
    page = context.new_page()
    page.route("**/assets/**", lambda route: route.abort())
    page.goto(address)
    assert page.evaluate("document.body.classList.contains('dark')")
    context.close()


@pytest.mark.slow
def test_an_address_without_a_page(browser: Any, address: str) -> None:
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    assert page.goto(f"{address}/nothing").status == 404
    expect(page.get_by_text(CHINESE.shell.no_page_title).last).to_be_visible()
    page.get_by_role("link", name=CHINESE.shell.library).click()
    expect(page.get_by_text("Here is library.")).to_be_visible()
    context.close()
