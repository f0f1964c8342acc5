"""Miner "mixed": every triplet that costs something, semi-hard and hard ones together.

Hermans, Beyer and Leibe, "In Defense of the Triplet Loss", 2017, call the loss over these "batch all" averaged over
the active triplets (section 2): https://arxiv.org/abs/1703.07737
"""

import torch
from torch import Tensor

from retrieval.functional.mined import Triplets
from retrieval.mining.walk import LIMIT, MARGIN, triplets_of


def mixed(
    embeddings: Tensor,
    labels: Tensor,
    *,
    margin: float = MARGIN,
    squared: bool = False,
    limit: int = LIMIT,
    generator: torch.Generator | None = None,
) -> Triplets:
    """The triplets of ``semihard`` and those of ``hard``: d(a, n) < d(a, p) + m, so their triplet loss is above 0.

    Args:
        embeddings: [B, D], unit norm.
        labels: [B] class numbers; rows of -1 are in no triplet.
        margin: m, in the unit of the distance.
        squared: compare squared distances in place of plain ones; as the loss does that takes the triplets.
        limit: most triplets to give; ``iter_triplets("mixed", ...)`` has no limit.
        generator: not used; every miner takes one.

    Returns:
        Triplets in the order of anchor, positive, negative; empty when there are none.

    Raises:
        ValueError: more triplets than ``limit``, with how many about, or shapes that do not fit.
    """
    return triplets_of("mixed", embeddings, labels, margin=margin, squared=squared, limit=limit)
