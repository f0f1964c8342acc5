"""Changed looks do what they say, and what they mean for an embedding is counted as it should be."""

import numpy as np
import pytest

from retrieval.evaluation.invariance import invariance
from retrieval.evaluation.looks import LOOKS, Look, cropped, flipped, recoloured, rotated
from tests.conftest import picture

SIDE = 32


def pixels(seed=0):
    return np.asarray(picture(seed, (SIDE, SIDE)), np.uint8)


def test_every_look_keeps_the_shape_and_changes_the_picture():
    before = pixels()
    for look in LOOKS:
        after = look.apply(before)
        assert after.shape == before.shape, look.name
        assert after.dtype == np.uint8
        assert not np.array_equal(after, before), look.name
    assert np.array_equal(before, pixels()), "the picture itself stays"
    assert len({look.name for look in LOOKS}) == len(LOOKS)
    kinds = {look.kind for look in LOOKS}
    assert kinds == {"rotation", "flip", "crop", "brightness", "contrast", "saturation", "hue"}
    # By (kind, strength) a change is found again.
    assert len({(look.kind, look.strength) for look in LOOKS}) == len(LOOKS)


def test_turns_and_flips_move_pixels_only():
    one = pixels()
    assert np.array_equal(rotated(one, 90), np.rot90(one))
    assert np.array_equal(rotated(rotated(one, 90), 270), one)
    assert np.array_equal(flipped(flipped(one)), one)
    assert np.array_equal(flipped(one)[:, 0], one[:, -1])
    assert np.array_equal(flipped(one, upside_down=True)[0], one[-1])


def test_a_small_turn_moves_the_border_and_keeps_the_middle():
    one = np.zeros((33, 33, 3), np.uint8)
    one[12:21, 12:21] = 200
    turned = rotated(one, 15)
    assert turned[16, 16].tolist() == [200, 200, 200]
    assert abs(float(turned.mean()) - float(one.mean())) < 2
    # A turn to the left lifts what lies on the right.
    bar = np.zeros((33, 33, 3), np.uint8)
    bar[15:18, 24:31] = 255
    rows = np.nonzero(rotated(bar, 15)[:, 24:31].sum(axis=(1, 2)))[0]
    assert rows.mean() < 15


def test_no_turn_has_black_corners():
    white = np.full((SIDE, SIDE, 3), 250, np.uint8)
    for degrees in (5, 15, 45):
        assert rotated(white, degrees).min() == 250


def test_a_crop_enlarges_the_middle():
    one = np.zeros((SIDE, SIDE, 3), np.uint8)
    one[8:24, 8:24] = 255
    # A quarter of the area is half the side: the white square fills the picture.
    assert cropped(one, 0.25)[2:-2, 2:-2].min() > 250
    assert np.array_equal(cropped(one, 1.0), one)


def test_colours():
    one = pixels()
    assert np.array_equal(recoloured(one), one)
    grey = recoloured(one, saturation=0.0).astype(int)
    assert np.abs(grey[..., 0] - grey[..., 1]).max() <= 1
    assert recoloured(one, brightness=0.5).mean() == pytest.approx(one.mean() / 2, abs=1)
    flat = recoloured(one, contrast=0.5)
    assert flat.std() < one.std()
    assert flat.mean() == pytest.approx(one.mean(), abs=1.5)


def embedded(some):
    """A tiny encoder that sees the mean colours of the four quarters."""
    half = SIDE // 2
    quarters = [some[:, r : r + half, c : c + half].mean(axis=(1, 2)) for r in (0, half) for c in (0, half)]
    found = np.concatenate(quarters, axis=1) + 1
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def test_invariance_against_a_loop():
    gallery = np.stack([pixels(seed) for seed in range(9)])
    vectors = embedded(gallery)
    places = np.array([1, 4, 7])
    looks = [look for look in LOOKS if look.kind in ("flip", "rotation")]
    found = invariance(gallery[places], places, vectors, embedded, looks=looks)
    assert [one.look for one in found] == looks
    for one in found:
        for row, place in enumerate(places):
            changed = embedded(one.look.apply(gallery[place])[None])[0].astype(np.float64)
            scores = vectors.astype(np.float64) @ changed
            assert one.cosines[row] == pytest.approx(scores[place], abs=1e-6)
            assert one.found[row] == float(scores[place] >= scores.max())
        assert one.cosine.mean == pytest.approx(one.cosines.mean())
        assert one.recall.mean == pytest.approx(one.found.mean())


def test_a_change_that_the_encoder_cannot_see_costs_nothing_and_a_copy_in_the_gallery_hides_nothing():
    gallery = np.stack([pixels(0), pixels(0), pixels(1)])
    same = Look("none", 0, "unchanged", lambda one: one)
    (found,) = invariance(gallery[:1], np.array([0]), embedded(gallery), embedded, looks=[same])
    assert found.cosine.mean == pytest.approx(1)
    assert found.recall.mean == 1


def test_another_picture_is_not_found():
    gallery = np.stack([pixels(0), pixels(1)])
    other = Look("none", 0, "another", lambda _: pixels(1))
    (found,) = invariance(gallery[:1], np.array([0]), embedded(gallery), embedded, looks=[other])
    assert found.recall.mean == 0
    assert found.cosine.mean < 1
    with pytest.raises(ValueError, match="cannot be changed"):
        invariance(gallery[:0], np.array([], np.int64), embedded(gallery), embedded)
