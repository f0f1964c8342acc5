"""Labelled images, as folders, tables and galleries give them and as training and evaluation take them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

UNLABELLED = ""
"""The label of an image that has none; no folder, table or gallery gives it to an image that has one."""


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image with its label.

    Attributes:
        path: absolute, as the system's bytes.
        label: its class; ``UNLABELLED`` where it has none.
        part: the part it was given to by its source (``"train"``, ``"val"``, ``"test"``); None where nobody said.
        digest: SHA-256 of the content, where it is known.
        group: images of one group (near-duplicates, one product shot) stay on one side of a split; None: alone.
    """

    path: bytes
    label: str
    part: str | None = None
    digest: bytes | None = None
    group: int | None = None


@dataclass(frozen=True)
class Labelled:
    """A labelled dataset: images in a fixed order; an image's place in it is its id.

    Attributes:
        images: in order.
        source: what it was made from, for people.
    """

    images: Sequence[LabelledImage]
    source: str

    @cached_property
    def classes(self) -> list[str]:
        """The labels, sorted; a label's place is its number."""
        return sorted({image.label for image in self.images} - {UNLABELLED})

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """[N] the class number of each image; -1 where it has none."""
        number = {label: i for i, label in enumerate(self.classes)} | {UNLABELLED: -1}
        return np.array([number[image.label] for image in self.images], np.int64)

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, ids: NDArray[np.int64]) -> "Labelled":
        """The images at these places, in this order; their classes are numbered anew."""
        return Labelled([self.images[i] for i in ids.tolist()], self.source)


@dataclass(frozen=True, slots=True)
class Split:
    """Which images train, which choose between models, and which only prove; ids of a ``Labelled``.

    Attributes:
        train, val, test: [n] int64 ids, ascending, no id in two of them.
        kind: ``"class-disjoint"``, ``"given"`` or ``"grouped"``.
        seed: with which it was drawn.
    """

    train: NDArray[np.int64]
    val: NDArray[np.int64]
    test: NDArray[np.int64]
    kind: str
    seed: int
