"""Miner "multi_similarity": pairs that are informative beside the hardest of the other kind.

Wang, Han, Huang, Dong and Scott, "Multi-Similarity Loss with General Pair Weighting", CVPR 2019, equations 7 and 8:
https://arxiv.org/abs/1904.06627
"""

import torch
from torch import Tensor

from retrieval.functional.distances import similarities
from retrieval.functional.mined import Pairs
from retrieval.mining.blocks import check_batch, row_blocks
from retrieval.mining.walk import MARGIN


@torch.no_grad()
def multi_similarity(
    embeddings: Tensor,
    labels: Tensor,
    *,
    epsilon: float = 0.1,
    margin: float = MARGIN,
    generator: torch.Generator | None = None,
) -> Pairs:
    """Negatives with s > (lowest s of a positive) - epsilon, positives with s < (highest s of a negative) + epsilon.

    Args:
        embeddings: [B, D], unit norm.
        labels: [B] class numbers; rows of -1 are in no pair.
        epsilon: how much easier than the hardest a pair may be, in cosine similarity.
        margin, generator: not used; every miner takes one.

    Returns:
        Pairs in the order of anchor, then partner. An anchor without a positive or without a negative gives none.

    Raises:
        ValueError: shapes that do not fit.
    """
    check_batch(embeddings, labels)
    positives, negatives = [], []
    for block in row_blocks(labels):
        close = similarities(embeddings[block.anchors], embeddings)
        # What an anchor lacks counts as beyond reach, and so nothing of the other kind is chosen either.
        hardest_positive = close.masked_fill(~block.positive, torch.inf).amin(dim=1, keepdim=True)
        hardest_negative = close.masked_fill(~block.negative, -torch.inf).amax(dim=1, keepdim=True)
        positives.append(_pairs(block.positive & (close < hardest_negative + epsilon), block.anchors))
        negatives.append(_pairs(block.negative & (close > hardest_positive - epsilon), block.anchors))
    none = labels.new_empty(0, 2, dtype=torch.int64)
    return Pairs(torch.cat([none, *positives]), torch.cat([none, *negatives]))


def _pairs(chosen: Tensor, anchors: Tensor) -> Tensor:
    row, partner = chosen.nonzero(as_tuple=True)
    return torch.stack([anchors[row], partner], dim=1)
