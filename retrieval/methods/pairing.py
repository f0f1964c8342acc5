"""Two images of one class as the two views of losses that were made for two views of one image."""

import torch
from torch import Tensor


def class_pairs(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of the same label, two by two: each row is in one pair at most.

    The rows of a class are paired in their order, first with second, third with fourth; an odd one is left over, and
    so are rows of -1. With M = 2 of each class in a batch, no pair has its own class among the other pairs.

    Args:
        labels: [B] class numbers.

    Returns:
        Two [N] int64 tensors of rows, N <= B / 2, in the order of the classes.
    """
    order = torch.argsort(labels, stable=True)
    order = order[labels[order] >= 0]
    ordered = labels[order]
    starts = torch.searchsorted(ordered, ordered)
    place = torch.arange(len(order), device=labels.device) - starts
    same = torch.zeros_like(place, dtype=torch.bool)
    same[:-1] = ordered[:-1] == ordered[1:]
    first = torch.nonzero((place % 2 == 0) & same)[:, 0]
    return order[first], order[first + 1]
