"""Which pairs a loss looks at: all that the labels allow, or those that a miner chose."""

from collections.abc import Callable

import torch
from torch import Tensor

from retrieval.functional.labels import NO_LABEL
from retrieval.functional.mined import Pairs

Masks = Callable[[slice], tuple[Tensor, Tensor]]
"""Some rows of the batch to their [R, B] positives and [R, B] negatives, 1 or 0 in floats, which may be overwritten.

Floats, because a CPU compares and multiplies these five times as fast as it makes bools and fills by them."""


def masks(labels: Tensor, mined: Pairs | None, dtype: torch.dtype) -> Masks:
    """The pairs of a batch, row by row.

    Args:
        labels: [B] integers; rows of -1 are in no pair.
        mined: pairs of a miner; a pair that it names twice counts once. None: all that the labels allow.
        dtype: of the masks.
    """
    if mined is not None:
        positive, negative = (_matrix(pairs, len(labels)) for pairs in mined)
        return lambda rows: (positive[rows].to(dtype), negative[rows].to(dtype))
    # The number of a label among those of the batch: exact in a float, which a label need not be.
    codes = torch.unique(labels, return_inverse=True)[1].to(dtype)
    known = labels != NO_LABEL
    return _Labelled(codes, None if bool(known.all()) else known.to(dtype))


class _Labelled:
    def __init__(self, codes: Tensor, known: Tensor | None) -> None:
        self._codes, self._known = codes, known

    def __call__(self, rows: slice) -> tuple[Tensor, Tensor]:
        positive = equal(self._codes[rows], self._codes)
        negative = 1 - positive
        positive.diagonal(rows.start).fill_(0)
        if self._known is not None:
            positive *= self._known
            negative.mul_(self._known).mul_(self._known[rows, None])
        return positive, negative


def equal(rows: Tensor, columns: Tensor) -> Tensor:
    """[R, N] 1 where the [R] and [N] numbers are equal, else 0; of their type."""
    out = rows.new_empty(len(rows), len(columns))
    return torch.eq(rows[:, None], columns, out=out)


def known(labels: Tensor) -> Tensor:
    """Scalar: how many rows have a label."""
    return (labels != NO_LABEL).sum()


def check_classes(labels: Tensor, classes: int) -> None:
    """Raises ValueError unless labels lie in 0 to classes - 1, or are -1."""
    if not len(labels):
        return
    lowest, highest = torch.stack(torch.aminmax(labels)).tolist()
    if lowest < NO_LABEL or highest >= classes:
        raise ValueError(f"Labels reach from {lowest} to {highest}, but there are {classes} classes.")


def _matrix(pairs: Tensor, size: int) -> Tensor:
    mask = torch.zeros(size, size, dtype=torch.bool, device=pairs.device)
    mask[pairs[:, 0], pairs[:, 1]] = True
    return mask
