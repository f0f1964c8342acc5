"""Pooling over all levels of a backbone: what a small network sees early is worth keeping.

The last level of a network that learned little, or from other pictures, forgets colours and textures that the earlier
ones still tell apart. So of each level both the mean and the standard deviation of every channel are taken: Huang and
Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", ICCV 2017,
https://arxiv.org/abs/1703.06868, describe a picture's style by them; and several levels side by side: Long et al.,
"Learning Transferable Features with Deep Adaptation Networks", ICML 2015, on what early levels transfer.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from retrieval.core.errors import BadValue

FINEST = 4
"""Levels at less than this reduction are left out: edges, at most of the cost."""

_EPS = 1e-6


class Standardisation(nn.BatchNorm1d):
    """In float32 whatever the network around it is cast to: half a mean may be more than a spread."""

    def __init__(self, features: int) -> None:
        super().__init__(features, affine=False)

    def forward(self, features: Tensor) -> Tensor:
        """[B, F] float32 of [B, F]."""
        return super().forward(features.float())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        above: Any = super()  # carries no type hints
        return above._apply(lambda tensor: tensor.to(fn(tensor).device), recurse)


class Levels(nn.Module):
    """[B, 3, S, S] to [B, F]: mean and standard deviation of each channel of each level, standardised.

    Args:
        body: gives a list of maps [B, C, h, w], finest first; ``body.feature_info`` says their channels and reductions.

    F is twice the sum of the channels. The standardisation's statistics are learned like those of any batch-norm; an
    untrained one changes nothing.
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        info: Any = body.feature_info
        self.body = body
        self.taken = tuple(i for i, reduction in enumerate(info.reduction()) if reduction >= FINEST)
        channels = [info.channels()[i] for i in self.taken]
        self.num_features = 2 * sum(channels)
        self.output_fmt = "NCHW"
        self.norm = Standardisation(self.num_features)

    def forward(self, images: Tensor) -> Tensor:
        """[B, F]."""
        means, spreads = zip(*(_moments(level) for level in self._maps(images)), strict=True)
        standardised: Tensor = self.norm(torch.cat([*means, *spreads], dim=1))
        return standardised

    def forward_features(self, images: Tensor) -> Tensor:
        """[B, F, h, w] on the grid of the coarsest level: what each cell gives to the means, and how far it lies from
        them. ``forward_head`` of it is ``forward``, exactly where the finer grids divide by the coarsest."""
        maps = [level.float() for level in self._maps(images)]
        height, width = maps[-1].shape[-2:]
        means = [functional.adaptive_avg_pool2d(level, (height, width)) for level in maps]
        away = [(level - level.mean((2, 3), keepdim=True)).square() for level in maps]
        spreads = [(functional.adaptive_avg_pool2d(square, (height, width)) + _EPS).sqrt() for square in away]
        return torch.cat([*means, *spreads], dim=1)

    def forward_head(self, cells: Tensor) -> Tensor:
        """[B, F] of [B, F, h, w]."""
        means, spreads = cells.chunk(2, dim=1)
        pooled = torch.cat([means.mean((2, 3)), spreads.square().mean((2, 3)).sqrt()], dim=1)
        standardised: Tensor = self.norm(pooled)
        return standardised

    def adopt(self, backbone: nn.Module) -> None:
        """Take the weights of a backbone of the same architecture that pools in its own way.

        What it has behind the last level is left out.

        Raises:
            BadValue: timm names the layers of this architecture otherwise where it gives maps.
        """
        wanted, given = self.body.state_dict(), backbone.state_dict()
        if missing := sorted(wanted.keys() - given.keys()):
            raise BadValue(
                f"The weights of this backbone cannot be pooled over its levels: {missing[0]} has another name there.",
                "Make the encoder with `retrieval model create --pooling levels` from the start.",
            )
        self.body.load_state_dict({name: given[name] for name in wanted})

    @torch.no_grad()
    def standardise(self, batches: Iterable[Tensor]) -> None:
        """Learn the standardisation from pictures: every feature has mean 0 and variance 1 over all of them.

        Args:
            batches: [B, 3, S, S] each, B at least 2; the network itself is as it is in evaluation.
        """
        self.eval()
        self.norm.reset_running_stats()
        self.norm.train()
        usual, self.norm.momentum = self.norm.momentum, None  # the average of all batches
        for images in batches:
            self(images)
        self.norm.momentum = usual
        self.norm.eval()

    def _maps(self, images: Tensor) -> list[Tensor]:
        found = self.body(images)
        return [found[i] for i in self.taken]


def _moments(level: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, [B, C] each, in float32: squares of half floats lose too much."""
    with torch.autocast(level.device.type, enabled=False):
        variance, mean = torch.var_mean(level.float(), dim=(2, 3), correction=0)
        return mean, (variance + _EPS).sqrt()
