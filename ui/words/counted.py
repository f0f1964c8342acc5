"""A number with its noun."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counted:
    """A phrase around a number, in which ``{n}`` stands for it.

    Attributes:
        one: for exactly one.
        many: for every other number; the same where a language knows no plural.
    """

    one: str
    many: str

    def of(self, number: int) -> str:
        """E.g. ``"1 image"``, ``"12,480 images"``."""
        return (self.one if number == 1 else self.many).format(n=f"{number:,}")
