"""Who stands next to whom in a gallery, and what labels say of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.core.types import NO_ID, Ids, Vectors
from retrieval.functional.dense_topk import dense_topk
from retrieval.functional.metrics import leave_one_out

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEIGHBOURS = 10
_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Rivals:
    """The nearest image of its own class, and the nearest of another, for each of N images.

    Attributes:
        same: [N] cosine to the nearest other image of the class; NaN for a singleton.
        other: [N] cosine to the nearest image of another class (the hard negative); NaN where there is none.
        other_class: [N] class number of that one; -1 where there is none.
    """

    same: Floats
    other: Floats
    other_class: Ints

    @property
    def margin(self) -> Floats:
        """[N] in [-2, 2]: ``same`` - ``other``; below 0 the first match of the image is of another class."""
        return np.asarray(self.same - self.other)


def neighbours(vectors: Vectors, k: int = NEIGHBOURS) -> Ids:
    """[N, k] places of the k nearest of each row, itself left out; ``NO_ID`` where there are fewer.

    Args:
        vectors: [N, D], no row zero or not finite.
        k: at least 1.

    Raises:
        ValueError: as ``dense_topk``.
    """
    places = np.arange(len(vectors), dtype=np.int64)
    return leave_one_out(dense_topk(vectors, vectors, places, k + 1).ids, places)


def purity(nearest: Ids, numbers: Ints) -> Floats:
    """Share of an image's nearest neighbours that have its label.

    Of the first min(k, R) neighbours, R being the number of other images with the label: so 1 can be reached by images
    of small classes too. Neighbours without a label count as others: nobody knows better.

    Args:
        nearest: [N, k] as ``neighbours`` gives them.
        numbers: [N] class numbers; -1 for none.

    Returns:
        [N] in [0, 1]; NaN for a singleton and for an image without a label.

    >>> purity(np.array([[1, 2], [0, 2], [3, 0], [2, 1]]), np.array([0, 0, 1, 1])).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    same = (numbers[np.maximum(nearest, 0)] == numbers[:, None]) & (nearest != NO_ID)
    sizes = np.bincount(numbers[numbers >= 0], minlength=int(numbers.max(initial=0)) + 1)
    rivals = np.where(numbers >= 0, sizes[np.maximum(numbers, 0)] - 1, 0)
    counted = np.minimum(rivals, nearest.shape[1])
    within = np.arange(nearest.shape[1]) < counted[:, None]
    return np.where(counted > 0, (same & within).sum(axis=1) / np.maximum(counted, 1), np.nan)


def rivals(vectors: Vectors, numbers: Ints, within: Ints | None = None) -> Rivals:
    """The nearest of the own class and the nearest of another, for every image.

    Args:
        vectors: [N, D], unit norm.
        numbers: [N] class numbers, not negative.
        within: [N] numbers of larger classes: only images of the same one are looked at, as sub-classes of a class are
            told apart. None looks at all.

    Raises:
        ValueError: shapes do not fit, or a class number is negative.
    """
    if numbers.shape != vectors.shape[:1] or (within is not None and within.shape != numbers.shape):
        raise ValueError(f"Vectors {vectors.shape} and class numbers {numbers.shape} do not fit.")
    if np.any(numbers < 0):
        raise ValueError("A class number is negative: leave out images without a label.")
    same, other = np.full(len(vectors), np.nan), np.full(len(vectors), np.nan)
    other_class = np.full(len(vectors), -1, np.int64)
    for start in range(0, len(vectors), _BLOCK):
        rows = slice(start, min(start + _BLOCK, len(vectors)))
        scores = (vectors[rows] @ vectors.T).astype(np.float64)
        alike = numbers[rows, None] == numbers[None]
        seen = np.ones_like(alike) if within is None else within[rows, None] == within[None]
        own = np.arange(len(scores))
        seen[own, own + start] = False
        same[rows] = _most(scores, alike & seen)
        other[rows] = _most(scores, ~alike & seen)
        nearest = np.where(~alike & seen, scores, -np.inf).argmax(axis=1)
        other_class[rows] = np.where(np.isnan(other[rows]), -1, numbers[nearest])
    return Rivals(same, other, other_class)


def kept_neighbours(nearest: Ids, map_nearest: Ids) -> float:
    """Share in [0, 1] of nearest neighbours [N, k] that are among those on a map [N, k] as well; NaN for none."""
    there = nearest != NO_ID
    if not there.any():
        return float("nan")
    found = (nearest[:, :, None] == map_nearest[:, None, :]).any(axis=2) & there
    return float(found.sum() / there.sum())


def _most(scores: Floats, mask: NDArray[np.bool_]) -> Floats:
    best = np.where(mask, scores, -np.inf).max(axis=1, initial=-np.inf)
    return np.where(mask.any(axis=1), best, np.nan)
