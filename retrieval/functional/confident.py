"""Confident learning: which given labels are probably wrong.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70, 2021
(https://arxiv.org/abs/1911.00068): an example counts for the class whose predicted probability reaches that class's own
mean probability among the examples that were given it (equation 2); those that count for another class than the given
one are off the diagonal of the confident joint (equation 1), and are ranked by the margin between the two (the
"prune by noise rate" ranking, section 3.2).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Suspects(NamedTuple):
    """Rows whose label is contradicted, the most clearly so first.

    Attributes:
        rows: [S] places among the examples.
        instead: [S] the class that each counts for.
        margins: [S] probability of that class less that of the given one, in (-1, 1], descending.
    """

    rows: Ints
    instead: Ints
    margins: Floats


def suspects(probabilities: Floats, given: Ints) -> Suspects:
    """The labels that are probably wrong. Of a class with a single example nothing is said.

    Args:
        probabilities: [N, C] of each example, predicted without it.
        given: [N] class numbers.

    Raises:
        ValueError: shapes do not fit.
    """
    if probabilities.ndim != 2 or given.shape != probabilities.shape[:1]:
        raise ValueError(f"Probabilities {probabilities.shape} and labels {given.shape} do not fit.")
    counts = np.bincount(given, minlength=probabilities.shape[1])
    own = probabilities[np.arange(len(given)), given]
    usual = np.bincount(given, own, minlength=probabilities.shape[1]) / np.maximum(counts, 1)
    # A class that nobody would ever be given has no usual probability to reach.
    confident = (probabilities >= usual) & (probabilities > 0) & (counts > 0)
    reached = np.where(confident, probabilities, -1.0)
    instead = reached.argmax(axis=1)
    margins = reached.max(axis=1) - own
    rows = np.flatnonzero(confident.any(axis=1) & (instead != given) & (counts[given] > 1))
    rows = rows[np.argsort(-margins[rows], kind="stable")]
    return Suspects(rows.astype(np.int64), instead[rows].astype(np.int64), margins[rows])
