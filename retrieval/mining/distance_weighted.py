"""Miner "distance_weighted": negatives drawn so that their distances are spread evenly, not crowded at sqrt(2).

Wu, Manmatha, Smola and Krähenbühl, "Sampling Matters in Deep Embedding Learning", ICCV 2017, section 4:
https://arxiv.org/abs/1706.07567. Points that are uniform on the unit sphere in n dimensions have distances of density
q(d) ~ d^(n-2) (1 - d^2/4)^((n-3)/2); a negative is drawn with a weight of 1 / q(d).
"""

import torch
from torch import Tensor

from retrieval.functional.distances import distances
from retrieval.functional.mined import Triplets
from retrieval.mining.blocks import check_batch, joined, pair_blocks
from retrieval.mining.walk import MARGIN


@torch.no_grad()
def distance_weighted(
    embeddings: Tensor,
    labels: Tensor,
    *,
    nearest: float = 0.5,
    farthest: float = 1.4,
    margin: float = MARGIN,
    generator: torch.Generator | None = None,
) -> Triplets:
    """One triplet an (anchor, positive) pair, its negative drawn with the weight of ``negative_weights``.

    An anchor whose negatives are all beyond ``farthest`` gives no triplet: the paper's weights name none for it. (In
    many dimensions random embeddings are all at about 1.41, so a network without any training gives few.)

    Args:
        embeddings: [B, D], unit norm, D at least 2.
        labels: [B] class numbers; rows of -1 are in no triplet.
        nearest: distances below are taken for this one, against the noise of the nearest few.
        farthest: negatives beyond are not drawn, since they cost nothing; below 2.
        margin: not used; every miner takes one.
        generator: of the draws; None draws from torch's own. A CPU generator draws the same on every device.

    Returns:
        Triplets in the order of anchor, then positive.

    Raises:
        ValueError: shapes that do not fit, or not 0 < nearest <= farthest < 2.
    """
    check_batch(embeddings, labels)
    if not 0 < nearest <= farthest < 2:
        raise ValueError(f"Distances from {nearest} to {farthest} do not lie within 0 and 2.")
    parts = []
    for block in pair_blocks(labels):
        between = distances(embeddings[block.rows], embeddings)
        weights = negative_weights(between, block.negative, embeddings.shape[1], nearest, farthest)
        # Float64, so that a sum over thousands does not swallow small weights; Apple's devices have none.
        sums = weights.cumsum(dim=1, dtype=torch.float32 if weights.device.type == "mps" else torch.float64)
        drawn = (sums[:, -1] > 0)[block.place]
        place = block.place[drawn]
        negatives = _draw(sums, place, generator)
        parts.append(Triplets(block.anchors[drawn], block.positives[drawn], negatives))
    return joined(parts, labels.device)


def negative_weights(
    between: Tensor, negative: Tensor, dimension: int, nearest: float = 0.5, farthest: float = 1.4
) -> Tensor:
    """exp(log w), log w = (2 - n) log d - (n - 3)/2 log(1 - d^2/4), with d clamped from below at ``nearest``.

    Args:
        between: [R, B] distances.
        negative: [R, B] bool, which columns may be drawn.
        dimension: n >= 2, of the embeddings.
        nearest, farthest: as ``distance_weighted``.

    Returns:
        [R, B] weights in [0, 1], the largest of each row 1; 0 for what is no negative or is beyond ``farthest``. A
        row without any negative in reach is all 0.
    """
    candidates = negative & (between <= farthest)
    d = between.clamp_min(nearest)
    # At and beyond 2 the second logarithm is no number; what is no candidate is masked afterwards.
    log_weights = (2 - dimension) * d.log() - (dimension - 3) / 2 * (1 - d * d / 4).log()
    log_weights = log_weights.masked_fill(~candidates, -torch.inf)
    # By row: the maximum of the whole batch would let the weights of a far row vanish, all of them. A row without
    # candidates has the maximum -inf, and -inf - -inf is no number.
    highest = log_weights.amax(dim=1, keepdim=True)
    return (log_weights - highest.masked_fill(highest.isinf(), 0)).exp()


def _draw(sums: Tensor, place: Tensor, generator: torch.Generator | None) -> Tensor:
    """[P] a column for each row in ``place`` with a chance in proportion to its step in the running ``sums`` [R, B].

    ``torch.multinomial`` ends its running sum with a 1 whatever the last weight is, and so now and then draws a last
    column of weight 0; here a column of weight 0 is never drawn.
    """
    device = sums.device if generator is None else generator.device
    uniform = torch.rand(len(place), generator=generator, device=device, dtype=sums.dtype).to(sums.device)
    total = sums[place, -1]
    # The product may be rounded up to the total itself, beyond the last column.
    height = torch.minimum(uniform * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(sums[place], height[:, None], right=True)[:, 0]
