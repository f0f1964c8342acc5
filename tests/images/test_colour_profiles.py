"""Colour profiles: their colours land at the right sRGB values."""

import struct
from itertools import product

import numpy as np
import pytest
from PIL import ImageCms

from .conftest import encode
from .support import difference, expected_srgb, flat, only_colour, pixels, wide_gamut_profile


@pytest.mark.parametrize("colour", [(128, 128, 128), (100, 150, 90), (200, 100, 60), (60, 90, 140)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
def test_a_wide_gamut_lands_at_the_right_values(colour, kind):
    profile, matrix = wide_gamut_profile()
    options = {
        "JPEG": {"quality": 100},
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 100, "speed": 10, "subsampling": "4:4:4"},
    }.get(kind, {})
    expected = expected_srgb(colour, matrix)
    if colour != (128, 128, 128):
        assert np.abs(expected - colour).max() > 4  # or the test could not fail
    near = 8 if kind == "AVIF" else 2.5  # its colours are rounded before the profile spreads them
    assert only_colour(encode(flat(colour), kind, icc_profile=profile, **options)) == pytest.approx(expected, abs=near)


def test_a_profile_holds_under_transparency_and_palettes():
    profile, matrix = wide_gamut_profile()
    colour = (200, 100, 60)
    expected = expected_srgb(colour, matrix)
    assert only_colour(encode(flat((*colour, 255), "RGBA"), "PNG", icc_profile=profile)) == pytest.approx(
        expected, abs=2
    )
    assert only_colour(encode(flat((*colour, 0), "RGBA"), "PNG", icc_profile=profile)) == (255, 255, 255)
    palette = flat(0, "P")
    palette.putpalette(list(colour))
    assert only_colour(encode(palette, "PNG", icc_profile=profile)) == pytest.approx(expected, abs=2)


def test_the_srgb_profile_changes_nothing(photo):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert difference(pixels(encode(photo, "PNG", icc_profile=profile)), pixels(encode(photo, "PNG"))) == 0


def test_profiles_that_do_not_fit_are_ignored():
    profile, _ = wide_gamut_profile()
    grey = bytearray(profile)
    grey[16:20] = b"GRAY"
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    broken = [b"x", b"not a profile at all" * 20, profile[:150], profile[:-200], bytes(grey), lab, b"\0" * 4000]
    for bad in broken:
        assert only_colour(encode(flat((200, 100, 60)), "PNG", icc_profile=bad)) == (200, 100, 60)
    assert only_colour(encode(flat((255, 0, 0, 0), "CMYK"), "TIFF", icc_profile=profile)) == (0, 255, 255)


def test_a_grey_picture_with_a_colour_profile():
    """Gamma 1.0 makes a visible difference to grey."""
    profile, _ = wide_gamut_profile(gamma=1.0)
    assert only_colour(encode(flat(55, "L"), "PNG", icc_profile=profile)) == pytest.approx((128, 128, 128), abs=3)


def grey_ink_profile():
    """A CMYK profile by hand, of a press whose inks are all grey: three of them full are as dark as paper gets."""
    nodes = product((0, 1), repeat=4)  # the last ink varies fastest
    lightness = [255 * (1 - (c + m + y) / 3) * (1 - k) for c, m, y, k in nodes]
    table = b"".join(bytes((round(value), 128, 128)) for value in lightness)
    ramp = bytes(range(256))
    identity = b"".join(struct.pack(">i", 65536 * (i % 4 == 0)) for i in range(9))
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + identity + ramp * 4 + table + ramp * 3
    lut += b"\0" * (-len(lut) % 4)
    header = struct.pack(
        ">I4sI4s4s4s12s4s", 144 + len(lut), b"test", 0x02400000, b"prtr", b"CMYK", b"Lab ", b"\0" * 12, b"acsp"
    )
    header += b"\0" * 28 + struct.pack(">iii", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I4sII", 1, b"A2B0", 144, len(lut)) + lut


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_a_cmyk_profile_is_used(kind):
    options = {"quality": 100} if kind == "JPEG" else {}
    cyan = encode(flat((255, 0, 0, 0), "CMYK"), kind, icc_profile=grey_ink_profile(), **options)
    # Lightness 66.7 is this grey in sRGB; without the profile it would be (0, 255, 255).
    assert only_colour(cyan) == pytest.approx((162, 162, 162), abs=3)
    paper = encode(flat((0, 0, 0, 0), "CMYK"), kind, icc_profile=grey_ink_profile(), **options)
    assert only_colour(paper) == pytest.approx((255, 255, 255), abs=2)
