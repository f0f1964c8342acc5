"""VICReg: views alike, every dimension spread out, no two dimensions the same.

Bardes, Ponce and LeCun, "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning", ICLR
2022, equations 1 to 6: https://arxiv.org/abs/2105.04906; the authors' scaling is that of their code:
https://github.com/facebookresearch/vicreg/blob/main/main_vicreg.py
"""

from typing import Literal

import torch
from torch import Tensor

from retrieval.losses.off_diagonal import squared_off_diagonal
from retrieval.losses.precision import full_precision

Scaling = Literal["authors", "paper"]

EPSILON = 1e-4
"""Added to the variance before the root, whose gradient at 0 would be infinite."""


@full_precision
def vicreg(
    first: Tensor,
    second: Tensor,
    *,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
    scaling: Scaling = "authors",
) -> Tensor:
    """The weighted sum of ``invariance_term``, ``variance_term`` and ``covariance_term``.

    The embeddings are raw ones: on the unit sphere the hinge of the variance term, at a standard deviation of 1, could
    never close.

    Args:
        first: [N, D], raw.
        second: [N, D], raw; row i shows the same image as row i of ``first``.
        invariance, variance, covariance: lambda, mu and nu >= 0, weights of the terms.
        scaling: see the terms.

    Returns:
        Scalar >= 0; 0 with a gradient of 0 where there are no rows.

    Raises:
        ValueError: the two shapes differ, or the scaling is unknown.
    """
    if not len(first):
        return (first.sum() + second.sum()) * 0
    return (
        invariance * invariance_term(first, second, scaling)
        + variance * variance_term(first, second, scaling)
        + covariance * covariance_term(first, second)
    )


@full_precision
def invariance_term(first: Tensor, second: Tensor, scaling: Scaling = "authors") -> Tensor:
    """s: squared distance of the views, a mean over rows; over dimensions a mean (authors) or a sum (paper).

    Args:
        first, second: [N, D], N >= 1.
        scaling: which of the two.

    Returns:
        Scalar >= 0.

    Raises:
        ValueError: the two shapes differ, or the scaling is unknown.
    """
    if first.shape != second.shape:
        raise ValueError(f"Views {list(first.shape)} and {list(second.shape)} do not fit.")
    squares = (first - second).square()
    return squares.mean() if _is_authors(scaling) else squares.sum(dim=1).mean()


@full_precision
def variance_term(first: Tensor, second: Tensor, scaling: Scaling = "authors") -> Tensor:
    """v: mean over dimensions of max(0, 1 - standard deviation), the mean (authors) or sum (paper) of both views.

    Args:
        first, second: [N, D], N >= 1; the variance has N - 1 in the denominator, and is 0 for one row.
        scaling: which of the two.

    Returns:
        Scalar in [0, 1), or [0, 2) for the paper's; ``COLLAPSED`` (twice that) where all embeddings are alike.

    Raises:
        ValueError: the scaling is unknown.
    """
    both = _hinge(first) + _hinge(second)
    return both / 2 if _is_authors(scaling) else both


@full_precision
def covariance_term(first: Tensor, second: Tensor) -> Tensor:
    """c: sum over i != j of C_ij² / D, summed over both views, C the covariance with N - 1 in the denominator.

    Args:
        first, second: [N, D], N >= 1.

    Returns:
        Scalar >= 0.
    """
    return _covariance(first) + _covariance(second)


COLLAPSED = 1 - EPSILON**0.5
"""The variance term of the authors' scaling where all embeddings are alike."""


def _hinge(rows: Tensor) -> Tensor:
    variance = (rows - rows.mean(dim=0)).square().sum(dim=0) / max(1, len(rows) - 1)
    return (1 - torch.sqrt(variance + EPSILON)).clamp_min(0).mean()


def _covariance(rows: Tensor) -> Tensor:
    centred = rows - rows.mean(dim=0)
    return squared_off_diagonal(centred, centred) / max(1, len(rows) - 1) ** 2 / rows.shape[1]


def _is_authors(scaling: str) -> bool:
    if scaling not in ("authors", "paper"):
        raise ValueError(f"The scaling is authors or paper, not {scaling!r}.")
    return scaling == "authors"
