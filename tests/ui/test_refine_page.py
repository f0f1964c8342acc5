"""Refining a search in a real browser: examples, parts, thumbs, copies, pages, pictures of the gallery, dates."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from playwright import sync_api as playwright

from tests.ui.conftest import Visit, running
from tests.ui.twins import SearcherTwin, neighbours, result

expect = playwright.expect

SHOWN = """before => location.search.includes("like=")
    && ![before, undefined].includes(document.querySelector("#results [data-search]")?.dataset.search)"""


@pytest.fixture
def apple(pictures: Path) -> Path:
    return pictures / "apple" / "apple 2.png"


@pytest.fixture
def taught(
    contexts: Callable[..., Any], opened: Callable[..., FastAPI], indexed: Path, tmp_path: Path
) -> Iterator[Callable[..., tuple[Visit, Path]]]:
    """Opens the page of a gallery of its own, which may be written to."""
    visits: list[Visit] = []
    folder = tmp_path / "gallery"
    shutil.copytree(indexed, folder)
    with running(opened(folder, gallery=folder)) as address:

        def open_page(**arguments: Any) -> tuple[Visit, Path]:
            visits.append(Visit(contexts(**arguments), address))
            return visits[-1].open(), folder

        yield open_page
        for one in visits:
            one.leave()


@pytest.mark.parametrize("width", [1440, pytest.param(390, marks=pytest.mark.slow)])
def test_a_part_is_marked_with_the_mouse_and_by_keyboard(visit: Callable[..., Visit], apple: Path, width: int) -> None:
    here = visit(viewport={"width": width, "height": 844})
    here.search(apple)
    here.page.get_by_role("button", name="Mark a part").click()
    dialog = here.page.get_by_role("dialog", name="Mark the part to search with")
    box = dialog.get_by_label("The marked part")
    expect(box).to_be_focused()
    image = dialog.locator("img")
    image.evaluate("image => image.decode()")
    frame = image.bounding_box()
    here.page.mouse.move(frame["x"] + 0.25 * frame["width"], frame["y"] + 0.25 * frame["height"])
    here.page.mouse.down()
    here.page.mouse.move(frame["x"] + 0.75 * frame["width"], frame["y"] + 0.5 * frame["height"], steps=4)
    here.page.mouse.up()
    expect(dialog).to_contain_text("From 25 % to 75 % of the width and from 25 % to 50 % of the height")
    here.page.keyboard.press("ArrowLeft")
    here.page.keyboard.press("Shift+ArrowDown")
    expect(dialog).to_contain_text("From 23 % to 73 % of the width and from 25 % to 52 % of the height")
    assert here.overflow() == 0
    here.page.keyboard.press("Enter")
    expect(here.page.locator(".results-head")).to_contain_text("Only the marked part is searched with.")
    expect(here.page.locator(".example .marked")).to_be_visible()
    expect(here.page.locator(".results h2")).to_be_focused()
    here.page.get_by_role("button", name="Use the whole picture").click()
    expect(here.page.locator(".example .marked")).to_have_count(0)
    expect(here.cards.first.locator(".score")).to_have_text("1.000")


@pytest.mark.slow
def test_examples_are_added_from_results_and_uploads_and_taken_away(
    visit: Callable[..., Visit], apple: Path, pictures: Path
) -> None:
    here = visit()
    here.search(apple)
    here.cards.nth(1).click()
    here.dialog.get_by_role("button", name="More like this").click()
    expect(here.page.locator(".results h2")).to_have_text("12 pictures that fit your examples")
    here.cards.nth(3).click()
    here.dialog.get_by_role("button", name="Less like this").click()
    expect(here.page.locator(".example.unlike")).to_have_count(1)
    here.page.get_by_label("Add the next photo to the examples").check()
    # Gradio takes another photo once the one that is shown is taken away, which would end the search.
    here.page.evaluate(
        """(content) => {
          const bytes = Uint8Array.from(atob(content), (char) => char.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], "more.png", { type: "image/png" }));
          document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
        }""",
        __import__("base64").b64encode((pictures / "sky" / "sky 0.png").read_bytes()).decode(),
    )
    expect(here.page.locator(".example.like")).to_have_count(3)
    for left in (2, 1):
        here.page.get_by_role("button", name="Take this example away").nth(1).click()
        expect(here.page.locator(".example.like")).to_have_count(left)
    here.page.get_by_role("button", name="Take this example away").last.click()
    expect(here.page.locator(".results h2")).to_have_text("12 pictures most like yours")


def test_thumbs_order_anew_at_once_and_are_kept(taught: Callable[..., tuple[Visit, Path]], apple: Path) -> None:
    from retrieval.workflows.gallery import Gallery
    from retrieval.workflows.judging import judged_pairs

    here, folder = taught()
    here.search(apple)
    last = here.cards.nth(11)
    wanted = last.get_attribute("data-id")
    thumb = here.page.locator(f'#results [data-do="judge"][data-id="{wanted}"][data-value="yes"]')
    thumb.focus()
    here.page.keyboard.press("Enter")
    expect(here.page.locator(".results-head")).to_contain_text("Ordered by 1 judgement of yours. They are kept")
    expect(thumb).to_have_attribute("aria-pressed", "true")
    expect(thumb).to_be_focused()
    with Gallery(folder) as gallery:
        (pair,) = judged_pairs(gallery).pairs
        assert (pair.image_id, pair.relevant) == (int(wanted or 0), True)
    here.page.keyboard.press("Enter")
    expect(here.page.get_by_role("button", name="Order without them")).to_have_count(0)
    with Gallery(folder) as gallery:
        assert judged_pairs(gallery).pairs == ()


@pytest.mark.slow
def test_copies_open_below_their_picture_and_pages_turn(staged: Callable[..., Visit]) -> None:
    found = neighbours(12)
    copies = (replace(found[0], id=31, copies=()), replace(found[0], id=32, copies=()))
    twin = SearcherTwin(answer=replace(result((replace(found[0], copies=copies), *found[1:])), more=True))
    here = staged(twin).open()
    here.page.locator("button.sample").first.click()
    visible = here.page.locator("#results li:not([hidden]) > button.card")
    expect(visible).to_have_count(12)
    more = here.page.get_by_role("button", name="+2 copies")
    more.click()
    expect(more).to_have_attribute("aria-expanded", "true")
    expect(visible).to_have_count(14)
    visible.nth(1).click()
    expect(here.dialog).to_contain_text("2 of 14")
    here.page.keyboard.press("Escape")
    more.click()
    expect(visible).to_have_count(12)
    expect(here.page.get_by_role("button", name="Previous page")).to_be_disabled()
    here.page.get_by_role("button", name="Next page").click()
    expect(here.page.locator(".pager")).to_contain_text("Page 2")
    expect(here.page.locator(".results-head")).to_contain_text("from place 13 on")
    expect(here.page.locator(".results h2")).to_be_focused()
    assert twin.queries[-1][1] == 12


@pytest.mark.slow
def test_a_picture_of_the_gallery_is_picked(visit: Callable[..., Visit]) -> None:
    here = visit(viewport={"width": 390, "height": 844})
    here.page.get_by_role("button", name="Browse all pictures").click()
    heading = here.page.get_by_role("heading", name="21 pictures in the gallery")
    expect(heading).to_be_focused()
    expect(heading).to_be_in_viewport()
    assert here.overflow() == 0
    here.page.get_by_role("button", name="Search with picture 5").click()
    expect(here.page.locator(".results h2")).to_have_text("12 pictures most like this one")
    expect(here.page.locator("#browse section")).to_have_count(0)


@pytest.mark.slow
def test_sizes_narrow_the_search_and_a_bad_date_is_said(visit: Callable[..., Visit], apple: Path) -> None:
    here = visit()
    here.search(apple)
    here.page.get_by_role("button", name="Date and size").click()
    size = here.page.get_by_label("File at least")
    size.fill("1GB")
    size.press("Enter")
    expect(here.page.locator("#results .notice")).to_contain_text("dates and sizes")
    size.fill("")
    day = here.page.get_by_label("Taken before")
    day.fill("soon")
    day.press("Enter")
    expect(here.page.locator("#results .notice")).to_contain_text("soon is not a date")


@pytest.mark.slow
def test_nothing_like_this_is_said_before_the_results(staged: Callable[..., Visit]) -> None:
    here = staged(SearcherTwin(answer=replace(result(neighbours(3)), nothing_like_this=True))).open()
    here.page.locator("button.sample").first.click()
    expect(here.page.locator(".doubt")).to_contain_text("Probably nothing like this is here")
    expect(here.page.locator(".doubt")).to_contain_text("not a match")
    expect(here.cards).to_have_count(3)


@pytest.mark.slow
def test_a_photo_is_remembered_its_link_gives_the_search_again_and_the_history_is_cleared(
    taught: Callable[..., tuple[Visit, Path]], apple: Path
) -> None:
    here, _ = taught()
    here.page.get_by_label("In this folder").fill(str(apple.parent))
    here.search(apple)
    expect(here.page.locator("#history .sample")).to_have_count(1)
    found = here.cards.evaluate_all("cards => cards.map((card) => card.dataset.id)")
    assert "like=q" in here.page.url
    here.page.reload()
    here.cards.first.wait_for()
    assert here.cards.evaluate_all("cards => cards.map((card) => card.dataset.id)") == found
    expect(here.page.get_by_label("In this folder")).to_have_value(str(apple.parent))
    with here.page.expect_download() as saving:
        here.page.get_by_role("link", name="Save as a table").click()
    assert len(saving.value.path().read_text("utf-8").splitlines()) == 1 + len(found)
    here.page.get_by_role("button", name="Forget these").click()
    expect(here.page.locator("#history section")).to_have_count(0)
    here.page.get_by_role("button", name="Search again", exact=True).click()
    expect(here.page.locator("#results .notice")).to_contain_text("not kept any more")


def test_the_address_names_every_search_and_back_leads_to_the_one_before(
    visit: Callable[..., Visit], pictures: Path
) -> None:
    here = visit()
    seen = []
    for place in range(2):
        here.page.locator("button.sample").nth(place).click()
        here.page.wait_for_function(SHOWN, arg=seen[-1][1] if seen else None)
        seen.append((here.page.url, here.page.locator("#results [data-search]").get_attribute("data-search")))
    assert seen[0][0] != seen[1][0]
    folder = here.page.get_by_label("In this folder")
    folder.fill("/nowhere")
    folder.press("Enter")
    expect(here.page.locator("#results .notice")).to_contain_text("No match")
    here.page.wait_for_url("**nowhere**")
    assert "like=" in here.page.url, "a search that finds nothing is a search"
    here.page.reload()
    expect(here.page.locator("#results .notice")).to_contain_text("No match")
    for url, _ in reversed(seen):
        here.page.go_back()
        here.page.wait_for_url(url)
        here.cards.first.wait_for()
    here.page.go_back()
    here.page.locator("button.sample").first.wait_for()
    assert "like=" not in here.page.url
    expect(here.cards).to_have_count(0)


def test_the_link_to_a_search_is_copied(visit: Callable[..., Visit], contexts: Callable[..., Any]) -> None:
    here = visit()
    here.context.grant_permissions(["clipboard-read", "clipboard-write"])
    here.page.locator("button.sample").first.click()
    link = here.page.locator("#results a[data-link]")
    link.click()
    expect(link).to_have_text("Copied")
    assert here.page.evaluate("navigator.clipboard.readText()") == here.page.url
    expect(link).to_have_text("Link to this search")
    here.context.clear_permissions()
