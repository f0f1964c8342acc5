"""What the tests of decoding and of the pool share."""

import io
import struct
import time

import numpy as np
import psutil
import pytest
from PIL import Image, ImageOps

from retrieval.core.errors import ImageError
from retrieval.core.preprocessing import Preprocessing
from retrieval.images.decode import decode

SPEC = Preprocessing(input_size=64)
STRETCH = Preprocessing(input_size=64, fit="stretch")

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


def failure(data, **options):
    with pytest.raises(ImageError) as caught:
        decode(data, SPEC, **options)
    assert caught.value.message
    assert caught.value.hint
    return caught.value


def oriented(image, orientation):
    turned = image
    for turn in TURNS[orientation]:
        turned = turned.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return turned, exif


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


def eventually(condition, seconds=5.0):
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def is_running(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE  # an orphan is reaped when the system's first process likes
    except psutil.NoSuchProcess:
        return False
