"""InfoNCE with labels: every positive against the anchor's negatives.

van den Oord, Li and Vinyals, "Representation Learning with Contrastive Predictive Coding", 2018, equation 4:
https://arxiv.org/abs/1807.03748, with every (anchor, positive) pair of the batch as one classification. Other
positives of the anchor are no part of it; in the supervised contrastive loss they are.
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from retrieval.functional.mined import Pairs
from retrieval.losses.pairs import masks
from retrieval.losses.precision import full_precision
from retrieval.losses.reductions import masked_logsumexp, masked_sum
from retrieval.losses.rows import mean_over_rows


@full_precision
def info_nce(embeddings: Tensor, labels: Tensor, *, mined: Pairs | None = None, temperature: float = 0.1) -> Tensor:
    """Mean over pairs of -log exp(s_ap/tau) / (exp(s_ap/tau) + sum over negatives n of a of exp(s_an/tau)).

    As tau goes to 0, tau times the loss of a pair goes to max(0, max_n s_an - s_ap): a triplet with the hardest
    negative and no margin.

    Args:
        embeddings: [B, D], unit norm.
        labels: [B] integers; rows of -1 are in no pair.
        mined: the pairs to take; None takes all.
        temperature: tau > 0.

    Returns:
        Scalar >= 0; 0 with a gradient of 0 when there is no positive pair or no negative.
    """
    chosen = masks(labels, mined, embeddings.dtype)

    def term(rows: slice, values: Tensor) -> tuple[Tensor, Tensor]:
        positive, negative = chosen(rows)
        logits = values / temperature
        against = masked_logsumexp(logits, negative)[:, None]
        return masked_sum(softplus(against - logits), positive).sum(), positive.sum().to(torch.int64)

    return mean_over_rows(embeddings, embeddings, term)
