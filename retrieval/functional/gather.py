"""The rows of all processes in every process, so that a loss over the whole batch needs to know of none."""

from typing import Any

import torch
from torch import Tensor, distributed
from torch.autograd.function import once_differentiable


def gather(values: Tensor) -> Tensor:
    """The rows of all processes, without gradient.

    Args:
        values: [B, ...], of one shape and type in every process.

    Returns:
        [world * B, ...] in the order of the ranks; ``values`` itself, detached, where there is one process.
    """
    return _gathered(values.detach())


def gather_with_gradient(values: Tensor) -> Tensor:
    """The rows of all processes, differentiable.

    The gradient of a process's own rows is the sum of what all processes' losses say about them. Data-parallel
    training then averages the parameters' gradients over the processes, so that a loss that every process computes
    over the same gathered rows has the gradient that one process with the whole batch would find, and losses that
    differ have the gradient of their mean.

    Args:
        values: [B, ...], of one shape and type in every process.

    Returns:
        [world * B, ...] in the order of the ranks; ``values`` itself where there is one process.
    """
    if _world() == 1:
        return values
    apply: Any = _Gather.apply
    result: Tensor = apply(values)
    return result


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean over all processes of a scalar that each has of its own rows, differentiable.

    Where the rows are as many in every process and the loss is a mean over rows, this is the loss of all of them, at
    the price of one number: what mixes no rows needs no gathering of them. Every process then has the same loss, and
    one that is not a number is seen by all at once.
    """
    return gather_with_gradient(value[None]).mean()


def own_rows(everyone: Tensor) -> Tensor:
    """This process's rows of what ``gather`` gave: [B, ...] of [world * B, ...]."""
    count = len(everyone) // _world()
    start = distributed.get_rank() * count if _world() > 1 else 0
    return everyone[start : start + count]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.rows = len(values)
        return _gathered(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        start = distributed.get_rank() * ctx.rows
        return total[start : start + ctx.rows]


def _world() -> int:
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def _gathered(values: Tensor) -> Tensor:
    if _world() == 1:
        return values
    values = values.contiguous()
    parts = [torch.empty_like(values) for _ in range(_world())]
    distributed.all_gather(parts, values)
    return torch.cat(parts)
