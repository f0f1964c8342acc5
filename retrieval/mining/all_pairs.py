"""Miner "all_pairs": every positive and every negative pair of the batch."""

import torch
from torch import Tensor

from retrieval.functional.labels import negative_mask, positive_mask
from retrieval.functional.mined import Pairs
from retrieval.mining.blocks import check_batch
from retrieval.mining.walk import MARGIN


def all_pairs(
    embeddings: Tensor, labels: Tensor, *, margin: float = MARGIN, generator: torch.Generator | None = None
) -> Pairs:
    """Both (i, j) and (j, i), since each may be the anchor.

    Args:
        embeddings: [B, D]; only their number counts.
        labels: [B] class numbers; rows of -1 are in no pair.
        margin, generator: not used; every miner takes one.

    Returns:
        Pairs in the order of anchor, then partner: at most B (B - 1) of both kinds together, 16 bytes each.

    Raises:
        ValueError: shapes that do not fit.
    """
    check_batch(embeddings, labels)
    return Pairs(positive_mask(labels).nonzero(), negative_mask(labels).nonzero())
