"""Formats are told by content."""

import struct

import pillow_heif
import pytest

from retrieval.images.formats import (
    HEAD_BYTES,
    READ_FORMATS,
    is_raw_name,
    looks_like_image_name,
    refused_kind,
    sniff,
)

from .conftest import draw_photo, encode


@pytest.mark.parametrize("kind", READ_FORMATS)
def test_what_pillow_writes_is_recognised(kind):
    if kind == "HEIF":
        pillow_heif.register_heif_opener()
    data = encode(draw_photo(64, 48), kind)
    assert sniff(data[:HEAD_BYTES]) == kind


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"MM\0*\0\0\0\x08", "TIFF"),
        (b"II+\0\x08\0\0\0", "TIFF"),
        (b"MM\0+\0\x08\0\0", "TIFF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiafMA1B", "AVIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x18ftypheix\0\0\0\0mif1heix", "HEIF"),
        (b"\0\0\0\x18ftypavis\0\0\0\0msf1avis", "AVIF"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomavc1", None),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", None),
        (b"BM is how this text begins, and no more than that", None),
        (b"RIFF\x24\0\0\0WAVEfmt ", None),
        (b"II*\0\x10\0\0\0CR\x02\0", None),
        (b"II", None),
        (b"", None),
        (b"%PDF-1.7", None),
        (b"GIF88a", None),
    ],
)
def test_heads(head, kind):
    assert sniff(head) == kind


def test_brands_behind_the_first_box_do_not_count():
    head = struct.pack(">I", 16) + b"ftypmif1\0\0\0\0" + b"avif"
    assert sniff(head) == "HEIF"


@pytest.mark.parametrize(
    ("head", "name", "kind"),
    [
        (b"II*\0\x08\0\0\0", b"IMG_1.NEF", "camera raw"),
        (b"II*\0\x08\0\0\0", b"IMG_1.tif", None),
        (b"II*\0\x10\0\0\0CR\x02\0", b"renamed.tif", "camera raw"),
        (b"FUJIFILMCCD-RAW 0201", b"", "camera raw"),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01", b"", "camera raw"),
        (b"\xff\x0a\xfa\x7f", b"", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", b"", "JPEG 2000"),
        (b"8BPS\0\x01", b"", "Photoshop"),
        (b"\xff\xd8\xff\xe0", b"a.jpg", None),
        (b"words", b"words.txt", None),
    ],
)
def test_kinds_that_are_refused_by_name(head, name, kind):
    assert refused_kind(head, name) == kind


@pytest.mark.parametrize("name", [b"a.jpg", b"A.JPEG", b"b.HeIc", b"x.y.webp", b"raw.DNG", b"\xff\n.png", b"c.jxl"])
def test_image_names(name):
    assert looks_like_image_name(name)


@pytest.mark.parametrize("name", [b"jpg", b"a.jpg.txt", b"a.", b"", b"a.xmp", b"movie.mp4", b"a jpg"])
def test_other_names(name):
    assert not looks_like_image_name(name)


def test_raw_names_are_image_names():
    assert is_raw_name(b"x.ARW")
    assert not is_raw_name(b"x.tiff")
    assert looks_like_image_name(b"x.ARW")
