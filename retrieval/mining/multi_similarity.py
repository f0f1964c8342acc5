"""Miner "multi_similarity": pairs that are informative beside the hardest of the other kind.

Wang, Han, Huang, Dong and Scott, "Multi-Similarity Loss with General Pair Weighting", CVPR 2019, equations 7 and 8:
https://arxiv.org/abs/1904.06627
"""

import torch
from torch import Tensor

from retrieval.functional.distances import similarities, widened
from retrieval.functional.mined import Pairs
from retrieval.mining.blocks import Rows, check_batch, row_blocks
from retrieval.mining.collector import Collector
from retrieval.mining.walk import MARGIN, possible_triplets
from retrieval.mining.workspace import Workspace, places


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
    rows, space = widened(embeddings), Workspace(labels.device)
    positives = Collector(2, possible_triplets(labels)[0], labels.device)
    negatives = Collector(2, len(labels) ** 2, labels.device)
    for block in row_blocks(labels):
        out = space.take("close", tuple(block.positive.shape), rows.dtype)
        close = similarities(rows[block.anchors], rows, out=out)
        # What an anchor lacks counts as beyond reach, and so nothing of the other kind is chosen either.
        hardest_positive = space.masked("work", close, ~block.positive, torch.inf).amin(dim=1, keepdim=True)
        hardest_negative = space.masked("work", close, ~block.negative, -torch.inf).amax(dim=1, keepdim=True)
        _add(positives, (close < hardest_negative + epsilon).logical_and_(block.positive), block)
        _add(negatives, (close > hardest_positive - epsilon).logical_and_(block.negative), block)
    return Pairs(positives.pairs(), negatives.pairs())


def _add(found: Collector, chosen: Tensor, block: Rows) -> None:
    counts, partners = places(chosen)
    found.add(block.anchors.repeat_interleave(counts, output_size=len(partners)), partners)
