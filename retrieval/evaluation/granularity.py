"""Granularity: do classes stand apart, do their sub-classes, and does a class fall into groups of its own?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.core.types import Ids, Vectors
from retrieval.evaluation.neighbourhood import purity, rivals
from retrieval.functional.metrics import Interval, bootstrap_interval
from retrieval.functional.silhouette import silhouettes, two_clusters

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST_IN_CLASS = 6
"""Images below which it is not asked whether a class falls into groups."""

STRUCTURE = 0.25
"""Mean silhouette above which two groups are taken for more than chance (Kaufman and Rousseeuw, "Finding Groups in
Data", 1990, table 4: up to 0.25 no substantial structure)."""


@dataclass(frozen=True, slots=True)
class ClassPicture:
    """How one class stands among the others.

    Attributes:
        number: of the class.
        images: how many it has.
        margin: mean cosine to the nearest own image less that to the nearest of another class; NaN for one image.
        purity: mean neighbour purity; NaN for one image.
        silhouette: mean, in [-1, 1].
        rival: class number that its images have most often nearest among the others; -1 where there is none.
    """

    number: int
    images: int
    margin: float
    purity: float
    silhouette: float
    rival: int


@dataclass(frozen=True, slots=True)
class Parted:
    """A class that falls into two groups.

    Attributes:
        number: of the class.
        silhouette: mean of the two groups, each against the other.
        groups: places of the images of each, those nearest to the group's centre first.
    """

    number: int
    silhouette: float
    groups: tuple[Ids, Ids]


@dataclass(frozen=True, slots=True)
class Apart:
    """How far classes, or the sub-classes within each class, stand apart.

    Attributes:
        classes: how many.
        margin: mean over images, with its 95 % interval (classes resampled, then images).
        first: share of images whose nearest neighbour is of their own class, likewise: recall@1.
        silhouette: mean over images, likewise.
        values: [N] of each of the three by its name, image by image; NaN where an image has none.
        numbers: [N] class numbers, for intervals of differences.
    """

    classes: int
    margin: Interval
    first: Interval
    silhouette: Interval
    values: Mapping[str, Floats]
    numbers: Ints

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "classes": self.classes,
            "margin": asdict(self.margin),
            "recall_at_1": asdict(self.first),
            "silhouette": asdict(self.silhouette),
        }


@dataclass(frozen=True, slots=True)
class Granularity:
    """What labels say of an embedding.

    Attributes:
        classes: all together.
        by_class: each class, the smallest margin first.
        parted: classes that fall into two groups, the clearest first.
        asked: how many classes were large enough to ask.
        subclasses: of the classes that have some; None where the folders name none.
    """

    classes: Apart
    by_class: tuple[ClassPicture, ...]
    parted: tuple[Parted, ...]
    asked: int
    subclasses: Apart | None

    def to_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """JSON-ready values; ``names`` are those of the class numbers."""
        return {
            **self.classes.to_dict(),
            "by_class": [
                {
                    **{key: _plain(value) for key, value in asdict(one).items()},
                    "label": names[one.number],
                    "rival": names[one.rival] if one.rival >= 0 else None,
                }
                for one in self.by_class
            ],
            "parted": [
                {"label": names[one.number], "silhouette": one.silhouette, "images": [len(g) for g in one.groups]}
                for one in self.parted
            ],
            "classes_asked": self.asked,
            "subclasses": None if self.subclasses is None else self.subclasses.to_dict(),
        }


def granularity(
    vectors: Vectors, numbers: Ints, nearest: Ids, subclasses: Ints | None = None, *, seed: int = 0
) -> Granularity | None:
    """Measure how finely labelled images are told apart.

    Args:
        vectors: [N, D], unit norm.
        numbers: [N] class numbers, not negative.
        nearest: [N, k] places of the nearest neighbours among these N.
        subclasses: [N] numbers of finer classes, each within one class; None where nobody named any.
        seed: of the intervals.

    Returns:
        None where no class has two images, or there is one class only.

    Raises:
        ValueError: shapes do not fit, or a class number is negative.
    """
    classes = apart(vectors, numbers, seed=seed)
    if classes is None:
        return None
    parted = [_parted(vectors, np.flatnonzero(numbers == name), int(name)) for name in _large(numbers)]
    clear = sorted((one for one in parted if one.silhouette >= STRUCTURE), key=lambda one: -one.silhouette)
    finer = None
    if subclasses is not None:
        have = np.isin(numbers, [n for n in np.unique(numbers) if len(np.unique(subclasses[numbers == n])) > 1])
        finer = apart(vectors[have], subclasses[have], numbers[have], seed=seed) if have.any() else None
    return Granularity(classes, _by_class(vectors, numbers, nearest), tuple(clear), len(parted), finer)


def apart(vectors: Vectors, numbers: Ints, within: Ints | None = None, *, seed: int = 0) -> Apart | None:
    """How far classes stand apart; ``within`` as for ``rivals``. None where no image has both kinds of neighbours."""
    found = rivals(vectors, numbers, within)
    margin = found.margin
    if np.isnan(margin).all():
        return None
    first = np.where(np.isnan(margin), np.nan, (margin > 0).astype(np.float64))
    silhouette = np.full(len(numbers), np.nan)
    groups = np.zeros(len(numbers), np.int64) if within is None else within
    for name in np.unique(groups):
        rows = np.flatnonzero(groups == name)
        silhouette[rows] = silhouettes(vectors[rows], numbers[rows])
    values = {"margin": margin, "first": first, "silhouette": silhouette}
    intervals = {name: bootstrap_interval(one, numbers, seed) for name, one in values.items() if name != "silhouette"}
    if np.isnan(silhouette).all():
        return None
    intervals["silhouette"] = bootstrap_interval(silhouette, numbers, seed)
    return Apart(len(np.unique(numbers)), **intervals, values=values, numbers=numbers)


def _plain(value: float) -> float | None:
    """NaN, which JSON has no word for, as None."""
    return None if math.isnan(value) else value


def _large(numbers: Ints) -> list[int]:
    names, counts = np.unique(numbers, return_counts=True)
    return [int(name) for name, size in zip(names, counts, strict=True) if size >= LEAST_IN_CLASS]


def _parted(vectors: Vectors, rows: Ids, number: int) -> Parted:
    mine = vectors[rows]
    member = two_clusters(mine)
    if len(np.unique(member)) < 2:
        return Parted(number, 0.0, (rows, rows[:0]))
    groups = []
    for cluster in (0, 1):
        places = np.flatnonzero(member == cluster)
        closeness = mine[places] @ mine[places].sum(axis=0)
        groups.append(rows[places[np.argsort(-closeness, kind="stable")]])
    # The larger one first: it is what the label mostly shows.
    groups.sort(key=len, reverse=True)
    # A lone outlier makes no group: its silhouette of 0 by definition would be outweighed by all the others.
    clear = float(silhouettes(mine, member).mean()) if min(map(len, groups)) > 1 else 0.0
    return Parted(number, clear, (groups[0], groups[1]))


def _by_class(vectors: Vectors, numbers: Ints, nearest: Ids) -> tuple[ClassPicture, ...]:
    found, pure, stands = rivals(vectors, numbers), purity(nearest, numbers), silhouettes(vectors, numbers)
    pictures = []
    for name in np.unique(numbers).tolist():
        rows = np.flatnonzero(numbers == name)
        others = found.other_class[rows][found.other_class[rows] >= 0]
        rival = int(np.bincount(others).argmax()) if len(others) else -1
        alone = len(rows) < 2
        margin, share = (np.nan, np.nan) if alone else (found.margin[rows].mean(), pure[rows].mean())
        pictures.append(ClassPicture(name, len(rows), float(margin), float(share), float(stands[rows].mean()), rival))
    return tuple(sorted(pictures, key=lambda one: (np.isnan(one.margin), one.margin, one.number)))
