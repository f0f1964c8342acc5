"""What the options of the self-supervised methods may be, by name: an option means the same in every method."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers between two bounds.

    Attributes:
        least, most: the bounds; infinity is never a value.
        open_below, open_above: the bound itself is left out.
    """

    least: float
    most: float = math.inf
    open_below: bool = False
    open_above: bool = False

    def __contains__(self, value: float) -> bool:
        """Whether a number lies between the bounds."""
        above = value > self.least if self.open_below else value >= self.least
        below = value < self.most if self.open_above else value <= self.most
        return above and below and math.isfinite(value)

    def __str__(self) -> str:
        """In words, e.g. ``at least 0 and at most 1``."""
        words = f"above {self.least:g}" if self.open_below else f"at least {self.least:g}"
        if self.most == math.inf:
            return words
        return f"{words} and {'below' if self.open_above else 'at most'} {self.most:g}"


_WIDTH = Range(1)
"""Of layers; where a batch is normalised or correlated, 1 is of no use, but it computes."""
_COUNT = Range(1)
_PAIR = Range(2)
"""Of things among which one is chosen: of a single one every image is the same."""
_POSITIVE = Range(0, open_below=True)
_WEIGHT = Range(0)
_SHARE = Range(0, 1)
_EPOCHS = Range(0)

RANGES: Mapping[str, Range] = {
    "hidden": _WIDTH,
    "dimension": _WIDTH,
    "bottleneck": _WIDTH,
    "width": _WIDTH,
    "layers": _COUNT,
    "heads": _COUNT,
    "iterations": _COUNT,
    "splits": _COUNT,
    "views": _PAIR,
    "prototypes": _PAIR,
    "clusters": _PAIR,
    "slice_size": _PAIR,
    "side": Range(4),
    "queue": Range(0),
    "temperature": _POSITIVE,
    "teacher_temperature": _POSITIVE,
    "warmup_temperature": _POSITIVE,
    "epsilon": _POSITIVE,
    "redundancy": _WEIGHT,
    "invariance": _WEIGHT,
    "variance": _WEIGHT,
    "covariance": _WEIGHT,
    "cosine": _WEIGHT,
    "similarity": _WEIGHT,
    "supervised": _WEIGHT,
    "shrinkage": Range(0, 1, open_above=True),
    "momentum": _SHARE,
    "centre_momentum": _SHARE,
    "alpha": _SHARE,
    "freeze_epochs": _EPOCHS,
    "warmup_epochs": _EPOCHS,
    "queue_epoch": _EPOCHS,
}
"""Of every option that is a number; what two options must be to each other, and a choice among words, each method says
itself."""


def refuse_out_of_range(options: Mapping[str, Any]) -> None:
    """Raises ValueError, in one line, for the first option whose number cannot be."""
    for name, value in options.items():
        if name in RANGES and value not in RANGES[name]:
            raise ValueError(f"{name} is {RANGES[name]}, not {value:g}.")
