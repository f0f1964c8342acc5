"""Damaged and malicious content: an ImageError or a picture, never anything else, and never for long."""

import io
import struct
import time
import zlib

import numpy as np
import pillow_heif
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from retrieval.core.errors import ImageError, Reason
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import Limits
from retrieval.images.decode import decode
from retrieval.images.views import full, thumbnail

from .conftest import draw_photo, encode

SPEC = Preprocessing(input_size=32)
KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
LIMITS = Limits(max_pixels=1_000_000)


def attempt(data):
    """The reason why there is no picture, or None if there is one."""
    try:
        known, pixels = decode(data, SPEC, LIMITS)
    except ImageError as error:
        return error.reason
    assert pixels.shape == (32, 32, 3)
    assert known.width >= 1
    assert known.height >= 1
    return None


@pytest.fixture(scope="module")
def samples():
    pillow_heif.register_heif_opener()
    image = draw_photo(48, 40)
    exif = Image.Exif()
    exif[0x0112], exif[0x0132] = 6, "2020:01:01 00:00:00"
    found = {
        kind: encode(image, kind, **({"exif": exif.tobytes()} if kind not in ("GIF", "BMP") else {})) for kind in KINDS
    }
    found["progressive"] = encode(image, "JPEG", progressive=True)
    found["lzw"] = encode(image, "TIFF", compression="tiff_lzw")
    found["cmyk"] = encode(image.convert("CMYK"), "JPEG")
    found["lossless"] = encode(image.convert("RGBA"), "WEBP", lossless=True)
    found["palette"] = encode(image.quantize(16), "PNG")
    return found


SAMPLES = [*KINDS, "progressive", "lzw", "cmyk", "lossless", "palette"]


@pytest.mark.parametrize("name", SAMPLES)
def test_cut_at_every_tenth_byte(name, samples):
    data = samples[name]
    assert attempt(data) is None
    reasons = [attempt(data[:length]) for length in range(0, len(data), 10)]
    assert reasons[0] == Reason.EMPTY
    assert set(reasons[1:]) <= {None, Reason.TRUNCATED, Reason.CORRUPT, Reason.NOT_AN_IMAGE, Reason.UNSUPPORTED}
    # A picture that lacks its second half is no picture, and the user is told what is missing.
    half = reasons[len(reasons) // 4 : len(reasons) // 2]
    assert set(half) <= {Reason.TRUNCATED, Reason.CORRUPT}
    assert half.count(Reason.TRUNCATED) >= len(half) // 2


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(SAMPLES), st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=12)
)
def test_changed_bytes(samples, name, changes):
    data = bytearray(samples[name])
    for where, value in changes:
        data[int(where * len(data))] = value
    attempt(bytes(data))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(SAMPLES), st.integers(0, 120), st.binary(max_size=300))
def test_changed_headers(samples, name, keep, tail):
    """A good beginning and any continuation."""
    attempt(samples[name][:keep] + tail)
    attempt(samples[name][:keep] + tail + samples[name][keep + len(tail) :])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(data):
    assert attempt(data) is not None


def test_noise_behind_every_magic(samples):
    noise = np.random.default_rng(0)
    for name, data in samples.items():
        for length in (3, 8, 12, 20, 64):
            attempt(data[:length] + noise.bytes(2000))
        assert attempt(data[:4] + b"\0" * 2000) is not None, name


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width, height, *chunks):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def monstrous():
    pixels = zlib.compress(b"\0" * 10_000)
    yield "png", png(60_000, 60_000, chunk(b"IDAT", pixels))
    yield "png-max", png(2**31 - 1, 2**31 - 1, chunk(b"IDAT", pixels))
    gif = bytearray(encode(Image.new("P", (8, 8)), "GIF"))
    gif[6:10] = struct.pack("<HH", 65535, 65535)
    yield "gif", bytes(gif)
    bmp = bytearray(encode(Image.new("RGB", (8, 8)), "BMP"))
    bmp[18:26] = struct.pack("<ii", 2**30, 2**30)
    yield "bmp", bytes(bmp)
    tiff = Image.new("L", (8, 8))
    data = bytearray(encode(tiff, "TIFF"))
    for tag in (256, 257):  # width and height
        at = data.index(
            struct.pack("<HH", tag, 4) if struct.pack("<HH", tag, 4) in data else struct.pack("<HH", tag, 3)
        )
        data[at : at + 12] = struct.pack("<HHII", tag, 4, 1, 2**28)
    yield "tiff", bytes(data)
    jpeg = bytearray(encode(Image.new("RGB", (8, 8)), "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 65500, 65500)
    yield "jpeg", bytes(jpeg)
    webp = (
        b"VP8X"
        + struct.pack("<I", 10)
        + b"\0\0\0\0"
        + b"\xfe\x3f\0" * 2
        + encode(Image.new("RGB", (8, 8)), "WEBP")[12:]
    )
    yield "webp", b"RIFF" + struct.pack("<I", len(webp) + 4) + b"WEBP" + webp


@pytest.mark.parametrize(("name", "data"), list(monstrous()), ids=lambda value: value if isinstance(value, str) else "")
def test_headers_that_claim_monstrous_sizes(name, data):
    start = time.monotonic()
    with pytest.raises(ImageError) as caught:
        decode(data, SPEC)
    assert time.monotonic() - start < 2
    # WebP's own container check comes first and notices the lie.
    assert caught.value.reason in ({Reason.TOO_MANY_PIXELS} if name != "webp" else set(Reason))


@pytest.mark.parametrize("name", [b"zTXt", b"iCCP", b"iTXt"])
def test_compressed_texts_that_explode(name):
    bomb = zlib.compress(b"\0" * 50_000_000, 1)
    body = {b"zTXt": b"k\0\0", b"iCCP": b"k\0\0", b"iTXt": b"k\0\1\0\0\0"}[name] + bomb
    rows = zlib.compress((b"\0" + b"\x50" * 24) * 8)
    start = time.monotonic()
    attempt(png(8, 8, chunk(name, body), chunk(b"IDAT", rows)))
    assert time.monotonic() - start < 2


def test_a_large_text_in_a_png_is_no_reason_to_refuse_it():
    """Image generators keep their whole workflow there; Pillow's default is to fail from one megabyte on."""
    rows = zlib.compress((b"\0" + b"\x50" * 24) * 8)
    text = chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b"{}" * 1_500_000))
    assert attempt(png(8, 8, text, chunk(b"IDAT", rows))) is None


def test_pixels_that_explode_within_the_cap():
    """A small file with as many pixels as allowed is a picture."""
    data = encode(Image.new("L", (1000, 1000)), "PNG")
    assert len(data) < 5000
    assert attempt(data) is None


@pytest.mark.parametrize("name", SAMPLES)
def test_views_fail_the_same_way(name, samples):
    for make in (lambda data: thumbnail(data, 64), lambda data: full(data, 64)):
        assert Image.open(io.BytesIO(make(samples[name]))).size
        for data in (samples[name][: len(samples[name]) // 3], b"", b"words"):
            with pytest.raises(ImageError):
                make(data)
