"""Histograms of cosines: how far apart are those that belong together and those that do not?"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.core.types import NO_ID, Ids, Vectors
from retrieval.evaluation.neighbourhood import rivals

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS = 40
RANDOM_PAIRS = 20_000
_QUERIES = 1024
"""Images whose positives are looked at; each pair of large classes would be too many."""


@dataclass(frozen=True, slots=True)
class Group:
    """Cosines of one kind of pair.

    Attributes:
        name: of the kind.
        shares: [BINS] share of the pairs in each bin, of sum 1.
        mean: of the cosines.
        pairs: how many.
    """

    name: str
    shares: Floats
    mean: float
    pairs: int


@dataclass(frozen=True, slots=True)
class Similarities:
    """Two kinds of pairs on one scale.

    Attributes:
        edges: [BINS + 1] of the bins.
        near, far: pairs that should be alike, and pairs that should not.
        order: share in [0, 1] of all (near, far) in which the near pair has the greater cosine, equal ones by half: 1
            where all of them do, 0.5 where nothing tells them apart, less where the far ones are more alike.
    """

    edges: Floats
    near: Group
    far: Group
    order: float

    @property
    def overlap(self) -> float:
        """Overlapping coefficient in [0, 1]: the sum over bins of the smaller share; 0 where no bin holds both.

        Whichever of the two is the more alike: for that see ``order``.
        """
        return float(np.minimum(self.near.shares, self.far.shares).sum())

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "edges": self.edges.tolist(),
            "overlap": self.overlap,
            "order": self.order,
            **{
                key: {"name": one.name, "mean": one.mean, "pairs": one.pairs, "shares": one.shares.tolist()}
                for key, one in (("near", self.near), ("far", self.far))
            },
        }


def labelled_similarities(vectors: Vectors, numbers: Ints, seed: int = 0) -> Similarities | None:
    """All positives of some images, and the hard negative of each: its nearest image of another class.

    Args:
        vectors: [N, D], unit norm.
        numbers: [N] class numbers, not negative.
        seed: of the draw of images, where there are more than are looked at.

    Returns:
        None where there is no positive pair, or no negative one.
    """
    random = np.random.default_rng(seed)
    rows = np.sort(random.permutation(len(vectors))[:_QUERIES])
    parts = []
    for row in rows.tolist():
        alike = numbers == numbers[row]
        alike[row] = False
        parts.append((vectors[alike] @ vectors[row]).astype(np.float64))
    positives = np.concatenate([np.empty(0), *parts])
    hard = rivals(vectors, numbers).other
    hard = hard[~np.isnan(hard)]
    if not len(positives) or not len(hard):
        return None
    return _histograms("positives", positives, "hard negatives", hard)


def unlabelled_similarities(vectors: Vectors, nearest: Ids, seed: int = 0) -> Similarities | None:
    """The nearest neighbour of each image, and pairs at random; None for fewer than two images."""
    if len(vectors) < 2:
        return None
    random = np.random.default_rng(seed)
    first = random.integers(len(vectors), size=RANDOM_PAIRS)
    second = (first + random.integers(1, len(vectors), size=RANDOM_PAIRS)) % len(vectors)
    there = np.flatnonzero(nearest[:, 0] != NO_ID)
    near = _cosines(vectors, there, nearest[there, 0])
    return _histograms("nearest neighbours", near, "random pairs", _cosines(vectors, first, second))


def _cosines(vectors: Vectors, first: Ints, second: Ints) -> Floats:
    return np.asarray(np.einsum("nd,nd->n", vectors[first].astype(np.float64), vectors[second].astype(np.float64)))


def _histograms(near_name: str, near: Floats, far_name: str, far: Floats) -> Similarities:
    low = min(near.min(), far.min())
    high = max(near.max(), far.max())
    edges = np.linspace(low, max(high, low + 1e-6), BINS + 1)
    groups = []
    for name, values in ((near_name, near), (far_name, far)):
        counts = np.histogram(values, edges)[0]
        # The last bin's edge may lie a rounding error below the greatest value.
        counts[-1] += len(values) - counts.sum()
        groups.append(Group(name, counts / len(values), float(values.mean()), len(values)))
    return Similarities(edges, groups[0], groups[1], _order(near, far))


def _order(near: Floats, far: Floats) -> float:
    """See ``Similarities.order``: the area under the ROC curve."""
    ascending = np.sort(far)
    below = np.searchsorted(ascending, near, side="left")
    not_above = np.searchsorted(ascending, near, side="right")
    return float((below + not_above).mean() / (2 * len(far)))
