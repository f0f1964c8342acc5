"""Miner "all": every triplet, whatever its distances."""

import torch
from torch import Tensor

from retrieval.functional.mined import Triplets
from retrieval.mining.walk import LIMIT, MARGIN, triplets_of


def all_triplets(
    embeddings: Tensor,
    labels: Tensor,
    *,
    margin: float = MARGIN,
    squared: bool = False,
    limit: int = LIMIT,
    generator: torch.Generator | None = None,
) -> Triplets:
    """Every (anchor, positive, negative) of the batch: sum over classes of n (n - 1) (B - n), for 4 a class some 3 B^2.

    Args:
        embeddings: [B, D], unit norm.
        labels: [B] class numbers; rows of -1 are in no triplet.
        margin: not used; every miner takes one.
        squared: not used; every rule takes it.
        limit: most triplets to give; ``iter_triplets("all", ...)`` has no limit.
        generator: not used; every miner takes one.

    Returns:
        Triplets in the order of anchor, positive, negative; empty when there are none.

    Raises:
        ValueError: more triplets than ``limit``, with how many about, or shapes that do not fit.
    """
    return triplets_of("all", embeddings, labels, margin=margin, squared=squared, limit=limit)
