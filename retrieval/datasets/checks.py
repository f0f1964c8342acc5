"""Can one learn and measure with these labels? One clear line where not.

Classes with one image stay in the dataset: such an image is a negative for all others and has no positive itself.
Samplers treat it by their ``singletons`` rule, evaluation leaves it out as a query and counts it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.core.errors import BadValue
from retrieval.core.labelled import Labelled, Split
from retrieval.core.text import shown
from retrieval.datasets.parts import SIDES, TEST, VAL

Ids = NDArray[np.int64]

Note = Callable[[str], None]
"""Takes one line about something that was left out or guessed."""


def no_notes(line: str) -> None:
    """For callers that want to hear nothing."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How large a dataset is.

    Attributes:
        images: all of them.
        classes: different labels.
        singletons: classes with one image.
    """

    images: int
    classes: int
    singletons: int

    def __str__(self) -> str:
        line = f"{self.images:,} images of {self.classes:,} classes"
        if not self.singletons:
            return line
        has = "class has" if self.singletons == 1 else "classes have"
        return f"{line}; {self.singletons:,} {has} one image and no pair to learn from"


def count(labelled: Labelled) -> Counts:
    """The sizes of a dataset."""
    sizes = _sizes(labelled.numbers)
    return Counts(len(labelled), len(labelled.classes), int(np.count_nonzero(sizes == 1)))


def require_usable(labelled: Labelled) -> None:
    """Refuse a dataset from which nothing can be learned.

    Raises:
        BadValue: no image, fewer than two classes, or no class with two images.
    """
    counts, source = count(labelled), shown(labelled.source)
    if not counts.images:
        raise BadValue(f"There is no labelled image in {source}.", "Give a folder of class folders, or a CSV.")
    if counts.classes < 2:
        raise BadValue(
            f"All {counts.images:,} images in {source} have the same label, {shown(labelled.classes[0], 80)!r}.",
            "Learning to tell classes apart needs at least two of them: give the folder that holds the class folders.",
        )
    if counts.singletons == counts.classes:
        raise BadValue(
            f"Each of the {counts.classes:,} classes in {source} has only one image.",
            "At least one class needs two images; labels must be shared by images that belong together.",
        )


def require_pictures(images: Labelled) -> None:
    """Refuse images from which nothing can be learned without labels, which takes two to compare.

    Raises:
        BadValue: fewer than two images.
    """
    source = shown(images.source)
    if not len(images):
        raise BadValue(
            f"There is no image in {source}.",
            "Give a folder with images, a CSV with a column path, or an indexed gallery.",
        )
    if len(images) == 1:
        raise BadValue(
            f"There is only one image in {source}.",
            "Learning without labels compares images with each other: add more.",
        )


def require_measurable(labelled: Labelled, split: Split) -> None:
    """Refuse a split whose training part cannot teach, or whose other parts cannot measure.

    A query of a part needs a positive: in the same part, or, where classes are shared between the parts, in the
    training part.

    Raises:
        BadValue: naming the part, and what is missing in it.
    """
    numbers = labelled.numbers
    train = _sizes(numbers[split.train])
    if np.count_nonzero(train) < 2 or train.max(initial=0) < 2:
        raise BadValue(
            f"The training part of the {split.kind} split has {len(split.train):,} images of "
            f"{np.count_nonzero(train):,} classes and nothing to compare.",
            "It needs two classes, and two images in one of them: label more images, or choose another split.",
        )
    for name, ids in ((VAL, split.val), (TEST, split.test)):
        words = {VAL: "validation", TEST: "test"}[name]
        if not len(ids):
            raise BadValue(
                f"The {words} part of the {split.kind} split is empty.",
                "Label more images of the small classes, or choose another split (--split grouped).",
            )
        own = numbers[ids]
        others = np.empty(0, np.int64) if split.kind == "class-disjoint" else numbers[split.train]
        if _sizes(np.concatenate([own, others]))[own].max() < 2:
            raise BadValue(
                f"No image in the {words} part of the {split.kind} split has a second one of its class.",
                "Label more images of the small classes, or choose another split (--split grouped).",
            )


def describe_split(labelled: Labelled, split: Split) -> str:
    """One line: how many images and classes each part has, and how many images are in none."""
    numbers = labelled.numbers
    parts = []
    for name, ids in zip(SIDES, (split.train, split.val, split.test), strict=True):
        parts.append(f"{name} {len(ids):,} images of {len(np.unique(numbers[ids])):,} classes")
    left_out = len(labelled) - len(split.train) - len(split.val) - len(split.test)
    tail = f"; {left_out:,} left out" if left_out else ""
    return f"{split.kind} split: {', '.join(parts)}{tail}"


def _sizes(numbers: Ids) -> Ids:
    return np.bincount(numbers).astype(np.int64) if len(numbers) else np.zeros(1, np.int64)
