"""The last row of each id, for memories that keep one row of an image."""

import torch
from torch import Tensor


def latest(ids: Tensor) -> Tensor:
    """Places at which each id stands for the last time: a batch may show an image twice, a bank keeps one row of it.

    Args:
        ids: [B] int64.

    Returns:
        [N] int64, one place for each of N ids, in ascending order of the ids.

    >>> latest(torch.tensor([7, 3, 7])).tolist()
    [1, 2]
    """
    order = torch.argsort(ids, stable=True)
    last = torch.ones_like(order, dtype=torch.bool)
    last[:-1] = ids[order][:-1] != ids[order][1:]
    return order[last]
