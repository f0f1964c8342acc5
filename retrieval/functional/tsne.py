"""A map of high-dimensional rows in the plane: exact t-SNE, the same for the same rows.

van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 9, 2008:
https://www.jmlr.org/papers/v9/vandermaaten08a.html. Started from the first two principal components, which keeps the
large picture and leaves nothing to chance (Kobak and Berens, "The art of using t-SNE for single-cell
transcriptomics", Nature Communications 10, 2019). All pairs are looked at: for hundreds of rows, not for thousands.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PERPLEXITY = 30.0
ITERATIONS = 600
EXAGGERATED = 150
"""Iterations at the start in which attraction is multiplied by ``EXAGGERATION``."""
EXAGGERATION = 12.0
_START = 1e-4
_LEAST = 1e-12


class Map(NamedTuple):
    """Rows in the plane.

    Attributes:
        places: [N, 2], centred at 0.
        divergence: KL divergence of the pairs' closeness there from that of the rows, >= 0; lower is truer.
    """

    places: Floats
    divergence: float


def tsne(rows: NDArray[np.float32], *, perplexity: float = PERPLEXITY, iterations: int = ITERATIONS) -> Map:
    """t-SNE of rows by Euclidean distance; on unit vectors that orders pairs as the cosine does.

    Args:
        rows: [N, D], finite, N >= 3. Memory and time grow with N².
        perplexity: effective number of neighbours of a row, at least 1; at most (N - 1) / 3 of it is taken.
        iterations: steps of gradient descent with momentum.

    Raises:
        ValueError: shapes that do not fit, rows that are not finite, or a perplexity below 1.
    """
    if rows.ndim != 2 or len(rows) < 3 or not np.isfinite(rows).all():
        raise ValueError(f"A map takes three finite rows or more, not {rows.shape}.")
    if perplexity < 1:
        raise ValueError(f"The perplexity is {perplexity}, but must be at least 1.")
    wide = rows.astype(np.float64)
    closeness = joint_closeness(squared_distances(wide), min(perplexity, max(1.0, (len(wide) - 1) / 3)))
    places, speed, gains = _principal(wide), np.zeros((len(wide), 2)), np.ones((len(wide), 2))
    # Belkina et al., Nature Communications 10, 2019: of a larger one hundreds of rows fling some far away for good.
    rate = len(wide) / EXAGGERATION
    for step in range(iterations):
        early = step < EXAGGERATED
        gradient, _ = gradient_and_divergence(places, closeness * (EXAGGERATION if early else 1.0))
        # Jacobs' rule: faster where a step goes on in the direction of the last, slower where it turns back.
        gains = np.maximum(np.where(np.sign(gradient) == np.sign(speed), gains * 0.8, gains + 0.2), 0.01)
        speed = (0.5 if early else 0.8) * speed - rate * gains * gradient
        places = places + speed
        places -= places.mean(axis=0)
    return Map(places, gradient_and_divergence(places, closeness)[1])


def squared_distances(rows: Floats) -> Floats:
    """[N, N] squared Euclidean distances, 0 on the diagonal."""
    squares = np.einsum("nd,nd->n", rows, rows)
    found: Floats = np.maximum(squares[:, None] + squares[None] - 2 * (rows @ rows.T), 0.0)
    np.fill_diagonal(found, 0.0)
    return found


def joint_closeness(squared: Floats, perplexity: float) -> Floats:
    """P of [N, N] squared distances: symmetric, 0 on the diagonal, of sum 1.

    P = (p_{j|i} + p_{i|j}) / 2N with p_{j|i} = exp(-b_i d_ij²) / sum over k of exp(-b_i d_ik²), b_i such that the
    perplexity of row i, exp of the entropy of its p, is the one asked for (equations 1 and 2, section 3.1).
    """
    given = conditional_closeness(squared, perplexity)
    return np.asarray((given + given.T) / (2 * len(given)))


def conditional_closeness(squared: Floats, perplexity: float) -> Floats:
    """[N, N] p_{j|i}, each row of sum 1 and of the perplexity asked for where its distances allow it."""
    others = squared + np.diag(np.full(len(squared), np.inf))
    # The nearest neighbour's exponent is 0: no row underflows as a whole, and p does not change.
    others = others - others.min(axis=1, keepdims=True)
    low, high = np.full(len(squared), -60.0), np.full(len(squared), 60.0)
    for _ in range(60):
        middle = (low + high) / 2
        shares = _shares(others, np.exp(middle))
        too_wide = _entropy(shares) > np.log(perplexity)
        low, high = np.where(too_wide, middle, low), np.where(too_wide, high, middle)
    return _shares(others, np.exp((low + high) / 2))


def gradient_and_divergence(places: Floats, closeness: Floats) -> tuple[Floats, float]:
    """[N, 2] gradient of KL(P || Q) in the places, and KL(P || Q); Q from Student's t (equations 4 and 5)."""
    kernel = 1 / (1 + squared_distances(places))
    np.fill_diagonal(kernel, 0.0)
    total = kernel.sum()
    pull = (closeness - kernel / total * closeness.sum()) * kernel
    gradient = 4 * (pull.sum(axis=1)[:, None] * places - pull @ places)
    ratio = np.maximum(closeness, _LEAST) / np.maximum(kernel / total, _LEAST)
    return gradient, float(np.sum(closeness * np.log(ratio)))


def _shares(others: Floats, precision: Floats) -> Floats:
    weights = np.exp(-others * precision[:, None])
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _entropy(shares: Floats) -> Floats:
    return np.asarray(-np.sum(shares * np.log(np.maximum(shares, 1e-300)), axis=1))


def _principal(rows: Floats) -> Floats:
    """[N, 2] first two principal components, small, each with its largest entry positive."""
    centred = rows - rows.mean(axis=0)
    vectors, values, _ = np.linalg.svd(centred, full_matrices=False)
    found = np.zeros((len(rows), 2))
    width = min(2, vectors.shape[1])
    found[:, :width] = vectors[:, :width] * values[:width]
    found *= np.sign(found[np.abs(found).argmax(axis=0), [0, 1]] + 1e-300)
    deviation = float(found[:, 0].std())
    if deviation == 0:
        # All rows are one point: a circle, so that forces have somewhere to go.
        angles = 2 * np.pi * np.arange(len(rows)) / len(rows)
        return _START * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.asarray(found * _START / deviation)
