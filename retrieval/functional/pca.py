"""A linear head that starts as a principal component analysis of the features it stands on.

A random head first has to find what PCA knows at once, and drags the backbone through bad gradients meanwhile.
"""

from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = 4096
"""Rows that are widened to float64 at a time."""


class LinearStart(NamedTuple):
    """The start of ``nn.Linear(F, D)``.

    Attributes:
        weight: [D, F] float32, one direction a row, by falling variance.
        bias: [D] float32, such that the mean of the features is mapped to 0.
        variances: [D] float64 variance of the features along each direction, before whitening; 0 beyond the rank.
    """

    weight: Tensor
    bias: Tensor
    variances: Tensor


@torch.no_grad()
def pca_start(features: Tensor, dimension: int, *, whitening: float = 0.0, seed: int = 0) -> LinearStart:
    """Weight and bias that map features onto their first principal components.

    Each direction is given the sign that makes its entry of largest magnitude positive (the first of equals), so that
    the same features give the same head on every machine. N rows have at most N - 1 directions with variance; where
    that is fewer than D, the rest are seeded random directions at right angles to the found ones.

    Args:
        features: [N, F] with N >= 2.
        dimension: D, 1 to F.
        whitening: power p in [0, 1]: each component is divided by its standard deviation to the power of p; 0 is a
            rotation, 1 makes all variances 1. Directions beyond the rank are divided like the last one within it.
        seed: of the directions beyond the rank; the global random state is neither used nor changed.

    Raises:
        ValueError: shapes that do not fit, or features that are not finite.
    """
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"PCA needs two rows of features or more, not {tuple(features.shape)}.")
    if not 1 <= dimension <= features.shape[1]:
        raise ValueError(f"{features.shape[1]} features have no {dimension} principal components.")
    if not 0 <= whitening <= 1:
        raise ValueError(f"The power of the whitening is 0 to 1, not {whitening}.")
    mean, covariance = _moments(features)
    if not bool(torch.isfinite(covariance).all()):
        raise ValueError("The features are not finite.")
    variances, directions = _directions(covariance, dimension, len(features))
    rank = int((variances > 0).sum())
    directions = _signed(_completed(directions[:rank], dimension, seed))
    scale = torch.ones(dimension, dtype=torch.float64)
    if rank:
        scale[:rank] = variances[:rank].pow(-whitening / 2)
        scale[rank:] = scale[rank - 1]
    weight = directions * scale[:, None]
    return LinearStart(weight.float(), -(weight @ mean).float(), variances)


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [F] and covariance [F, F] (N - 1) in float64, in bounded blocks of rows."""
    total = torch.zeros(features.shape[1], dtype=torch.float64)
    for block in torch.split(features, BLOCK):
        total += block.cpu().double().sum(dim=0)
    mean = total / len(features)
    scatter = torch.zeros(features.shape[1], features.shape[1], dtype=torch.float64)
    for block in torch.split(features, BLOCK):
        centred = block.cpu().double() - mean
        scatter.addmm_(centred.T, centred)
    return mean, scatter / (len(features) - 1)


def _directions(covariance: Tensor, dimension: int, rows: int) -> tuple[Tensor, Tensor]:
    """The largest variances [D], rounding error set to 0, and their directions [D, F]."""
    values, vectors = torch.linalg.eigh(covariance)
    values, vectors = values.flip(0)[:dimension], vectors.flip(1).T[:dimension]
    noise = float(values[0].clamp_min(0)) * len(covariance) * torch.finfo(torch.float64).eps
    beyond = (values <= noise) | (torch.arange(dimension) >= rows - 1)
    return values.masked_fill(beyond, 0.0), vectors


def _completed(directions: Tensor, dimension: int, seed: int) -> Tensor:
    """[D, F] orthonormal rows of which the first are ``directions``."""
    missing = dimension - len(directions)
    if not missing:
        return directions
    generator = torch.Generator().manual_seed(seed)
    extra = torch.randn(directions.shape[1], missing, dtype=torch.float64, generator=generator)
    # The QR of found and random columns together leaves the random ones at right angles to the found.
    basis, _ = torch.linalg.qr(torch.cat([directions.T, extra], dim=1))
    return torch.cat([directions, basis.T[len(directions) :]])


def _signed(directions: Tensor) -> Tensor:
    largest = directions.abs().argmax(dim=1, keepdim=True)
    return directions * directions.gather(1, largest).sign()
