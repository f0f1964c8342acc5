"""What is drawn for views: torchvision's crops, each chance as often as asked, and nothing shifted by anything."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.functional.counter import keys_of, uniform
from retrieval.models.look_draws import draw_looks
from retrieval.models.looks import Look

ALL = Look(
    32, jitter=0.8, brightness=0.4, contrast=0.3, saturation=0.2, hue=0.1, grey=0.2, blur=0.5, solarise=0.3
)  # fmt: skip


def by_tries(look: Look, draws: list[float], width: int, height: int) -> tuple[int, int, int, int]:
    """torchvision's ``RandomResizedCrop.get_params``, try by try, with these draws in place of its generator's."""
    area, low, high = width * height, *look.ratio
    for n in range(10):
        target = area * (look.scale[0] + (look.scale[1] - look.scale[0]) * draws[n])
        ratio = math.exp(math.log(low) + (math.log(high) - math.log(low)) * draws[10 + n])
        w, h = round(math.sqrt(target * ratio)), round(math.sqrt(target / ratio))
        if 0 < w <= width and 0 < h <= height:
            return int(draws[20] * (width - w + 1)), int(draws[21] * (height - h + 1)), w, h
    w, h = width, height
    if width / height < low:
        h = min(height, max(1, round(width / low)))
    elif width / height > high:
        w = min(width, max(1, round(height * high)))
    return (width - w) // 2, (height - h) // 2, w, h


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1, max_size=20),
    scale=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(sorted).map(tuple),
    ratio=st.sampled_from([(3 / 4, 4 / 3), (1.0, 1.0), (0.5, 3.0)]),
    seed=st.integers(0, 2**40),
)
def test_crops_are_torchvisions(sizes: list, scale: tuple, ratio: tuple, seed: int) -> None:
    look, keys = Look(32, scale=scale, ratio=ratio), keys_of(seed, np.arange(len(sizes)))
    boxes = draw_looks(look, keys, np.array(sizes, np.int64)).boxes
    for box, draws, (width, height) in zip(boxes.tolist(), uniform(keys, 0, 22).tolist(), sizes, strict=True):
        left, top, w, h = box
        assert min(w, h) >= 1
        assert min(left, top) >= 0
        assert left + w <= width
        assert top + h <= height
        # exp and sqrt of two libraries may differ in the last bit and round a side to its neighbour; not more.
        assert np.abs(np.subtract(box, by_tries(look, draws, width, height))).max() <= 1


def test_nearly_all_crops_are_exactly_torchvisions() -> None:
    keys = keys_of(1, np.arange(2000))
    boxes = draw_looks(Look(32), keys, np.full((2000, 2), (64, 48))).boxes.tolist()
    wanted = [list(by_tries(Look(32), draws, 64, 48)) for draws in uniform(keys, 0, 22).tolist()]
    assert sum(one == other for one, other in zip(boxes, wanted, strict=True)) >= 1998


def test_every_chance_comes_as_often_as_asked() -> None:
    count = 20_000
    drawn = draw_looks(ALL, keys_of(0, np.arange(count)), np.full((count, 2), 32))
    for which, chance in (
        (drawn.flips, 0.5),
        (drawn.greys, 0.2),
        (drawn.sigmas > 0, 0.5),
        (drawn.solarised, 0.3),
        ((drawn.factors != 1).all(1), 0.8),
        (drawn.turns != 0, 0.8),
    ):
        assert abs(which.mean() - chance) < 4.5 * math.sqrt(chance * (1 - chance) / count)
    np.testing.assert_array_equal((drawn.factors != 1).all(1), drawn.turns != 0)
    assert np.histogram(drawn.orders, 24, (0, 24))[0].min() > 700
    assert (drawn.orders.min(), drawn.orders.max()) == (0, 23)
    for values, least, most in (
        *((drawn.factors[:, n], 1 - x, 1 + x) for n, x in enumerate((0.4, 0.3, 0.2))),
        (drawn.turns, -0.1, 0.1),
        (drawn.sigmas[drawn.sigmas > 0], 0.1, 2.0),
    ):
        assert least - 1e-6 <= values.min() < least + 0.01 * (most - least)
        assert most - 0.01 * (most - least) < values.max() <= most + 1e-6


def test_a_view_depends_on_its_key_alone() -> None:
    ids, sizes = np.arange(50), np.random.default_rng(0).integers(8, 99, (50, 2))
    whole = draw_looks(ALL, keys_of(2, ids), sizes)
    some = np.array([3, 44, 17])
    for all_values, values in zip(whole, draw_looks(ALL, keys_of(2, some), sizes[some]), strict=True):
        np.testing.assert_array_equal(all_values[some], values)


@pytest.mark.parametrize(
    ("change", "moved"),
    [
        ({"flip": 1.0}, "flips"),
        ({"grey": 1.0}, "greys"),
        ({"blur": 1.0}, "sigmas"),
        ({"sigma": (1.0, 3.0)}, "sigmas"),
        ({"solarise": 1.0}, "solarised"),
        ({"hue": 0.5}, "turns"),
        ({"contrast": 0.9}, "factors"),
        ({"scale": (0.5, 0.6)}, "boxes"),
        ({"size": 64}, None),
    ],
)
def test_one_setting_shifts_nothing_else(change: dict, moved: str | None) -> None:
    keys, sizes = keys_of(0, np.arange(200)), np.full((200, 2), 50)
    before, after = draw_looks(ALL, keys, sizes), draw_looks(replace(ALL, **change), keys, sizes)
    for name in before._fields:
        assert np.array_equal(getattr(before, name), getattr(after, name)) == (name != moved)
