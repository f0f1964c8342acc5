"""The Labels page in a real browser: by mouse and by keyboard, at both widths, in both languages and schemes."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from playwright import sync_api as playwright

from retrieval.core.errors import GalleryBusy
from retrieval.workflows import labelling
from retrieval.workflows.indexing import index_paths
from retrieval.workflows.jobs import Jobs, State, request_from
from retrieval.workflows.labelling import Shelf, answer, progress, tile_page
from tests.ui.conftest import Visit, running
from tests.ui.drawing import COLOURS, picture
from ui.labels.answers import LabelAnswers
from ui.words import CHINESE, ENGLISH, Words

expect = playwright.expect
expect.set_options(timeout=15_000)

BRIGHT = {"color_scheme": "light", "locale": "en-US", "viewport": {"width": 1440, "height": 900}}
DARK = {"color_scheme": "dark", "locale": "zh-CN", "viewport": {"width": 390, "height": 844}}
NAMES = ["light English 1440", "dark Chinese 390"]
BOTH = pytest.mark.parametrize("how", [BRIGHT, pytest.param(DARK, marks=pytest.mark.slow)], ids=NAMES)


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A gallery of 60 pictures of three colours, in one folder, and so without any label."""
    base = tmp_path_factory.mktemp("unlabelled")
    photos = base / "photos"
    photos.mkdir()
    for n in range(60):
        (photos / f"{n:02d}.png").write_bytes(picture(list(COLOURS.values())[n % 3], n))
    report = index_paths(base / "gallery", [photos], model=str(tiny_model), workers=1)
    assert report.failed == 0
    return base / "gallery"


@pytest.fixture
def gallery(unlabelled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(unlabelled, tmp_path / "gallery"))


@pytest.fixture
def arrive(contexts: Callable[..., Any], opened: Callable[..., Any], gallery: Path) -> Iterator[Callable[..., Visit]]:
    """Opens the page; checks in the end that all was calm."""
    visits: list[Visit] = []
    with running(opened(gallery, gallery=gallery)) as address:

        def open_page(**arguments: Any) -> Visit:
            visits.append(Visit(contexts(**arguments), address))
            here = visits[-1]
            here.page.goto(f"{address}/labels")
            here.page.locator(".tile[data-id], #labels-view .panel").first.wait_for()
            is_dark = here.page.evaluate("document.body.classList.contains('dark')")
            assert is_dark == (arguments.get("color_scheme") == "dark")
            return here

        yield open_page
        for job in Jobs(gallery).list():
            if not job.state.is_over:
                Jobs(gallery).cancel(job.id, at_once=True)
        for one in visits:
            assert one.overflow() == 0
            one.leave()


def tiles(here: Visit) -> Any:
    return here.page.locator(".tiles > .tile[data-id]")


def words_of(how: Any) -> Words:
    return CHINESE if how["locale"] == "zh-CN" else ENGLISH


def given(words: Words, label: str, images: int) -> str:
    """What is said after a label was given."""
    said = words.labels
    return said.given_to.of(images).format(labels=said.quoted.format(label=label))


def chosen(here: Visit) -> Any:
    return here.page.locator('.tile[aria-selected="true"]')


@BOTH
def test_many_pictures_get_a_label_by_mouse(arrive: Callable[..., Visit], gallery: Path, how: Any) -> None:
    here, words = arrive(**how), words_of(how)
    said = words.labels
    expect(here.page.locator(".labels-count")).to_contain_text(said.labelled.of(60).format(labelled="0"))
    tiles(here).nth(1).click()
    tiles(here).nth(4).click(modifiers=["Shift"])
    tiles(here).nth(2).click()
    expect(chosen(here)).to_have_count(3)
    expect(here.page.locator(".dock-count")).to_have_text(said.selected.of(3))
    here.page.locator(".dock-form input").fill("red cup")
    here.page.get_by_role("button", name=said.give, exact=True).click()
    expect(here.page.locator(".labels-last")).to_contain_text(given(words, "red cup", 3))
    expect(here.page.locator(".labels-total")).to_have_text(said.pictures.of(57))
    expect(chosen(here)).to_have_count(0)
    assert progress(gallery).labels == (("red cup", 3),)
    here.page.get_by_role("button", name=re.compile(f"^{said.undo}")).click()
    expect(here.page.locator(".labels-notice")).to_contain_text(said.undone.format(change=given(words, "red cup", 3)))
    expect(here.page.locator(".labels-total")).to_have_text(said.pictures.of(60))
    assert progress(gallery).labelled == 0


@pytest.mark.slow
def test_everything_goes_by_keyboard(arrive: Callable[..., Visit], gallery: Path) -> None:
    here = arrive()
    keys = here.page.keyboard
    keys.press("ArrowDown")
    expect(tiles(here).nth(0)).to_be_focused()
    keys.press("ArrowRight")
    keys.press(" ")
    keys.press("Shift+ArrowRight")
    keys.press("Shift+ArrowRight")
    expect(chosen(here)).to_have_count(3)
    keys.press("l")
    keys.type("mug")
    keys.press("Enter")
    expect(here.page.locator(".labels-last")).to_contain_text("“mug” given to 3 pictures")
    # The focus is in the grid again, and the label is at hand as the first digit.
    expect(tiles(here).nth(1)).to_be_focused()
    expect(here.page.locator(".dock-recent")).to_have_text("1mug")
    keys.press("ArrowDown")
    keys.press("1")
    expect(here.page.locator(".labels-last")).to_contain_text("“mug” given to 1 picture")
    keys.press("u")
    expect(here.page.locator(".labels-last")).to_contain_text("“mug” given to 3 pictures")
    keys.press("a")
    expect(chosen(here)).to_have_count(48)
    keys.press("Escape")
    expect(chosen(here)).to_have_count(0)
    keys.press("?")
    dialog = here.page.get_by_role("dialog", name="Keys")
    expect(dialog).to_be_visible()
    keys.press("Escape")
    expect(dialog).to_be_hidden()
    keys.press("]")
    expect(here.page.locator(".labels-pager")).to_contain_text("Page 2 of 2")
    expect(tiles(here)).to_have_count(9)
    assert progress(gallery).labels == (("mug", 3),)


@pytest.mark.slow
def test_a_label_or_a_picture_chooses_what_is_shown(arrive: Callable[..., Visit], gallery: Path) -> None:
    with_labels = {n: f"kind {n}" for n in range(3)}
    here = arrive()
    for n, label in with_labels.items():
        tiles(here).nth(0).click()
        here.page.locator(".dock-form input").fill(label)
        here.page.keyboard.press("Enter")
        expect(here.page.locator(".labels-total")).to_have_text(f"{59 - n} pictures")
    here.page.locator(".labels-thin .chip", has_text="kind 1").click()
    expect(tiles(here)).to_have_count(1)
    expect(here.page.locator("select[name=show]")).to_have_value("label:kind 1")
    here.page.locator("select[name=show]").select_option("all")
    expect(here.page.locator(".labels-total")).to_have_text("60 pictures")
    first = tiles(here).nth(5).get_attribute("data-id")
    tiles(here).nth(5).focus()
    here.page.keyboard.press("s")
    expect(here.page.locator(".labels-near")).to_be_visible()
    expect(here.page.locator(f'.tile[data-id="{first}"]')).to_have_count(0)
    here.page.get_by_role("button", name="Back to the usual order").click()
    expect(here.page.locator(f'.tile[data-id="{first}"]')).to_have_count(1)
    here.page.locator("input[name=under]").fill("photos")
    here.page.keyboard.press("Enter")
    expect(here.page.locator("#labels-view .notice")).to_contain_text("is not a full path")


@pytest.mark.slow
@BOTH
def test_a_group_is_named_without_its_strangers(arrive: Callable[..., Visit], gallery: Path, how: Any) -> None:
    here, words = arrive(**how), words_of(how)
    here.page.locator(".labels-tabs button", has_text=words.labels.tab_groups).click()
    groups = here.page.locator(".group")
    groups.first.wait_for()
    before = groups.count()
    size = groups.first.locator(".tile").count()
    groups.first.locator(".tile").nth(1).click()
    groups.first.locator("input").fill("twin")
    here.page.keyboard.press("Enter")
    expect(here.page.locator(".labels-last")).to_contain_text(given(words, "twin", size - 1))
    expect(groups.first).to_be_hidden()
    assert progress(gallery).labels == (("twin", size - 1),)
    here.page.keyboard.press("u")
    expect(groups.first).to_be_visible()
    assert progress(gallery).labelled == 0
    assert groups.count() == before


@BOTH
def test_suggestions_are_answered_by_keyboard(arrive: Callable[..., Visit], gallery: Path, how: Any) -> None:
    ids = [tile.id for tile in tile_page(gallery, Shelf()).tiles]
    answer(gallery, {image_id: f"kind {n % 2}" for n, image_id in enumerate(ids[:30])})
    here, words = arrive(**how), words_of(how)
    keys = here.page.keyboard
    here.page.locator(".labels-tabs button", has_text=words.labels.tab_ask).click()
    cards = here.page.locator(".question:visible")
    expect(cards).to_have_count(20)
    keys.press("Tab")
    cards.first.focus()
    keys.press("Enter")
    expect(cards).to_have_count(19)
    assert progress(gallery).labelled == 31
    keys.press("x")
    expect(cards).to_have_count(18)
    keys.press("c")
    keys.type("something else")
    keys.press("Enter")
    expect(cards).to_have_count(17)
    expect(here.page.locator(".labels-last")).to_contain_text(given(words, "something else", 1))
    keys.press("u")
    expect(cards).to_have_count(18)
    keys.press("Shift+A")
    # Two labels may be among the last answers: their names are not what matters here.
    expect(here.page.locator(".labels-count")).to_contain_text(
        words.labels.labelled.of(60).format(labelled=f"{31 + 18}")
    )
    assert progress(gallery).labelled == 31 + 18


@pytest.mark.slow
@BOTH
def test_what_is_sure_is_labelled_by_a_job_and_taken_back_at_once(
    arrive: Callable[..., Visit], gallery: Path, how: Any
) -> None:
    colour = {tile.id: int(tile.name.partition(".")[0]) % 3 for tile in tile_page(gallery, Shelf()).tiles}
    answer(gallery, {image_id: f"colour {number}" for image_id, number in list(colour.items())[:36]})
    here, words = arrive(**how), words_of(how)
    said = words.labels
    here.page.locator(".labels-tabs button", has_text=said.tab_ask).click()
    here.page.get_by_role("button", name=said.auto).click()
    at_work = here.page.get_by_role("region", name=words.jobs.name("auto-labels"))
    expect(at_work.locator("progress")).to_be_visible()
    expect(at_work.get_by_role("button", name=words.jobs.stop)).to_be_visible()
    # The strip of all pages shows it as well, without waiting for its next look.
    strip = here.page.get_by_role("region", name=words.jobs.strip)
    expect(strip).to_contain_text(words.jobs.name("auto-labels"), timeout=5_000)
    expect(at_work).to_have_count(0, timeout=60_000)
    (job,) = Jobs(gallery).list()
    assert (job.kind, job.state) == ("auto-labels", State.DONE)
    assert job.result is not None
    number = job.result["proposed"]
    assert number == progress(gallery).automatic > 0
    expect(here.page.locator("#labels-work")).to_contain_text(said.auto_done.of(number))
    expect(here.page.locator(".labels-count")).to_contain_text(said.automatic.of(number))
    cards = here.page.locator(".question:visible")
    left = cards.count()
    cards.first.focus()
    here.page.keyboard.press("u")
    expect(here.page.locator(".labels-count")).not_to_contain_text(said.automatic.of(number))
    assert progress(gallery).automatic == 0
    assert cards.count() == left


@pytest.mark.slow
def test_pictures_that_a_job_brings_appear_where_nobody_is_choosing(
    arrive: Callable[..., Visit], gallery: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    new.mkdir()
    (new / "60.png").write_bytes(picture(next(iter(COLOURS.values())), 60))
    here, said = arrive(**BRIGHT), ENGLISH.labels
    total = here.page.locator(".labels-total")
    expect(total).to_have_text(said.pictures.of(60))
    Jobs(gallery).submit(request_from("index", {"paths": [str(new)], "workers": 1}))
    # The page's next look at the jobs comes after half a minute otherwise.
    here.page.evaluate("document.dispatchEvent(new Event('retrieval:jobs'))")
    expect(here.page.locator(".jobs-now[data-busy]")).to_have_count(1)
    expect(total).to_have_text(said.pictures.of(61), timeout=90_000)


def test_an_empty_label_is_not_given(arrive: Callable[..., Visit], gallery: Path) -> None:
    here = arrive(**BRIGHT)
    tiles(here).nth(0).click()
    field = here.page.locator(".dock-form input")
    field.press("Enter")
    assert field.evaluate("field => field.matches(':invalid') && field.validationMessage !== ''")
    expect(chosen(here)).to_have_count(1)
    assert progress(gallery).labelled == 0


@pytest.mark.slow
@BOTH
def test_a_table_is_sent_and_saved(arrive: Callable[..., Visit], gallery: Path, how: Any) -> None:
    here, said = arrive(**how), words_of(how).labels
    here.page.locator(".labels-tabs button", has_text=said.tab_files).click()
    expect(here.page.get_by_role("button", name=said.send)).to_be_visible()
    rows = b"path,label\n00.png,cup\n01.png,cup\nnowhere.png,cup\n"
    table = {"name": "t.csv", "mimeType": "text/csv", "buffer": rows}
    here.page.set_input_files("#labels-table input[type=file], input[type=file]", table)
    expect(here.page.locator(".labels-notice")).to_contain_text(said.sent.of(2).format(rows=3))
    expect(here.page.locator(".labels-rows")).to_contain_text("nowhere.png")
    with here.page.expect_download() as waiting:
        here.page.get_by_role("link", name=said.save).click()
    saved = waiting.value.path().read_text("utf-8-sig")
    assert saved.count("cup,,csv") == 2


@pytest.mark.slow
def test_what_cannot_be_done_is_said_and_the_selection_stays(
    arrive: Callable[..., Visit], monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: Any, **__: Any) -> None:
        raise GalleryBusy("Another process is writing.", "Wait for it.")

    here = arrive()
    monkeypatch.setattr(labelling, "answer", busy)
    tiles(here).nth(0).click()
    here.page.locator(".dock-form input").fill("x")
    here.page.keyboard.press("Enter")
    expect(here.page.locator("#labels-head .notice")).to_contain_text("Another process is writing.")
    expect(chosen(here)).to_have_count(1)


def test_a_tab_that_is_chosen_before_the_page_is_there_stays_chosen(
    contexts: Callable[..., Any], opened: Callable[..., Any], gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, opening = Event(), LabelAnswers.opening

    def late(answers: LabelAnswers) -> str:
        assert go_on.wait(30)
        return opening(answers)

    monkeypatch.setattr(LabelAnswers, "opening", late)
    with running(opened(gallery, gallery=gallery)) as address:
        here = Visit(contexts(), address)
        here.page.goto(f"{address}/labels")
        shown = here.page.locator("#labels-view .labels-page")
        here.page.locator(".labels-tabs [data-tab=groups]").click()
        here.page.locator(".group").first.wait_for()
        before = shown.get_attribute("data-stamp")
        go_on.set()
        here.page.wait_for_function(
            "before => ![before, 'opening', ''].includes("
            "document.querySelector('#labels-view .labels-page').dataset.stamp)",
            arg=before,
        )
        assert shown.get_attribute("data-tab") == "groups"
        expect(here.page.locator(".group").first).to_be_visible()
        here.leave()
