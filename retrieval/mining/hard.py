"""Miner "hard": negatives that are closer than the positive.

Schroff, Kalenichenko and Philbin, "FaceNet", CVPR 2015, section 3.2: https://arxiv.org/abs/1503.03832
"""

import torch
from torch import Tensor

from retrieval.functional.mined import Triplets
from retrieval.mining.walk import LIMIT, MARGIN, triplets_of


def hard(
    embeddings: Tensor,
    labels: Tensor,
    *,
    margin: float = MARGIN,
    squared: bool = False,
    limit: int = LIMIT,
    generator: torch.Generator | None = None,
) -> Triplets:
    """Triplets with d(a, n) <= d(a, p): the order is wrong. A tie is hard, as in ``RULES``.

    Args:
        embeddings: [B, D], unit norm.
        labels: [B] class numbers; rows of -1 are in no triplet.
        margin: not used, since only the order counts; every miner takes one.
        squared: not used, since squares keep the order; every rule takes it.
        limit: most triplets to give; ``iter_triplets("hard", ...)`` has no limit.
        generator: not used; every miner takes one.

    Returns:
        Triplets in the order of anchor, positive, negative; empty when there are none.

    Raises:
        ValueError: more triplets than ``limit``, with how many about, or shapes that do not fit.
    """
    return triplets_of("hard", embeddings, labels, margin=margin, squared=squared, limit=limit)
