"""Every format, mode, palette and transparency comes out in its colours."""

import hashlib
import io
import struct

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from retrieval.images.decode import decode

from .conftest import encode
from .support import SPEC, STRETCH, difference, facts, flat, only_colour, pixels


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
