"""The page in a real browser, over a real gallery."""

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from playwright import sync_api as playwright

from tests.ui.conftest import Visit, running
from tests.ui.drawing import COLOURS, ODD_LABEL, ODD_NAMES, picture
from tests.ui.twins import SearcherTwin, neighbours, result
from ui.words import ENGLISH

expect = playwright.expect

IN_SIGHT = """control => {
    const part = control.getBoundingClientRect();
    const pane = document.querySelector("#query-pane").getBoundingClientRect();
    return part.left >= pane.left && part.right <= pane.right && part.bottom > pane.top
        && part.top < Math.min(pane.bottom, innerHeight);
}"""

FACTS = ("Score", "Rank", "Labels", "Size", "File", "Taken", "Place", "Image id")


@pytest.fixture
def apple(pictures: Path) -> Path:
    return pictures / "apple" / "apple 2.png"


def test_the_question_stands_beside_the_answer_and_stays_in_sight(visit: Callable[..., Visit], apple: Path) -> None:
    here = visit()
    here.search(apple)
    top = "name => Math.round(document.querySelector(name).getBoundingClientRect().top)"
    assert here.page.evaluate(top, "#query-pane") == here.page.evaluate(top, "#answer-pane")
    here.page.evaluate("scrollTo(0, 300)")
    assert here.page.evaluate("scrollY") > 200
    assert 0 < here.page.evaluate(top, "#query-pane") <= 20


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (1440, 780), (1440, 900)])
def test_every_control_of_the_question_is_in_reach_on_a_low_screen(
    visit: Callable[..., Visit], apple: Path, width: int, height: int
) -> None:
    here = visit(viewport={"width": width, "height": height})
    here.search(apple)
    _choose(here, "Only with one of these labels", "grass")
    here.page.keyboard.press("Escape")
    for opened in (False, True):
        if opened:
            here.page.locator("#bounds button").first.click()
            here.page.get_by_label("Taken on or after").wait_for()
        controls = here.page.locator("#query-pane :is(button, input, textarea):visible").all()
        assert len(controls) > 5
        for control in [*controls, here.page.locator("#again")]:
            control.scroll_into_view_if_needed()
            assert here.page.evaluate(IN_SIGHT, control.element_handle()), control.evaluate("c => c.outerHTML")
        assert here.page.locator("#query-pane").evaluate("pane => pane.scrollWidth - pane.clientWidth") <= 0


def test_an_upload_is_searched_at_once(visit: Callable[..., Visit], apple: Path) -> None:
    here = visit()
    expect(here.page.locator(".state")).to_contain_text("21 images")
    expect(here.page.locator("#state")).to_contain_text("starter")
    expect(here.page.locator("#state")).not_to_contain_text("UNTRAINED")
    expect(here.page.locator("button.sample")).to_have_count(8)
    here.search(apple)
    expect(here.cards).to_have_count(12)
    first = here.cards.first
    expect(first.locator(".score")).to_have_text("1.000")
    expect(first).to_contain_text("apple 2.png")
    expect(here.page.locator(".results-head")).to_contain_text(re.compile(r"out of 21 images · .* m?s \(decode"))
    image = first.locator("img")
    image.evaluate("image => image.decode()")
    assert image.evaluate("image => image.naturalWidth") > 0


def test_the_dialog_shows_the_picture_and_its_facts(visit: Callable[..., Visit], apple: Path) -> None:
    here = visit()
    here.search(apple)
    here.cards.nth(1).click()
    expect(here.dialog).to_be_visible()
    for fact in FACTS:
        expect(here.dialog.locator("dt", has_text=re.compile(f"^{fact}$"))).to_be_visible()
    expect(here.dialog).to_contain_text("160 × 120 pixels")
    expect(here.dialog).to_contain_text("2 of 12")
    image = here.dialog.locator("img")
    expect(image).to_have_class(re.compile("is-loaded"))
    assert image.evaluate("image => image.naturalWidth") == 160
    assert image.get_attribute("alt")
    here.dialog.get_by_role("button", name="Close").click()
    expect(here.dialog).to_be_hidden()


def test_everything_can_be_done_by_keyboard(visit: Callable[..., Visit], apple: Path) -> None:
    here = visit()
    here.search(apple)
    press = here.page.keyboard.press
    focused = "document.activeElement.matches('button.card')"
    for _ in range(60):
        if here.page.evaluate(focused):
            break
        press("Tab")
    assert here.page.evaluate(focused)
    assert here.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    press("Enter")
    expect(here.dialog).to_be_visible()
    expect(here.dialog.get_by_role("button", name="Close")).to_be_focused()
    press("ArrowRight")
    press("ArrowRight")
    expect(here.dialog).to_contain_text("3 of 12")
    press("ArrowLeft")
    expect(here.dialog).to_contain_text("2 of 12")
    for _ in range(6):
        press("Tab")
        assert here.page.evaluate("document.activeElement.closest('dialog') !== null")
    press("Escape")
    expect(here.dialog).to_be_hidden()
    expect(here.cards.nth(1)).to_be_focused()


@pytest.mark.slow
def test_find_similar_searches_with_the_picture(visit: Callable[..., Visit], apple: Path) -> None:
    here = visit()
    here.search(apple)
    here.cards.first.click()
    here.dialog.get_by_role("button", name="Find similar to this").click()
    expect(here.page.locator(".results h2")).to_have_text("12 pictures most like this one")
    expect(here.page.locator(".results h2")).to_be_focused()
    expect(here.page.locator(".results-head .query")).to_be_visible()
    expect(here.page.locator("#photo img")).to_have_count(0)
    expect(here.cards.filter(has_text="apple 2.png")).to_have_count(0)


def test_a_sample_starts_a_search(visit: Callable[..., Visit]) -> None:
    here = visit()
    here.page.locator("button.sample").nth(3).click()
    expect(here.page.locator(".results h2")).to_have_text("12 pictures most like this one")


def test_labels_can_be_kept_and_left_out(visit: Callable[..., Visit], apple: Path) -> None:
    here = visit()
    here.search(apple)
    _choose(here, "Only with one of these labels", "grass")
    here.page.get_by_role("button", name="Search again").click()
    expect(here.page.locator(".results-head")).to_contain_text("out of 5 images")
    assert here.cards.locator(".labels").all_inner_texts() == ["grass"] * 5
    _choose(here, "Without these labels", "grass")
    here.page.get_by_role("button", name="Search again").click()
    expect(here.page.locator("#results .notice")).to_contain_text("Take a label away")


def _choose(here: Visit, field: str, label: str) -> None:
    box = here.page.get_by_label(field)
    box.click()
    here.page.get_by_role("option", name=re.compile(f"^{label}")).click()
    here.page.keyboard.press("Escape")


def test_a_folder_narrows_the_search_and_no_match_says_how_to_widen_it(
    visit: Callable[..., Visit], apple: Path, pictures: Path
) -> None:
    here = visit()
    here.search(apple)
    folder = here.page.get_by_label("In this folder")
    folder.fill(str(pictures / "sky"))
    folder.press("Enter")
    expect(here.page.locator(".results-head")).to_contain_text("out of 5 images")
    folder.fill("/nowhere")
    folder.press("Enter")
    expect(here.page.locator("#results .notice")).to_contain_text("clear the folder")
    folder.fill("nowhere")
    folder.press("Enter")
    expect(here.page.locator("#results .notice")).to_contain_text("is not a full path")


@pytest.mark.parametrize("content", [b"this is no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40], ids=len)
def test_a_bad_file_is_a_friendly_notice(visit: Callable[..., Visit], content: bytes) -> None:
    here = visit()
    here.upload({"name": "bad.jpg", "mimeType": "image/jpeg", "buffer": content})
    expect(here.page.locator("#results .notice.error")).to_contain_text("This file cannot be searched with")
    assert here.page.locator(".toast-body").count() == 0
    here.page.locator("button.sample").first.click()
    here.cards.first.wait_for()


@pytest.mark.slow
def test_odd_names_arrive_as_text(visit: Callable[..., Visit], apple: Path) -> None:
    here = visit()
    here.page.on("dialog", lambda dialog: here.complaints.append("a name was run as a script"))
    here.search(apple)
    _choose(here, "Only with one of these labels", re.escape(ODD_LABEL))
    here.page.get_by_role("button", name="Search again").click()
    expect(here.cards).to_have_count(len(ODD_NAMES))
    titles = here.cards.locator(".path").evaluate_all("paths => paths.map((path) => path.title)")
    for name in (
        r"line\nbreak.png",
        r"caf\xe9.png",
        "<img src=x onerror=alert(1)>.png",
        "${alert(1)} {{value}} `x`.png",
    ):
        assert [title for title in titles if title.endswith("/" + name)], name
    assert here.cards.first.locator(".labels").inner_text() == ODD_LABEL
    for n in range(len(ODD_NAMES)):
        here.cards.nth(n).click()
        expect(here.dialog.locator(".full-path")).to_have_text(titles[n])
        expect(here.dialog.locator("img")).to_have_class(re.compile("is-loaded"))
        here.page.keyboard.press("Escape")
    assert here.overflow() == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        pytest.param(1440, "light", marks=pytest.mark.slow),
        (1440, "dark"),
        (390, "light"),
        pytest.param(390, "dark", marks=pytest.mark.slow),
    ],
)
def test_both_widths_and_schemes(visit: Callable[..., Visit], apple: Path, width: int, scheme: str) -> None:
    here = visit(viewport={"width": width, "height": 844}, color_scheme=scheme)
    assert here.overflow() == 0
    background = here.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(247, 246, 243)", "dark": "rgb(21, 21, 19)"}[scheme]
    here.search(apple)
    assert here.overflow() == 0
    columns = here.page.locator(".grid").evaluate("grid => getComputedStyle(grid).gridTemplateColumns").split()
    assert len(columns) == 2 if width == 390 else len(columns) >= 4
    here.cards.first.click()
    expect(here.dialog.get_by_role("button", name="Find similar to this")).to_be_in_viewport()
    assert here.overflow() == 0


@pytest.mark.slow
def test_options_are_folded_on_a_phone_and_the_answer_comes_into_view(visit: Callable[..., Visit], apple: Path) -> None:
    here = visit(viewport={"width": 390, "height": 844})
    expect(here.page.get_by_label("In this folder")).to_be_hidden()
    here.search(apple)
    expect(here.cards.first).to_be_in_viewport()


@pytest.mark.slow
def test_a_picture_can_be_pasted_anywhere_and_again(visit: Callable[..., Visit]) -> None:
    here = visit()
    for n, label in enumerate(("grass", "sky")):
        content = base64.b64encode(picture(COLOURS[label], n)).decode()
        here.page.evaluate(
            """(content) => {
              const bytes = Uint8Array.from(atob(content), (char) => char.charCodeAt(0));
              const data = new DataTransfer();
              data.items.add(new File([bytes], "pasted.png", { type: "image/png" }));
              document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
            }""",
            content,
        )
        expect(here.cards.first.locator(".labels")).to_have_text(label)
        expect(here.cards.first.locator(".score")).to_have_text("1.000")


@pytest.mark.slow
def test_a_dropped_file_may_have_no_media_type(visit: Callable[..., Visit]) -> None:
    here = visit()
    here.page.evaluate(
        """(content) => {
          const bytes = Uint8Array.from(atob(content), (char) => char.charCodeAt(0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([bytes], "scan.TIFF", { type: "" }));
          const drop = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
          document.querySelector("#photo button").dispatchEvent(drop);
        }""",
        base64.b64encode(picture(COLOURS["grass"], 3, kind="TIFF")).decode(),
    )
    expect(here.cards.first.locator(".score")).to_have_text("1.000")
    expect(here.page.locator("#photo")).to_have_class(re.compile("no-preview"))


@pytest.mark.slow
def test_clearing_the_photo_brings_the_samples_back(visit: Callable[..., Visit], apple: Path) -> None:
    here = visit()
    here.search(apple)
    expect(here.page.get_by_role("heading", name="Start with a photo")).to_be_hidden()
    here.page.locator("#photo button").first.click()
    expect(here.page.get_by_role("heading", name="Start with a photo")).to_be_visible()


@pytest.mark.slow
def test_a_photo_from_the_camera(visit: Callable[..., Visit]) -> None:
    here = visit(permissions=["camera"])
    here.page.get_by_role("button", name=re.compile("camera|webcam", re.IGNORECASE)).first.click()
    here.page.locator("#photo").get_by_text(re.compile("access webcam", re.IGNORECASE)).click()
    here.page.wait_for_function("document.querySelector('#photo video')?.videoWidth > 0")
    here.page.get_by_label(re.compile("capture photo", re.IGNORECASE)).click()
    here.cards.first.wait_for()
    # When it shows the camera, Gradio asks for the progress of an upload that has no name.
    here.page.close()
    here.complaints.clear()


def test_an_empty_gallery_comes_to_life(
    contexts: Callable[..., Any], opened: Callable[..., FastAPI], tmp_path: Path, pictures: Path, tiny_model: Path
) -> None:
    from retrieval.workflows.indexing import index_paths

    gallery = tmp_path / "gallery"
    with running(opened(gallery)) as address:
        here = Visit(contexts(), address).open()
        expect(here.page.locator(".panel")).to_contain_text(ENGLISH.search.empty_how)
        here.upload(pictures / "sky" / "sky 0.png")
        here.page.locator("#photo img").wait_for()
        expect(here.page.locator(".panel")).to_have_count(1)
        index_paths(gallery, [pictures / "sky"], model=str(tiny_model), workers=1)
        here.page.get_by_role("button", name="Search again").click()
        expect(here.cards).to_have_count(5)
        expect(here.page.locator("button.sample")).to_have_count(5)
        here.page.reload()
        expect(here.page.locator(".state")).to_contain_text("5 images")
        here.leave()


@pytest.mark.slow
def test_an_offline_original_is_a_placeholder(staged: Callable[..., Visit]) -> None:
    from dataclasses import replace

    found = neighbours(3)
    gone = (found[0], replace(found[1], offline=True), replace(found[2], id=40))
    here = staged(SearcherTwin(answer=result(gone))).open()
    here.page.locator("button.sample").first.click()
    for n in (1, 2):
        expect(here.cards.nth(n).locator(".missing")).to_be_visible()
        expect(here.cards.nth(n)).to_contain_text("drive offline")
    here.cards.nth(2).click()
    expect(here.dialog.locator(".viewer-missing")).to_be_visible()


@pytest.mark.slow
@pytest.mark.parametrize("width", [pytest.param(1440, marks=pytest.mark.slow), 390])
def test_a_chance_stands_on_the_line_of_the_score_and_within_its_card(staged: Callable[..., Visit], width: int) -> None:
    from dataclasses import replace

    found = tuple(replace(one, probability=0.93) for one in neighbours(8))
    here = staged(SearcherTwin(answer=result(found)), viewport={"width": width, "height": 844}).open()
    here.page.locator("button.sample").first.click()
    card = here.cards.nth(1)
    expect(card.locator(".chance")).to_have_text("93% same label")
    # In one go: the page may be on its way to the answer.
    score, chance, whole = card.evaluate(
        "card => ['.score', '.chance'].map((name) => card.querySelector(name)).concat([card])"
        ".map((part) => part.getBoundingClientRect().toJSON())"
    )
    assert abs(score["bottom"] - chance["bottom"]) < 5
    assert score["right"] <= chance["left"] + 1
    assert chance["right"] <= whole["right"] - 5


@pytest.mark.slow
def test_an_unexpected_error_is_no_red_box(staged: Callable[..., Visit]) -> None:
    here = staged(SearcherTwin(answer=ZeroDivisionError("secret"))).open()
    here.page.locator("button.sample").first.click()
    expect(here.page.locator("#results .notice.error")).to_contain_text("Something went wrong in the program")
    assert "secret" not in here.page.content()


def test_a_password_is_asked_for_and_opens_the_page_with_its_pictures(staged: Callable[..., Visit]) -> None:
    outside = staged(SearcherTwin(), [("anna", "secret")])
    assert outside.context.request.get(outside.address).status == 401
    inside = staged(SearcherTwin(), [("anna", "secret")], http_credentials={"username": "anna", "password": "secret"})
    inside.open().page.locator("button.sample").first.click()
    expect(inside.cards).to_have_count(3)
    image = inside.cards.first.locator("img")
    image.evaluate("image => image.decode()")
    inside.assert_calm()


def test_programs_search_with_gradio_client(site: str, apple: Path, tmp_path: Path) -> None:
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    client = Client(site, verbose=False, analytics_enabled=False, download_files=str(tmp_path))
    found = client.predict(image=handle_file(apple), k=3, labels=["apple"], api_name="/search")
    assert [one["rank"] for one in found["neighbours"]] == [1, 2, 3]
    assert found["neighbours"][0]["score"] == pytest.approx(1, abs=1e-3)
    assert found["neighbours"][0]["probability"] is None, "nothing has calibrated this gallery"
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    with pytest.raises(AppError, match="not an image"):
        client.predict(image=handle_file(bad), api_name="/search")
    client.close()
