"""The options of a search as the page has them."""

from collections.abc import Sequence
from dataclasses import dataclass

MOST = 100
"""Results a page, at most."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the options of the page are set to, as the browser sends them.

    Attributes:
        k: how many neighbours a page.
        labels, not_labels: as they are shown.
        under: a folder; empty for all.
        min_score: 0 or less keeps all.
        after, before: days as people write them; empty for any.
        min_side, max_side: pixels; 0 or nothing for any.
        min_size, max_size: sizes of files as people write them; empty for any.
    """

    k: float = 12
    labels: Sequence[str] | None = None
    not_labels: Sequence[str] | None = None
    under: str | None = ""
    min_score: float | None = 0.0
    after: str | None = ""
    before: str | None = ""
    min_side: float | None = None
    max_side: float | None = None
    min_size: str | None = ""
    max_size: str | None = ""

    @property
    def count(self) -> int:
        """k, within what the page offers."""
        return max(1, min(MOST, int(self.k or 1)))
