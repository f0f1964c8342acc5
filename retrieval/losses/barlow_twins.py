"""Barlow Twins: the cross-correlation of two views becomes the identity matrix.

Zbontar, Jing, Misra, LeCun and Deny, "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", ICML 2021,
equations 1 and 2 and algorithm 1: https://arxiv.org/abs/2103.03230
"""

import torch
from torch import Tensor

from retrieval.losses.off_diagonal import squared_off_diagonal
from retrieval.losses.precision import full_precision

EPSILON = 1e-5
"""Added to variances, as the batch-norm of the authors' code adds it: a dimension that is constant stays 0."""


@full_precision
def barlow_twins(first: Tensor, second: Tensor, *, redundancy: float = 0.0051) -> Tensor:
    """Sum over i of (1 - C_ii)² plus lambda times the sum over i != j of C_ij².

    Args:
        first: [N, D], raw.
        second: [N, D], raw; row i shows the same image as row i of ``first``.
        redundancy: lambda >= 0, the weight of the second sum. At 0 all dimensions may become one.

    Returns:
        Scalar >= 0; D where all embeddings are alike; 0 with a gradient of 0 where there are none.

    Raises:
        ValueError: the two shapes differ.
    """
    if not len(first):
        return (first.sum() + second.sum()) * 0
    diagonal, beside = correlation_parts(first, second)
    return of_parts(diagonal, beside, redundancy)


@full_precision
def correlation_parts(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """The diagonal C_ii, [D], and the sum over i != j of C_ij²: all that the loss needs of ``cross_correlation``.

    Raises:
        ValueError: the two shapes differ.
    """
    _require_same(first, second)
    one, other = _standardised(first), _standardised(second)
    count = len(first)
    return (one * other).sum(dim=0) / count, squared_off_diagonal(one, other) / count**2


def of_parts(diagonal: Tensor, beside: Tensor, redundancy: float) -> Tensor:
    """The loss from ``correlation_parts``; see ``barlow_twins``."""
    return (1 - diagonal).square().sum() + redundancy * beside


@full_precision
def cross_correlation(first: Tensor, second: Tensor) -> Tensor:
    """C: for each dimension of the one view its correlation with each of the other, over the batch.

    Args:
        first: [N, D], N >= 1.
        second: [N, D].

    Returns:
        [D, D] in [-1, 1].

    Raises:
        ValueError: the two shapes differ.
    """
    _require_same(first, second)
    return _standardised(first).T @ _standardised(second) / len(first)


def _require_same(first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape:
        raise ValueError(f"Views {list(first.shape)} and {list(second.shape)} do not fit.")


def _standardised(rows: Tensor) -> Tensor:
    """Each dimension with mean 0 and variance 1 over the batch (N in the denominator): batch-norm without affine."""
    centred = rows - rows.mean(dim=0)
    return centred * torch.rsqrt(centred.square().mean(dim=0) + EPSILON)
