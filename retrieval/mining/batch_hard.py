"""Miner "batch_hard": for each anchor its farthest positive and its nearest negative.

Hermans, Beyer and Leibe, "In Defense of the Triplet Loss for Person Re-Identification", 2017, equation 5:
https://arxiv.org/abs/1703.07737
"""

import torch
from torch import Tensor

from retrieval.functional.mined import Triplets
from retrieval.mining.blocks import check_batch, row_blocks
from retrieval.mining.collector import Collector
from retrieval.mining.walk import MARGIN
from retrieval.mining.workspace import Measured, Workspace


@torch.no_grad()
def batch_hard(
    embeddings: Tensor, labels: Tensor, *, margin: float = MARGIN, generator: torch.Generator | None = None
) -> Triplets:
    """One triplet an anchor: max d(a, p), min d(a, n); of equal distances the lowest row.

    Where all embeddings meet in one point, the loss over these stays at exactly its margin (ln 2 in its soft form).

    Args:
        embeddings: [B, D], unit norm.
        labels: [B] class numbers; rows of -1 are in no triplet.
        margin: not used, since only the order counts; every miner takes one.
        generator: not used; every miner takes one.

    Returns:
        At most B triplets in the order of their anchors: one for each row that has a positive and a negative.

    Raises:
        ValueError: shapes that do not fit.
    """
    check_batch(embeddings, labels)
    space = Workspace(labels.device)
    measured, found = Measured(embeddings, space), Collector(3, len(labels), labels.device)
    for block in row_blocks(labels):
        between = measured(block.anchors)
        farthest = space.masked("work", between, ~block.positive, -torch.inf).argmax(dim=1)
        nearest = between.masked_fill_(~block.negative, torch.inf).argmin(dim=1)
        whole = block.positive.any(dim=1) & block.negative.any(dim=1)
        found.add(block.anchors[whole], farthest[whole], nearest[whole])
    return found.triplets()
