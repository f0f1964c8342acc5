"""Circle loss of the whole batch: all its pairs are pooled into one term.

Sun et al., "Circle Loss: A Unified Perspective of Pair Similarity Optimization", CVPR 2020, equation 6 with K and L
the numbers of pairs of the batch, as the authors' code reads it: https://arxiv.org/abs/2002.10857. The form with one
term an anchor is ``circle``.
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from retrieval.functional.mined import Pairs
from retrieval.losses.circle import circle_logits
from retrieval.losses.pairs import masks
from retrieval.losses.precision import full_precision
from retrieval.losses.reductions import masked_logsumexp
from retrieval.losses.rows import Evaluated, sum_of_term, sum_over_rows


@full_precision
def circle_batch(
    embeddings: Tensor, labels: Tensor, *, mined: Pairs | None = None, margin: float = 0.4, scale: float = 80.0
) -> Tensor:
    """softplus(log-sum-exp of all negative pairs + log-sum-exp of all positive pairs), each unordered pair once.

    Args:
        embeddings: [B, D], unit norm.
        labels: [B] integers; rows of -1 are in no pair.
        mined: the pairs to take; (i, j) and (j, i) are one pair. None takes all.
        margin: relaxation m in (0, 1).
        scale: gamma > 0.

    Returns:
        Scalar >= 0; 0 with a gradient of 0 when the batch has no positive or no negative pair.
    """
    chosen = masks(labels, _ordered(mined), embeddings.dtype)
    none = labels.new_zeros(())

    def pooled(rows: slice, values: Tensor) -> tuple[Tensor, Tensor]:
        """[R] log-sum-exps of the rows' negatives and positives."""
        positive, negative = chosen(rows)
        positive, negative = positive.triu_(rows.start + 1), negative.triu_(rows.start + 1)
        pull, push = circle_logits(values, margin, scale)
        return masked_logsumexp(push, negative), masked_logsumexp(pull, positive)

    # Two walks: the weight of a pair in the pool is known only once the whole pool is.
    pools: list[tuple[Tensor, Tensor]] = []

    def collect(rows: slice, values: Tensor, wanted: bool) -> Evaluated:
        pools.append(pooled(rows, values))
        return Evaluated(values.new_zeros(()), none, None)

    with torch.no_grad():
        sum_over_rows(embeddings, embeddings, collect)
    if not pools:
        return embeddings.sum()
    push, pull = (torch.cat(parts).logsumexp(dim=0) for parts in zip(*pools, strict=True))
    weight = torch.sigmoid(push + pull)

    def term(rows: slice, values: Tensor) -> tuple[Tensor, Tensor]:
        of_push, of_pull = pooled(rows, values)
        return weight * ((of_push - push).exp().sum() + (of_pull - pull).exp().sum()), none

    slope, _ = sum_of_term(embeddings, embeddings, term)
    # The term has the loss's gradient and a value of no meaning.
    return softplus(push + pull) + slope - slope.detach()


def _ordered(mined: Pairs | None) -> Pairs | None:
    return None if mined is None else Pairs(*(pairs.sort(dim=1).values for pairs in mined))
