"""Multi-similarity loss: each pair is weighted by its own similarity and by those of its neighbours.

Wang et al., "Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning", CVPR 2019, equation 15:
https://arxiv.org/abs/1904.06627. The pairs of the paper's section 4.1 come from the miner of the same name.
"""

from torch import Tensor
from torch.nn.functional import softplus

from retrieval.functional.labels import NO_LABEL
from retrieval.functional.mined import Pairs
from retrieval.losses.pairs import masks
from retrieval.losses.precision import full_precision
from retrieval.losses.reductions import masked_logsumexp
from retrieval.losses.rows import mean_over_rows


@full_precision
def multi_similarity(
    embeddings: Tensor,
    labels: Tensor,
    *,
    mined: Pairs | None = None,
    alpha: float = 2.0,
    beta: float = 50.0,
    base: float = 0.5,
) -> Tensor:
    """Mean over rows of 1/a log(1 + sum_p exp(-a (s_p - base))) + 1/b log(1 + sum_n exp(b (s_n - base))).

    Args:
        embeddings: [B, D], unit norm.
        labels: [B] integers; rows of -1 are in no pair and not in the mean.
        mined: the pairs to take; None takes all.
        alpha: a > 0, of the positives.
        beta: b > 0, of the negatives.
        base: the paper's lambda; the authors' code takes 0.5, their text 1.

    Returns:
        Scalar >= 0; 0 with a gradient of 0 when there is no pair.
    """
    chosen = masks(labels, mined, embeddings.dtype)

    def term(rows: slice, values: Tensor) -> tuple[Tensor, Tensor]:
        positive, negative = chosen(rows)
        shifted = values - base
        pull = softplus(masked_logsumexp(-alpha * shifted, positive)) / alpha
        push = softplus(masked_logsumexp(beta * shifted, negative)) / beta
        return (pull + push).sum(), (labels[rows] != NO_LABEL).sum()

    return mean_over_rows(embeddings, embeddings, term)
