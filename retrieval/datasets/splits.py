"""Which images train, which choose between models, which only prove.

Everything public about splits is found here: the three ways to draw one, ``SplitStore``, which keeps it, and what
stands on two sides of it.
"""

from retrieval.core.errors import BadValue
from retrieval.core.labelled import Labelled, Split
from retrieval.datasets.leaks import Leak, from_sides, leaks, left_out, without_leaks
from retrieval.datasets.sides import (
    CLASS_DISJOINT,
    GIVEN,
    GROUPED,
    KINDS,
    SHARES,
    class_sides,
    disjoint_by,
    given_sides,
    grouped_sides,
    natural_kind,
)
from retrieval.datasets.split_store import SplitStore

__all__ = [
    "CLASS_DISJOINT",
    "GIVEN",
    "GROUPED",
    "KINDS",
    "Leak",
    "SplitStore",
    "class_disjoint",
    "draw",
    "given",
    "grouped",
    "leaks",
    "left_out",
    "natural_kind",
    "without_leaks",
]


def draw(labelled: Labelled, kind: str, seed: int) -> Split:
    """A split of one of ``KINDS``. Raises BadValue for another kind, and what the three functions raise."""
    if kind == CLASS_DISJOINT:
        return class_disjoint(labelled, seed)
    if kind == GIVEN:
        return given(labelled, seed)
    if kind == GROUPED:
        return grouped(labelled, seed)
    raise BadValue(f"There is no split {kind!r}.", f"Use one of: {', '.join(KINDS)}.")


def class_disjoint(labelled: Labelled, seed: int) -> Split:
    """Classes are not shared: the first half in sorted order is for training, with its last fifth (at least two
    classes) for validation, the second half for testing.

    An image whose near-duplicate stands on a more protected side (test before validation before training) is in no
    part: its class keeps it from that side, the duplicate from its own.

    Args:
        labelled: with digests and groups where they are known.
        seed: recorded; nothing is drawn.

    Raises:
        BadValue: fewer than ``LEAST_CLASSES`` classes.
    """
    return disjoint_by(labelled, class_sides(labelled.classes, {}, seed), seed)


def given(labelled: Labelled, seed: int = 0) -> Split:
    """The parts that the dataset names itself. Images of other parts (a studio set, say) and of none are left out.

    Where only a validation part stands beside the training part, it becomes the test part. Where there is none to
    validate with, 15 % of the training images are drawn for it, as in ``grouped``. What was given is not cleaned of
    near-duplicates: ``leaks`` counts them, ``without_leaks`` removes them.

    Args:
        seed: of that draw.

    Raises:
        BadValue: no image is given for training, or none to prove with.
    """
    return from_sides(given_sides(labelled, [None] * len(labelled), seed), GIVEN, seed)


def grouped(labelled: Labelled, seed: int, shares: tuple[float, float, float] = SHARES) -> Split:
    """Every class on all sides as far as its images allow, each group of near-duplicates whole on one.

    Within a class the groups go, the largest first and equal ones in an order drawn from ``seed`` and content, to the
    side that misses most of its share; the first group of a class trains. Complete: every image is in a part.

    Args:
        labelled: with digests and groups where they are known.
        seed: another one, another split. The order of the images does not matter.
        shares: of train, val and test; positive or 0, together 1.

    Raises:
        ValueError: the shares are no shares.
    """
    return from_sides(grouped_sides(labelled, [None] * len(labelled), seed, shares), GROUPED, seed)
