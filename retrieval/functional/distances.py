"""Similarities and Euclidean distances between all rows of two matrices, with gradients that are always finite.

Everything is computed in float32 whatever the autocast state, because a distance is a small difference of large
products; float64 stays float64.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

NOISE = 8
"""Squared distances below this many units of rounding of the rows' own squares are rounding, and count as 0."""


def widened(values: Tensor) -> Tensor:
    """``values`` in float32 if they came in half precision, otherwise as they are."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def similarities(x: Tensor, y: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Dot products; cosines where the rows have unit norm.

    Args:
        x: [A, D].
        y: [B, D].
        out: [A, B] to be written to, where no gradient is wanted; None makes a new one.

    Returns:
        [A, B].
    """
    with torch.autocast(x.device.type, enabled=False):
        return torch.mm(widened(x), widened(y).T, out=out)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean distances, never negative; exactly 0 with gradient 0 where two rows coincide.

    Args:
        x: [A, D].
        y: [B, D].

    Returns:
        [A, B]; it can be differentiated once.
    """
    return _matrix(x, y, True)


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distances; where two rows coincide the gradient, which has no limit there, is 0.

    Args:
        x: [A, D].
        y: [B, D].

    Returns:
        [A, B]; it can be differentiated once.
    """
    return _matrix(x, y, False)


def root(squared: Tensor) -> Tensor:
    """Square root of numbers >= 0, whose gradient at 0 is 0 and not infinite."""
    positive = squared > 0
    return squared.where(positive, 1).sqrt() * positive


def over(numerator: Tensor, distance: Tensor, squared: Tensor) -> Tensor:
    """``numerator / distance``, and 0 where the distance is 0.

    Args:
        numerator: overwritten with the result.
        distance: >= 0, of the same shape.
        squared: its square; overwritten.
    """
    # Nothing beside the square of any distance that is not rounding, and 0 / tiny is 0.
    return numerator.mul_(distance).div_(squared.add_(torch.finfo(squared.dtype).tiny))


class Expanded(NamedTuple):
    """Two sets of rows, prepared for squared distances by |x|^2 + |y|^2 - 2 xy.

    Both are shifted by the mean of y: distances do not change, and rows that lie close together far from the origin
    (a collapsing encoder's) keep their digits.

    Attributes:
        x: [A, D].
        y: [B, D].
        x_squares: [A].
        y_squares: [B].
    """

    x: Tensor
    y: Tensor
    x_squares: Tensor
    y_squares: Tensor

    @classmethod
    def of(cls, x: Tensor, y: Tensor) -> "Expanded":
        """Prepare [A, D] and [B, D]."""
        if len(y):
            middle = y.mean(dim=0)
            x, y = x - middle, y - middle
        return cls(x, y, x.square().sum(dim=1), y.square().sum(dim=1))

    @classmethod
    def among(cls, x: Tensor) -> "Expanded":
        """Prepare [B, D] rows for distances to each other: as ``of(x, x)``, without a second copy."""
        if len(x):
            x = x - x.mean(dim=0)
        squares = x.square().sum(dim=1)
        return cls(x, x, squares, squares)

    def squared(self, rows: slice | Tensor, *, out: Tensor | None = None, work: Tensor | None = None) -> Tensor:
        """[R, B] squared distances of some rows of x.

        Args:
            rows: of x, a slice or [R] numbers.
            out, work: [R, B] to be written to, so that a walk over many blocks allocates nothing; None makes new ones.
        """
        squares = self.x_squares[rows, None]
        values = torch.addmm(self.y_squares, self.x[rows], self.y.T, alpha=-2, out=out).add_(squares)
        # Coinciding rows have nearly equal squares, so one side's are enough to know the size of the rounding. The
        # mask is made of floats, which a CPU compares and multiplies several times as fast as it fills by bools.
        work = torch.empty_like(values) if work is None else work
        apart = torch.gt(values, NOISE * torch.finfo(values.dtype).eps * squares, out=work)
        return values.mul_(apart)


def _matrix(x: Tensor, y: Tensor, squared: bool) -> Tensor:
    apply: Any = _Distances.apply
    with torch.autocast(x.device.type, enabled=False):
        result: Tensor = apply(widened(x), widened(y), squared)
    return result


class _Distances(torch.autograd.Function):
    """The matrix is the only [A, B] tensor that is kept for the way back, and only in the plain form."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, squared: bool) -> Tensor:
        expanded = Expanded.of(x, y)
        values = expanded.squared(slice(None))
        ctx.squared = squared
        if squared:
            ctx.save_for_backward(expanded.x, expanded.y, None)
            return values
        values.sqrt_()
        ctx.save_for_backward(expanded.x, expanded.y, values)
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        x, y, values = ctx.saved_tensors
        with torch.autocast(x.device.type, enabled=False):
            # d|x - y|/dx = (x - y) / |x - y|, and d|x - y|^2/dx = 2 (x - y).
            weights = 2 * gradient if ctx.squared else over(gradient.clone(), values, values.square())
            of_x = weights.sum(dim=1, keepdim=True) * x - weights @ y
            of_y = weights.sum(dim=0)[:, None] * y - weights.T @ x
        return of_x, of_y, None
