"""What the temperature of a contrastive loss does to its negatives.

Wang and Liu, "Understanding the Behaviour of Contrastive Loss", CVPR 2021: https://arxiv.org/abs/2012.09740: the
gradient with respect to a negative is proportional to exp(s / tau), so that a small tau pushes away the hardest ones
only. As tau goes to 0, tau times InfoNCE becomes a triplet loss with the hardest negative and no margin (section 3.2).

Everything is computed in float64 from a matrix of cosines; masks say which entries are looked at.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def negative_weights(scores: Floats, negative: Bools, temperature: float) -> Floats:
    """exp(s / tau) / sum over the negatives of exp(s / tau): the share of an anchor's penalty that a negative gets.

    Args:
        scores: [A, N] cosines of anchors and others.
        negative: [A, N] which of the others are negatives.
        temperature: tau > 0.

    Returns:
        [A, N], 0 beside the negatives; rows sum to 1, or to 0 where an anchor has no negative.

    Raises:
        ValueError: shapes do not fit, or tau <= 0.

    >>> negative_weights(np.array([[0.5, 0.5, 0.9]]), np.array([[True, True, False]]), 0.1).tolist()
    [[0.5, 0.5, 0.0]]
    """
    _check(scores, negative, temperature)
    logits = np.where(negative, scores / temperature, -np.inf)
    highest = logits.max(axis=1, keepdims=True, initial=-np.inf)
    weights = np.where(negative, np.exp(logits - np.where(np.isfinite(highest), highest, 0.0)), 0.0)
    return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300))


def effective_number(weights: Floats) -> Floats:
    """exp of the entropy of [A, N] weights: how many negatives an anchor pushes away, 1 to N.

    Returns:
        [A]; NaN for an anchor without a negative.

    >>> effective_number(np.array([[0.25, 0.25, 0.25, 0.25], [1.0, 0.0, 0.0, 0.0]])).round(6).tolist()
    [4.0, 1.0]
    """
    terms = np.where(weights > 0, weights * np.log(np.where(weights > 0, weights, 1.0)), 0.0)
    return np.where(weights.any(axis=1), np.exp(-terms.sum(axis=1)), np.nan)


def scaled_info_nce(scores: Floats, positive: Bools, negative: Bools, temperature: float) -> float:
    """tau times InfoNCE, the mean over pairs (a, p) of tau log(1 + sum over negatives n of exp((s_an - s_ap) / tau)).

    It lies above ``hardest_triplet`` by at most tau log(1 + N).

    Args:
        scores: [A, N] cosines.
        positive, negative: [A, N] which of the others are what.
        temperature: tau > 0.

    Raises:
        ValueError: as ``negative_weights``, or there is no pair with a negative.
    """
    _check(scores, negative, temperature)
    rows, columns = _pairs(scores, positive, negative)
    logits = np.where(negative, scores / temperature, -np.inf)
    highest = logits.max(axis=1)
    against = np.full(len(scores), -np.inf)
    some = np.flatnonzero(np.isfinite(highest))
    against[some] = highest[some] + np.log(np.exp(logits[some] - highest[some, None]).sum(axis=1))
    # log(1 + exp(x)) without overflow: the positive is in the denominator as well.
    terms = np.logaddexp(0.0, against[rows] - scores[rows, columns] / temperature)
    return float(temperature * terms.mean())


def hardest_triplet(scores: Floats, positive: Bools, negative: Bools) -> float:
    """The mean over the same pairs of max(0, max over n of s_an - s_ap): a triplet with the hardest negative, margin 0.

    Arguments and errors as ``scaled_info_nce``.
    """
    _check(scores, negative, 1.0)
    rows, columns = _pairs(scores, positive, negative)
    hardest = np.where(negative, scores, -np.inf).max(axis=1)
    return float(np.maximum(0.0, hardest[rows] - scores[rows, columns]).mean())


def _pairs(scores: Floats, positive: Bools, negative: Bools) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The (anchor, positive) pairs of anchors that have a negative."""
    if positive.shape != scores.shape:
        raise ValueError(f"Positives {positive.shape} do not fit cosines {scores.shape}.")
    rows, columns = np.nonzero(positive & negative.any(axis=1, keepdims=True))
    if not len(rows):
        raise ValueError("No anchor has both a positive and a negative.")
    return rows, columns


def _check(scores: Floats, negative: Bools, temperature: float) -> None:
    if scores.ndim != 2 or negative.shape != scores.shape:
        raise ValueError(f"Cosines {scores.shape} and negatives {negative.shape} do not fit.")
    if not temperature > 0:
        raise ValueError(f"The temperature is {temperature}, but must be positive.")
