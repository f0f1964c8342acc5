"""Decoding against plain Pillow, and against values computed by hand."""

import hashlib
import io
import struct
from datetime import datetime
from itertools import pairwise, product

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, ImageOps

from retrieval.core.errors import ImageError, Reason
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import Limits
from retrieval.images import opening
from retrieval.images.decode import crop_box, decode

from .conftest import draw_photo, encode

SPEC = Preprocessing(input_size=64)
STRETCH = Preprocessing(input_size=64, fit="stretch")


def pixels(data, spec=SPEC):
    return decode(data, spec)[1]


def facts(data, **options):
    return decode(data, SPEC, **options)[0]


def reference(data, spec):
    """The textbook way: decode everything, turn, convert, resize, cut."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    size, side = spec.resize_to, spec.input_size
    filters = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR,
               "lanczos": Image.Resampling.LANCZOS, "nearest": Image.Resampling.NEAREST}  # fmt: skip
    if spec.fit == "stretch":
        return np.asarray(image.resize((side, side), filters[spec.interpolation]))
    short = min(image.size)
    scaled = image.resize(tuple(round(length * size / short) for length in image.size), filters[spec.interpolation])
    left, top = (scaled.width - side) // 2, (scaled.height - side) // 2
    return np.asarray(scaled.crop((left, top, left + side, top + side)))


def difference(a, b):
    """Mean absolute difference in levels."""
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


def flat(colour, mode="RGB", size=(40, 30)):
    return Image.new(mode, size, colour)


def only_colour(data):
    """The one colour of a picture of one colour."""
    values = pixels(data).reshape(-1, 3)
    assert np.ptp(values, axis=0).max() <= 2  # JPEG may waver a little
    return tuple(np.median(values, axis=0).astype(int).tolist())


# ------------------------------------------------------------------------------------------------- fidelity


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


# --------------------------------------------------------------------------------------------- orientation

TURNS = {  # what was done to the picture that the tag undoes
    1: [],
    2: [Image.Transpose.FLIP_LEFT_RIGHT],
    3: [Image.Transpose.ROTATE_180],
    4: [Image.Transpose.FLIP_TOP_BOTTOM],
    5: [Image.Transpose.TRANSPOSE],
    6: [Image.Transpose.ROTATE_90],
    7: [Image.Transpose.TRANSVERSE],
    8: [Image.Transpose.ROTATE_270],
}


def oriented(image, orientation):
    turned = image
    for turn in TURNS[orientation]:
        turned = turned.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return turned, exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "AVIF", "JPEG"])
@pytest.mark.parametrize("size", [(300, 201), (130, 333)], ids=str)
def test_all_orientations_give_the_upright_picture(orientation, kind, size):
    upright = draw_photo(*size)
    turned, exif = oriented(upright, orientation)
    exact = {
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 100, "subsampling": "4:4:4", "speed": 10},
        "JPEG": {"quality": 100, "subsampling": 0},
    }.get(kind, {})
    for spec in (SPEC, STRETCH):
        plain, expected = decode(encode(upright, "PNG"), spec)
        known, found = decode(encode(turned, kind, exif=exif.tobytes(), **exact), spec)
        assert (known.width, known.height) == size
        assert difference(found, expected) < (1.5 if kind in ("AVIF", "JPEG") else 0.2)
        assert bin((known.phash ^ plain.phash) & (2**64 - 1)).count("1") <= 4


def test_orientation_in_xmp_alone_counts():
    upright = draw_photo(90, 60)
    turned, _ = oriented(upright, 6)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    known, found = decode(encode(turned, "JPEG", xmp=xmp, quality=98, subsampling=0), SPEC)
    assert (known.width, known.height) == (90, 60)
    assert difference(found, pixels(encode(upright, "PNG"))) < 3


def test_heic_orientation_is_applied_once():
    pillow_heif.register_heif_opener()
    upright = draw_photo(96, 64)
    turned, exif = oriented(upright, 6)
    known, found = decode(encode(turned, "HEIF", exif=exif.tobytes(), quality=95, chroma=444), SPEC)
    assert known.format == "HEIF"
    assert (known.width, known.height) == (96, 64)
    assert difference(found, pixels(encode(upright, "PNG"))) < 4


# ------------------------------------------------------------------------------------------- formats, modes


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"])
def test_every_format(kind, photo):
    if kind == "HEIF":
        pillow_heif.register_heif_opener()
    data = encode(photo, kind)
    known, found = decode(data, SPEC)
    assert known.format == kind
    assert (known.width, known.height, known.bytes) == (300, 200, len(data))
    assert known.digest == hashlib.sha256(data).digest()
    assert difference(found, pixels(encode(photo, "PNG"))) < 8


@pytest.mark.parametrize(
    ("compression", "big"),
    [("raw", False), ("raw", True), ("tiff_lzw", False), ("tiff_deflate", False), ("packbits", False), ("jpeg", False)],
)
def test_tiff_in_all_its_forms(photo, compression, big):
    data = encode(photo, "TIFF", compression=compression, big_tiff=big)
    assert data[2:4] == (b"+\0" if big else b"*\0")
    assert difference(pixels(data), pixels(encode(photo, "PNG"))) < (5 if compression == "jpeg" else 0.01)


COLOURS = [
    ("L", 77, "PNG", {}, (77, 77, 77)),
    ("L", 77, "JPEG", {"quality": 100}, (77, 77, 77)),
    ("LA", (100, 128), "PNG", {}, (177, 177, 177)),
    ("LA", (100, 0), "TIFF", {}, (255, 255, 255)),
    ("1", 1, "PNG", {}, (255, 255, 255)),
    ("1", 0, "TIFF", {"compression": "group4"}, (0, 0, 0)),
    ("RGBA", (255, 0, 0, 128), "PNG", {}, (255, 127, 127)),
    ("RGBA", (255, 0, 0, 0), "WEBP", {"lossless": True}, (255, 255, 255)),
    ("RGBA", (10, 20, 30, 255), "TIFF", {}, (10, 20, 30)),
    ("I;16", 257 * 99, "PNG", {}, (99, 99, 99)),
    ("I;16", 257 * 99, "TIFF", {}, (99, 99, 99)),
    ("I;16B", 257 * 99, "TIFF", {}, (99, 99, 99)),
    ("I", 257 * 99, "TIFF", {}, (99, 99, 99)),
    ("I", 2**30, "TIFF", {}, (128, 128, 128)),
    ("F", 0.5, "TIFF", {}, (128, 128, 128)),
    ("F", 99.0, "TIFF", {}, (99, 99, 99)),
    ("F", 257.0 * 99, "TIFF", {}, (99, 99, 99)),
    ("CMYK", (255, 0, 0, 0), "JPEG", {"quality": 100}, (0, 255, 255)),
    ("CMYK", (0, 0, 0, 255), "JPEG", {"quality": 100}, (0, 0, 0)),
    ("CMYK", (0, 128, 255, 0), "TIFF", {}, (255, 127, 0)),
    ("RGB", (1, 2, 3), "BMP", {}, (1, 2, 3)),
    ("RGB", (200, 100, 50), "JPEG", {"quality": 100}, (200, 100, 50)),
    ("LAB", (128, 128, 128), "TIFF", {}, (120, 120, 120)),
]


@pytest.mark.parametrize(("mode", "colour", "kind", "options", "expected"), COLOURS)
def test_every_mode_has_its_colour(mode, colour, kind, options, expected):
    data = encode(flat(colour, mode), kind, **options)
    opened = Image.open(io.BytesIO(data))
    assert opened.mode == mode or (mode, opened.mode) in {("I;16B", "I;16B"), ("I", "I;16"), ("I;16B", "I;16")}
    assert only_colour(data) == pytest.approx(expected, abs=2)


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_deep_greys_are_scaled_not_clipped(mode):
    ramp = np.tile(np.linspace(0, 65535, 512), (64, 1))
    image = Image.fromarray(ramp.astype(np.uint16 if mode == "I;16" else np.int32 if mode == "I" else np.float32))
    assert image.mode == mode
    row = pixels(encode(image, "TIFF"), STRETCH)[32, :, 0].astype(float)
    expected = (np.arange(64) + 0.5) / 64 * 255
    assert np.abs(row - expected).max() < 3


def test_floats_that_are_not_numbers_do_not_matter():
    values = np.full((30, 40), 0.5, np.float32)
    values[0, 0], values[1, 1], values[2, 2] = np.nan, np.inf, -np.inf
    assert abs(int(pixels(encode(Image.fromarray(values), "TIFF"))[40, 40, 0]) - 128) <= 2
    nothing = np.full((30, 40), np.nan, np.float32)
    assert only_colour(encode(Image.fromarray(nothing), "TIFF")) == (0, 0, 0)


def test_tall_deep_greys_are_converted_in_strips(monkeypatch):
    monkeypatch.setattr("retrieval.images.colour._STRIP", 1000)
    ramp = np.tile(np.linspace(0, 65535, 300), (64, 1)).T.astype(np.uint16)
    column = pixels(encode(Image.fromarray(ramp), "PNG"), STRETCH)[:, 32, 0].astype(float)
    assert np.abs(column - (np.arange(64) + 0.5) / 64 * 255).max() < 3


def test_16_bit_colour():
    """Pillow writes no 16-bit colour, so here is a PNG by hand."""
    import zlib

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows = (b"\0" + struct.pack(">HHH", 0x1000, 0x8000, 0xF0F0) * 8) * 8
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0))
    data += chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert only_colour(data) == pytest.approx((0x10, 0x80, 0xF0), abs=1)


def test_palettes_and_their_transparency(photo):
    palette = photo.quantize(32)
    assert difference(pixels(encode(palette, "PNG")), pixels(encode(palette.convert("RGB"), "PNG"))) == 0

    blue = flat(1, "P")
    blue.putpalette([9, 9, 9, 0, 0, 255])
    assert only_colour(encode(blue, "PNG")) == (0, 0, 255)
    assert only_colour(encode(blue, "GIF")) == (0, 0, 255)
    assert only_colour(encode(blue, "PNG", transparency=1)) == (255, 255, 255)
    assert only_colour(encode(blue, "PNG", transparency=0)) == (0, 0, 255)
    assert only_colour(encode(blue, "PNG", transparency=b"\xff\x80")) == pytest.approx((127, 127, 255), abs=1)
    assert only_colour(encode(blue, "GIF", transparency=1)) == (255, 255, 255)


def test_a_transparent_colour_without_a_palette():
    assert only_colour(encode(flat((1, 2, 3)), "PNG", transparency=(1, 2, 3))) == (255, 255, 255)
    assert only_colour(encode(flat((1, 2, 3)), "PNG", transparency=(1, 2, 4))) == (1, 2, 3)
    assert only_colour(encode(flat(7, "L"), "PNG", transparency=7)) == (255, 255, 255)
    assert only_colour(encode(flat(0, "1"), "PNG", transparency=0)) == (255, 255, 255)


def test_hidden_colours_do_not_bleed_through_transparency():
    """What is fully transparent has a colour too, which must not reach its neighbours on scaling."""
    image = flat((0, 255, 0, 0), "RGBA", (512, 512))
    image.paste((255, 255, 255, 255), (0, 0, 255, 512))
    assert (pixels(encode(image, "PNG"), STRETCH) == 255).all()


def test_cmyk_jpegs_mean_what_their_marker_says():
    colour = (200, 30, 0, 20)
    adobe = encode(flat(colour, "CMYK"), "JPEG", quality=100)
    at = adobe.index(b"\xff\xee")
    assert adobe[at + 4 : at + 9] == b"Adobe"
    # Without the marker the numbers are ink as they stand, not turned over.
    plain = adobe[:at] + adobe[at + 2 + int.from_bytes(adobe[at + 2 : at + 4], "big") :]
    ink = np.array(colour[:3]) / 255
    expected = (1 - ink) * (1 - colour[3] / 255) * 255
    assert only_colour(adobe) == pytest.approx(expected, abs=3)
    over = 1 - ink
    assert only_colour(plain) == pytest.approx((1 - over) * (colour[3] / 255) * 255, abs=3)


def test_animations_and_pages_show_the_first():
    first, second = flat((255, 0, 0)), flat((0, 0, 255))
    for kind, options in (
        ("GIF", {}),
        ("WEBP", {"lossless": True}),
        ("AVIF", {"speed": 10}),
        ("TIFF", {}),
        ("PNG", {}),
    ):
        data = encode(first, kind, save_all=True, append_images=[second], **options)
        assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) == 2, kind
        assert only_colour(data) == pytest.approx((255, 0, 0), abs=3), kind


def test_an_mpo_is_a_jpeg():
    """Phones write their JPEGs with a second picture behind the first."""
    data = encode(flat((255, 0, 0), size=(640, 480)), "MPO", save_all=True, append_images=[flat((0, 0, 255))])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert facts(data).format == "JPEG"
    assert only_colour(data) == pytest.approx((254, 0, 0), abs=2)


# ------------------------------------------------------------------------------------------- colour profiles


def wide_gamut_profile(gamma=2.2, primaries=((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))):
    """An ICC profile written by hand: Adobe RGB's primaries by default, D65 adapted to D50 by Bradford."""
    xyz = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in primaries]).T
    white = np.array([0.3127 / 0.3290, 1.0, (1 - 0.3127 - 0.3290) / 0.3290])
    xyz = xyz * np.linalg.solve(xyz, white)
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    d50 = np.array([0.9642, 1.0, 0.8249])
    adapt = np.linalg.inv(bradford) @ np.diag((bradford @ d50) / (bradford @ white)) @ bradford
    adapted = adapt @ xyz

    def s15(value):
        return struct.pack(">i", round(value * 65536))

    def xyz_tag(values):
        return b"XYZ \0\0\0\0" + b"".join(s15(value) for value in values)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"wide\0" + b"\0" * (4 + 4 + 2 + 1 + 67)
    tags = [(b"desc", text + b"\0" * (-len(text) % 4)), (b"cprt", b"text\0\0\0\0none\0\0\0\0"), (b"wtpt", xyz_tag(d50))]
    tags += [(name, xyz_tag(adapted[:, i])) for i, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))]
    tags += [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    at = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags:
        table += name + struct.pack(">II", at + len(body), len(content))
        body += content
    header = struct.pack(
        ">I4sI4s4s4s12s4s", at + len(body), b"test", 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"\0" * 12, b"acsp"
    )
    header += b"\0" * 28 + s15(d50[0]) + s15(d50[1]) + s15(d50[2])
    profile = header.ljust(128, b"\0") + table + body
    return profile, np.linalg.inv(adapt) @ adapted


def expected_srgb(colour, to_xyz_d65, gamma=2.2):
    to_srgb_linear = np.linalg.inv(
        np.array(
            [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
        )
    )
    linear = np.clip(to_srgb_linear @ to_xyz_d65 @ (np.array(colour) / 255) ** gamma, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255


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


# ------------------------------------------------------------------------------------------------ metadata


def dated(kind="JPEG", **tags):
    exif = Image.Exif()
    for tag, value in tags.items():
        if tag == "original":
            exif.get_ifd(0x8769)[0x9003] = value
        else:
            exif[0x0132] = value
    return facts(encode(flat((1, 2, 3)), kind, exif=exif.tobytes())).captured


def test_when_it_was_taken():
    assert dated(original="2019:07:30 12:34:56", changed="2021:01:01 00:00:00") == datetime(2019, 7, 30, 12, 34, 56)
    assert dated(changed="2021:01:01 00:00:00") == datetime(2021, 1, 1)
    assert dated("PNG", original="2019-07-30 12:34:56") == datetime(2019, 7, 30, 12, 34, 56)
    assert dated("TIFF", changed="2021:01:01 00:00:00") == datetime(2021, 1, 1)
    assert dated("WEBP", original="2019:07:30 12:34:56\0\0") == datetime(2019, 7, 30, 12, 34, 56)
    assert dated() is None
    assert facts(encode(flat((1, 2, 3)), "JPEG")).captured is None


@pytest.mark.parametrize(
    "text", ["", "    :  :     :  :  ", "0000:00:00 00:00:00", "2019:13:41 99:00:00", "yesterday", "\xe9"]
)
def test_dates_that_are_none(text):
    assert dated(original=text) is None


def test_a_bad_original_date_leaves_the_other():
    assert dated(original="0000:00:00 00:00:00", changed="2021:01:01 00:00:00") == datetime(2021, 1, 1)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_garbage_exif_fails_no_image(kind):
    noise = np.random.default_rng(0)
    whole = Image.Exif()
    whole[0x0112], whole[0x0132] = 6, "2021:01:01 00:00:00"
    whole.get_ifd(0x8769)[0x9003] = "2019:07:30 12:34:56"
    good = whole.tobytes()
    for round_ in range(40):
        bad = bytearray(good)
        for _ in range(1 + round_ % 8):
            bad[noise.integers(6, len(bad))] = noise.integers(256)
        for exif in (bytes(bad), bytes(bad)[: noise.integers(6, len(bad))], b"Exif\0\0" + noise.bytes(64)):
            known, _ = decode(encode(flat((1, 2, 3)), kind, exif=exif), SPEC)
            assert {known.width, known.height} == {40, 30}


# ---------------------------------------------------------------------------------------- perceptual hash


def distance(a, b):
    return bin((a ^ b) & (2**64 - 1)).count("1")


def triangle(length, cells):
    """[cells, length] weights of a triangle filter that spans one cell to either side, as averages."""
    cell = length / cells
    centres = (np.arange(cells) + 0.5) * cell
    weights = np.clip(1 - np.abs(np.arange(length) + 0.5 - centres[:, None]) / cell, 0, None)
    return weights / weights.sum(axis=1, keepdims=True)


def test_phash_against_its_definition(photo):
    grey = np.asarray(photo, dtype=float) @ (0.299, 0.587, 0.114)
    cells = triangle(200, 8) @ grey @ triangle(300, 9).T
    bits = "".join(str(int(left > right)) for row in cells for left, right in pairwise(row))
    known = facts(encode(photo, "PNG")).phash
    assert -(2**63) <= known < 2**63
    assert distance(known, int(bits, 2)) <= 3  # pairs of cells that are nearly equal


def test_phash_finds_saved_again_and_scaled_copies_and_nothing_else(photo):
    own = facts(encode(photo, "PNG")).phash
    copies = [
        encode(photo, "JPEG", quality=40),
        encode(photo, "WEBP", quality=50),
        encode(photo.resize((1200, 800)), "JPEG"),
        encode(photo.resize((120, 80)), "PNG"),
        encode(photo.convert("L"), "PNG"),
        encode(photo.convert("RGBA"), "PNG"),
    ]
    assert max(distance(own, facts(copy).phash) for copy in copies) <= 4
    others = [facts(encode(draw_photo(300, 200, seed), "PNG")).phash for seed in range(1, 6)]
    assert min(distance(own, other) for other in others) >= 10


def test_phash_is_of_the_whole_picture_whatever_the_crop(photo):
    data = encode(photo, "PNG")
    assert len({decode(data, spec)[0].phash for spec in (SPEC, STRETCH, Preprocessing(crop=0.3))}) == 1


# --------------------------------------------------------------------------------------------------- limits


def failure(data, **options):
    with pytest.raises(ImageError) as caught:
        decode(data, SPEC, **options)
    assert caught.value.message
    assert caught.value.hint
    return caught.value


def test_the_pixel_cap_is_exact_and_says_both_numbers():
    data = encode(flat((1, 2, 3), size=(1500, 1000)), "PNG")
    decode(data, SPEC, Limits(max_pixels=1_500_000))
    error = failure(data, limits=Limits(max_pixels=1_499_999))
    assert error.reason == Reason.TOO_MANY_PIXELS
    error = failure(data, limits=Limits(max_pixels=1_000_000))
    assert "1.5 megapixels" in error.message
    assert "limit is 1." in error.message
    assert "RETRIEVAL_MAX_MEGAPIXELS" in error.hint


def test_very_many_pixels_are_counted_in_plain_digits():
    header = b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 100_000, 100_000, 1, 24, 0, 0, 0, 0, 0, 0)
    message = failure(header + bytes(100), limits=Limits(max_pixels=2_000_000_000)).message
    assert "10,000 megapixels, the limit is 2,000" in message


def test_the_cap_comes_before_the_decoder(monkeypatch):
    data = encode(flat((1, 2, 3), size=(300, 300)), "PNG")
    monkeypatch.setattr("retrieval.images.decode.draw", lambda *_: pytest.fail("decoded"))
    assert failure(data, limits=Limits(max_pixels=300)).reason == Reason.TOO_MANY_PIXELS


def test_more_pixels_than_pillows_own_limit_may_be_allowed():
    data = encode(Image.new("1", (20_000, 9_500)), "PNG")  # 190 megapixels, Pillow refuses from 179
    assert facts(data, limits=Limits(max_pixels=200_000_000)).width == 20_000


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY),
        (b"words", Reason.NOT_AN_IMAGE),
        (b"\0" * 5000, Reason.NOT_AN_IMAGE),
        (b"BM", Reason.NOT_AN_IMAGE),
        (b"\xff\x0a" + b"\0" * 50, Reason.UNSUPPORTED),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01" + b"\0" * 50, Reason.UNSUPPORTED),
        (b"\xff\xd8\xff", Reason.TRUNCATED),
        (b"\x89PNG\r\n\x1a\n", Reason.TRUNCATED),
        (b"GIF89a", Reason.TRUNCATED),
        (b"RIFF\xff\0\0\0WEBPVP8 ", Reason.TRUNCATED),
        (b"P6 3 3 255 " + b"\0" * 27, Reason.NOT_AN_IMAGE),  # Pillow knows it, we do not
        (b"%!PS-Adobe-3.0 EPSF-3.0", Reason.NOT_AN_IMAGE),  # Pillow would start Ghostscript
    ],
)
def test_what_is_no_picture(data, reason):
    assert failure(data).reason == reason


def test_camera_raw_is_told_by_name_and_by_tag(photo):
    tiff = encode(photo, "TIFF")
    error = failure(tiff, name=b"IMG_0001.NEF")
    assert error.reason == Reason.UNSUPPORTED
    assert "JPEG" in error.hint
    tags = Image.Exif()
    tags[0xC612] = b"\1\4\0\0"
    assert failure(encode(photo, "TIFF", exif=tags), name=b"renamed.tif").reason == Reason.UNSUPPORTED
    assert facts(tiff, name=b"scan.tif").format == "TIFF"


def test_the_ending_does_not_matter(photo):
    assert facts(encode(photo, "PNG"), name=b"wrong.jpg").format == "PNG"
    assert failure(b"words", name=b"words.jpg").reason == Reason.NOT_AN_IMAGE


def test_heic_without_its_package(monkeypatch):
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    monkeypatch.setattr(opening.importlib.util, "find_spec", lambda name: None)
    error = failure(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100)
    assert error.reason == Reason.UNSUPPORTED
    assert "pip install 'retrieval[heif]'" in error.hint


def test_avif_without_support_in_pillow(monkeypatch, photo):
    data = encode(photo, "AVIF", speed=10)
    monkeypatch.setattr(opening.features, "check", lambda name: False)
    assert failure(data).reason == Reason.UNSUPPORTED


def test_no_memory_left(monkeypatch, photo):
    def load(*_):
        raise MemoryError

    monkeypatch.setattr("retrieval.images.decode.draw", load)
    error = failure(encode(photo, "PNG"))
    assert error.reason == Reason.TOO_MANY_PIXELS
    assert "memory" in error.message


def test_the_decoders_words_are_shown_safely(monkeypatch, photo):
    def load(*_):
        raise OSError("bad\n\x1b[31mline" + "x" * 5000)

    monkeypatch.setattr("retrieval.images.decode.draw", load)
    error = failure(encode(photo, "PNG"))
    assert error.reason == Reason.CORRUPT
    assert "\n" not in str(error)
    assert "\x1b" not in str(error)
    assert len(str(error)) < 500


def test_an_unknown_mode_is_unsupported(monkeypatch, photo):
    monkeypatch.setattr("retrieval.images.colour._DIRECT", frozenset())
    assert failure(encode(photo, "PNG")).reason == Reason.UNSUPPORTED


def test_decoders_use_one_thread_where_told(monkeypatch, photo):
    """A worker is one of several: a decoder that takes all cores would only slow the others down."""
    pillow_heif.register_heif_opener()
    from PIL import AvifImagePlugin

    heic, avif = encode(photo, "HEIF"), encode(photo, "AVIF", speed=10)
    monkeypatch.setattr(opening, "_one_thread", False)
    monkeypatch.setattr(pillow_heif.options, "DECODE_THREADS", 4)
    monkeypatch.setattr(AvifImagePlugin, "DEFAULT_MAX_THREADS", 0)
    monkeypatch.delitem(Image.OPEN, "HEIF")
    opening.use_one_thread()
    assert facts(heic).format == "HEIF"
    assert facts(avif).format == "AVIF"
    assert pillow_heif.options.DECODE_THREADS == 1
    assert AvifImagePlugin.DEFAULT_MAX_THREADS == 1


def test_only_the_announced_decoder_is_asked(monkeypatch):
    """A plugin that takes anything must not see a damaged PNG."""
    asked = []

    def greedy(file, name):
        asked.append(name)
        raise SyntaxError

    monkeypatch.setattr(Image, "ID", ["GREEDY", *Image.ID])
    monkeypatch.setitem(Image.OPEN, "GREEDY", (greedy, None))
    failure(b"\x89PNG\r\n\x1a\n" + b"\0" * 100)
    failure(b"words")
    assert asked == []
