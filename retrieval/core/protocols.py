"""What a lower layer needs from a sibling or from above: handed in, never imported."""

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from retrieval.core.types import Ids, Matches, Vectors


class VectorSource(Protocol):
    """Where the exact vectors are: the truth that an index is derived from."""

    @property
    def dimension(self) -> int:
        """D."""

    def read(self, ids: Ids) -> Vectors:
        """[n, D] float32 vectors of ``ids``, in that order. Raises KeyError for an unknown id."""


@runtime_checkable
class VectorIndex(Protocol):
    """Nearest neighbours by cosine. One conformance suite runs against every engine."""

    @property
    def kind(self) -> str:
        """The engine and its structure, e.g. ``"exact"``, ``"faiss-flat"``, ``"faiss-ivf-sq8"``."""

    @property
    def dimension(self) -> int:
        """D."""

    def __len__(self) -> int:
        """How many ids it holds."""

    def ids(self) -> Ids:
        """All ids it holds, ascending."""

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add n vectors; an id that is already there is replaced.

        Args:
            ids: [n], each at most once.
            vectors: [n, D]; need not be normalised, must be finite and not zero.

        Raises:
            ValueError: shapes do not fit, an id is negative or repeated, a vector is zero or not finite.
        """

    def remove(self, ids: Ids) -> int:
        """Remove ids; unknown ones are ignored. Returns how many were there."""

    def search(self, queries: Vectors, k: int, allowed: Ids | None = None) -> Matches:
        """The k nearest of each query.

        Args:
            queries: [Q, D]; need not be normalised, must be finite and not zero.
            k: at least 1; may exceed the number of vectors (rows are then filled with ``NO_ID``).
            allowed: only these ids may be returned (unknown ids are ignored); None allows all.

        Raises:
            ValueError: shapes do not fit, k < 1, or a query is zero or not finite.
        """

    def save(self, folder: Path) -> None:
        """Write the files from which the engine's ``load`` makes the same index again."""


class NearestRow(Protocol):
    """A search for the one nearest row, as k-means asks for it."""

    def __call__(self, queries: Vectors, base: Vectors) -> NDArray[np.int64]:
        """For each query the place of the row of ``base`` with the greatest dot product.

        Args:
            queries: [Q, D] float32.
            base: [N, D] float32.

        Returns:
            [Q] int64 places, 0 to N - 1.
        """
