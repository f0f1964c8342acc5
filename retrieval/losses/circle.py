"""Circle loss: every similarity is pulled towards its optimum at its own pace.

Sun et al., "Circle Loss: A Unified Perspective of Pair Similarity Optimization", CVPR 2020, equations 6 to 9:
https://arxiv.org/abs/2002.10857
"""

from torch import Tensor
from torch.nn.functional import softplus

from retrieval.functional.mined import Pairs
from retrieval.losses import held
from retrieval.losses.pairs import masks
from retrieval.losses.precision import full_precision
from retrieval.losses.reductions import masked_logsumexp
from retrieval.losses.rows import mean_over_rows


@full_precision
def circle(
    embeddings: Tensor, labels: Tensor, *, mined: Pairs | None = None, margin: float = 0.4, scale: float = 80.0
) -> Tensor:
    """Mean circle loss over the anchors that have a positive and a negative in the batch.

    Args:
        embeddings: [B, D], unit norm.
        labels: [B] integers; rows of -1 are in no pair.
        mined: the pairs to take; None takes all.
        margin: relaxation m in (0, 1); the optima are 1 + m for positives and -m for negatives.
        scale: gamma > 0, inverse temperature of the two log-sum-exps.

    Returns:
        Scalar >= 0; 0 with a gradient of 0 when no anchor has both a positive and a negative.

    This is the per-anchor form. The form that pools all pairs of the batch into one term is another loss
    (``circle_batch``), not this one with other parameters.
    """
    chosen = masks(labels, mined, embeddings.dtype)

    def term(rows: slice, values: Tensor) -> tuple[Tensor, Tensor]:
        positive, negative = chosen(rows)
        pull, push = circle_logits(values, margin, scale)
        losses = softplus(masked_logsumexp(push, negative) + masked_logsumexp(pull, positive))
        anchors = (positive.sum(dim=1) > 0) & (negative.sum(dim=1) > 0)
        return losses.masked_fill(~anchors, 0).sum(), anchors.sum()

    return mean_over_rows(embeddings, embeddings, term)


def circle_logits(similarity: Tensor, margin: float, scale: float) -> tuple[Tensor, Tensor]:
    """What each pair brings to the log-sum-exp: as a positive, and as a negative (equations 6 and 8).

    Args:
        similarity: of any shape.
        margin: m in (0, 1).
        scale: gamma > 0.

    Returns:
        -gamma [1 + m - s]+ (s - (1 - m)) and gamma [s + m]+ (s - m).
    """
    # The paces weigh the gradient and are no path for it (section 3.2).
    still = held.held(similarity)
    pull = (1 + margin - still).clamp_min(0).mul_(-scale) * (similarity - (1 - margin))
    push = (still + margin).clamp_min(0).mul_(scale) * (similarity - margin)
    return pull, push
