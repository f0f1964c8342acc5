"""Which rows of a batch belong together, as boolean matrices."""

from torch import Tensor

NO_LABEL = -1
"""The label of a row without one: it is nobody's positive and nobody's negative."""


def positive_mask(labels: Tensor, others: Tensor | None = None, offset: int | None = 0) -> Tensor:
    """Pairs of the same label; a row is not its own positive.

    Args:
        labels: [B] integers, of any size; -1 where there is none.
        others: [N] labels of the columns; None for the same as ``labels``.
        offset: row i is column ``offset + i``; None where the rows are not among the columns.

    Returns:
        [B, N] bool.
    """
    others = labels if others is None else others
    same = (labels[:, None] == others) & (others != NO_LABEL)
    if offset is not None:
        same.diagonal(offset).fill_(False)
    return same


def negative_mask(labels: Tensor, others: Tensor | None = None, offset: int | None = 0) -> Tensor:
    """Pairs of two different labels.

    Args:
        labels, others, offset: as ``positive_mask``; a row's own column never differs, so ``offset`` has no influence.

    Returns:
        [B, N] bool.
    """
    others = labels if others is None else others
    known = labels != NO_LABEL
    return (labels[:, None] != others) & (others != NO_LABEL) & known[:, None]
