"""Invented things and goods: what of them comes again from picture to picture, and what does not."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

DATA = Path(__file__).resolve().parents[2] / "data"


@pytest.fixture(scope="module")
def drawn() -> Iterator[SimpleNamespace]:
    """The modules that draw; what is changed to import them is put back."""
    path, before = list(sys.path), set(sys.modules)
    sys.path.insert(0, str(DATA))
    from drawing import catalogue, kit
    from starter import goods, things

    yield SimpleNamespace(catalogue=catalogue, kit=kit, goods=goods, things=things)
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("drawing", "starter"):
            del sys.modules[name]
    sys.path[:] = path


def pixels(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGB"), np.float64)


def extents(subject: SimpleNamespace) -> np.ndarray:
    """Width, depth and height of every part [parts, 3]."""
    return np.array([np.ptp(part.mesh.points, axis=0) for part in subject.parts])


def test_a_thing_keeps_its_form_and_changes_its_colours(drawn: SimpleNamespace) -> None:
    things, kit = drawn.things, drawn.kit
    same, other, shades, pieces = [], [], [], []
    for n in range(40):
        thing = things.invent(np.random.default_rng([4, n]))
        pieces.append(len(thing.pieces))
        if any(piece.optional for piece in thing.pieces):
            continue
        one, two = (things.build(thing, kit.Kit(np.random.default_rng(s), s, 0)) for s in (1, 2))
        assert len(one.parts) == len(two.parts) == len(thing.pieces)
        assert all(np.isfinite(part.mesh.points).all() for part in one.parts)
        first, second = extents(one).max(axis=0), extents(two).max(axis=0)
        same.append(np.abs(np.log(first / second)).mean())
        other.append(first)
        shades.append(np.abs(one.parts[0].material.colour - two.parts[0].material.colour).max() > 0.02)
    apart = [np.abs(np.log(a / b)).mean() for a, b in pairwise(other)]
    assert np.mean(same) < 0.35 * np.mean(apart)
    assert np.mean(shades) > 0.8
    assert set(pieces) == {1, 2, 3, 4, 5, 6}


def test_pictures_of_a_thing_are_the_same_every_time_and_show_it(drawn: SimpleNamespace) -> None:
    things = drawn.things
    for n in range(4):
        thing = things.invent(np.random.default_rng([4, n]))
        once, again, next_one = (things.show(thing, "thing", k, np.random.default_rng([7, n, k])) for k in (1, 1, 2))
        assert once == again
        picture = pixels(once)
        assert picture.shape == (things.DETAIL.side, things.DETAIL.side, 3)
        assert picture.std() > 8
        assert np.abs(picture - pixels(next_one)).mean() > 5


def test_a_good_keeps_its_colours(drawn: SimpleNamespace) -> None:
    goods, kit = drawn.goods, drawn.kit
    within, apart, kinds = [], [], set()
    every = goods.all_goods(30)
    for n, good in enumerate(every):
        shown = []
        for seed in (1, 2):
            own = kit.Kit(np.random.default_rng([seed, n]), seed, 0)
            subject = goods.heap(good, own) if good.grown else goods.shelf(good, own, every[0])
            assert all(np.isfinite(part.mesh.points).all() for part in subject.parts)
            shown.append(subject.parts[0].material.colour)
        kinds.add((good.grown, good.kind if not good.grown else 0))
        within.append(np.abs(shown[0] - shown[1]).mean())
        apart.append(np.abs(good.colours[0] - every[n - 1].colours[0]).mean())
    assert np.mean(within) < 0.3 * np.mean(apart)
    assert len(kinds) >= 4


def test_a_label_is_printed_in_more_than_one_colour_and_always_alike(drawn: SimpleNamespace) -> None:
    goods = drawn.goods
    across, up = np.meshgrid(np.linspace(-0.3, 0.3, 40), np.linspace(0, 1, 40))
    front = np.stack([across.ravel(), np.full(1600, -0.3), up.ravel()], -1)
    packed = [good for good in goods.all_goods(40) if not good.grown]
    for good in packed:
        base = np.tile(good.colours[0], (1600, 1))
        printed = goods._label(good)(front, base)
        assert printed.shape == (1600, 3)
        assert len(np.unique(printed.round(2), axis=0)) >= 2
        assert np.array_equal(printed, goods._label(good)(front, base))


def test_a_picture_of_goods_is_the_same_every_time(drawn: SimpleNamespace) -> None:
    goods = drawn.goods
    every = goods.all_goods(9)
    for good in (next(g for g in every if g.grown), next(g for g in every if not g.grown)):
        once, again = (goods.show(good, every[0], "good", 1, np.random.default_rng(3)) for _ in range(2))
        assert once == again
        assert pixels(once).std() > 8


def test_goods_of_a_family_share_their_form_only(drawn: SimpleNamespace) -> None:
    goods = drawn.goods
    every = goods.all_goods(3 * goods.FAMILY)
    for n, good in enumerate(every):
        first = every[n // goods.FAMILY * goods.FAMILY]
        assert (good.grown, good.kind) == (first.grown, first.kind)
        assert np.array_equal(good.form, first.form)
    assert len({good.colours.tobytes() for good in every}) == len(every)
    assert len({good.form.tobytes() for good in every}) == 3


def test_no_thing_is_a_class_of_the_samples(drawn: SimpleNamespace) -> None:
    names = set(drawn.catalogue.THINGS)
    assert not names & {path.stem for path in (DATA / "starter").glob("*.py")}
    source = (DATA / "starter" / "things.py").read_text() + (DATA / "starter" / "goods.py").read_text()
    assert "THINGS" not in source
    assert not any(f"things_{kind}" in source for kind in ("home", "made", "nature", "wheels"))
