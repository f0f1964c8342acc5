"""What stands on two sides of a split, and a split without it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrieval.core.labelled import Labelled, Split
from retrieval.datasets.grouping import connected
from retrieval.datasets.parts import SIDES, most_protected

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Leak:
    """Images that should be on one side.

    Attributes:
        reason: ``"digest"`` (the same content), ``"path"`` (the same file), ``"group"`` (near-duplicates), or
            ``"label"`` (one class on two sides of a class-disjoint split).
        ids: of the images that share it and are in the split, ascending.
        sides: the sides they are on.
    """

    reason: str
    ids: tuple[int, ...]
    sides: tuple[str, ...]


def sides_of(labelled: Labelled, split: Split) -> list[str | None]:
    """The side of each image; None for one that is in no part."""
    sides: list[str | None] = [None] * len(labelled)
    for side, ids in zip(SIDES, (split.train, split.val, split.test), strict=True):
        for i in ids.tolist():
            sides[i] = side
    return sides


def from_sides(sides: Sequence[str | None], kind: str, seed: int) -> Split:
    """The inverse of ``sides_of``."""
    by_side = {side: [i for i, value in enumerate(sides) if value == side] for side in SIDES}
    train, val, test = (np.array(by_side[side], np.int64) for side in SIDES)
    return Split(train, val, test, kind, seed)


def left_out(labelled: Labelled, split: Split) -> Ids:
    """Ids that are in no part of the split, ascending."""
    ids: Ids = np.setdiff1d(np.arange(len(labelled)), np.concatenate([split.train, split.val, split.test]))
    return ids


def joined(labelled: Labelled) -> Ids:
    """[N] the smallest id of everything that belongs on one side with an image: the same content, file or group."""
    images = labelled.images
    return connected([i.digest for i in images], [i.path for i in images], [i.group for i in images])


def leaks(labelled: Labelled, split: Split) -> list[Leak]:
    """Everything that stands on two sides, each set of images once, by the strongest reason."""
    sides = sides_of(labelled, split)
    images = labelled.images
    keys: dict[str, list[object | None]] = {
        "digest": [i.digest for i in images],
        "path": [i.path for i in images],
        "group": [i.group for i in images],
    }
    if split.kind == "class-disjoint":
        keys["label"] = [i.label for i in images]
    found: dict[tuple[int, ...], Leak] = {}
    for reason, values in keys.items():
        together: dict[object, list[int]] = {}
        for position, (value, side) in enumerate(zip(values, sides, strict=True)):
            if value is not None and side is not None:
                together.setdefault(value, []).append(position)
        for positions in together.values():
            on = {side for position in positions if (side := sides[position])}
            if len(on) > 1:
                ids = tuple(positions)
                found.setdefault(ids, Leak(reason, ids, tuple(s for s in SIDES if s in on)))
    return list(found.values())


def without_leaks(labelled: Labelled, split: Split) -> Split:
    """The split with nothing on two sides: the test part stays whole, twins of its images leave the other parts, and
    twins of validation images leave the training part. Nothing moves to another side."""
    sides = sides_of(labelled, split)
    representatives = joined(labelled).tolist()
    present: dict[int, set[str]] = {}
    for representative, side in zip(representatives, sides, strict=True):
        if side is not None:
            present.setdefault(representative, set()).add(side)
    kept = [
        side if side is None or side == most_protected(present[representative]) else None
        for representative, side in zip(representatives, sides, strict=True)
    ]
    clean = from_sides(kept, split.kind, split.seed)
    return replace(split, train=clean.train, val=clean.val, test=clean.test)
