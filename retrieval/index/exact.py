"""The NumPy engine: every search looks at every vector. The oracle of the other engines, and their twin in tests."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.core.types import Ids, Matches, Vectors
from retrieval.functional.topk import TopK
from retrieval.index.arguments import checked_batch, checked_ids, checked_queries
from retrieval.index.blocks import BLOCK

EXACT = "exact"


class ExactIndex:
    """Vectors in memory, float32 as given; safe to use from several threads.

    Args:
        dimension: D, at least 1.

    Raises:
        ValueError: dimension < 1.
    """

    def __init__(self, dimension: int) -> None:
        if dimension < 1:
            raise ValueError(f"Dimension {dimension}: at least 1 is needed.")
        self._lock = threading.RLock()
        # Capacity doubles, so that adding one by one stays cheap; the first len(self) rows are in use.
        self._vectors: Vectors = np.empty((0, dimension), dtype=np.float32)
        self._ids: Ids = np.empty(0, dtype=np.int64)
        self._rows: dict[int, int] = {}

    @property
    def kind(self) -> str:
        """Always ``"exact"``."""
        return EXACT

    @property
    def dimension(self) -> int:
        """D."""
        return int(self._vectors.shape[1])

    def __len__(self) -> int:
        return len(self._rows)

    def ids(self) -> Ids:
        """All ids, ascending."""
        with self._lock:
            return np.sort(self._ids[: len(self)])

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add or replace; see ``VectorIndex.add``."""
        ids, vectors = checked_batch(ids, vectors, self.dimension)
        with self._lock:
            rows = np.empty(len(ids), dtype=np.intp)
            for i, key in enumerate(ids.tolist()):
                rows[i] = self._rows.setdefault(key, len(self._rows))
            self._reserve(len(self._rows))
            self._ids[rows] = ids
            self._vectors[rows] = vectors

    def remove(self, ids: Ids) -> int:
        """Remove; see ``VectorIndex.remove``."""
        removed = 0
        with self._lock:
            for key in checked_ids(ids).tolist():
                row = self._rows.pop(key, None)
                if row is None:
                    continue
                removed += 1
                last = len(self._rows)
                if row != last:
                    # The last row fills the hole; order has no meaning here.
                    self._ids[row] = self._ids[last]
                    self._vectors[row] = self._vectors[last]
                    self._rows[int(self._ids[row])] = row
        return removed

    def search(self, queries: Vectors, k: int, allowed: Ids | None = None) -> Matches:
        """The k nearest of each query; see ``VectorIndex.search``."""
        best = TopK(checked_queries(queries, k, self.dimension), k)
        with self._lock:
            for rows in self._blocks(allowed):
                best.update(self._ids[rows], self._vectors[rows])
        return best.matches()

    def save(self, folder: Path) -> None:
        """Write ``ids.npy`` and ``vectors.npy``. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        with self._lock:
            save_array(folder / "ids.npy", self._ids[: len(self)])
            save_array(folder / "vectors.npy", self._vectors[: len(self)])

    @classmethod
    def load(cls, folder: Path) -> "ExactIndex":
        """The index that ``save`` wrote. Raises OSError or ValueError when the files are not what it wrote."""
        ids, vectors = load_array(folder / "ids.npy"), load_array(folder / "vectors.npy")
        if vectors.ndim != 2:
            raise ValueError(f"The vectors in {folder} have {vectors.ndim} axes.")
        index = cls(vectors.shape[1])
        index.add(ids, vectors)
        return index

    def _reserve(self, count: int) -> None:
        capacity = len(self._ids)
        if count <= capacity:
            return
        grown = max(count, 2 * capacity)
        for name in ("_ids", "_vectors"):
            old = getattr(self, name)
            new = np.empty((grown, *old.shape[1:]), dtype=old.dtype)
            new[:capacity] = old
            setattr(self, name, new)

    def _blocks(self, allowed: Ids | None) -> Iterator[slice | NDArray[np.intp]]:
        if allowed is None:
            for start in range(0, len(self), BLOCK):
                yield slice(start, min(start + BLOCK, len(self)))
            return
        wanted = np.unique(checked_ids(allowed)).tolist()
        rows = np.array([self._rows[key] for key in wanted if key in self._rows], dtype=np.intp)
        for start in range(0, len(rows), BLOCK):
            yield rows[start : start + BLOCK]


def save_array(path: Path, array: NDArray[np.int64] | NDArray[np.float32]) -> None:
    """Write ``array`` in NumPy's format through a Python file, without pickle. Raises OSError."""
    with open(path, "wb") as file:
        np.save(file, array, allow_pickle=False)


def load_array(path: Path) -> Any:
    """Read what ``save_array`` wrote; never unpickles. Raises OSError or ValueError."""
    with open(path, "rb") as file:
        return np.load(file, allow_pickle=False)
