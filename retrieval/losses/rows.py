"""Sums over the rows of a matrix that is never there as a whole: the engine under the losses over a batch.

A loss over B embeddings looks at a [B, B] matrix of similarities or squared distances, row by row. Here a block of
rows is made, evaluated and differentiated at once, and its gradient goes straight to the embeddings: memory is that of
a block, and a block fits into the processor's cache, where a dozen element-wise steps cost less than one pass over
main memory. The way back only multiplies by a number.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from retrieval.functional.distances import Expanded

CACHE_VALUES = 1 << 19
"""Entries of a block on a CPU: 2 MiB in float32, so that the few tensors of its size stay in the caches."""

DEVICE_VALUES = 1 << 26
"""Entries of a block on a GPU, which wants much work at once: 256 MiB in float32."""

Term = Callable[[slice, Tensor], tuple[Tensor, Tensor]]
"""(which rows, their [R, N] values) to (sum over them, differentiable; how many things were summed)."""


class Evaluated(NamedTuple):
    """What some rows contribute.

    Attributes:
        total: scalar sum.
        number: scalar, how many things were summed.
        gradient: [R, N] of ``total`` with respect to the values; None where none was asked for.
    """

    total: Tensor
    number: Tensor
    gradient: Tensor | None


Evaluate = Callable[[slice, Tensor, bool], Evaluated]
"""(which rows, their [R, N] values, which may be overwritten, whether the gradient is wanted)."""


def row_blocks(rows: int, columns: int, device: torch.device) -> Iterator[slice]:
    """All of ``rows`` in blocks of at most ``block_values`` entries, or one row; none where there are no columns."""
    step = max(1, block_values(device) // max(1, columns))
    for start in range(0, rows if columns else 0, step):
        yield slice(start, min(start + step, rows))


def block_values(device: torch.device) -> int:
    """Most entries of a block."""
    return CACHE_VALUES if device.type == "cpu" else DEVICE_VALUES


def mean_over_rows(rows: Tensor, columns: Tensor, term: Term) -> Tensor:
    """Sum over count of a ``Term`` of the dot products; 0 with a gradient of 0 where nothing is counted.

    Args:
        rows: [M, D].
        columns: [N, D].
        term: differentiated by autograd.
    """
    total, count = sum_of_term(rows, columns, term)
    return total / count.clamp_min(1)


def sum_of_term(rows: Tensor, columns: Tensor, term: Term) -> tuple[Tensor, Tensor]:
    """Sum and count of a ``Term`` of the dot products; arguments as ``mean_over_rows``."""
    if 0 < len(rows) * len(columns) <= block_values(rows.device):
        # A single block needs no walk, and small batches are all about the number of calls.
        return term(slice(0, len(rows)), rows @ columns.T)
    return sum_over_rows(rows, columns, _by_autograd(term))


def sum_over_rows(rows: Tensor, columns: Tensor, evaluate: Evaluate, *, squared: bool = False) -> tuple[Tensor, Tensor]:
    """Sum and count over all rows.

    Args:
        rows: [M, D].
        columns: [N, D].
        evaluate: what to make of a block of rows.
        squared: values are squared distances, as ``functional.distances`` computes them; otherwise dot products.

    Returns:
        The sum, which can be differentiated once with respect to ``rows`` and ``columns``, and the count.
    """
    apply: Any = _RowSum.apply
    total, count = apply(rows, columns, evaluate, squared, torch.is_grad_enabled())
    return total, count


def _by_autograd(term: Term) -> Evaluate:
    """A term whose gradient autograd finds."""

    def evaluate(rows: slice, values: Tensor, wanted: bool) -> Evaluated:
        if not wanted:
            return Evaluated(*term(rows, values), None)
        with torch.enable_grad():
            leaf = values.requires_grad_()
            total, count = term(rows, leaf)
            (gradient,) = torch.autograd.grad(total, leaf)
        return Evaluated(total.detach(), count, gradient)

    return evaluate


class _RowSum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, columns: Tensor, evaluate: Evaluate, squared: bool, recording: bool
    ) -> tuple[Tensor, Tensor]:
        matrix = _Matrix(rows, columns, squared, *(recording and needed for needed in ctx.needs_input_grad[:2]))
        total = rows.new_zeros(())
        count = torch.zeros((), dtype=torch.int64, device=rows.device)
        for block in row_blocks(len(rows), len(columns), rows.device):
            part = evaluate(block, matrix.values(block), matrix.wanted)
            total = total + part.total
            count = count + part.number
            if part.gradient is not None:
                matrix.take(block, part.gradient)
        ctx.save_for_backward(*matrix.gradients())
        ctx.mark_non_differentiable(count)
        return total, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        of_rows, of_columns = (None if one is None else one * gradient for one in ctx.saved_tensors)
        return of_rows, of_columns, None, None, None


class _Matrix:
    """Blocks of rows of similarities or squared distances, and the way from their gradients to the two sides."""

    def __init__(self, rows: Tensor, columns: Tensor, squared: bool, to_rows: bool, to_columns: bool) -> None:
        self._expanded = Expanded.of(rows, columns) if squared else None
        self._rows, self._columns = (rows, columns) if self._expanded is None else self._expanded[:2]
        self._of_rows = torch.zeros_like(self._rows) if to_rows else None
        self._of_columns = torch.zeros_like(self._columns) if to_columns else None
        self._sums = self._columns.new_zeros(len(columns)) if squared and to_columns else None
        self.wanted = to_rows or to_columns

    def values(self, block: slice) -> Tensor:
        if self._expanded is not None:
            return self._expanded.squared(block)
        return self._rows[block] @ self._columns.T

    def take(self, block: slice, gradient: Tensor) -> None:
        """Carry the gradient of a block's values to both sides."""
        rows = self._rows[block]
        # d(x y)/dx = y; d|x - y|^2/dx = 2 (x - y), of which the part with the own square comes with the sums.
        factor = 1.0 if self._expanded is None else -2.0
        if self._of_rows is not None:
            part = torch.mm(gradient, self._columns, out=self._of_rows[block])
            if self._expanded is not None:
                part.mul_(factor).add_(gradient.sum(dim=1, keepdim=True) * rows, alpha=2)
        if self._of_columns is not None:
            self._of_columns.addmm_(gradient.T, rows, alpha=factor)
        if self._sums is not None:
            self._sums += gradient.sum(dim=0)

    def gradients(self) -> tuple[Tensor | None, Tensor | None]:
        if self._of_columns is not None and self._sums is not None:
            self._of_columns.add_(self._sums[:, None] * self._columns, alpha=2)
        return self._of_rows, self._of_columns
