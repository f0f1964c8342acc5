"""Decoding against plain Pillow: size, crop, scaling."""

import io

import numpy as np
import pytest
from PIL import Image

from retrieval.core.preprocessing import Preprocessing
from retrieval.images.decode import crop_box, decode

from .conftest import draw_photo, encode
from .support import SPEC, STRETCH, difference, flat, pixels, reference

SPECS = [
    Preprocessing(),
    Preprocessing(interpolation="bilinear"),
    Preprocessing(interpolation="lanczos", input_size=96),
    Preprocessing(interpolation="nearest", input_size=100),
    Preprocessing(input_size=96, crop=0.75),
    Preprocessing(fit="stretch"),
    Preprocessing(input_size=160, fit="stretch", interpolation="bilinear"),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.interpolation}-{spec.fit}-{spec.input_size}")
@pytest.mark.parametrize("size", [(150, 100), (600, 400), (400, 600), (1500, 1000), (2400, 1600)], ids=str)
def test_close_to_plain_pillow(spec, size):
    # Sides of 3:2, where the textbook's rounding of the long side does not shift the crop by half a pixel.
    data = encode(draw_photo(300, 200).resize(size, Image.Resampling.BICUBIC), "JPEG", quality=92)
    found, expected = pixels(data, spec), reference(data, spec)
    assert found.shape == expected.shape == (spec.input_size, spec.input_size, 3)
    # Measured: 0 without draft, at most 0.6 with it.
    assert difference(found, expected) < 1.0


@pytest.mark.parametrize("size", [(448, 448), (905, 603), (1600, 1200)], ids=str)
def test_draft_is_close_to_the_same_pixels_without_draft(size):
    image = draw_photo(500, 400).resize(size)
    data = encode(image, "JPEG", quality=95)
    lossless = encode(Image.open(io.BytesIO(data)), "BMP")
    assert difference(pixels(data, Preprocessing()), pixels(lossless, Preprocessing())) < 1.0


def test_draft_and_averaging_never_go_below_the_target():
    """A target just under a scale's size: the finest detail that fits must survive."""
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    fine = Image.fromarray(stripes).resize((1024, 1024), Image.Resampling.NEAREST)
    kept = pixels(encode(fine, "JPEG", quality=95), Preprocessing(input_size=512))
    assert np.abs(np.diff(kept[:, :, 0].astype(int), axis=1)).mean() > 200


def test_small_images_are_scaled_up():
    data = encode(draw_photo(20, 20), "PNG")
    assert difference(pixels(data), reference(data, SPEC)) == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (1, 10_000), (10_000, 1), (3, 5000), (2, 3)], ids=str)
@pytest.mark.parametrize(
    "spec", [SPEC, STRETCH, Preprocessing(crop=0.5, input_size=32)], ids=["crop", "stretch", "part"]
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_extreme_shapes(size, spec, kind):
    known, found = decode(
        encode(flat((10, 200, 90), size=size), kind, **({"quality": 100} if kind == "JPEG" else {})), spec
    )
    assert (known.width, known.height) == size
    assert np.abs(found.astype(int) - (10, 200, 90)).max() <= 3


def test_the_centre_of_a_long_picture_is_kept():
    image = flat((255, 0, 0), size=(900, 300))
    image.paste((0, 0, 255), (300, 0, 600, 300))
    middle = pixels(encode(image, "PNG"))
    assert (middle[4:-4, 4:-4] == (0, 0, 255)).all()
    assert pixels(encode(image, "PNG"), STRETCH)[0, 0].tolist() == [255, 0, 0]


def test_the_crop_is_in_the_middle_exactly():
    for spec in (SPEC, Preprocessing(input_size=224, crop=0.875), Preprocessing(input_size=33, crop=0.7)):
        for extent in ((300.0, 200.0), (201.0, 333.0), (62.5, 99.0), (7.0, 7.0)):
            left, top, right, bottom = crop_box(extent, spec)
            assert left == pytest.approx(extent[0] - right)
            assert top == pytest.approx(extent[1] - bottom)
            assert right - left == pytest.approx(bottom - top)
            assert right - left == pytest.approx(min(extent) * spec.input_size / spec.resize_to)


def test_pixels_may_be_written_to():
    found = pixels(encode(flat((1, 2, 3)), "PNG"))
    found[0, 0] = 7
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
