"""Parts of pictures, against Pillow's own crops."""

import io

import numpy as np
import pytest
from PIL import Image

from retrieval.core.errors import BadValue, ImageError
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import Limits
from retrieval.core.types import Region
from retrieval.images.decode import decode
from retrieval.images.jobs import DecodeBytes, ReadFile
from retrieval.images.pool import DecodePool
from retrieval.images.region import decode_region, seen_around, seen_share

SPEC = Preprocessing(input_size=32)


def quarters(orientation: int = 1) -> bytes:
    """Red, green / blue, white; 160 x 160."""
    pixels = np.zeros((160, 160, 3), np.uint8)
    pixels[:80, :80], pixels[:80, 80:], pixels[80:, :80], pixels[80:, 80:] = (
        (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255),
    )  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", exif=exif)
    return out.getvalue()


@pytest.mark.parametrize(
    ("region", "colour"),
    [
        (Region(0, 0, 0.5, 0.5), (255, 0, 0)),
        (Region(0.5, 0, 1, 0.5), (0, 255, 0)),
        (Region(0.1, 0.6, 0.3, 0.8), (0, 0, 255)),
    ],
)
def test_only_the_part_is_seen(region: Region, colour: tuple[int, int, int]) -> None:
    assert (decode_region(quarters(), region, SPEC) == colour).all()


def test_a_part_is_of_the_upright_picture() -> None:
    # Orientation 6: the stored picture is turned clockwise to be upright; its lower left corner comes up.
    assert (decode_region(quarters(6), Region(0, 0, 0.5, 0.5), SPEC) == (0, 0, 255)).all()


@pytest.mark.parametrize(
    "spec", [SPEC, Preprocessing(input_size=32, fit="stretch"), Preprocessing(input_size=32, crop=0.8)]
)
def test_the_whole_picture_as_a_part_is_what_is_seen_without_one(spec: Preprocessing) -> None:
    whole = decode(quarters(), spec)[1].astype(int)
    part = decode_region(quarters(), Region(0, 0, 1, 1), spec).astype(int)
    assert np.abs(whole - part).max() <= 1


def test_a_narrow_part_is_widened_with_what_lies_around_it() -> None:
    assert seen_around(Region(0.4, 0.45, 0.6, 0.55), (100, 100), SPEC) == pytest.approx((40, 40, 60, 60))
    # At the edge it moves inside, and is cut off where the picture is too small.
    assert seen_around(Region(0, 0.4, 0.1, 0.8), (100, 100), SPEC) == pytest.approx((0, 40, 40, 80))
    assert seen_around(Region(0, 0, 1, 0.5), (200, 50), SPEC) == pytest.approx((0, 0, 200, 50))
    stretch = Preprocessing(input_size=32, fit="stretch")
    assert seen_around(Region(0.4, 0.45, 0.6, 0.55), (100, 100), stretch) == pytest.approx((40, 45, 60, 55))


@pytest.mark.parametrize(
    "values",
    [(0, 0, 0, 1), (0.5, 0, 0.2, 1), (-0.1, 0, 1, 1), (0, 0, 1.1, 1), (0, 0, float("nan"), 1), (0, 0, 1, 0.005)],
)
def test_a_part_that_is_none_is_refused(values: tuple[float, ...]) -> None:
    with pytest.raises(BadValue):
        Region(*values)


def test_a_damaged_picture_is_said() -> None:
    with pytest.raises(ImageError):
        decode_region(b"no picture", Region(0, 0, 1, 1), SPEC)


def test_workers_cut_too(tmp_path) -> None:
    (tmp_path / "a.png").write_bytes(quarters())
    region = Region(0.5, 0, 1, 0.5)
    with DecodePool(1, Limits()) as pool:
        uploaded = pool.run(DecodeBytes(quarters(), SPEC, region=region))
        read = pool.run(ReadFile(bytes(tmp_path / "a.png"), SPEC, region=region))
    assert (uploaded.pixels == (0, 255, 0)).all()
    assert (read.pixels == uploaded.pixels).all()
    assert read.facts == uploaded.facts
    assert (read.facts.width, read.facts.height) == (160, 160)


def coordinates(size: tuple[int, int], orientation: int = 1) -> bytes:
    """Red tells how far to the right a pixel of the upright picture is, green how far down; blue nothing."""
    x, y = np.meshgrid((np.arange(size[0]) + 0.5) / size[0], (np.arange(size[1]) + 0.5) / size[1])
    upright = Image.fromarray((np.stack([x, y, 0 * x], -1) * 255).round().astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    (upright.transpose(Image.Transpose.ROTATE_90) if orientation == 6 else upright).save(out, "PNG", exif=exif)
    return out.getvalue()


@pytest.mark.parametrize("region", [None, Region(0.55, 0.1, 0.95, 0.3), Region(0, 0, 0.2, 1)])
@pytest.mark.parametrize("size", [(400, 250), (250, 400)])
@pytest.mark.parametrize(("fit", "crop"), [("crop", 1.0), ("crop", 0.8), ("stretch", 1.0)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_share_that_is_seen_is_where_the_pixels_came_from(
    region: Region | None, size: tuple[int, int], fit: str, crop: float, orientation: int
) -> None:
    spec = Preprocessing(input_size=64, fit=fit, crop=crop, interpolation="bilinear")
    data = coordinates(size, orientation)
    pixels = decode(data, spec)[1] if region is None else decode_region(data, region, spec)
    left, top, right, bottom = seen_share(size, spec, region)
    half = 0.5 / 64
    low = (left + half * (right - left), top + half * (bottom - top))
    high = (right - half * (right - left), bottom - half * (bottom - top))
    # A filter that reaches over the edge moves the outermost values a little.
    assert pixels[0, 0, :2] / 255 == pytest.approx(np.array(low), abs=0.012)
    assert pixels[-1, -1, :2] / 255 == pytest.approx(np.array(high), abs=0.012)
