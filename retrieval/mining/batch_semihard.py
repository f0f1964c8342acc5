"""Miner "batch_semihard": for each (anchor, positive) pair the nearest negative that lies beyond the positive.

The semi-hard negative of Schroff, Kalenichenko and Philbin, "FaceNet", CVPR 2015, section 3.2
(https://arxiv.org/abs/1503.03832), with the fallback of TensorFlow Addons' ``triplet_semihard_loss``: where no
negative lies beyond the positive, the farthest negative is taken.
"""

import torch
from torch import Tensor

from retrieval.functional.mined import Triplets
from retrieval.mining.blocks import check_batch, pair_blocks
from retrieval.mining.collector import Collector
from retrieval.mining.walk import MARGIN, possible_triplets
from retrieval.mining.workspace import Measured, Workspace


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
    space = Workspace(labels.device)
    measured, found = Measured(embeddings, space), Collector(3, possible_triplets(labels)[0], labels.device)
    for block in pair_blocks(labels):
        between = measured(block.rows)
        farthest = space.masked("work", between, ~block.negative, -torch.inf).argmax(dim=1)
        to_positive = between[block.place, block.positives][:, None]
        to_negatives = space.gathered("negatives", between.masked_fill_(~block.negative, torch.inf), block.place)
        beyond, nearest = to_negatives.masked_fill_(to_negatives <= to_positive, torch.inf).min(dim=1)
        negatives = torch.where(beyond < torch.inf, nearest, farthest[block.place])
        whole = block.negative.any(dim=1)[block.place]
        found.add(block.anchors[whole], block.positives[whole], negatives[whole])
    return found.triplets()
