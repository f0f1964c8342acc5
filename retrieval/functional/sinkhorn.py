"""Sinkhorn-Knopp: soft assignments of rows to prototypes that use all prototypes equally.

Cuturi, "Sinkhorn Distances: Lightspeed Computation of Optimal Transport", NeurIPS 2013, algorithm 1
(https://arxiv.org/abs/1306.0895), as Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster
Assignments" (SwAV), NeurIPS 2020, equations 3 to 5 and appendix A (https://arxiv.org/abs/2006.09882) use it.
"""

import math

import torch
from torch import Tensor

from retrieval.functional.distances import widened

SPAN = 60.0
"""exp(-60) is 1e-26, which float32 holds; the factors, which may grow beyond it, are in float64."""

NARROW = 40.0
"""Up to here float32 holds the factors, too: entries are exp(-40), or 4e-18, at the least, factors of rows after the
first round as well, and the products of both 2e-35."""


@torch.no_grad()
def sinkhorn(scores: Tensor, *, epsilon: float = 0.05, iterations: int = 3) -> Tensor:
    """Codes: exp(scores / epsilon), scaled in turns until prototypes have B / K rows each and rows sum to 1.

    In float32 at least whatever the autocast state. Where scores / epsilon differ by no more than ``SPAN``, as cosines
    do from epsilon = 1 / 30 on, each round is two products of the matrix of exponentials with a vector; else it is done
    in logarithms, since a prototype that is far from all rows would be 0 / 0.

    Args:
        scores: [B, K] similarities of all processes' rows to the prototypes.
        epsilon: weight of the entropy, > 0; the smaller, the harder the assignments.
        iterations: >= 1; the last thing that each does is the rows, so that they sum to 1 exactly.

    Returns:
        [B, K], each row >= 0 with sum 1, without gradient.

    Raises:
        ValueError: epsilon or iterations out of range.
    """
    if epsilon <= 0 or iterations < 1:
        raise ValueError(f"Sinkhorn needs epsilon above 0 and an iteration, not {epsilon} and {iterations}.")
    logarithms = widened(scores) / epsilon
    if not logarithms.numel():
        return logarithms
    least, most = logarithms.aminmax()
    span = float(most - least)
    if span <= NARROW:
        return _by_products(logarithms.sub_(most).exp_(), iterations)
    # The one device without float64 does it in logarithms.
    if span <= SPAN and logarithms.device.type != "mps":
        return _by_products(logarithms.sub_(most).exp_().double(), iterations).to(logarithms.dtype)
    for _ in range(iterations):
        logarithms = logarithms - logarithms.logsumexp(dim=0, keepdim=True) - math.log(scores.shape[1])
        logarithms = logarithms - logarithms.logsumexp(dim=1, keepdim=True)
    return logarithms.exp()


def _by_products(weights: Tensor, iterations: int) -> Tensor:
    """The same with a factor for each row and each prototype in place of a new matrix in each step; in place.

    Args:
        weights: exponentials, the largest 1: a factor that all entries share is of no account.
        iterations: as above.
    """
    # Prototypes are scaled to B / K, too: with 1 / K the rows' factors would grow B times in every round.
    rows = weights.new_ones(len(weights))
    for _ in range(iterations):
        columns = (len(weights) / weights.shape[1]) / (rows @ weights)
        rows = 1 / (weights @ columns)
    return weights.mul_(columns).mul_(rows[:, None])
