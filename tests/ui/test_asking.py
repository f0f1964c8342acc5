"""What each click makes of a search; what no button sends is refused."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.core.errors import BadValue
from retrieval.core.types import Region
from ui.asking import Asked, Nonsense, Picture, acted, added, similar_to

ONE = similar_to("7")


def test_thumbs_judge_change_their_mind_and_take_back() -> None:
    up = acted(ONE, {"do": "judge", "id": "3", "value": "yes"})
    assert up == replace(ONE, judged=((3, True),))
    down = acted(up, {"do": "judge", "id": "3", "value": "no"})
    assert down == replace(ONE, judged=((3, False),))
    assert acted(down, {"do": "judge", "id": "3", "value": "no"}) == ONE
    both = acted(down, {"do": "judge", "id": 4, "value": "yes"})
    assert both is not None
    assert both.judged == ((3, False), (4, True))
    assert acted(both, {"do": "forget"}) == ONE


def test_examples_are_on_one_side_at_a_time_and_none_is_left_without_a_picture() -> None:
    more = acted(ONE, {"do": "more", "id": 8})
    assert more == Asked((Picture(7), Picture(8)))
    less = acted(more, {"do": "less", "id": 8})
    assert less == Asked((Picture(7),), (Picture(8),))
    assert not less.is_one_picture
    assert acted(less, {"do": "more", "id": 8}) == more
    assert acted(less, {"do": "drop", "side": "unlike", "n": "0"}) == ONE
    assert acted(ONE, {"do": "drop", "side": "like", "n": "0"}) is None
    with pytest.raises(BadValue):
        acted(ONE, {"do": "less", "id": 7})
    assert added(ONE, Picture(file="/a.jpg")).like == (Picture(7), Picture(file="/a.jpg"))


def test_a_part_is_of_the_first_picture_and_stays_inside() -> None:
    cropped = acted(ONE, {"do": "crop", "left": 0.1, "top": -0.2, "right": 1.5, "bottom": 1})
    assert cropped == Asked((Picture(7, None, Region(0.1, 0, 1, 1)),))
    assert acted(cropped, {"do": "whole"}) == ONE
    with pytest.raises(BadValue):
        acted(ONE, {"do": "crop", "left": 0.5, "top": 0, "right": 0.5, "bottom": 1})


def test_whatever_changes_the_results_starts_at_the_first_page() -> None:
    third = acted(ONE, {"do": "page", "n": "2"})
    assert third == replace(ONE, page=2)
    for action in (
        {"do": "judge", "id": 3, "value": "yes"},
        {"do": "more", "id": 3},
        {"do": "forget"},
        {"do": "whole"},
    ):
        changed = acted(third, action)
        assert changed is not None
        assert changed.page == 0


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text("0123x .-", max_size=4) | st.just({"a": 1})
names = st.sampled_from(["page", "judge", "more", "less", "drop", "crop", "whole", "forget", "similar", "", None])


@given(names, st.dictionaries(st.sampled_from(["id", "n", "value", "side", "left", "top", "right", "bottom"]), values))
def test_anything_else_is_refused_or_gives_a_search(do: str | None, rest: dict[str, object]) -> None:
    try:
        got = acted(ONE, {"do": do, **rest})
    except (Nonsense, BadValue):
        return
    if got is not None:
        assert got.like
        assert 0 <= got.page < 2**63
        assert all(type(number) is int and number > 0 for number, _ in got.judged)
