"""What BYOL and SimSiam share: one view predicts the other's projection."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from retrieval.functional.distances import widened
from retrieval.functional.gather import gather, mean_over_processes
from retrieval.losses.negative_cosine import negative_cosine
from retrieval.models.projector import mlp, unit


def make_predictor(wanted: bool, dimension: int, hidden: int, seed: int) -> nn.Module:
    """A predictor of one hidden layer, [B, dimension] → [B, dimension]; what predicts nothing where it is not
    wanted."""
    return mlp([dimension, hidden, dimension], seed=seed) if wanted else nn.Identity()


def symmetric(predictions: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """Mean of both ways of the negative cosine, and of all processes' rows.

    Args:
        predictions: of the first and of the second view, [B, D] each.
        targets: likewise; the first view predicts the second's, and the other way round.

    Returns:
        Scalar in [-1, 1], the same in all processes.
    """
    loss = (negative_cosine(predictions[0], targets[1]) + negative_cosine(predictions[1], targets[0])) / 2
    return mean_over_processes(loss)


@torch.no_grad()
def spread(rows: Tensor) -> Tensor:
    """Mean standard deviation of the unit rows' dimensions, times √D: about 1 when they are spread evenly over the
    sphere, 0 when they are one point (Chen and He 2021, section 4.1).

    Args:
        rows: [B, D] of this process; those of all are looked at. At least 2 in all.
    """
    return gather(unit(widened(rows))).std(dim=0).mean() * math.sqrt(rows.shape[1])
