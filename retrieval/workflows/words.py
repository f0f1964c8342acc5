"""Numbers in sentences."""

import math


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun, e.g. ``"1 image"``, ``"12,480 images"``; ``many`` where an s does not make the plural."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def verb(number: int, one: str = "is", many: str = "are") -> str:
    """The word that fits the number."""
    return one if number == 1 else many


def megabytes(size: int) -> str:
    """Bytes in whole megabytes, rounded up: ``"1 MB"``, ``"1,250 MB"``."""
    return f"{math.ceil(size / 1e6):,} MB"


def chance_in_words(probability: float) -> str:
    """A probability in percent that never claims to be certain: ``"<1%"``, ``"56%"``, ``">99%"``."""
    if probability > 0.99:
        return ">99%"
    return "<1%" if probability < 0.01 else f"{probability:.0%}"
