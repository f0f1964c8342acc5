"""Hard negatives and positives of the whole dataset, found through a vector index.

A batch only shows what chance has put into it. Here the embeddings of one moment are indexed, and each image gets the
nearest images of other labels (hard negatives) and the farthest or nearest of its own. The index is handed in, so
that what is found equals that engine's search, and with the exact engine the exact answer, on the embeddings of that
moment; how old they are is ``staleness``.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from retrieval.core.protocols import VectorIndex
from retrieval.core.types import NO_ID, Ids, Vectors

OVERFETCH = 64
"""For images of classes up to so many, neighbours of the own class are fetched too and left out; for larger ones the
index is told whom it may return, one search a class."""


class HardExamples:
    """Hard examples by the embeddings that were given last.

    Args:
        index_factory: makes an index over ids and their vectors.
        labels: [N] class number of each id 0 to N - 1; images of -1 have no label and are never found.
    """

    def __init__(self, index_factory: Callable[[Ids, Vectors], VectorIndex], labels: NDArray[np.int64]) -> None:
        self._factory = index_factory
        self._labels = np.asarray(labels, np.int64)
        self._index: VectorIndex | None = None
        self._ids: Ids = np.empty(0, np.int64)
        self._vectors: Vectors = np.empty((0, 0), np.float32)
        self._step = 0

    @property
    def labels(self) -> NDArray[np.int64]:
        """[N] as given."""
        return self._labels

    @property
    def ids(self) -> Ids:
        """Labelled ids of the last ``refresh``, ascending; empty before the first."""
        return self._ids

    def refresh(self, ids: Ids, vectors: Vectors, step: int) -> None:
        """Index the embeddings of this moment in place of the last ones.

        Args:
            ids: [n], each once, 0 to N - 1; those without a label are left out.
            vectors: [n, D] finite, not zero; copied, so that the caller may write over them.
            step: the training step whose weights made them.

        Raises:
            ValueError: shapes do not fit, an id is unknown or repeated, no id has a label, or as the index says.
        """
        ids = np.asarray(ids, np.int64)
        if ids.ndim != 1 or np.ndim(vectors) != 2 or len(vectors) != len(ids):
            raise ValueError(f"Ids {ids.shape} and vectors {np.shape(vectors)} do not fit.")
        if np.any((ids < 0) | (ids >= len(self._labels))) or len(np.unique(ids)) != len(ids):
            raise ValueError(f"Ids must be 0 to {len(self._labels) - 1}, each once.")
        order = np.argsort(ids)
        order = order[self._labels[ids[order]] >= 0]
        if not len(order):
            raise ValueError("None of the ids has a label.")
        self._ids, self._vectors = ids[order], np.array(vectors, np.float32)[order]
        self._index, self._step = self._factory(self._ids, self._vectors), step

    def staleness(self, step: int) -> int:
        """Steps since the embeddings were made. Raises ValueError before the first ``refresh``."""
        self._searched()
        return step - self._step

    def negatives(self, ids: Ids, k: int) -> Ids:
        """The k nearest images of other labels.

        Args:
            ids: [n] labelled ids of the last ``refresh``.
            k: at least 1.

        Returns:
            [n, k], nearest first, of equal scores the lowest id first; ``NO_ID`` fills a row with fewer.

        Raises:
            ValueError: k < 1, an id that was not given to ``refresh`` or has no label, or nothing was given yet.
        """
        index, places = self._searched(), self._places(ids, k)
        labels = self._labels[self._ids]
        own = labels[places]
        found: Ids = np.full((len(places), k), NO_ID, np.int64)
        numbers, sizes = np.unique(labels, return_counts=True)
        size = sizes[np.searchsorted(numbers, own)]
        small = np.flatnonzero(size <= OVERFETCH)
        if len(small):
            # At most all of the own class stand before the k-th of another label.
            matches = index.search(self._vectors[places[small]], k + int(size[small].max())).ids
            other = (matches != NO_ID) & (self._labels[matches] != own[small, None])
            found[small] = _first(matches, other, k)
        for label in np.unique(own[size > OVERFETCH]).tolist():
            rows = np.flatnonzero(own == label)
            found[rows] = index.search(self._vectors[places[rows]], k, self._ids[labels != label]).ids
        return found

    def positives(self, ids: Ids, k: int, farthest: bool = True) -> Ids:
        """The k farthest (or nearest) images of the same label, never the image itself.

        Args:
            ids: [n] labelled ids of the last ``refresh``.
            k: at least 1.
            farthest: the farthest first; otherwise the nearest first.

        Returns:
            [n, k], of equal scores the lowest id first; ``NO_ID`` fills a row with fewer.

        Raises:
            ValueError: as ``negatives``.
        """
        index, places = self._searched(), self._places(ids, k)
        labels = self._labels[self._ids]
        own = labels[places]
        found: Ids = np.full((len(places), k), NO_ID, np.int64)
        # The nearest to the opposite point of the sphere is the farthest.
        sign = np.float32(-1 if farthest else 1)
        for label in np.unique(own).tolist():
            rows = np.flatnonzero(own == label)
            # One more, since the image itself may be among them.
            matches = index.search(sign * self._vectors[places[rows]], k + 1, self._ids[labels == label]).ids
            other = (matches != NO_ID) & (matches != self._ids[places[rows], None])
            found[rows] = _first(matches, other, k)
        return found

    def state(self) -> dict[str, NDArray[np.int64] | Vectors]:
        """What a checkpoint needs: the embeddings themselves, since the weights that made them are gone."""
        return {"ids": self._ids, "vectors": self._vectors, "step": np.array(self._step, np.int64)}

    def restore(self, state: dict[str, NDArray[np.int64] | Vectors]) -> None:
        """Go on with what ``state`` gave. Raises ValueError as ``refresh``."""
        if len(state["ids"]):
            self.refresh(np.asarray(state["ids"], np.int64), np.asarray(state["vectors"]), int(state["step"]))

    def _searched(self) -> VectorIndex:
        if self._index is None:
            raise ValueError("No embeddings were given yet; call refresh first.")
        return self._index

    def _places(self, ids: Ids, k: int) -> NDArray[np.intp]:
        """Where ``ids`` stand in ``self._ids``."""
        if k < 1:
            raise ValueError(f"k is {k}, but must be at least 1.")
        ids = np.asarray(ids, np.int64)
        places = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        unknown = self._ids[places] != ids
        if np.any(unknown):
            raise ValueError(f"Id {ids[unknown][0]} is not among the labelled embeddings.")
        return places


def _first(ids: Ids, keep: NDArray[np.bool_], k: int) -> Ids:
    """[n, k] the first k of each row of [n, m] ``ids`` that are kept, ``NO_ID`` where there are fewer; m >= k."""
    order = np.argsort(~keep, axis=1, kind="stable")[:, :k]
    kept = np.take_along_axis(keep, order, axis=1)
    return np.where(kept, np.take_along_axis(ids, order, axis=1), NO_ID)
