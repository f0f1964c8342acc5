"""Files that are too large, in a real browser: they are not sent, and the page says so where its answers are."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from playwright import sync_api as playwright

from tests.ui.conftest import Visit, running
from tests.ui.drawing import picture
from ui.words import CHINESE, ENGLISH, Words

expect = playwright.expect

WIDE = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light", "locale": "en-US"}
NARROW = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "locale": "zh-CN"}
BOTH = pytest.mark.parametrize(
    ("how", "words"),
    [(WIDE, ENGLISH), pytest.param(NARROW, CHINESE, marks=pytest.mark.slow)],
    ids=["wide", "narrow"],
)

LIMIT = 64 * 1024
SMALL = {"name": "small.png", "mimeType": "image/png", "buffer": picture((200, 120, 40), 1)}
LARGE = {"name": "large.png", "mimeType": "image/png", "buffer": SMALL["buffer"] + b"\0" * LIMIT}

_GIVE = """(kind) => {
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(%d)], "large.png", { type: "image/png" }));
  const target = document.querySelector("#photo input[type=file]").parentElement;
  const event = kind === "drop"
    ? new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: files })
    : new ClipboardEvent("paste", { bubbles: true, cancelable: true, clipboardData: files });
  target.dispatchEvent(event);
}"""


@pytest.fixture(scope="module")
def address(opened: Callable[..., FastAPI], indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a server that takes no more than ``LIMIT`` bytes."""
    gallery = Path(shutil.copytree(indexed, tmp_path_factory.mktemp("small") / "gallery"))
    with running(opened(gallery, gallery=gallery, max_upload_bytes=LIMIT)) as found:
        yield found


@pytest.fixture
def enter(contexts: Callable[..., Any], address: str) -> Iterator[Callable[..., Visit]]:
    """Opens one of its pages; checks in the end that all was calm."""
    visits: list[Visit] = []

    def open_page(path: str = "", **how: Any) -> Visit:
        visits.append(Visit(contexts(**how), address))
        visits[-1].page.goto(f"{address}/{path}")
        return visits[-1]

    yield open_page
    for one in visits:
        assert one.overflow() == 0
        one.leave()


def sent(here: Visit) -> list[str]:
    return [url for url in here.requests if "/upload" in url]


def assert_said(here: Visit, words: Words) -> None:
    notice = here.page.locator("#results .notice.error")
    expect(notice).to_contain_text(words.search.upload_too_large.format(limit="0.0625"))
    expect(notice).to_contain_text(words.errors.bad_file)
    expect(notice).to_be_in_viewport()
    # Not in a corner, and in one language.
    expect(here.page.locator(".toast-body")).to_have_count(0)
    assert sent(here) == []


@BOTH
@pytest.mark.parametrize("way", ["chosen", "drop", "paste"])
def test_a_photo_that_is_too_large_is_refused_in_the_page_s_words(
    enter: Callable[..., Visit], how: dict[str, Any], words: Words, way: str
) -> None:
    here = enter(**how)
    here.page.locator("button.sample").first.wait_for()
    if way == "chosen":
        here.upload(LARGE)
    else:
        here.page.evaluate(_GIVE % (LIMIT + 1), way)
    assert_said(here, words)
    # What fits is searched with as ever.
    here.search(SMALL)
    expect(here.page.locator("#results .notice")).to_have_count(0)
    assert len(sent(here)) > 0


@pytest.mark.parametrize("name", ["large.HEIC", "large.avif", "large.tiff"])
def test_a_dropped_photo_without_a_media_type_is_refused_once(enter: Callable[..., Visit], name: str) -> None:
    here = enter(**WIDE)
    here.page.locator("button.sample").first.wait_for()
    here.page.evaluate(
        "() => { window.told = 0; document.addEventListener('retrieval:too-large', () => { window.told += 1; }); }"
    )
    unnamed = _GIVE.replace("large.png", name).replace("image/png", "")
    here.page.evaluate(unnamed % (LIMIT + 1), "drop")
    assert_said(here, ENGLISH)
    assert here.page.evaluate("window.told") == 1


def test_what_is_as_large_as_it_may_be_is_sent(enter: Callable[..., Visit]) -> None:
    here = enter(**WIDE)
    here.page.locator("button.sample").first.wait_for()
    here.search({**SMALL, "buffer": SMALL["buffer"].ljust(LIMIT, b"\0")})
    expect(here.page.locator("#results .notice")).to_have_count(0)


@BOTH
def test_so_is_a_table_of_labels(enter: Callable[..., Visit], how: dict[str, Any], words: Words) -> None:
    here = enter("labels", **how)
    here.page.locator(".tile[data-id]").first.wait_for()
    here.page.locator(".labels-tabs [data-tab=files]").click()
    here.page.locator(".labels-files").wait_for()
    table = {"name": "labels.csv", "mimeType": "text/csv", "buffer": b"path,label\n" + b"x" * LIMIT}
    here.page.set_input_files("input[type=file]", table)
    notice = here.page.locator(".labels-notice .notice.error")
    expect(notice).to_contain_text(words.search.upload_too_large.format(limit="0.0625"))
    expect(here.page.locator(".toast-body")).to_have_count(0)
    assert sent(here) == []
