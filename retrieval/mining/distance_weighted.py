"""Miner "distance_weighted": negatives drawn so that their distances are spread evenly, not crowded at sqrt(2).

Wu, Manmatha, Smola and Krähenbühl, "Sampling Matters in Deep Embedding Learning", ICCV 2017, section 4:
https://arxiv.org/abs/1706.07567. Points that are uniform on the unit sphere in n dimensions have distances of density
q(d) ~ d^(n-2) (1 - d^2/4)^((n-3)/2); a negative is drawn with a weight of 1 / q(d).
"""

import torch
from torch import Tensor

from retrieval.functional.mined import Triplets
from retrieval.mining.blocks import check_batch, pair_blocks
from retrieval.mining.collector import Collector
from retrieval.mining.walk import MARGIN, possible_triplets
from retrieval.mining.workspace import Measured, Workspace


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
    # Float64, so that a sum over thousands does not swallow small weights; Apple's devices have none.
    wide = torch.float32 if labels.device.type == "mps" else torch.float64
    space = Workspace(labels.device)
    measured, found = Measured(embeddings, space), Collector(3, possible_triplets(labels)[0], labels.device)
    for block in pair_blocks(labels):
        between = measured(block.rows)
        weights = negative_weights(between, block.negative, embeddings.shape[1], nearest, farthest)
        sums = space.take("sums", tuple(weights.shape), wide).copy_(weights)
        torch.cumsum(sums, 1, out=sums)
        drawn = (sums[:, -1] > 0)[block.place]
        negatives = _draw(sums, block.place[drawn], generator)
        found.add(block.anchors[drawn], block.positives[drawn], negatives)
    return found.triplets()


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
    second = (d * d).div_(-4).add_(1).log_().mul_((dimension - 3) / 2)
    log_weights = d.log_().mul_(2 - dimension).sub_(second)
    log_weights.masked_fill_(~candidates, -torch.inf)
    # By row: the maximum of the whole batch would let the weights of a far row vanish, all of them. A row without
    # candidates has the maximum -inf, and -inf - -inf is no number.
    highest = log_weights.amax(dim=1, keepdim=True)
    return log_weights.sub_(highest.masked_fill_(highest.isinf(), 0)).exp_()


def _draw(sums: Tensor, place: Tensor, generator: torch.Generator | None) -> Tensor:
    """[P] a column for each row in ``place`` with a chance in proportion to its step in the running ``sums`` [R, B].

    ``place`` ascends: all draws of a row are looked up in it together, and no row is copied for each of them.

    ``torch.multinomial`` ends its running sum with a 1 whatever the last weight is, and so now and then draws a last
    column of weight 0; here a column of weight 0 is never drawn.
    """
    device = sums.device if generator is None else generator.device
    uniform = torch.rand(len(place), generator=generator, device=device, dtype=sums.dtype).to(sums.device)
    total = sums[place, -1]
    # The product may be rounded up to the total itself, beyond the last column.
    height = torch.minimum(uniform * total, torch.nextafter(total, torch.zeros_like(total)))
    draws = torch.bincount(place, minlength=len(sums))
    turn = torch.arange(len(place), device=sums.device) - (draws.cumsum(0) - draws)[place]
    heights = height.new_zeros(len(sums), int(draws.max()) if len(place) else 0)
    heights[place, turn] = height
    return torch.searchsorted(sums, heights, right=True)[place, turn]
