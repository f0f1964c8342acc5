"""Softmax cross-entropy over the training classes, on the raw embedding.

The classification loss beside which center loss was proposed (Wen et al. 2016, equation 1).
"""

from torch import Tensor
from torch.nn.functional import cross_entropy

from retrieval.functional.labels import NO_LABEL
from retrieval.losses.pairs import check_classes, known
from retrieval.losses.precision import full_precision


@full_precision
def softmax(embeddings: Tensor, labels: Tensor, *, weights: Tensor, bias: Tensor) -> Tensor:
    """Mean over rows of -log softmax(W x + b) at the row's class.

    Args:
        embeddings: [B, D], raw.
        labels: [B] in 0 to C - 1; rows of -1 take no part.
        weights: [C, D] parameter.
        bias: [C] parameter.

    Returns:
        Scalar >= 0; 0 with a gradient of 0 when no row has a label.

    Raises:
        ValueError: a label without a weight.
    """
    check_classes(labels, len(weights))
    logits = embeddings @ weights.T + bias
    return cross_entropy(logits, labels, ignore_index=NO_LABEL, reduction="sum") / known(labels).clamp_min(1)
