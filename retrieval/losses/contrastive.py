"""Contrastive loss: positives are pulled together, negatives pushed apart up to a margin.

Hadsell, Chopra and LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006, equation 4:
http://yann.lecun.com/exdb/publis/pdf/hadsell-chopra-lecun-06.pdf. The paper's Y is 1 for a pair of different classes;
its constant factor 1/2 is left out.
"""

import torch
from torch import Tensor

from retrieval.functional.distances import over, widened
from retrieval.functional.mined import Pairs
from retrieval.losses.pairs import Masks, masks
from retrieval.losses.precision import full_precision
from retrieval.losses.reductions import positive_count
from retrieval.losses.rows import Evaluated, row_blocks, sum_over_rows


@full_precision
def contrastive(
    embeddings: Tensor,
    labels: Tensor,
    *,
    mined: Pairs | None = None,
    margin: float = 1.0,
    balanced: bool = False,
    squared: bool = True,
) -> Tensor:
    """Mean over the active pairs of d^2 for positives and max(0, m - d)^2 for negatives.

    Args:
        embeddings: [B, D], unit norm.
        labels: [B] integers; rows of -1 are in no pair.
        mined: the pairs to take; None takes all.
        margin: m > 0, the distance from which on negatives cost nothing.
        balanced: the mean over active positives plus the mean over active negatives, in place of one mean over both,
            in which the negatives of a large batch outnumber its positives.
        squared: as in the paper; False for d and max(0, m - d) themselves, as pytorch-metric-learning has it: a pair
            that is nearly where it shall be is then pulled as strongly as any other.

    Returns:
        Scalar >= 0; 0 with a gradient of 0 when no pair is active.
    """
    chosen = masks(labels, mined, embeddings.dtype)
    if not balanced:
        return _mean(embeddings, _Pairs(chosen, margin, squared))
    sides = (_Pairs(chosen, margin, squared, negatives=False), _Pairs(chosen, margin, squared, positives=False))
    pull, push = (_mean(embeddings, side) for side in sides)
    return pull + push


def _mean(embeddings: Tensor, pairs: "_Pairs") -> Tensor:
    total, number = sum_over_rows(embeddings, embeddings, pairs, squared=True)
    return total / number.clamp_min(1)


@torch.no_grad()
@full_precision
def contrastive_active(
    embeddings: Tensor,
    labels: Tensor,
    *,
    mined: Pairs | None = None,
    margin: float = 1.0,
    balanced: bool = False,
    squared: bool = True,
) -> Tensor:
    """Share in [0, 1] of the active among the pairs that ``contrastive`` looks at; 0 when there are none."""
    rows = widened(embeddings)
    chosen = masks(labels, mined, rows.dtype)
    _, active = sum_over_rows(rows, rows, _Pairs(chosen, margin), squared=True)
    looked_at = labels.new_zeros(())
    for block in row_blocks(len(labels), len(labels), labels.device):
        for mask in chosen(block):
            looked_at += mask.sum().to(torch.int64)
    return active / looked_at.clamp_min(1)


class _Pairs:
    """The two terms of some rows, from their squared distances, with their gradient.

    The gradient is made by hand, since this loss costs little more than the passes over memory that it takes.
    """

    def __init__(
        self, chosen: Masks, margin: float, squared: bool = True, *, positives: bool = True, negatives: bool = True
    ) -> None:
        self._masks, self._margin, self._squared = chosen, margin, squared
        self._positives, self._negatives = positives, negatives

    def __call__(self, rows: slice, values: Tensor, wanted: bool) -> Evaluated:
        positive, negative = self._masks(rows)
        slopes = torch.zeros_like(values)
        # With respect to d^2; what coincides has no direction to go.
        total, number = values.new_zeros(()), torch.zeros((), dtype=torch.int64, device=values.device)
        if self._negatives:
            away = values.sqrt()
            gap = torch.sub(self._margin, away).clamp_min_(0).mul_(negative)
            number = number + positive_count(gap)
            if self._squared:
                total = total + gap.square().sum()
                # -(m - d) / d
                slopes = over(gap, away, values.clone()).neg_()
            else:
                total = total + gap.sum()
                # -1 / 2d
                slopes = over(gap.sign_(), away, values.clone()).mul_(-0.5)
        if self._positives:
            squares = values.mul_(positive)
            number = number + positive_count(squares)
            if self._squared:
                total = total + squares.sum()
                slopes += positive
            else:
                apart = squares.sqrt()
                total = total + apart.sum()
                # 1 / 2d
                slopes += over(apart.sign(), apart, squares).mul_(0.5)
        return Evaluated(total, number, slopes if wanted else None)
