"""Pictures for a browser: a thumbnail for the page, a full view of what browsers cannot show themselves."""

from io import BytesIO

from PIL import Image
from PIL.Image import Resampling

from retrieval.core.settings import Limits
from retrieval.images.colour import to_srgb
from retrieval.images.decode import Size, draw
from retrieval.images.exif import read_metadata
from retrieval.images.opening import decoder_failures, open_image

THUMBNAIL_MIME = "image/webp"
FULL_MIME = "image/jpeg"


def thumbnail(data: bytes, side: int, limits: Limits | None = None, *, name: bytes = b"", quality: int = 80) -> bytes:
    """The whole picture as WebP within ``side`` x ``side`` pixels: upright, sRGB over white, without metadata.

    Never larger than the picture itself.

    Args:
        data: the whole file.
        side: longest side in pixels, at least 1.
        limits, name: as for ``decode``.
        quality: 1 to 100.

    Raises:
        ImageError: with the reason why there is no picture.
    """
    out = BytesIO()
    _within(data, side, limits, name).save(out, "WEBP", quality=quality, method=2)
    return out.getvalue()


def full(
    data: bytes, max_side: int = 2048, limits: Limits | None = None, *, name: bytes = b"", quality: int = 88
) -> bytes:
    """As ``thumbnail``, but as JPEG and large: for originals that a browser cannot show, or that are huge."""
    out = BytesIO()
    _within(data, max_side, limits, name).save(out, "JPEG", quality=quality)
    return out.getvalue()


def fit_within(size: Size, side: int) -> Size:
    """Width and height scaled so that the longer is at most ``side``; never up, never below 1."""
    longest = max(size)
    if longest <= side:
        return size
    return (max(1, round(size[0] * side / longest)), max(1, round(size[1] * side / longest)))


def _within(data: bytes, side: int, limits: Limits | None, name: bytes) -> Image.Image:
    if side < 1:
        raise ValueError(f"The side {side} is not at least 1 pixel.")
    with decoder_failures(data):
        image, _ = open_image(data, limits or Limits(), name)
        size = fit_within(image.size, side)
        drawn = draw(image, size)
        turn, _ = read_metadata(image)
        small = to_srgb(
            drawn.shrunk(size, evenly=False).scaled(size, Resampling.BICUBIC), image.info.get("icc_profile")
        )
        upright = small if turn is None else small.transpose(turn)
        # Saving copies what it finds in ``info`` (profile, EXIF) into the file.
        upright.info.clear()
        return upright
