"""A marked part of a picture as the encoder's input."""

from PIL import Image

from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import Limits
from retrieval.core.types import Pixels, Region
from retrieval.images.colour import to_srgb
from retrieval.images.decode import RESAMPLING, Box, Drawn, as_pixels, crop_box, draw
from retrieval.images.exif import read_metadata
from retrieval.images.opening import decoder_failures, open_image


def decode_region(
    data: bytes, region: Region, spec: Preprocessing, limits: Limits | None = None, *, name: bytes = b""
) -> Pixels:
    """[S, S, 3] uint8 sRGB pixels of a part of a picture, where S is ``spec.input_size``.

    Encoders that see a square get all of what was marked: the part is widened on its shorter side with what lies
    around it, as far as the picture reaches.

    Args:
        data: the whole file.
        region: of the upright picture.
        spec, limits, name: as for ``decode``.

    Raises:
        ImageError: with the reason why there is no picture.
    """
    with decoder_failures(data):
        image, _ = open_image(data, limits or Limits(), name)
        drawn = draw(image, None)
        turn, _ = read_metadata(image)
        whole = drawn.image if turn is None else drawn.image.transpose(turn)
        left, top, right, bottom = seen_around(region, whole.size, spec)
        cut = whole.crop((round(left), round(top), round(right), round(bottom)))
        part = Drawn(cut, (float(cut.width), float(cut.height)))
        side = spec.input_size
        if spec.interpolation != "nearest":
            part = part.shrunk((spec.resize_to, spec.resize_to), evenly=spec.fit == "crop")
        small: Image.Image = part.scaled((side, side), RESAMPLING[spec.interpolation], crop_box(part.extent, spec))
        return as_pixels(to_srgb(small, image.info.get("icc_profile")).tobytes(), side)


def seen_around(region: Region, size: tuple[int, int], spec: Preprocessing) -> Box:
    """The part of a picture of this width and height, in pixels, that is cut out for a region; at least a pixel."""
    width, height = size
    left, right = region.left * width, region.right * width
    top, bottom = region.top * height, region.bottom * height
    if spec.fit == "crop":
        # The encoder's own crop then takes away no more than what was put around.
        side = max(right - left, bottom - top) * spec.resize_to / spec.input_size
        left, right = _widened(left, right, side, width)
        top, bottom = _widened(top, bottom, side, height)
    left, top = min(left, width - 1.0), min(top, height - 1.0)
    return (left, top, max(right, left + 1), max(bottom, top + 1))


def seen_share(size: tuple[int, int], spec: Preprocessing, region: Region | None = None) -> Box:
    """The part of an upright picture that becomes the encoder's input: left, top, right, bottom in [0, 1].

    Args:
        size: width and height in pixels.
        spec: how it was decoded.
        region: the part that was marked, if any.
    """
    width, height = size
    left, top, right, bottom = 0.0, 0.0, float(width), float(height)
    if region is not None:
        # In whole pixels, as it is cut out.
        left, top, right, bottom = (float(round(side)) for side in seen_around(region, size, spec))
    inner = crop_box((right - left, bottom - top), spec)
    return (
        (left + inner[0]) / width,
        (top + inner[1]) / height,
        (left + inner[2]) / width,
        (top + inner[3]) / height,
    )


def _widened(low: float, high: float, length: float, most: int) -> tuple[float, float]:
    """As long as wanted around the same middle, moved inside [0, most] and cut off where that is too short."""
    length = min(max(length, high - low), float(most))
    start = min(max((low + high - length) / 2, 0.0), most - length)
    return start, start + length
