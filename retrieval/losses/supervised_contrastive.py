"""Supervised contrastive loss, the mean over positives outside the logarithm.

Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, equation 2 (L_out): https://arxiv.org/abs/2004.11362
"""

import torch
from torch import Tensor

from retrieval.functional.mined import Pairs
from retrieval.losses.pairs import masks
from retrieval.losses.precision import full_precision
from retrieval.losses.reductions import masked_logsumexp, masked_sum
from retrieval.losses.rows import mean_over_rows, row_blocks


@full_precision
def supervised_contrastive(
    embeddings: Tensor, labels: Tensor, *, mined: Pairs | None = None, temperature: float = 0.1
) -> Tensor:
    """Mean over anchors of -1/|P| sum over positives p of log exp(s_ap/tau) / sum over all others j of exp(s_aj/tau).

    Args:
        embeddings: [B, D], unit norm.
        labels: [B] integers; rows of -1 are nobody's positive and in no denominator.
        mined: the pairs to take, which then also make up the denominators; None takes all.
        temperature: tau > 0.

    Returns:
        Scalar >= 0. Anchors without a positive are left out of the mean, not counted as 0
        (``supervised_contrastive_active`` tells their share); 0 with a gradient of 0 when there is no other.
    """
    chosen = masks(labels, mined, embeddings.dtype)

    def term(rows: slice, values: Tensor) -> tuple[Tensor, Tensor]:
        positive, negative = chosen(rows)
        logits = values / temperature
        number = positive.sum(dim=1)
        losses = masked_logsumexp(logits, positive + negative) - masked_sum(logits, positive) / number.clamp_min(1)
        anchors = number > 0
        return losses.masked_fill(~anchors, 0).sum(), anchors.sum()

    return mean_over_rows(embeddings, embeddings, term)


@torch.no_grad()
def supervised_contrastive_active(
    embeddings: Tensor, labels: Tensor, *, mined: Pairs | None = None, temperature: float = 0.1
) -> Tensor:
    """Share in [0, 1] of the rows that have a positive, and so are anchors; 0 for an empty batch."""
    chosen = masks(labels, mined, torch.float32)
    anchors = labels.new_zeros(())
    for block in row_blocks(len(labels), len(labels), labels.device):
        positive, _ = chosen(block)
        anchors += (positive.sum(dim=1) > 0).sum()
    return anchors / max(1, len(labels))
