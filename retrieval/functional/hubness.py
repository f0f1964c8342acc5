"""Hubness: some rows are among the nearest neighbours of very many others, many of hardly any.

Radovanović, Nanopoulos and Ivanović, "Hubs in Space: Popular Nearest Neighbors in High-Dimensional Data", JMLR 11,
2010, section 2: https://www.jmlr.org/papers/v11/radovanovic10a.html.
"""

import numpy as np
from numpy.typing import NDArray

from retrieval.core.types import NO_ID, Ids

Ints = NDArray[np.int64]


def k_occurrence(neighbours: Ids, count: int) -> Ints:
    """N_k: how often each of ``count`` rows is among the k nearest neighbours of another.

    Args:
        neighbours: [Q, k] places 0 to ``count`` - 1, a row's own place left out; ``NO_ID`` is nobody.
        count: how many rows there are.

    Returns:
        [count]; their sum is the number of neighbours, so that their mean is k where every row asks.

    Raises:
        ValueError: a place outside of the rows.

    >>> k_occurrence(np.array([[1], [0], [0]]), 3).tolist()
    [2, 1, 0]
    """
    places = neighbours[neighbours != NO_ID]
    if len(places) and (places.min() < 0 or places.max() >= count):
        raise ValueError(f"A neighbour is none of the {count} rows.")
    return np.bincount(places, minlength=count).astype(np.int64)


def skewness(values: Ints) -> float:
    """Third standardised moment E[(x - mean)³] / std³ of [n] values; 0 where all are equal, NaN for none.

    Of the k-occurrences it is S_k, the measure of hubness: 0 where the numbers lie evenly around their mean, the larger
    the longer the tail of hubs.
    """
    if not len(values):
        return float("nan")
    centred = values - values.mean()
    deviation = float(np.sqrt(np.mean(centred**2)))
    return float(np.mean(centred**3)) / deviation**3 if deviation > 0 else 0.0
