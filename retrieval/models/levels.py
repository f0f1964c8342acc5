"""Pooling over all levels of a backbone: what a small network sees early is worth keeping.

The last level of a network that learned little, or from other pictures, forgets colours and textures that the earlier
ones still tell apart. So of each level both the mean and the standard deviation of every channel are taken: Huang and
Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", ICCV 2017,
https://arxiv.org/abs/1703.06868, describe a picture's style by them; and several levels side by side: Long et al.,
"Learning Transferable Features with Deep Adaptation Networks", ICML 2015, on what early levels transfer.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from retrieval.core.errors import BadValue

FINEST = 4
"""Levels at less than this reduction are left out: edges, at most of the cost."""

_EPS = 1e-6


class Standardisation(nn.Module):
    """Takes away the mean of every feature and gives each block of features the same share of what is left.

    Not feature by feature: of a trained network the features that hardly vary say little, and are not to be blown up.
    Nothing here is learned in training, and all of it stays in float32 whatever the network around it is cast to: half
    a mean may be more than a spread.

    Args:
        blocks: how many features each block has.

    Attributes:
        mean: [F] of the pictures that it was made on; 0 at first.
        scale: [F] the root of the block's variances' sum; 1 at first.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, blocks: Sequence[int]) -> None:
        super().__init__()
        self.blocks = tuple(blocks)
        self.register_buffer("mean", torch.zeros(sum(blocks)))
        self.register_buffer("scale", torch.ones(sum(blocks)))

    def forward(self, features: Tensor) -> Tensor:
        """[B, F] float32 of [B, F]."""
        return (features.float() - self.mean) / self.scale

    def fit(self, features: Tensor) -> None:
        """Make it of [N, F] features as they are without it, N at least 2."""
        self.mean.copy_(features.mean(0))
        shares = torch.split(features.var(0, correction=0), list(self.blocks))
        self.scale.copy_(torch.cat([(share.sum() + _EPS).sqrt().expand(len(share)) for share in shares]))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        above: Any = super()  # carries no type hints
        return above._apply(lambda tensor: tensor.to(fn(tensor).device), recurse)


class Levels(nn.Module):
    """[B, 3, S, S] to [B, F]: mean and standard deviation of each channel of each level, standardised by level.

    Args:
        body: gives a list of maps [B, C, h, w], finest first; ``body.feature_info`` says their channels and reductions.

    F is twice the sum of the channels. The standardisation changes nothing until ``standardise`` has seen pictures.
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        info: Any = body.feature_info
        self.body = body
        self.taken = tuple(i for i, reduction in enumerate(info.reduction()) if reduction >= FINEST)
        channels = [info.channels()[i] for i in self.taken]
        self.num_features = 2 * sum(channels)
        self.output_fmt = "NCHW"
        self.norm = Standardisation([*channels, *channels])

    def forward(self, images: Tensor) -> Tensor:
        """[B, F]."""
        standardised: Tensor = self.norm(self._pooled(images))
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
        """Make the standardisation from pictures.

        Args:
            batches: [B, 3, S, S] each; the network itself is as it is in evaluation.
        """
        self.eval()
        self.norm.fit(torch.cat([self._pooled(images) for images in batches]))

    def _pooled(self, images: Tensor) -> Tensor:
        means, spreads = zip(*(_moments(level) for level in self._maps(images)), strict=True)
        return torch.cat([*means, *spreads], dim=1)

    def _maps(self, images: Tensor) -> list[Tensor]:
        found = self.body(images)
        return [found[i] for i in self.taken]


def _moments(level: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, [B, C] each, in float32: squares of half floats lose too much."""
    with torch.autocast(level.device.type, enabled=False):
        values = level.float()
        mean = values.mean((2, 3), keepdim=True)
        # Not torch.var_mean, which takes twelve times as long on a processor.
        return mean.flatten(1), ((values - mean).square().mean((2, 3)) + _EPS).sqrt()
