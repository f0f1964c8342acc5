"""Pictures stand upright, whatever tag says how they lie."""

import pillow_heif
import pytest

from retrieval.images.decode import decode

from .conftest import draw_photo, encode
from .support import SPEC, STRETCH, difference, oriented, pixels


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
