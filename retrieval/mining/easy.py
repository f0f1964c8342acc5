"""Miner "easy": triplets that a triplet loss has already solved. For looking at, not for training.

Named after Schroff, Kalenichenko and Philbin, "FaceNet", CVPR 2015, section 3.2: https://arxiv.org/abs/1503.03832
"""

import torch
from torch import Tensor

from retrieval.functional.mined import Triplets
from retrieval.mining.walk import LIMIT, MARGIN, triplets_of


def easy(
    embeddings: Tensor,
    labels: Tensor,
    *,
    margin: float = MARGIN,
    squared: bool = False,
    limit: int = LIMIT,
    generator: torch.Generator | None = None,
) -> Triplets:
    """Triplets with d(a, n) > d(a, p) + m, whose triplet loss is 0.

    Args:
        embeddings: [B, D], unit norm.
        labels: [B] class numbers; rows of -1 are in no triplet.
        margin: m, in the unit of the distance.
        squared: compare squared distances in place of plain ones; as the loss does that takes the triplets.
        limit: most triplets to give; ``iter_triplets("easy", ...)`` has no limit.
        generator: not used; every miner takes one.

    Returns:
        Triplets in the order of anchor, positive, negative; empty when there are none.

    Raises:
        ValueError: more triplets than ``limit``, with how many about, or shapes that do not fit.
    """
    return triplets_of("easy", embeddings, labels, margin=margin, squared=squared, limit=limit)
