"""Embeddings with their labels: what every measurement here is made of."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.core.types import Ids, Vectors

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LabelledVectors:
    """Embeddings of labelled images.

    Attributes:
        vectors: [n, D]; need not be normalised, must be finite and not zero.
        numbers: [n] class number of each, not negative; the same number means the same label wherever two of these
            are used together. Images without a label are left out beforehand: nobody knows whose match they are.
        ids: [n], each once, not negative; None for images that are known nowhere else.

    Raises:
        ValueError: shapes do not fit, a number is negative, or an id is negative or repeated.
    """

    vectors: Vectors
    numbers: Ints
    ids: Ids | None = None

    def __post_init__(self) -> None:
        count = len(self.vectors)
        if self.vectors.ndim != 2 or self.numbers.shape != (count,):
            raise ValueError(f"Vectors {self.vectors.shape} and class numbers {self.numbers.shape} do not fit.")
        if np.any(self.numbers < 0):
            raise ValueError("A class number is negative: leave out images without a label.")
        if self.ids is not None:
            if self.ids.shape != (count,):
                raise ValueError(f"{count} vectors, but ids of {self.ids.shape}.")
            if np.any(self.ids < 0) or len(np.unique(self.ids)) != count:
                raise ValueError("An id is negative or stands twice.")

    def __len__(self) -> int:
        return len(self.vectors)


def places(numbers: Ints) -> Ids:
    """The ids of images that have none: their places."""
    return np.arange(len(numbers), dtype=np.int64)
