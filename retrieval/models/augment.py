"""Training augmentation: a random look at a picture, and the encoder's input made of it.

One picture at a time, on 8-bit values: cropping and resizing are one pass of Pillow's filter (the one that evaluation
uses), all colour changes are one matrix. Chance comes from the generator that is handed in and from nowhere else, and
every draw is made whether it is used or not, so that one setting does not shift what the next one sees.

Random resized crop: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015; colour jitter, grey and blur as in
Chen et al., "A Simple Framework for Contrastive Learning" (SimCLR), ICML 2020, appendix A; random erasing: Zhong et
al., AAAI 2020.
"""

from dataclasses import dataclass, fields, replace
from math import cos, exp, isfinite, log, pi, sin, sqrt
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from PIL.Image import Resampling, Transpose

from retrieval.core.errors import BadValue
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.types import Pixels
from retrieval.images.decode import Box, crop_box

_RESAMPLING = {
    "nearest": Resampling.NEAREST,
    "bilinear": Resampling.BILINEAR,
    "bicubic": Resampling.BICUBIC,
    "lanczos": Resampling.LANCZOS,
}
_TRIES = 10
_LUMA = np.array([0.299, 0.587, 0.114])
_TO_YIQ = np.array(
    [[0.299, 0.587, 0.114], [0.59590059, -0.27455667, -0.32134392], [0.21153661, -0.52273617, 0.31119955]]
)
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


@dataclass(frozen=True, slots=True)
class Strength:
    """How far a random look may be from the picture.

    Attributes:
        area: least share of the picture's area that a crop covers, in (0, 1]; 1 takes what evaluation sees.
        ratio: most stretching of a crop, at least 1: width to height is drawn from [1 / ratio, ratio].
        flip: chance of a left-right flip, in [0, 1]; 0 for writing and other things that have a direction.
        brightness, contrast, saturation: factors are drawn from [1 - x, 1 + x], x in [0, 1].
        hue: turned by at most so many full circles, in [0, 0.5], in the YIQ plane.
        jitter: chance of these four colour changes, in [0, 1].
        grey: chance of losing all colour, in [0, 1].
        blur: chance of a Gaussian blur with a radius of 0.1 to 2 pixels at 224, in [0, 1].
        erase: chance that a rectangle of 2 to 20 % of the area becomes the mean colour, in [0, 1].
    """

    area: float = 1.0
    ratio: float = 4 / 3
    flip: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    jitter: float = 1.0
    grey: float = 0.0
    blur: float = 0.0
    erase: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least, most = _RANGES.get(field.name, (0.0, 1.0))
            number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
            if not number or not least <= value <= most:
                raise BadValue(f"The augmentation's {field.name} {value!r} is not between {least:g} and {most:g}.")


_RANGES = {"area": (0.01, 1.0), "ratio": (1.0, 4.0), "hue": (0.0, 0.5)}

PRESETS: dict[str, Strength] = {
    "none": Strength(),
    "light": Strength(area=0.6, flip=0.5),
    "standard": Strength(
        area=0.3, flip=0.5, brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, jitter=0.8, erase=0.1
    ),
    "strong": Strength(
        area=0.15,
        flip=0.5,
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue=0.1,
        jitter=0.8,
        grey=0.2,
        blur=0.3,
        erase=0.25,
    ),
}
"""By name: what evaluation sees; a shifted frame; also light and colour; as far as self-supervision goes."""


class Augmentation:
    """Random looks at pictures, for one encoder.

    Args:
        spec: the encoder's preprocessing: input size, filter, fit, mean and std.
        preset: one of ``PRESETS``.
        changes: fields of ``Strength`` that shall differ from the preset.

    Raises:
        BadValue: no such preset or field, or a value out of its range.
    """

    def __init__(self, spec: Preprocessing, preset: str = "standard", **changes: Any) -> None:
        if preset not in PRESETS:
            raise BadValue(f"There is no augmentation {preset!r}.", f"Use one of: {', '.join(PRESETS)}.")
        unknown = sorted(set(changes) - {field.name for field in fields(Strength)})
        if unknown:
            raise BadValue(
                f"An augmentation has no setting {unknown[0]!r}.",
                f"It has: {', '.join(field.name for field in fields(Strength))}.",
            )
        self.spec = spec
        self.strength = replace(PRESETS[preset], **changes)
        self._mean_colour = np.round(np.array(spec.mean) * 255).clip(0, 255).astype(np.uint8)
        self._scale = (1 / (255 * np.array(spec.std))).astype(np.float32)[:, None, None]
        self._shift = (-np.array(spec.mean) / np.array(spec.std)).astype(np.float32)[:, None, None]

    @property
    def side(self) -> int:
        """S, the input size."""
        return self.spec.input_size

    def __call__(self, picture: Image.Image, generator: Generator) -> Pixels:
        """One random look.

        Args:
            picture: RGB, of any size.
            generator: of this look alone; the same state gives the same look.

        Returns:
            [S, S, 3] uint8, S = ``spec.input_size``.
        """
        strength, side = self.strength, self.spec.input_size
        box = self._box(picture.size, generator)
        image = picture.resize((side, side), _RESAMPLING[self.spec.interpolation], box)
        if generator.random() < strength.flip:
            image = image.transpose(Transpose.FLIP_LEFT_RIGHT)
        image = self._recoloured(image, generator)
        image = self._blurred(image, generator)
        return self._erased(np.array(image), generator)

    def normalise(self, pixels: Pixels, out: NDArray[np.float32]) -> None:
        """[S, S, 3] uint8 as the encoder's input: written to ``out`` [3, S, S], less the mean, over the std."""
        np.multiply(pixels.transpose(2, 0, 1), self._scale, out=out)
        np.add(out, self._shift, out=out)

    def _box(self, size: tuple[int, int], generator: Generator) -> Box:
        """The part of the picture that is looked at, in its pixels."""
        width, height = float(size[0]), float(size[1])
        draws = generator.random((_TRIES, 2))
        place = generator.random(2)
        if self.strength.area == 1:
            return crop_box((width, height), self.spec)
        # An encoder that sees pictures stretched to a square knows no proportions: there 1 means the picture's own.
        proportion = width / height if self.spec.fit == "stretch" else 1.0
        for share, stretch in draws.tolist():
            area = width * height * (self.strength.area + share * (1 - self.strength.area))
            ratio = proportion * exp((2 * stretch - 1) * log(self.strength.ratio))
            w, h = sqrt(area * ratio), sqrt(area / ratio)
            if w <= width and h <= height:
                left, top = place[0] * (width - w), place[1] * (height - h)
                return (left, top, min(left + w, width), min(top + h, height))
        return crop_box((width, height), self.spec)

    def _recoloured(self, image: Image.Image, generator: Generator) -> Image.Image:
        strength = self.strength
        chances = generator.random(2)
        factors = 1 + (2 * generator.random(3) - 1) * (strength.brightness, strength.contrast, strength.saturation)
        turn = (2 * generator.random() - 1) * strength.hue
        jittered, grey = bool(chances[0] < strength.jitter), bool(chances[1] < strength.grey)
        if not jittered:
            factors, turn = np.ones(3), 0.0
        if grey:
            factors[2], turn = 0.0, 0.0
        if turn == 0 and (factors == 1).all():
            return image
        brightness, contrast, saturation = factors.tolist()
        mean = 0.0
        if contrast != 1:
            mean = float(np.asarray(image.resize((1, 1), Resampling.BOX), np.float64)[0, 0] @ _LUMA)
        return image.convert("RGB", colour_matrix(brightness, contrast, saturation, turn, mean))

    def _blurred(self, image: Image.Image, generator: Generator) -> Image.Image:
        chance, size = generator.random(2).tolist()
        if chance >= self.strength.blur:
            return image
        return image.filter(ImageFilter.GaussianBlur((0.1 + 1.9 * size) * self.spec.input_size / 224))

    def _erased(self, pixels: Pixels, generator: Generator) -> Pixels:
        chance, share, stretch, x, y = generator.random(5).tolist()
        if chance < self.strength.erase:
            side = self.spec.input_size
            area, ratio = (0.02 + 0.18 * share) * side**2, exp((2 * stretch - 1) * log(2))
            w, h = min(side, max(1, round(sqrt(area * ratio)))), min(side, max(1, round(sqrt(area / ratio))))
            left, top = int(x * (side - w + 1)), int(y * (side - h + 1))
            pixels[top : top + h, left : left + w] = self._mean_colour
        return pixels


def colour_matrix(brightness: float, contrast: float, saturation: float, turn: float, mean: float) -> tuple[float, ...]:
    """The 3 x 4 matrix, row by row, of four colour changes done one after the other without clipping between them.

    Args:
        brightness: factor on all values.
        contrast: factor on their distance from the picture's mean luma.
        saturation: factor on the distance from each pixel's own luma; 0 gives grey.
        turn: hue, in full circles, in the YIQ plane (luma stays).
        mean: the picture's mean luma, 0 to 255.
    """
    grey = np.ones((3, 1)) @ _LUMA[None]
    angle = 2 * pi * turn
    rotation = np.array([[1, 0, 0], [0, cos(angle), -sin(angle)], [0, sin(angle), cos(angle)]])
    matrix: NDArray[np.float64] = _FROM_YIQ @ rotation @ _TO_YIQ
    matrix = matrix @ (saturation * np.eye(3) + (1 - saturation) * grey)
    # Contrast adds the same to all channels, which neither saturation nor hue changes.
    offset = (1 - contrast) * brightness * mean
    rows = np.hstack([brightness * contrast * matrix, np.full((3, 1), offset)])
    return tuple(rows.ravel().tolist())
