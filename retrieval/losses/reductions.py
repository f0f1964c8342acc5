"""Reductions over some of the entries of each row, finite with a finite gradient where a row has none.

Masks are floats, 1 or 0, as ``retrieval.losses.pairs`` makes them.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

FAR = 1e30
"""Beyond every similarity, logit and distance; its square need not be finite, 0 times it is."""


def masked_logsumexp(logits: Tensor, mask: Tensor | None = None) -> Tensor:
    """Row-wise log of the sum of exponentials over ``mask``.

    Args:
        logits: [R, N], finite.
        mask: [R, N] of 1 and 0; None takes all.

    Returns:
        [R], to be differentiated once; for a row without entries a very negative finite number, at which softplus and
        exp are 0.
    """
    apply: Any = _LogSumExp.apply
    result: Tensor = apply(logits, mask)
    return result


def masked_sum(values: Tensor, mask: Tensor) -> Tensor:
    """Row-wise [R] sum of finite [R, N] ``values`` over ``mask`` of 1 and 0."""
    return (values * mask).sum(dim=1)


def positive_count(values: Tensor) -> Tensor:
    """Scalar int64: how many of the values are above 0."""
    return torch.gt(values, 0, out=torch.empty_like(values)).sum().to(torch.int64)


class _LogSumExp(torch.autograd.Function):
    """torch's own takes each exponential twice, and on a CPU one that underflows costs ten times an ordinary one."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, mask: Tensor | None) -> Tensor:
        seen = logits if mask is None else torch.add(logits, mask - 1, alpha=FAR)
        highest = seen.amax(dim=1, keepdim=True)
        # Exponents that underflow are raised to the last that does not: 1e-38 beside the 1 of the highest.
        least = math.log(torch.finfo(logits.dtype).tiny)
        weights = (logits - highest).clamp_(least, 0).exp_()
        if mask is not None:
            weights *= mask
        total = weights.sum(dim=1, keepdim=True)
        nothing = total == 0
        total = total.masked_fill(nothing, 1)
        ctx.save_for_backward(weights.div_(total))
        # A quarter of the smallest number: two of them can still be added, and -inf would make a gradient of NaN.
        return (highest + total.log()).masked_fill_(nothing, torch.finfo(logits.dtype).min / 4)[:, 0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (weights,) = ctx.saved_tensors
        return weights * gradient[:, None], None
