"""The library in a real browser: a newcomer's first steps, and what an owner does with folders, with real jobs."""

import csv
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright import sync_api as playwright

from retrieval.workflows.indexing import index_paths
from retrieval.workflows.upkeep import list_roots
from retrieval.workflows.watching import Watch, watch_of
from tests.ui.conftest import Visit
from tests.ui.drawing import COLOURS, picture
from ui.words import CHINESE, ENGLISH, Words

expect = playwright.expect
SAID = ENGLISH.library
WIDE = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light", "locale": "en-US"}
NARROW = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "locale": "zh-CN"}
BOTH = pytest.mark.parametrize(("how", "words"), [(WIDE, ENGLISH), (NARROW, CHINESE)], ids=["wide", "narrow"])
LONG = 120_000
"""A job is a process of its own, which loads what it needs first."""


@pytest.mark.parametrize("width", [1440])
def test_an_empty_gallery_leads_to_adding_a_folder_and_says_what_is_in_it(
    arrive: Callable[..., Visit], tmp_path: Path, pictures: Path, width: int
) -> None:
    page = arrive(tmp_path / "gallery", "/", viewport={"width": width, "height": 844}).page
    page.locator("#samples").get_by_role("link", name=SAID.empty_action).click()
    expect(page.get_by_role("heading", name=SAID.first_title)).to_be_visible(timeout=30_000)
    field = page.get_by_label(SAID.path).first
    stands_out = page.locator("#library button.primary:visible")
    expect(stands_out).to_have_text([SAID.look])
    field.press_sequentially(str(pictures)[:-2])
    page.get_by_role("button", name=str(pictures), exact=True).click()
    expect(field).to_have_value(str(pictures), timeout=30_000)
    page.get_by_role("button", name=SAID.look).click()
    expect(page.locator(".lib-look")).to_contain_text("to read", timeout=30_000)
    expect(page.get_by_role("button", name=SAID.add)).to_be_visible(timeout=30_000)
    # What is to be pressed next, and nothing else.
    expect(stands_out).to_have_text([SAID.add])
    # The model is a choice; a path is asked for only where it is in a folder.
    folder = page.get_by_label(SAID.model_path)
    expect(page.get_by_label(SAID.model_own)).to_be_checked()
    expect(page.get_by_label(re.compile(r"\(88\.0 MB\)"))).to_be_visible()
    expect(folder).to_have_count(0)
    page.get_by_label(SAID.model_folder).check()
    expect(folder).to_be_visible(timeout=30_000)
    page.get_by_role("button", name=SAID.add).click()
    expect(page.locator("#library-told")).to_contain_text(SAID.model_missing, timeout=30_000)
    # Neither made anything.
    assert list_roots(tmp_path / "gallery") == []


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of four pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for n, colour in enumerate((*COLOURS.values(), (120, 60, 160))):
        (folder / f"{n}.png").write_bytes(picture(colour, n))
    return folder


@pytest.fixture
def index(photos: Path, tmp_path: Path, tiny_model: Path) -> Callable[[], Path]:
    """Brings a gallery of ``photos`` up to date without a page; gives its folder."""

    def run() -> Path:
        index_paths(tmp_path / "gallery", [photos], model=str(tiny_model), workers=1)
        return tmp_path / "gallery"

    return run


def rows(page: Any) -> dict[str, str]:
    """The account of files: how many by what became of them."""
    table = page.locator("#library-account tr")
    return {row.locator("th").inner_text(): row.locator("td").inner_text() for row in table.all()}


@pytest.mark.slow
@BOTH
def test_a_folder_is_looked_at_added_accounted_for_and_searched(
    arrive: Callable[..., Visit], photos: Path, tmp_path: Path, tiny_model: Path, how: dict[str, Any], words: Words
) -> None:
    said = words.library
    (photos / "notes.txt").write_text("no picture")
    page = arrive(tmp_path / "gallery", "/library", **how).page
    field = page.locator("#library-path").locator("input, textarea")
    field.fill(str(photos))
    page.get_by_label(said.model_folder).check()
    page.locator("#library-model-path").locator("input, textarea").fill(str(tiny_model))
    page.get_by_role("button", name=said.look, exact=True).click()
    expect(page.locator(".lib-look")).to_contain_text(said.look_new.of(4), timeout=30_000)
    page.get_by_role("button", name=said.add, exact=True).click()
    expect(page.locator("#library-work .lib-bar")).to_be_visible(timeout=30_000)
    expect(page.locator("#library-work")).to_contain_text(words.jobs.kinds["index"])
    expect(page.locator("#library-work")).to_contain_text(said.findable.of(4), timeout=LONG)
    expect(page.locator("#library-folders")).to_contain_text(str(photos))
    expect(page.locator("#library-folders")).to_contain_text(said.pictures.of(4))
    account = rows(page)
    assert (account[said.account["found"]], account[said.account["new"]]) == ("4", "4")
    assert account[said.account["skipped"]] == "1"
    page.get_by_role("link", name=said.to_search).click()
    expect(page.locator("button.sample").first).to_be_visible(timeout=30_000)


@pytest.mark.slow
def test_a_broken_file_has_its_reason_and_is_tried_again(
    arrive: Callable[..., Visit], photos: Path, index: Callable[[], Path]
) -> None:
    whole = (photos / "2.png").read_bytes()
    (photos / "2.png").write_bytes(b"")
    page = arrive(index(), "/library", **WIDE).page
    failures = page.locator("#library-failures")
    expect(failures).to_contain_text("2.png", timeout=30_000)
    expect(failures).to_contain_text(SAID.reasons["empty"])
    assert rows(page)[SAID.account["failed"]] == "1"
    # Nothing was mended: it fails again.
    page.get_by_role("button", name=SAID.retry).click()
    expect(page.locator("#library-work .lib-bar")).to_be_visible(timeout=30_000)
    expect(page.locator("#library-work")).to_contain_text(SAID.nothing_new, timeout=LONG)
    expect(failures).to_contain_text("2.png")
    (photos / "2.png").write_bytes(whole)
    page.get_by_role("button", name=SAID.retry).click()
    expect(page.locator("#library-work")).to_contain_text(SAID.findable.of(4), timeout=LONG)
    expect(failures).not_to_contain_text("2.png")
    expect(page.locator("#library-folders")).to_contain_text(SAID.pictures.of(4))


@pytest.mark.slow
def test_a_folder_that_is_away_is_not_connected_and_loses_nothing(
    arrive: Callable[..., Visit], photos: Path, index: Callable[[], Path]
) -> None:
    gallery = index()
    page = arrive(gallery, "/library", **WIDE).page
    folders, work = page.locator("#library-folders"), page.locator("#library-work")
    expect(folders).to_contain_text(SAID.online, timeout=30_000)
    photos.rename(photos.with_name("away"))
    page.get_by_role("button", name=SAID.scan).click()
    expect(work.locator(".lib-bar")).to_be_visible(timeout=30_000)
    expect(folders).to_contain_text(SAID.offline, timeout=LONG)
    expect(work.locator(".lib-bar")).to_have_count(0, timeout=LONG)
    (root,) = list_roots(gallery)
    assert (root.online, root.present, root.missing) == (False, 4, 0)
    photos.with_name("away").rename(photos)
    page.get_by_role("button", name=SAID.scan).click()
    expect(work.locator(".lib-bar")).to_be_visible(timeout=30_000)
    expect(folders).not_to_contain_text(SAID.offline, timeout=LONG)
    expect(folders).to_contain_text(SAID.online)
    expect(folders).to_contain_text(SAID.pictures.of(4))


def by_mouse(page: Any, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def by_keyboard(page: Any, name: str) -> None:
    """From where the focus is, by Tab alone."""
    wanted = page.get_by_role("button", name=name, exact=True)
    for _ in range(80):
        if wanted.evaluate("control => control === document.activeElement"):
            page.keyboard.press("Enter")
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {name}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "words", "press"),
    [(WIDE, ENGLISH, by_mouse), (NARROW, CHINESE, by_mouse), (WIDE, ENGLISH, by_keyboard)],
    ids=["wide", "narrow", "keyboard"],
)
def test_nothing_is_forgotten_before_one_was_asked(
    arrive: Callable[..., Visit],
    photos: Path,
    index: Callable[[], Path],
    how: dict[str, Any],
    words: Words,
    press: Callable[[Any, str], None],
) -> None:
    said = words.library
    index()
    (photos / "0.png").unlink()
    gallery = index()
    page = arrive(gallery, "/library", **how).page
    ask, told, folders = (page.locator(f"#library-{name}") for name in ("ask", "told", "folders"))
    expect(folders).to_contain_text(said.gone.of(1), timeout=30_000)

    press(page, said.prune)
    expect(ask.get_by_role("alertdialog", name=said.prune_title.of(1))).to_be_focused()
    expect(ask).to_contain_text("0.png")
    press(page, said.prune_yes)
    expect(told).to_contain_text(said.pruned.of(1))
    expect(ask.get_by_role("alertdialog")).to_have_count(0)
    expect(folders).not_to_contain_text(said.gone.of(1))

    remove = f"{said.remove} {photos}"
    press(page, remove)
    question = ask.get_by_role("alertdialog", name=said.remove_title)
    expect(question).to_be_focused()
    expect(question).to_contain_text(said.remove_text.of(3))
    press(page, said.keep)
    expect(question).to_have_count(0)
    assert [root.present for root in list_roots(gallery)] == [3]
    press(page, remove)
    expect(question).to_be_focused()
    press(page, said.remove_yes)
    expect(told).to_contain_text(said.removed.of(3))
    expect(folders).not_to_contain_text(str(photos))
    assert list_roots(gallery) == []
    assert sorted(path.name for path in photos.iterdir()) == ["1.png", "2.png", "3.png"]


@pytest.mark.slow
def test_pictures_that_are_there_twice_are_shown_and_listed(
    arrive: Callable[..., Visit], photos: Path, index: Callable[[], Path]
) -> None:
    shutil.copy(photos / "1.png", photos / "1 again.png")
    page = arrive(index(), "/library", **WIDE).page
    page.get_by_role("button", name=SAID.twins_find, exact=True).click()
    expect(page.locator("#library-work .lib-bar")).to_be_visible(timeout=30_000)
    group = page.locator("#library-twins .lib-groups > li")
    expect(group).to_have_count(1, timeout=LONG)
    assert {path.rpartition("/")[2] for path in group.locator(".lib-path").all_inner_texts()} == {
        "1.png",
        "1 again.png",
    }
    image = group.locator("img").first
    image.scroll_into_view_if_needed()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    with page.expect_download() as download:
        page.get_by_role("link", name=SAID.twins_export).click()
    with open(download.value.path(), encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["group"], Path(row["path"]).parent) for row in table] == [("1", photos)] * 2


@pytest.mark.slow
def test_watching_survives_a_reload(arrive: Callable[..., Visit], index: Callable[[], Path]) -> None:
    gallery = index()
    page = arrive(gallery, "/library", **WIDE).page
    switch = page.get_by_role("switch", name=SAID.watch)
    expect(switch).to_have_attribute("aria-checked", "false", timeout=30_000)
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "true")
    period = page.get_by_role("combobox", name=SAID.watch)
    period.select_option(label=SAID.every[60])
    expect(period).to_have_value("60")
    # What was chosen is kept a moment later.
    page.wait_for_function("document.querySelector('#library-watch option[value=\"60\"]')?.hasAttribute('selected')")
    page.reload()
    expect(switch).to_have_attribute("aria-checked", "true", timeout=30_000)
    expect(period).to_have_value("60")
    assert watch_of(gallery) == Watch(True, 60)


@pytest.mark.slow
def test_a_backup_is_made_and_taken_away_and_the_gallery_is_checked(
    arrive: Callable[..., Visit], index: Callable[[], Path], tmp_path: Path
) -> None:
    page = arrive(index(), "/library", **WIDE).page
    target = tmp_path / "backup.tar"
    page.locator("#library-target").locator("input, textarea").fill(str(target), timeout=30_000)
    page.get_by_role("button", name=SAID.backup, exact=True).click()
    expect(page.locator("#library-work .lib-bar")).to_be_visible(timeout=30_000)
    get = page.get_by_role("link", name=SAID.backup_get)
    expect(get).to_be_visible(timeout=LONG)
    expect(page.locator("#library-work")).to_contain_text(str(target))
    with page.expect_download() as download:
        get.click()
    assert Path(download.value.path()).read_bytes() == target.read_bytes()
    assert tarfile.is_tarfile(target)
    page.get_by_role("button", name=SAID.check, exact=True).click()
    expect(page.locator("#library-work .lib-bar")).to_be_visible(timeout=30_000)
    expect(page.locator("#library-work")).to_contain_text(SAID.check_well, timeout=LONG)
