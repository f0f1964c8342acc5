"""Miner "batch_semihard": for each (anchor, positive) pair the nearest negative that lies beyond the positive.

The semi-hard negative of Schroff, Kalenichenko and Philbin, "FaceNet", CVPR 2015, section 3.2
(https://arxiv.org/abs/1503.03832), with the fallback of TensorFlow Addons' ``triplet_semihard_loss``: where no
negative lies beyond the positive, the farthest negative is taken.
"""

import torch
from torch import Tensor

from retrieval.functional.distances import distances
from retrieval.functional.mined import Triplets
from retrieval.mining.blocks import check_batch, joined, pair_blocks
from retrieval.mining.walk import MARGIN


@torch.no_grad()
def batch_semihard(
    embeddings: Tensor, labels: Tensor, *, margin: float = MARGIN, generator: torch.Generator | None = None
) -> Triplets:
    """One triplet a pair: min d(a, n) over d(a, n) > d(a, p), else max d(a, n); of equal distances the lowest row.

    Args:
        embeddings: [B, D], unit norm.
        labels: [B] class numbers; rows of -1 are in no triplet.
        margin: not used, since no bound above is set to d(a, n); every miner takes one.
        generator: not used; every miner takes one.

    Returns:
        One triplet for each (anchor, positive) whose anchor has a negative, in the order of anchor, then positive.

    Raises:
        ValueError: shapes that do not fit.
    """
    check_batch(embeddings, labels)
    parts = []
    for block in pair_blocks(labels):
        between = distances(embeddings[block.rows], embeddings)
        farthest = between.masked_fill(~block.negative, -torch.inf).argmax(dim=1)
        to_positive = between[block.place, block.positives][:, None]
        to_negatives = between.masked_fill(~block.negative, torch.inf)[block.place]
        beyond, nearest = to_negatives.masked_fill(to_negatives <= to_positive, torch.inf).min(dim=1)
        negatives = torch.where(beyond < torch.inf, nearest, farthest[block.place])
        whole = block.negative.any(dim=1)[block.place]
        parts.append(Triplets(block.anchors[whole], block.positives[whole], negatives[whole]))
    return joined(parts, labels.device)
