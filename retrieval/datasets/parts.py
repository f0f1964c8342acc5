"""The names of a dataset's parts, as people write them."""

from typing import Final

TRAIN: Final = "train"
VAL: Final = "val"
TEST: Final = "test"

SIDES: Final = (TRAIN, VAL, TEST)
"""Ascending in protection: what may never be seen stands last."""

_NAMES = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VAL,
    "valid": VAL,
    "validation": VAL,
    "dev": VAL,
    "test": TEST,
    "testing": TEST,
}

KNOWN_NAMES: Final = tuple(sorted(_NAMES))
"""What ``part_of`` understands, in lower case."""


def part_of(name: str) -> str | None:
    """``"train"``, ``"val"`` or ``"test"`` for a name that means it in whatever case, else None."""
    return _NAMES.get(name.strip().lower())


def most_protected(sides: set[str]) -> str:
    """Of several sides the one that the others must give way to: test before val before train."""
    return max(sides, key=SIDES.index)
