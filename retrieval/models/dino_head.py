"""DINO's head: a perceptron to a bottleneck on the unit sphere, and a last layer whose weights are unit rows.

Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", ICCV 2021, section 3.1 and appendix C:
https://arxiv.org/abs/2104.14294; as in the authors' code (https://github.com/facebookresearch/dino, DINOHead).
"""

import torch
from torch import Tensor, nn

from retrieval.functional.distances import similarities
from retrieval.models.projector import mlp, unit
from retrieval.models.seeding import seeded


class DinoHead(nn.Module):
    """[B, features] → [B, K] scores, cosines of the bottleneck with K prototypes.

    The last layer is weight-normalised with its gain fixed to 1 (the authors' ``norm_last_layer``): what is learned is
    a direction for each prototype, whose length is of no account.

    Args:
        features: width of the input.
        hidden: of the perceptron's hidden layers; GELU, no batch-norm.
        bottleneck: its output.
        prototypes: K.
        layers: of the perceptron, at least 1.
        seed: of the initialisation; the global random state is neither used nor changed.
    """

    def __init__(
        self, features: int, hidden: int, bottleneck: int, prototypes: int, layers: int = 3, seed: int = 0
    ) -> None:
        super().__init__()
        widths = [features, *[hidden] * (layers - 1), bottleneck]
        self.trunk = mlp(widths, batch_norm=False, gelu=True, seed=seed)
        with seeded(seed):
            self.directions = nn.Parameter(torch.empty(prototypes, bottleneck))
            for layer in (self.directions, *(one.weight for one in self.trunk if isinstance(one, nn.Linear))):
                nn.init.trunc_normal_(layer, std=0.02)
        for one in self.trunk:
            if isinstance(one, nn.Linear):
                nn.init.zeros_(one.bias)

    def forward(self, rows: Tensor, learn: bool = True) -> Tensor:
        """[B, K] scores in [-1, 1], in float32 at least.

        Args:
            rows: [B, features].
            learn: False: the last layer gets no gradient, so that an optimiser passes it by.
        """
        directions = self.directions if learn else self.directions.detach()
        return similarities(unit(self.trunk(rows)), unit(directions))
