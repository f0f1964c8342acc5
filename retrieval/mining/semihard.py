"""Miner "semihard": negatives that are farther than the positive, but within the margin.

Schroff, Kalenichenko and Philbin, "FaceNet", CVPR 2015, equation 4: https://arxiv.org/abs/1503.03832
"""

import torch
from torch import Tensor

from retrieval.functional.mined import Triplets
from retrieval.mining.walk import LIMIT, MARGIN, triplets_of


def semihard(
    embeddings: Tensor,
    labels: Tensor,
    *,
    margin: float = MARGIN,
    squared: bool = False,
    limit: int = LIMIT,
    generator: torch.Generator | None = None,
) -> Triplets:
    """Triplets with d(a, p) < d(a, n) < d(a, p) + m: the order is right, the margin is not kept.

    Args:
        embeddings: [B, D], unit norm.
        labels: [B] class numbers; rows of -1 are in no triplet.
        margin: m, in the unit of the distance.
        squared: compare squared distances in place of plain ones; as the loss does that takes the triplets.
        limit: most triplets to give; ``iter_triplets("semihard", ...)`` has no limit.
        generator: not used; every miner takes one.

    Returns:
        Triplets in the order of anchor, positive, negative; empty when there are none.

    Raises:
        ValueError: more triplets than ``limit``, with how many about, or shapes that do not fit.
    """
    return triplets_of("semihard", embeddings, labels, margin=margin, squared=squared, limit=limit)
