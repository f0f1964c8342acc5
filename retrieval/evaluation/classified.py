"""Answers of a classifier, and how many of them are right."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.core.errors import RetrievalError
from retrieval.functional.metrics import Interval, bootstrap_interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Classified:
    """Predicted classes of Q images.

    Attributes:
        predictions: [Q] class numbers.
        correct: [Q] 1 or 0; NaN for an image that no answer could be right for (its class was never shown).
        accuracy: mean of ``correct`` with its 95 % interval (classes resampled, then images).
    """

    predictions: Ints
    correct: Floats
    accuracy: Interval

    @property
    def excluded(self) -> int:
        """Images whose class was never shown; left out of the accuracy."""
        return int(np.count_nonzero(np.isnan(self.correct)))


def classified(
    predictions: Ints, numbers: Ints, answerable: NDArray[np.bool_], seed: int, resamples: int = 1000
) -> Classified:
    """Score predictions [Q] against the true ``numbers`` [Q], where ``answerable`` [Q].

    Raises:
        RetrievalError: no image is answerable.
    """
    if not answerable.any():
        raise RetrievalError(
            "None of the images has a label that was learned: there is nothing to measure.",
            "Take images of the same labels for learning and for measuring.",
        )
    correct = np.where(answerable, (predictions == numbers).astype(np.float64), np.nan)
    return Classified(predictions, correct, bootstrap_interval(correct, numbers, seed, resamples))
