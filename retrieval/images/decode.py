"""From a file's bytes to the encoder's input: bounded, upright, sRGB, and always the same."""

import hashlib
from dataclasses import dataclass

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import Limits
from retrieval.core.types import ImageFacts, Pixels
from retrieval.images.colour import resizable, to_srgb
from retrieval.images.exif import is_sideways, read_metadata
from retrieval.images.opening import decoder_failures, open_image
from retrieval.images.phash import GRID, difference_hash

RESAMPLING = {
    "nearest": Resampling.NEAREST,
    "bilinear": Resampling.BILINEAR,
    "bicubic": Resampling.BICUBIC,
    "lanczos": Resampling.LANCZOS,
}
_GAP = 3  # averaging leaves at least this many times the target; the final filter then hides its blocks

Size = tuple[int, int]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A decoded picture, possibly smaller than the file says, in a mode that may be resized.

    Attributes:
        image: not turned upright, colours as in the file.
        extent: width and height that the picture covers in ``image``; the last column and row may be partly outside.
    """

    image: Image.Image
    extent: tuple[float, float]

    def shrunk(self, least: Size, *, evenly: bool) -> "Drawn":
        """Averaged over whole blocks, at least ``_GAP`` times ``least`` is left; ``evenly`` keeps the proportions."""
        factors = [max(1, int(length / (goal * _GAP))) for length, goal in zip(self.extent, least, strict=True)]
        if evenly:
            factors = [min(factors)] * 2
        if factors == [1, 1]:
            return self
        extent = (self.extent[0] / factors[0], self.extent[1] / factors[1])
        return Drawn(self.image.reduce((factors[0], factors[1])), extent)

    def scaled(self, size: Size, resampling: Resampling, box: Box | None = None) -> Image.Image:
        """``box`` (default: all of the picture) resized to ``size``; every source pixel counts."""
        left, top, right, bottom = box or (0.0, 0.0, *self.extent)
        # Rounding may put an edge a hair outside, which Pillow refuses.
        inside = (max(0.0, left), max(0.0, top), min(right, self.image.width), min(bottom, self.image.height))
        return self.image.resize(size, resampling, inside)


def decode(
    data: bytes,
    spec: Preprocessing,
    limits: Limits | None = None,
    *,
    name: bytes = b"",
    digest: bytes | None = None,
) -> tuple[ImageFacts, Pixels]:
    """What a file's bytes show, and what they say about themselves.

    Runs in the calling process: for files of unknown origin use ``retrieval.images.pool``.

    Args:
        data: the whole file.
        spec: how to resize and crop; mean and std are not applied here.
        limits: ``max_pixels`` is checked before anything is decoded; None takes the defaults.
        name: the file's name, if it has one; tells camera raw files.
        digest: SHA-256 of ``data`` if it is known already.

    Returns:
        The facts, and [S, S, 3] uint8 sRGB pixels, where S is ``spec.input_size``.

    Raises:
        ImageError: with the reason why there is no picture.
    """
    with decoder_failures(data):
        image, kind = open_image(data, limits or Limits(), name)
        width, height = image.size
        nearest = spec.interpolation == "nearest"
        goal = (spec.resize_to, spec.resize_to)
        drawn = draw(image, None if nearest else goal)
        turn, captured = read_metadata(image)
        profile = image.info.get("icc_profile")
        side = spec.input_size
        near = drawn if nearest else drawn.shrunk(goal, evenly=spec.fit == "crop")
        small = near.scaled((side, side), RESAMPLING[spec.interpolation], crop_box(near.extent, spec))
        upright = to_srgb(small, profile)
        grid = GRID[::-1] if is_sideways(turn) else GRID
        # A smooth filter over several values a cell: little depends on the size that the picture was saved in.
        cells = drawn.shrunk(grid, evenly=False).scaled(grid, Resampling.BILINEAR)
        grey = to_srgb(cells, profile).convert("L")
        if turn is not None:
            upright, grey = upright.transpose(turn), grey.transpose(turn)
            width, height = (height, width) if is_sideways(turn) else (width, height)
        facts = ImageFacts(
            digest=digest or hashlib.sha256(data).digest(),
            bytes=len(data),
            width=width,
            height=height,
            format=kind,
            captured=captured,
            phash=difference_hash(grey.tobytes()),
        )
        return facts, as_pixels(upright.tobytes(), side)


def as_pixels(raw: bytes | bytearray, side: int) -> Pixels:
    """[side, side, 3] uint8 over RGB bytes; a bytearray is used as it is, so that the array can be written to."""
    buffer = raw if isinstance(raw, bytearray) else bytearray(raw)
    return np.frombuffer(buffer, dtype=np.uint8).reshape(side, side, 3)


def draw(image: Image.Image, least: Size | None) -> Drawn:
    """Decode an opened image; a JPEG only as finely as ``least`` needs on both sides (None: fully)."""
    width, height = float(image.width), float(image.height)
    if least and image.format in ("JPEG", "MPO"):
        drafted = image.draft(image.mode, least)
        if drafted:
            _, (_, _, width, height) = drafted
    image.load()
    return Drawn(resizable(image), (width, height))


def crop_box(extent: tuple[float, float], spec: Preprocessing) -> Box:
    """The part of the picture that the encoder sees, in pixels of a picture of this width and height.

    Exactly in the middle, so that turning and cropping may be done in any order.
    """
    width, height = extent
    if spec.fit == "stretch":
        return (0.0, 0.0, width, height)
    side = min(width, height) * spec.input_size / spec.resize_to
    left, top = (width - side) / 2, (height - side) / 2
    return (left, top, left + side, top + side)
