"""What cannot be decoded is said in words: caps, memory, no pictures, missing decoders."""

import struct

import pillow_heif
import pytest
from PIL import Image

from retrieval.core.errors import Reason
from retrieval.core.settings import Limits
from retrieval.images import opening
from retrieval.images.decode import decode

from .conftest import encode
from .support import SPEC, facts, failure, flat


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
