"""The search page in a real browser: what is saved, dates, the history, files that are too large, and servers that show
less."""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from PIL import Image
from playwright import sync_api as playwright

from tests.ui.conftest import Visit, running
from tests.ui.drawing import COLOURS, picture
from ui.words import ENGLISH

expect = playwright.expect
pytestmark = pytest.mark.slow

TAKEN = 0x9003
"""EXIF's tag of when a picture was taken; it stands in the directory 0x8769."""


@pytest.fixture(scope="module")
def dated(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[Path, Path]:
    """(a gallery of six photos: two taken in 2019, three in 2021, one that says nothing; their folder)."""
    from retrieval.workflows.indexing import index_paths

    base = tmp_path_factory.mktemp("dated")
    (base / "photos").mkdir()
    for n, year in enumerate((2019, 2019, 2021, 2021, 2021, None)):
        (base / "raw.png").write_bytes(picture(list(COLOURS.values())[n % 3], n))
        with Image.open(base / "raw.png") as drawn:
            exif = Image.Exif()
            if year is not None:
                exif.get_ifd(0x8769)[TAKEN] = f"{year}:06:07 14:05:00"
            drawn.convert("RGB").save(base / "photos" / f"{year} {n}.jpg", quality=95, exif=exif)
    report = index_paths(base / "gallery", [base / "photos"], model=str(tiny_model), workers=1)
    assert report.failed == 0
    return base / "gallery", base / "photos"


@pytest.fixture
def enter(
    contexts: Callable[..., Any], opened: Callable[..., FastAPI], dated: tuple[Path, Path]
) -> Iterator[Callable[..., Visit]]:
    """Opens a page of a server that is started as asked for; checks in the end that all was calm."""
    visits: list[Visit] = []
    with ExitStack() as stack:

        def open_page(path: str = "", **server: Any) -> Visit:
            address = stack.enter_context(running(opened(dated[0], gallery=dated[0], **server)))
            visits.append(Visit(contexts(), address))
            visits[-1].page.goto(f"{address}/{path}")
            return visits[-1]

        yield open_page
        for one in visits:
            one.leave()


def test_results_are_saved_as_copies_of_the_pictures(enter: Callable[..., Visit], dated: tuple[Path, Path]) -> None:
    here = enter()
    here.search(dated[1] / "2021 2.jpg")
    found = here.cards.count()
    assert found == 6
    with here.page.expect_download() as saving:
        here.page.get_by_role("link", name=ENGLISH.refine.as_copies).click()
    assert saving.value.suggested_filename == "results.zip"
    with zipfile.ZipFile(saving.value.path()) as saved:
        pictures = {name: saved.read(name) for name in saved.namelist() if name.endswith(".jpg")}
    assert sorted(pictures.values()) == sorted(path.read_bytes() for path in dated[1].iterdir())


def test_a_date_narrows_the_search_to_what_was_taken_then(
    enter: Callable[..., Visit], dated: tuple[Path, Path]
) -> None:
    here = enter()
    here.search(dated[1] / "2021 2.jpg")
    names = here.cards.locator(".path")
    here.page.get_by_role("button", name="Date and size").click()
    before = here.page.get_by_label(ENGLISH.refine.before)
    before.fill("2020-01-01")
    before.press("Enter")
    expect(here.page.locator(".results-head")).to_contain_text("out of 2 images")
    assert sorted(name.rpartition("/")[2][:4] for name in names.all_inner_texts()) == ["2019"] * 2
    before.fill("")
    after = here.page.get_by_label(ENGLISH.refine.after)
    after.fill("2021-01-01")
    after.press("Enter")
    expect(here.page.locator(".results-head")).to_contain_text("out of 3 images")
    assert sorted(name.rpartition("/")[2][:4] for name in names.all_inner_texts()) == ["2021"] * 3


def test_a_photo_of_the_history_searches_again(enter: Callable[..., Visit], dated: tuple[Path, Path]) -> None:
    here = enter()
    here.search(dated[1] / "2021 2.jpg")
    first = here.cards.first
    expect(first).to_contain_text("2021 2.jpg")
    here.upload(dated[1] / "2019 0.jpg")
    expect(first).to_contain_text("2019 0.jpg")
    tiles = here.page.locator("#history .sample")
    expect(tiles).to_have_count(2)
    # The newest comes first.
    tiles.nth(1).click()
    expect(first).to_contain_text("2021 2.jpg")
    expect(first.locator(".score")).to_have_text("1.000")


def test_who_may_only_look_finds_no_button_that_changes_anything(enter: Callable[..., Visit]) -> None:
    here = enter(read_only=True)
    page = here.page
    page.locator("button.sample").first.click()
    here.cards.first.wait_for()
    expect(page.locator(".state-read-only")).to_be_visible()
    assert page.locator("#history section").count() == 0
    for path, there, not_there in (
        (
            "library",
            "#library-folders .lib-card",
            "[data-do=scan], [data-do=ask-remove], #library-look, [data-do=twins]",
        ),
        ("labels", ".tile[data-id]", ".dock-form button, [data-do=take], [data-do=undo], #labels-table"),
        ("teach", "#teach-models section", "#teach-start, [data-do=calibrate], [data-do=ask-drop]"),
        ("understand", "#understand-check .und-part", "[data-do]"),
    ):
        page.goto(f"{here.address}/{path}")
        page.locator(there).first.wait_for()
        page.wait_for_timeout(500)
        found = [one.inner_text() for one in page.locator(not_there).all() if one.is_visible()]
        assert found == [], path


def test_where_paths_are_hidden_no_page_holds_one(enter: Callable[..., Visit], dated: tuple[Path, Path]) -> None:
    here = enter(hide_paths=True)
    page = here.page
    page.set_input_files("#photo input[type=file]", dated[1] / "2021 2.jpg")
    here.cards.first.wait_for()
    here.cards.first.click()
    expect(here.dialog).to_contain_text("2021 2.jpg")
    secret = str(dated[1].parent)
    assert secret not in page.content()
    page.keyboard.press("Escape")
    folder = page.get_by_label("In this folder")
    if folder.is_visible():
        folder.fill(f"{secret}/nowhere")
        folder.press("Enter")
        expect(page.locator("#results .notice")).to_be_visible()
        assert secret not in page.locator("#results").inner_html()
    page.goto(f"{here.address}/understand")
    page.locator("#understand-check .und-part").wait_for()
    assert secret not in page.content()
