"""The preprocessing spec: how an image file becomes the encoder's input.

It is part of an embedding space's fingerprint, so that vectors made in different ways never meet.
"""

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from retrieval.core.errors import BadValue

PREPROCESSING_VERSION = 1
"""Raised whenever the same spec would give other pixels than before (decoder, resize rule, colour)."""

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
FITS = ("crop", "stretch")


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """From file to input tensor: orient, to sRGB over white, resize, crop, normalise.

    Attributes:
        input_size: side of the square input, in pixels, 1 to 4096.
        interpolation: one of ``INTERPOLATIONS``.
        fit: ``"crop"`` resizes the short side to ``input_size / crop`` and keeps the centre;
            ``"stretch"`` resizes both sides, which keeps everything and loses the aspect ratio.
        crop: share of the short side that is kept, in (0, 1]; only for ``fit="crop"``.
        mean, std: per channel, for values scaled to [0, 1].
        version: of the rules themselves.
    """

    input_size: int = 224
    interpolation: str = "bicubic"
    fit: str = "crop"
    crop: float = 1.0
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    version: int = PREPROCESSING_VERSION

    def __post_init__(self) -> None:
        self._refuse_other_types()
        if not 1 <= self.input_size <= 4096:
            raise BadValue(f"The input size {self.input_size} is not between 1 and 4096 pixels.")
        if self.interpolation not in INTERPOLATIONS:
            raise BadValue(
                f"Unknown interpolation {self.interpolation!r}.", f"Use one of: {', '.join(INTERPOLATIONS)}."
            )
        if self.fit not in FITS:
            raise BadValue(f"Unknown fit {self.fit!r}.", f"Use one of: {', '.join(FITS)}.")
        if not 0 < self.crop <= 1:
            raise BadValue(f"The crop {self.crop} is not in (0, 1].")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise BadValue("mean and std need three values each, and std must be positive.")

    def _refuse_other_types(self) -> None:
        """Values may come from a file that a stranger wrote."""
        whole = all(type(value) is int for value in (self.input_size, self.version))
        triples = isinstance(self.mean, tuple) and isinstance(self.std, tuple)
        if not whole or not triples or not all(_is_number(v) for v in (self.crop, *self.mean, *self.std)):
            raise BadValue(f"A preprocessing value is of the wrong type, or not finite: {self!r}.")

    @property
    def resize_to(self) -> int:
        """Length in pixels that the short side gets before the centre is cut out."""
        return self.input_size if self.fit == "stretch" else max(self.input_size, round(self.input_size / self.crop))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; tuples become lists."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Preprocessing":
        """The inverse of ``to_dict``. Raises BadValue for an unknown key or a value out of range."""
        unknown = set(values) - set(cls.__dataclass_fields__)
        if unknown:
            raise BadValue(f"Unknown preprocessing keys: {', '.join(sorted(unknown))}.")
        unpacked: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**unpacked)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
