"""When a picture was taken, and metadata that is garbage."""

from datetime import datetime

import numpy as np
import pytest
from PIL import Image

from retrieval.images.decode import decode

from .conftest import encode
from .support import SPEC, facts, flat


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
