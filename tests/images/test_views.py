"""Thumbnails and full views: upright, sRGB, within their bounds, and without metadata."""

import io

import numpy as np
import pytest
from PIL import Image

from retrieval.core.errors import ImageError, Reason
from retrieval.core.settings import Limits
from retrieval.images.views import fit_within, full, thumbnail

from .conftest import draw_photo, encode
from .support import expected_srgb, oriented, wide_gamut_profile

MAKERS = [(thumbnail, "WEBP"), (full, "JPEG")]


def opened(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize(("make", "kind"), MAKERS)
@pytest.mark.parametrize("source", ["JPEG", "PNG", "TIFF"])
def test_the_whole_picture_within_the_side(make, kind, source):
    image = draw_photo(900, 600)
    view = opened(make(encode(image, source), 150))
    assert (view.format, view.size, view.mode) == (kind, (150, 100), "RGB")
    expected = image.resize((150, 100), Image.Resampling.BICUBIC)
    assert np.abs(np.asarray(view, dtype=int) - np.asarray(expected, dtype=int)).mean() < 10


@pytest.mark.parametrize(("make", "kind"), MAKERS)
def test_small_pictures_are_not_blown_up(make, kind):
    assert opened(make(encode(Image.new("RGB", (30, 20)), "PNG"), 500)).size == (30, 20)


@pytest.mark.parametrize(("make", "kind"), MAKERS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_and_without_metadata(make, kind, orientation):
    upright = draw_photo(300, 180)
    turned, exif = oriented(upright, orientation)
    exif[0x010F] = "a camera"
    profile, _ = wide_gamut_profile()
    data = encode(turned, "PNG", exif=exif.tobytes())
    view = opened(make(data, 100))
    assert view.size == (100, 60)
    expected = np.asarray(upright.resize((100, 60), Image.Resampling.BICUBIC), dtype=int)
    assert np.abs(np.asarray(view, dtype=int) - expected).mean() < 10  # turned wrongly it would be 50
    view = make(encode(turned, "JPEG", exif=exif.tobytes(), icc_profile=profile, comment=b"private"), 100)
    for secret in (b"Exif", b"EXIF", b"a camera", b"private", b"ICC", profile[-64:]):
        assert secret not in view


@pytest.mark.parametrize(("make", "kind"), MAKERS)
def test_profiles_and_transparency(make, kind):
    profile, matrix = wide_gamut_profile()
    colour = (100, 150, 90)
    view = opened(make(encode(Image.new("RGB", (60, 60), colour), "PNG", icc_profile=profile), 60))
    assert view.getpixel((30, 30)) == pytest.approx(expected_srgb(colour, matrix), abs=4)
    clear = Image.new("RGBA", (60, 60), (*colour, 0))
    assert opened(make(encode(clear, "PNG"), 60)).getpixel((30, 30)) == pytest.approx((255, 255, 255), abs=1)


@pytest.mark.parametrize(("make", "kind"), MAKERS)
def test_limits_hold(make, kind):
    data = encode(Image.new("RGB", (300, 300)), "PNG")
    with pytest.raises(ImageError) as caught:
        make(data, 100, Limits(max_pixels=89_999))
    assert caught.value.reason == Reason.TOO_MANY_PIXELS
    with pytest.raises(ImageError) as caught:
        make(encode(Image.new("RGB", (9, 9)), "TIFF"), 100, name=b"x.nef")
    assert caught.value.reason == Reason.UNSUPPORTED
    with pytest.raises(ValueError, match="at least 1"):
        make(data, 0)


def test_fit_within():
    assert fit_within((900, 600), 300) == (300, 200)
    assert fit_within((600, 900), 300) == (200, 300)
    assert fit_within((300, 300), 300) == (300, 300)
    assert fit_within((299, 1), 300) == (299, 1)
    assert fit_within((10_000, 1), 300) == (300, 1)
