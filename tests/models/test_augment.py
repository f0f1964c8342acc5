"""Augmentation: the same chance gives the same look, and each change does what its name says."""

import colorsys
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from retrieval.core.errors import BadValue
from retrieval.core.preprocessing import Preprocessing
from retrieval.images.decode import decode
from retrieval.models.augment import PRESETS, Augmentation, Strength, colour_matrix
from tests.images.conftest import draw_photo, encode

SPEC = Preprocessing(input_size=32)
LUMA = np.array([0.299, 0.587, 0.114])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def ramp(width: int = 64, height: int = 48) -> Image.Image:
    """Red says how far right, green how far down, in shares of 255."""
    across = np.broadcast_to((np.arange(width) + 0.5) / width, (height, width))
    down = np.broadcast_to(((np.arange(height) + 0.5) / height)[:, None], (height, width))
    return Image.fromarray((np.stack([across, down, np.zeros_like(down)], -1) * 255).round().astype(np.uint8))


@settings(max_examples=60, deadline=None)
@given(
    preset=st.sampled_from(sorted(PRESETS)),
    seed=st.integers(0, 2**40),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    side=st.integers(1, 40),
    fit=st.sampled_from(["crop", "stretch"]),
    crop=st.floats(0.5, 1),
)
def test_any_picture_gives_an_input_and_the_same_chance_the_same_one(
    preset: str, seed: int, size: tuple[int, int], side: int, fit: str, crop: float
) -> None:
    augmentation = Augmentation(Preprocessing(input_size=side, fit=fit, crop=crop), preset)
    picture = ramp(*size)
    first, second = (augmentation(picture, rng(seed)) for _ in range(2))
    assert (first.shape, first.dtype) == ((side, side, 3), np.uint8)
    np.testing.assert_array_equal(first, second)
    assert first.flags.writeable


@pytest.mark.parametrize("preset", ["light", "standard", "strong"])
def test_another_chance_gives_another_look(preset: str) -> None:
    augmentation = Augmentation(SPEC, preset)
    looks = {augmentation(draw_photo(80, 60), rng(seed)).tobytes() for seed in range(20)}
    assert len(looks) == 20


@pytest.mark.parametrize("size", [(80, 60), (60, 80), (40, 40)])
@pytest.mark.parametrize(
    "spec", [SPEC, Preprocessing(input_size=32, crop=0.8), Preprocessing(input_size=32, fit="stretch")]
)
def test_without_augmentation_it_is_what_evaluation_sees(spec: Preprocessing, size: tuple[int, int]) -> None:
    photo = draw_photo(*size)
    _, wanted = decode(encode(photo, "PNG"), spec)
    np.testing.assert_array_equal(Augmentation(spec, "none")(photo, rng()), wanted)


def test_crops_cover_their_share_anywhere_and_keep_their_proportions() -> None:
    augmentation = Augmentation(SPEC, "none", area=0.25, ratio=1.5)
    picture = ramp(240, 160)
    shares, ratios, lefts, tops = [], [], [], []
    for seed in range(300):
        look = augmentation(picture, rng(seed)).astype(float) / 255
        # Values grow by the crop's length from edge to edge; between pixel centres lie 31 of 32 steps.
        width = (look[16, 24, 0] - look[16, 8, 0]) * 2
        height = (look[24, 16, 1] - look[8, 16, 1]) * 2
        shares.append(width * height)
        ratios.append(width * 240 / (height * 160))
        lefts.append(look[16, 16, 0] - width / 2)
        tops.append(look[16, 16, 1] - height / 2)
    assert 0.22 < min(shares) < 0.30
    assert 0.75 < max(shares) <= 1.03
    assert 0.62 < min(ratios) < 0.75
    assert 1.35 < max(ratios) < 1.6
    assert min(lefts) < 0.03
    assert min(tops) < 0.03
    assert max(lefts) > 0.4
    assert max(tops) > 0.35


def test_an_encoder_without_proportions_gets_crops_of_the_pictures_own() -> None:
    augmentation = Augmentation(Preprocessing(input_size=32, fit="stretch"), "none", area=0.25, ratio=1.0)
    spans = []
    for seed in range(50):
        look = augmentation(ramp(300, 60), rng(seed)).astype(float) / 255
        across, down = (look[16, 24, 0] - look[16, 8, 0]) * 2, (look[24, 16, 1] - look[8, 16, 1]) * 2
        assert across == pytest.approx(down, abs=0.05)
        spans.append(across)
    assert 0.45 < min(spans) < 0.6
    assert max(spans) > 0.9


def test_flips_come_as_often_as_asked() -> None:
    for chance, least, most in ((0.0, 0, 0), (1.0, 200, 200), (0.3, 35, 85)):
        augmentation = Augmentation(SPEC, "none", flip=chance)
        looks = [augmentation(ramp(), rng(seed)) for seed in range(200)]
        flipped = sum(int(look[5, 0, 0]) > int(look[5, -1, 0]) for look in looks)
        assert least <= flipped <= most
        assert all(look[0, 5, 1] < look[-1, 5, 1] for look in looks)


def test_one_setting_does_not_shift_the_chance_of_the_others() -> None:
    plain = Augmentation(SPEC, "none", flip=0.5)
    more = Augmentation(SPEC, "none", flip=0.5, brightness=0.2, grey=0.5, blur=0.5)
    for seed in range(40):
        one, other = plain(ramp(), rng(seed)), more(ramp(), rng(seed))
        assert (one[5, 0].astype(int).sum() > one[5, -1].astype(int).sum()) == (
            other[5, 0].astype(int).sum() > other[5, -1].astype(int).sum()
        )


# ------------------------------------------------------------------ colour


def applied(matrix: tuple[float, ...], pixel: np.ndarray) -> np.ndarray:
    rows = np.array(matrix).reshape(3, 4)
    return rows[:, :3] @ pixel + rows[:, 3]


def by_steps(pixel: np.ndarray, brightness: float, contrast: float, saturation: float, mean: float) -> np.ndarray:
    """torchvision's definitions one after the other, in floats."""
    pixel = pixel * brightness
    pixel = contrast * pixel + (1 - contrast) * mean * brightness
    return saturation * pixel + (1 - saturation) * (LUMA @ pixel)


@settings(max_examples=60, deadline=None)
@given(
    pixel=st.tuples(*[st.floats(0, 255)] * 3).map(np.array),
    factors=st.tuples(*[st.floats(0, 2)] * 3),
    mean=st.floats(0, 255),
    turn=st.floats(-0.5, 0.5),
)
def test_the_matrix_is_the_four_changes_one_after_the_other(
    pixel: np.ndarray, factors: tuple[float, float, float], mean: float, turn: float
) -> None:
    wanted = by_steps(pixel, *factors, mean)
    np.testing.assert_allclose(applied(colour_matrix(*factors, 0.0, mean), pixel), wanted, atol=1e-4)
    turned = applied(colour_matrix(*factors, turn, mean), pixel)
    assert LUMA @ turned == pytest.approx(LUMA @ wanted, abs=1e-3)
    back = applied(colour_matrix(1, 1, 1, -turn, 0), turned)
    np.testing.assert_allclose(back, wanted, atol=1e-3)


def test_hue_turns_the_way_that_the_colour_circle_does() -> None:
    pixel = np.array([160.0, 110.0, 100.0])
    hue = [
        colorsys.rgb_to_hsv(*(applied(colour_matrix(1, 1, 1, turn, 0), pixel) / 255))[0] for turn in (-0.1, 0.0, 0.1)
    ]
    # Half a circle is the opposite colour, with the same luma.
    np.testing.assert_allclose(applied(colour_matrix(1, 1, 1, 0.5, 0), pixel), 2 * (LUMA @ pixel) - pixel, atol=1e-3)
    steps = np.diff([(value + 0.5) % 1 for value in hue])
    assert (np.abs(steps) > 0.05).all()
    assert (steps > 0).all() or (steps < 0).all()


@pytest.mark.parametrize(
    ("change", "function"),
    [
        ("brightness", lambda x, f: x * f),
        ("contrast", lambda x, f: f * x + (1 - f) * (x @ LUMA).mean()),
        ("saturation", lambda x, f: f * x + (1 - f) * (x @ LUMA)[..., None]),
    ],
)
def test_each_colour_change_is_the_one_it_is_called(change: str, function) -> None:
    photo = Image.fromarray((np.asarray(draw_photo(32, 32)) // 2 + 60).astype(np.uint8))
    plain = np.asarray(photo, float)
    factors = set()
    for seed in range(20):
        look = Augmentation(SPEC, "none", **{change: 0.3})(photo, rng(seed)).astype(float)
        candidates = np.linspace(0.7, 1.3, 241)
        errors = [np.abs(function(plain, factor) - look).mean() for factor in candidates]
        assert min(errors) < 0.8
        factors.add(round(float(candidates[int(np.argmin(errors))]), 2))
    assert min(factors) < 0.85
    assert max(factors) > 1.15
    assert min(factors) >= 0.69
    assert max(factors) <= 1.31


def test_grey_has_no_colour_and_keeps_its_luma() -> None:
    photo = draw_photo(32, 32)
    look = Augmentation(SPEC, "none", grey=1.0)(photo, rng()).astype(int)
    assert (np.ptp(look, axis=-1) <= 1).all()
    assert np.abs(look[..., 0] - np.asarray(photo, float) @ LUMA).max() <= 1.5


def test_jitter_leaves_some_pictures_as_they_are() -> None:
    photo = draw_photo(32, 32)
    augmentation = Augmentation(SPEC, "none", brightness=0.4, jitter=0.5)
    untouched = sum((augmentation(photo, rng(seed)) == np.asarray(photo)).all() for seed in range(100))
    assert 30 <= untouched <= 70


def test_blur_smooths_and_erasing_covers_a_rectangle_with_the_mean() -> None:
    photo = draw_photo(32, 32)
    plain = np.asarray(photo).astype(int)
    blurred = Augmentation(Preprocessing(input_size=32), "none", blur=1.0)
    rough = np.abs(np.diff(plain, axis=0)).mean()
    # At 32 pixels the radius is small: look at a larger picture.
    large = draw_photo(224, 224)
    smooth = Augmentation(Preprocessing(input_size=224), "none", blur=1.0)(large, rng(3)).astype(int)
    assert np.abs(np.diff(smooth, axis=0)).mean() < np.abs(np.diff(np.asarray(large).astype(int), axis=0)).mean()
    assert np.abs(np.diff(blurred(photo, rng(3)).astype(int), axis=0)).mean() <= rough

    spec = Preprocessing(input_size=32, mean=(0.2, 0.4, 0.6))
    for seed in range(30):
        look = Augmentation(spec, "none", erase=1.0)(Image.new("RGB", (32, 32), "white"), rng(seed))
        covered = (look == np.array([51, 102, 153])).all(-1)
        rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
        assert covered.sum() == len(rows) * len(columns) == covered[np.ix_(rows, columns)].sum()
        assert 0.01 <= covered.mean() <= 0.23
        assert (look[~covered] == 255).all()


# ------------------------------------------------------------------ the rest


def test_normalising_is_the_cards_mean_and_std() -> None:
    spec = Preprocessing(input_size=5, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    pixels = np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    out = np.empty((3, 5, 5), np.float32)
    Augmentation(spec).normalise(pixels, out)
    for channel in range(3):
        wanted = (pixels[..., channel] / 255 - spec.mean[channel]) / spec.std[channel]
        np.testing.assert_allclose(out[channel], wanted, atol=1e-5)


def test_presets_grow_in_strength() -> None:
    levels = [PRESETS[name] for name in ("none", "light", "standard", "strong")]
    for field in fields(Strength):
        values = [getattr(level, field.name) for level in levels]
        if field.name not in ("ratio", "jitter"):
            assert values == sorted(values, reverse=field.name == "area")
    assert Augmentation(SPEC, "strong", flip=0).strength.flip == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"preset": "wild"}, "no augmentation 'wild'"),
        ({"flipp": 1}, "no setting 'flipp'"),
        ({"flip": 2}, "flip 2 is not between 0 and 1"),
        ({"area": 0}, "area 0 is not between 0.01 and 1"),
        ({"hue": float("nan")}, "hue nan"),
        ({"flip": True}, "flip True"),
        ({"ratio": "1"}, "ratio '1'"),
    ],
)
def test_what_cannot_be_used_is_refused(arguments: dict, words: str) -> None:
    with pytest.raises(BadValue, match=words):
        Augmentation(SPEC, **arguments)
