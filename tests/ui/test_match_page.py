"""Where two pictures match, in a real browser: asked for in the large view, looked into by mouse and by keyboard."""

from collections.abc import Callable

import pytest
from playwright import sync_api as playwright

from retrieval.core.errors import NoGrid
from tests.ui.conftest import Visit
from tests.ui.twins import SearcherTwin

expect = playwright.expect

# How bright a place of a picture's heat is, in shares of its canvas; opaque and dark is low.
_OPACITY = """(canvas, [x, y]) => {
  const { width, height } = canvas;
  return [...canvas.getContext("2d").getImageData(Math.floor(x * width), Math.floor(y * height), 1, 1).data];
}"""


def opened(staged: Callable[..., Visit], searcher: SearcherTwin, **arguments: object) -> Visit:
    here = staged(searcher, **arguments).open()
    here.page.locator("button.sample").first.click()
    here.cards.first.click()
    here.page.get_by_role("button", name="Where do they match?").click()
    return here


@pytest.mark.parametrize("width", [pytest.param(1440, marks=pytest.mark.slow), 390])
def test_a_part_of_one_picture_shows_its_match_in_the_other(staged: Callable[..., Visit], width: int) -> None:
    searcher = SearcherTwin()
    here = opened(staged, searcher, viewport={"width": width, "height": 844})
    view = here.page.get_by_role("dialog", name="Where the two pictures match")
    query, image = view.locator(".match-frame").first, view.locator(".match-frame").last
    query.wait_for()
    assert [(one.image_id, other) for one, other in searcher.explained] == [(1, 1)]
    assert here.overflow() == 0
    assert view.evaluate("view => view.scrollWidth - view.clientWidth") == 0
    # The query's last cell glows, the first is dimmed; amber is more red than blue, and dimming is the other way.
    red, _, blue, _ = query.locator("canvas").evaluate(_OPACITY, [0.9, 0.5])
    assert red > blue + 100
    red, _, blue, opacity = query.locator("canvas").evaluate(_OPACITY, [0.1, 0.5])
    assert red < blue
    assert opacity > 100
    # The heat lies on the middle four fifths of the query, which is what is seen of it.
    frame, seen = query.bounding_box(), query.locator(".match-seen").bounding_box()
    assert (seen["x"] - frame["x"]) / frame["width"] == pytest.approx(0.1, abs=0.01)
    assert seen["width"] / frame["width"] == pytest.approx(0.8, abs=0.01)
    says = view.get_by_role("status").filter(has_text="Row")
    # The second cell goes with the image's first one only.
    query.hover(position={"x": frame["width"] / 2, "y": frame["height"] / 2})
    expect(says).to_contain_text("Row 1 of 1, part 2 of 3: 16 % as strong")
    expect(says).to_contain_text("row 1, part 1 of the other")
    expect(image.locator(".match-cell")).to_be_visible()
    # By keyboard: into the frame, along its cells.
    here.page.mouse.move(2, 2)
    query.focus()
    here.page.keyboard.press("ArrowLeft")
    here.page.keyboard.press("ArrowLeft")
    here.page.keyboard.press("ArrowLeft")
    expect(says).to_contain_text("Row 1 of 1, part 1 of 3")
    expect(says).to_contain_text("row 2, part 1 of the other")
    here.page.keyboard.press("Tab")
    here.page.keyboard.press("ArrowDown")
    expect(says).to_contain_text("Row 2 of 2, part 1 of 1: 33 %")
    # Colours can be taken away, and Escape leads back to the large view, not out of it.
    slider = view.get_by_label("Colour over the pictures")
    slider.focus()
    here.page.keyboard.press("Home")
    expect(query.locator("canvas")).to_have_css("opacity", "0")
    here.page.keyboard.press("Escape")
    expect(view).to_be_hidden()
    expect(here.page.get_by_role("button", name="Where do they match?")).to_be_focused()
    expect(here.dialog).to_be_visible()
    here.assert_calm()


@pytest.mark.slow
def test_an_encoder_that_cannot_tell_is_said_in_the_view_and_it_can_be_asked_again(
    staged: Callable[..., Visit],
) -> None:
    searcher = SearcherTwin(explanation=NoGrid("This encoder does not keep where.", "Search on."))
    here = opened(staged, searcher)
    view = here.page.get_by_role("dialog", name="Where the two pictures match")
    expect(view.get_by_role("alert")).to_contain_text("does not keep where")
    view.get_by_role("button", name="Close").click()
    searcher.explanation = SearcherTwin().explanation
    here.page.get_by_role("button", name="Where do they match?").click()
    expect(view.locator(".match-frame")).to_have_count(2)
    expect(view.get_by_role("alert")).to_have_count(0)
