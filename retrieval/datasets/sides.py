"""Drawing the sides of a split, from nothing or going on from what was drawn before.

``known`` holds the sides that stand already; none of them changes.
"""

import hashlib
from collections.abc import Mapping, Sequence

from retrieval.core.errors import BadValue
from retrieval.core.labelled import Labelled, LabelledImage, Split
from retrieval.core.text import shown
from retrieval.datasets.leaks import from_sides, joined, without_leaks
from retrieval.datasets.parts import SIDES, TEST, TRAIN, VAL, most_protected

CLASS_DISJOINT = "class-disjoint"
GIVEN = "given"
GROUPED = "grouped"
KINDS = (CLASS_DISJOINT, GIVEN, GROUPED)

SHARES = (0.7, 0.15, 0.15)
"""Train, val, test of a grouped split."""

LEAST_CLASSES = 8
"""A class-disjoint split with fewer has a part with a single class, where nothing can be confused."""

_CLASS_SHARES = (0.4, 0.1, 0.5)
_CARVED_SHARES = (0.85, 0.15, 0.0)

Known = Sequence[str | None]


def natural_kind(labelled: Labelled) -> str:
    """The kind that a dataset asks for: the given one if its images name parts to learn from and to prove with, else
    class-disjoint, else (fewer than ``LEAST_CLASSES`` classes) grouped."""
    parts = {image.part for image in labelled.images}
    if TRAIN in parts and parts & {VAL, TEST}:
        return GIVEN
    return CLASS_DISJOINT if len(labelled.classes) >= LEAST_CLASSES else GROUPED


def class_sides(classes: Sequence[str], known: Mapping[str, str], seed: int) -> dict[str, str]:
    """The side of each class: the known ones as they are; by the definition if none is known; else new ones where most
    is missing, in an order drawn from the seed. Raises BadValue for fewer than ``LEAST_CLASSES`` classes in all."""
    if not known:
        return _by_definition(sorted(classes))
    sides = dict(known)
    counts = {side: sum(value == side for value in sides.values()) for side in SIDES}
    for label in sorted(set(classes) - set(known), key=lambda label: _drawn(seed, _bytes(label))):
        total = len(sides) + 1
        missing = {side: share * total - counts[side] for side, share in zip(SIDES, _CLASS_SHARES, strict=True)}
        side = max(SIDES, key=lambda side: round(missing[side], 9))
        sides[label] = side
        counts[side] += 1
    return sides


def disjoint_by(labelled: Labelled, sides: Mapping[str, str], seed: int, known: Known | None = None) -> Split:
    """Every image on its class's side; left out where ``known`` says that it was on another one before."""
    by_class: list[str | None] = [sides[image.label] for image in labelled.images]
    for i, before in enumerate(known or ()):
        if before is not None and before != by_class[i]:
            by_class[i] = None
    return without_leaks(labelled, from_sides(by_class, CLASS_DISJOINT, seed))


def given_sides(labelled: Labelled, known: Known, seed: int) -> list[str | None]:
    """As ``given``; ``known`` counts only for what was drawn: training images that validate."""
    named = [image.part for image in labelled.images]
    sides: list[str | None] = [part if part in SIDES else None for part in named]
    _require_given(labelled, sides)
    if TEST not in sides:
        sides = [TEST if side == VAL else side for side in sides]
    if VAL in sides:
        return sides
    train = [i for i, side in enumerate(sides) if side == TRAIN]
    subset = Labelled([labelled.images[i] for i in train], labelled.source)
    before = [known[i] if known[i] in (TRAIN, VAL) else None for i in train]
    for i, side in zip(train, grouped_sides(subset, before, seed, _CARVED_SHARES), strict=True):
        sides[i] = side
    return sides


def grouped_sides(
    labelled: Labelled, known: Known, seed: int, shares: tuple[float, float, float] = SHARES
) -> list[str]:
    """As ``grouped``; known images keep their side, and new ones in a group with known ones join them."""
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(f"The shares {shares} are not three parts of 1.")
    groups: dict[int, list[int]] = {}
    for i, representative in enumerate(joined(labelled).tolist()):
        groups.setdefault(representative, []).append(i)
    sides: list[str | None] = list(known)
    fresh: dict[str, list[list[int]]] = {}
    for members in groups.values():
        before = {side for i in members if (side := known[i]) is not None}
        if before:
            for i in members:
                sides[i] = known[i] or most_protected(before)
        else:
            fresh.setdefault(_owner(labelled, members), []).append(members)
    counts = _counts(labelled, sides)
    totals = _counts(labelled, [TRAIN] * len(labelled))
    everywhere = {side: sides.count(side) for side in SIDES}
    for label in sorted(fresh):
        have = {side: counts.get((label, side), 0) for side in SIDES}
        goals = {side: share * totals[label, TRAIN] for side, share in zip(SIDES, shares, strict=True)}
        _fill(labelled, fresh[label], have, everywhere, goals, seed, sides)
    return [side if side is not None else TRAIN for side in sides]


def _fill(
    labelled: Labelled,
    groups: list[list[int]],
    have: dict[str, int],
    everywhere: dict[str, int],
    goals: Mapping[str, float],
    seed: int,
    sides: list[str | None],
) -> None:
    """Give the groups of one class their sides. ``have`` counts the images of the class, ``everywhere`` those of all
    classes."""
    drawn = {id(members): min(_drawn(seed, _key(labelled.images[i])) for i in members) for members in groups}
    for members in sorted(groups, key=lambda members: (-len(members), drawn[id(members)])):
        # Where two sides miss the same, the one that is behind over all classes gets it, else all small classes would
        # fill the same side; where that is the same too, chance decides.
        either = (VAL, TEST) if drawn[id(members)][0] % 2 else (TEST, VAL)
        first = (TRAIN, *sorted(either, key=everywhere.__getitem__))
        side = max(first, key=lambda side: round(goals[side] - have[side], 9) if goals[side] else -float("inf"))
        if not any(have.values()) and goals[TRAIN]:
            side = TRAIN
        have[side] += len(members)
        everywhere[side] += len(members)
        for i in members:
            sides[i] = side


def _owner(labelled: Labelled, members: Sequence[int]) -> str:
    """The class that a group counts for: that of most of its images."""
    labels = [labelled.images[i].label for i in members]
    return min(set(labels), key=lambda label: (-labels.count(label), label))


def _counts(labelled: Labelled, sides: Known) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    for image, side in zip(labelled.images, sides, strict=True):
        if side is not None:
            counts[image.label, side] = counts.get((image.label, side), 0) + 1
    return counts


def _by_definition(classes: Sequence[str]) -> dict[str, str]:
    if len(classes) < LEAST_CLASSES:
        raise BadValue(
            f"A class-disjoint split needs at least {LEAST_CLASSES} classes, here are {len(classes)}.",
            "Use --split grouped, which puts images of each class on both sides.",
        )
    half = len(classes) // 2
    val = max(2, half // 5)
    return {
        label: TRAIN if place < half - val else VAL if place < half else TEST for place, label in enumerate(classes)
    }


def _require_given(labelled: Labelled, sides: Known) -> None:
    source = shown(labelled.source)
    if TRAIN not in sides:
        raise BadValue(
            f"No image in {source} is given for training.",
            "Name the parts train, val and test, or choose another split (--split grouped).",
        )
    if VAL not in sides and TEST not in sides:
        raise BadValue(
            f"All images of the given split in {source} are for training: nothing is left to validate and prove with.",
            "Give a test part, or choose another split (--split grouped).",
        )


def _key(image: LabelledImage) -> bytes:
    return image.digest if image.digest is not None else image.path


def _drawn(seed: int, key: bytes) -> bytes:
    """A number that chance gives to a key, as bytes."""
    return hashlib.sha256(b"%d\0" % seed + key).digest()


def _bytes(label: str) -> bytes:
    return label.encode("utf-8", "surrogatepass")
