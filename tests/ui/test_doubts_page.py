"""Labels in doubt, in a real browser: a wrongly labelled picture is found and given the right label."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright import sync_api as playwright

from retrieval.workflows.indexing import index_paths
from retrieval.workflows.labelling import Shelf, tile_page
from tests.ui.accessibility import audit, settle
from tests.ui.conftest import Visit
from tests.ui.drawing import COLOURS, picture
from ui.words import CHINESE, ENGLISH, Words

expect = playwright.expect

WIDE = {"viewport": {"width": 1440, "height": 900}}
NARROW = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "locale": "zh-CN"}
LONG = 120_000


@pytest.fixture
def mislabelled(tmp_path: Path, tiny_model: Path) -> Path:
    """A gallery of three folders of twelve pictures, each in one colour; two of them lie in the folder of another."""
    for label, colour in COLOURS.items():
        (tmp_path / "photos" / label).mkdir(parents=True)
        for n in range(12):
            (tmp_path / "photos" / label / f"{label} {n}.png").write_bytes(picture(colour, n))
    for right, wrong in (("apple", "grass"), ("sky", "apple")):
        (tmp_path / "photos" / right / f"{right} 3.png").rename(tmp_path / "photos" / wrong / f"{right} 3.png")
    index_paths(tmp_path / "gallery", [tmp_path / "photos"], model=str(tiny_model), workers=1)
    return tmp_path / "gallery"


def labels_of(gallery: Path, name: str) -> tuple[str, ...]:
    (tile,) = (tile for tile in tile_page(gallery, Shelf("all")).tiles if tile.name == name)
    return tile.labels


@pytest.mark.slow
@pytest.mark.parametrize(("how", "words"), [(WIDE, ENGLISH), (NARROW, CHINESE)], ids=["wide", "narrow"])
def test_a_wrong_label_is_found_and_corrected_and_a_right_one_stays(
    arrive: Callable[..., Visit], mislabelled: Path, how: dict[str, Any], words: Words
) -> None:
    said = words.doubts
    page = arrive(mislabelled, "/library", **how).page
    page.get_by_role("button", name=said.find).click()
    expect(page.locator("#library-work")).to_contain_text(words.jobs.kinds["label-check"], timeout=LONG)
    doubts = page.locator(".lib-doubt-list > li")
    expect(doubts).to_have_count(2, timeout=LONG)
    apple, sky = (doubts.filter(has_text=name) for name in ("apple 3.png", "sky 3.png"))
    expect(apple.locator("dd").first).to_have_text("grass")
    expect(apple.locator("dd").last).to_contain_text("apple")
    for image in (apple.locator("img"), page.locator(".lib-lonely img").first):
        image.scroll_into_view_if_needed()
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    settle(page)
    assert audit(page).severe == []
    # By keyboard: the focus goes on to what waits next.
    apple.get_by_role("button", name=said.give.format(label="apple")).focus()
    page.keyboard.press("Enter")
    expect(doubts).to_have_count(1)
    assert labels_of(mislabelled, "apple 3.png") == ("apple",)
    expect(page.locator("#library-doubts [role=status]")).to_contain_text(said.take_back)
    expect(sky.get_by_role("button", name=said.give.format(label="sky"))).to_be_focused()
    sky.get_by_role("button", name=said.right.format(label="apple")).click()
    expect(page.locator("#library-doubts")).to_contain_text(said.answered)
    expect(page.get_by_role("button", name=said.find)).to_be_focused()
    assert labels_of(mislabelled, "sky 3.png") == ("apple",)
