"""Changed looks at a picture, by kind and strength: what an embedding should perhaps not care about.

They work on the encoder's input, [S, S, 3] pixels: what a crop shows is enlarged from them, and where a turned picture
has no pixels its mirrored border goes on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from retrieval.core.types import Pixels
from retrieval.models.augment import colour_matrix

_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True)
class Look:
    """One change.

    Attributes:
        kind: ``"rotation"``, ``"flip"``, ``"crop"``, ``"brightness"``, ``"contrast"``, ``"saturation"`` or ``"hue"``.
        strength: of the change, larger is further away: degrees, the share that is cut off, or the distance of a factor
            from 1; for a flip 1 is left-right and 2 upside down.
        name: for people.
        apply: [S, S, 3] uint8 to the same shape.
    """

    kind: str
    strength: float
    name: str
    apply: Callable[[Pixels], Pixels]


def rotated(pixels: Pixels, degrees: float) -> Pixels:
    """Turned to the left about the centre; a multiple of 90 moves pixels and changes none."""
    if degrees % 90 == 0:
        return np.ascontiguousarray(np.rot90(pixels, round(degrees / 90)))
    side = len(pixels)
    border = side // 2
    wide = Image.fromarray(np.pad(pixels, ((border, border), (border, border), (0, 0)), mode="symmetric"))
    turned = np.asarray(wide.rotate(degrees, Resampling.BICUBIC), np.uint8)
    return np.ascontiguousarray(turned[border : border + side, border : border + side])


def flipped(pixels: Pixels, *, upside_down: bool = False) -> Pixels:
    """Mirrored left-right, or top-bottom."""
    return np.ascontiguousarray(pixels[::-1] if upside_down else pixels[:, ::-1])


def cropped(pixels: Pixels, area: float) -> Pixels:
    """The central square with a share of the area in (0, 1], enlarged to the whole."""
    side = len(pixels)
    border = side * (1 - area**0.5) / 2
    box = (border, border, side - border, side - border)
    return np.asarray(Image.fromarray(pixels).resize((side, side), Resampling.BICUBIC, box), np.uint8)


def recoloured(
    pixels: Pixels, *, brightness: float = 1.0, contrast: float = 1.0, saturation: float = 1.0, hue: float = 0.0
) -> Pixels:
    """Factors on light, contrast and colour, and a turn of the hue in full circles; see ``models.augment``."""
    mean = float(pixels.reshape(-1, 3).mean(axis=0) @ _LUMA)
    matrix = colour_matrix(brightness, contrast, saturation, hue, mean)
    return np.asarray(Image.fromarray(pixels).convert("RGB", matrix), np.uint8)


def _scaled(pixels: Pixels, kind: str, factor: float) -> Pixels:
    """``recoloured`` by one of its factors."""
    return recoloured(
        pixels,
        brightness=factor if kind == "brightness" else 1.0,
        contrast=factor if kind == "contrast" else 1.0,
        saturation=factor if kind == "saturation" else 1.0,
    )


_FACTORS = {
    "brightness": {0.7: "darker, × 0.7", 0.4: "darker, × 0.4", 1.5: "lighter, × 1.5"},
    "contrast": {0.5: "half the contrast"},
    "saturation": {0.5: "half the colour", 0.0: "no colour"},
}


def _table() -> tuple[Look, ...]:
    turns = [
        Look("rotation", angle, f"turned by {angle}°", partial(rotated, degrees=angle))
        for angle in (5, 15, 45, 90, 180)
    ]
    flips = [
        Look("flip", 1, "mirrored left-right", flipped),
        Look("flip", 2, "upside down", partial(flipped, upside_down=True)),
    ]
    crops = [
        Look("crop", round(1 - area, 2), f"the central {area:.0%}", partial(cropped, area=area))
        for area in (0.75, 0.5, 0.25)
    ]
    factors = [
        Look(kind, round(abs(1 - factor), 2), name, partial(_scaled, kind=kind, factor=factor))
        for kind, names in _FACTORS.items()
        for factor, name in names.items()
    ]
    hues = [Look("hue", turn, f"hue by {360 * turn:g}°", partial(recoloured, hue=turn)) for turn in (0.05, 0.25)]
    return (*turns, *flips, *crops, *factors, *hues)


LOOKS: tuple[Look, ...] = _table()
"""By kind, the weakest of each first (a lighter picture after the darker ones)."""
