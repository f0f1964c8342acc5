"""Accuracy of a weighted vote of the nearest neighbours.

Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018, section 3.4:
https://arxiv.org/abs/1805.01978. Each of the k nearest images votes for its class with weight exp(cosine / tau).
"""

import numpy as np
from numpy.typing import NDArray

from retrieval.evaluation.classified import Classified, classified
from retrieval.evaluation.vectors import LabelledVectors, places
from retrieval.functional.dense_topk import topk_blocks
from retrieval.functional.metrics import matches_without_query

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEIGHBOURS = 20
TEMPERATURE = 0.07


def knn_accuracy(
    database: LabelledVectors,
    queries: LabelledVectors | None = None,
    *,
    k: int = NEIGHBOURS,
    temperature: float = TEMPERATURE,
    seed: int = 0,
) -> Classified:
    """Classify queries by their k nearest neighbours in a database.

    The class with the greatest sum of weights wins; of equal sums the lowest number. Where fewer than k neighbours
    exist, all of them vote. A query whose class has no other image in the database is left out and counted.

    Args:
        database: whose neighbours vote.
        queries: who asks; one with an id of the database is left out of its own neighbours. None: every image of
            the database asks for the others.
        k: how many vote, at least 1.
        temperature: tau > 0 of the weights.
        seed: of the interval.

    Raises:
        RetrievalError: no query has an image of its class in the database.
        ValueError: shapes do not fit, k < 1, tau <= 0, or a row is zero or not finite.
    """
    if temperature <= 0:
        raise ValueError(f"The temperature is {temperature}, but must be positive.")
    ids = places(database.numbers) if database.ids is None else database.ids
    asked = LabelledVectors(database.vectors, database.numbers, ids) if queries is None else queries
    order = np.argsort(ids)
    predictions = np.empty(len(asked), dtype=np.int64)
    for part, found in topk_blocks(asked.vectors, database.vectors, ids, k + (asked.ids is not None)):
        matches = found if asked.ids is None else matches_without_query(found, asked.ids[part])
        # An empty match weighs nothing, whatever class it is given.
        votes = database.numbers[order][np.searchsorted(ids[order], np.maximum(matches.ids, ids.min()))]
        predictions[part] = _vote(votes, _weights(matches.scores, temperature))
    return classified(predictions, asked.numbers, _answerable(database, asked, ids), seed)


def _weights(scores: Floats, temperature: float) -> Floats:
    """[q, k] exp(score / tau) over the greatest of the row: the same winner, and no overflow; 0 for an empty match."""
    return np.asarray(np.exp((scores - np.maximum(scores[:, :1], -1.0)) / temperature))


def _vote(classes: Ints, weights: Floats) -> Ints:
    """[q] class with the greatest sum of weights in each row of [q, k]; of equal ones the lowest."""
    names, member = np.unique(classes, return_inverse=True)
    sums = np.zeros((len(classes), len(names)))
    np.add.at(sums, (np.arange(len(classes))[:, None], member.reshape(classes.shape)), weights)
    return np.asarray(names[sums.argmax(axis=1)], dtype=np.int64)


def _answerable(database: LabelledVectors, asked: LabelledVectors, ids: Ints) -> NDArray[np.bool_]:
    names, counts = np.unique(database.numbers, return_counts=True)
    known = dict(zip(names.tolist(), counts.tolist(), strict=True))
    others = np.array([known.get(number, 0) for number in asked.numbers.tolist()])
    if asked.ids is not None:
        others -= np.isin(asked.ids, ids)
    return np.asarray(others > 0, dtype=np.bool_)
