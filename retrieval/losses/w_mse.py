"""W-MSE: views agree after their batch has been whitened, which leaves no room for collapse.

Ermolov, Siarohin, Sangineto and Sebe, "Whitening for Self-Supervised Representation Learning", ICML 2021, equations 3
to 6 and section 4.1: https://arxiv.org/abs/2007.06346; the authors' code: https://github.com/htdt/self-supervised

Not in the table of losses: it takes any number of views, and for embeddings whose covariance is singular (few rows,
rows alike) it has no value, where every loss of the table has one.
"""

from itertools import combinations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from retrieval.losses.precision import full_precision


class SingularCovariance(ValueError):
    """A slice has a covariance without a Cholesky factor."""


@full_precision
def w_mse(views: Tensor, order: Tensor | None = None, *, size: int = 128, shrinkage: float = 0.0) -> Tensor:
    """Mean over pairs of views and over rows of 2 - 2 cos(w, w'), with w the whitened embeddings.

    The rows, in the same order in every view, are cut into slices, and each slice of each view is whitened by itself.
    Rows beyond the last whole slice take no part.

    Args:
        views: [V, N, D], raw, V >= 2; row i of each shows the same image.
        order: [N] permutation of the rows, drawn anew in each step; None leaves them as they are.
        size: rows of a slice, more than D. The paper takes 2 D and more, lest single slices be nearly singular.
        shrinkage: epsilon in [0, 1); the covariance is mixed with the identity, (1 - epsilon) C + epsilon I.

    Returns:
        Scalar in [0, 4]; about 2 where the views have nothing in common.

    Raises:
        ValueError: fewer than two views, a slice of D rows or fewer, or fewer rows than a slice has.
        SingularCovariance: see ``whitened``.
    """
    if views.ndim != 3 or len(views) < 2:
        raise ValueError(f"W-MSE takes two or more views [V, N, D], not {list(views.shape)}.")
    count, dimension = views.shape[1:]
    if size <= dimension:
        raise ValueError(f"A slice of {size} rows has no full covariance in {dimension} dimensions.")
    if count < size:
        raise ValueError(f"There are {count} rows, and a slice has {size}.")
    slices = count // size
    rows = views if order is None else views[:, order]
    cut = rows[:, : slices * size].reshape(len(views), slices, size, dimension)
    white = normalize(whitened(cut, shrinkage), dim=-1)
    costs = [2 - 2 * (one * other).sum(dim=-1).mean() for one, other in combinations(white, 2)]
    return torch.stack(costs).mean()


@full_precision
def whitened(rows: Tensor, shrinkage: float = 0.0) -> Tensor:
    """Rows with mean 0 and covariance I: L⁻¹ (x - mean) with L Lᵀ the covariance, N - 1 in its denominator.

    Args:
        rows: [..., N, D]; each [N, D] is whitened by itself.
        shrinkage: see ``w_mse``.

    Returns:
        [..., N, D] in float32 or wider.

    Raises:
        SingularCovariance: a covariance is not positive definite, or not a number.
    """
    centred = rows - rows.mean(dim=-2, keepdim=True)
    covariance = centred.mT @ centred / (rows.shape[-2] - 1)
    if shrinkage:
        identity = torch.eye(rows.shape[-1], dtype=rows.dtype, device=rows.device)
        covariance = (1 - shrinkage) * covariance + shrinkage * identity
    factor, failed = torch.linalg.cholesky_ex(covariance)
    wrong = int((failed != 0).sum())
    if wrong:
        raise SingularCovariance(
            f"{wrong} of {failed.numel()} slices of {rows.shape[-2]} rows in {rows.shape[-1]} dimensions have a "
            "covariance without a Cholesky factor."
        )
    solved: Tensor = torch.linalg.solve_triangular(factor, centred.mT, upper=False)
    return solved.mT
