"""Prototypes: learned unit directions that rows are compared with."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from retrieval.functional.distances import similarities
from retrieval.models.seeding import seeded


class Prototypes(nn.Module):
    """K learned directions; after a step of the optimiser, ``renormalise`` brings them back onto the sphere.

    Args:
        count: K.
        dimension: D.
        seed: of the random directions; the global random state is neither used nor changed.
    """

    def __init__(self, count: int, dimension: int, seed: int = 0) -> None:
        super().__init__()
        with seeded(seed):
            self.weight = nn.Parameter(normalize(torch.randn(count, dimension), dim=1))

    def forward(self, rows: Tensor, learn: bool = True) -> Tensor:
        """[B, K] dot products, in float32 at least.

        Args:
            rows: [B, D], unit norm.
            learn: False: the prototypes get no gradient, so that an optimiser passes them by.
        """
        return similarities(rows, self.weight if learn else self.weight.detach())

    @torch.no_grad()
    def renormalise(self) -> None:
        """Give every prototype unit norm."""
        self.weight.copy_(normalize(self.weight, dim=1))
