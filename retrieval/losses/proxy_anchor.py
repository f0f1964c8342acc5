"""Proxy-Anchor loss: a learned proxy of each class is the anchor of all embeddings of the batch.

Kim, Kim, Cho and Kwak, "Proxy Anchor Loss for Deep Metric Learning", CVPR 2020, equation 4:
https://arxiv.org/abs/2003.13911
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize, softplus

from retrieval.losses.pairs import check_classes, equal
from retrieval.losses.precision import full_precision
from retrieval.losses.reductions import masked_logsumexp
from retrieval.losses.rows import sum_of_term


@full_precision
def proxy_anchor(
    embeddings: Tensor, labels: Tensor, *, proxies: Tensor, margin: float = 0.1, alpha: float = 32.0
) -> Tensor:
    """Mean over the batch's classes of log(1 + sum_x exp(-a (s - m))) + mean over all of log(1 + sum_x exp(a (s + m))).

    The first sum goes over the embeddings x of the proxy's own class, the second over those of others.

    Args:
        embeddings: [B, D], unit norm.
        labels: [B] in 0 to C - 1; rows of -1 take no part.
        proxies: [C, D] parameter, one a class; normalised here. They learn 100 times as fast as the encoder.
        margin: m, delta in the paper.
        alpha: a > 0.

    Returns:
        Scalar >= 0; 0 with a gradient of 0 when no row has a label.

    Raises:
        ValueError: a label without a proxy.
    """
    classes = len(proxies)
    check_classes(labels, classes)
    numbers = torch.arange(classes, device=labels.device, dtype=embeddings.dtype)
    known = (labels >= 0).to(embeddings.dtype)
    present = torch.bincount(labels + 1, minlength=classes + 1)[1:].count_nonzero().clamp_min(1)

    def term(rows: slice, values: Tensor) -> tuple[Tensor, Tensor]:
        positive = equal(numbers[rows], labels.to(values.dtype))
        negative = (1 - positive) * known
        pull = softplus(masked_logsumexp(-alpha * (values - margin), positive))
        push = softplus(masked_logsumexp(alpha * (values + margin), negative))
        return pull.sum() / present + push.sum() / classes, present

    total, _ = sum_of_term(normalize(proxies, dim=1), embeddings, term)
    return total
