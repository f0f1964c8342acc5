"""The ResNet for small pictures that ``ssl_lab`` trains, pooled over its last level or over all of them."""

from collections.abc import Sequence
from typing import NamedTuple

from timm.models.resnet import BasicBlock, ResNet
from torch import Tensor, nn

from retrieval.models.encoder import Encoder
from retrieval.models.levels import Levels
from retrieval.models.seeding import seeded


class _Info(NamedTuple):
    """What ``Levels`` asks of maps: the first convolution reduces by ``stride``, each stage but the first by 2."""

    widths: Sequence[int]
    stride: int

    def channels(self) -> list[int]:
        """Of each map."""
        return list(self.widths)

    def reduction(self) -> list[int]:
        """Pixels that a cell of each map stands for, along a side."""
        return [self.stride << n for n in range(len(self.widths))]


class _Maps(nn.Module):
    """The maps of a ResNet's four stages: [B, C, h, w] each, finest first."""

    def __init__(self, network: ResNet, info: _Info) -> None:
        super().__init__()
        self.network, self.feature_info = network, info

    def forward(self, images: Tensor) -> list[Tensor]:
        """Of [B, 3, S, S]."""
        network, maps = self.network, []
        found = network.act1(network.bn1(network.conv1(images)))
        for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
            found = stage(found)
            maps.append(found)
        return maps


def make_small_resnet(layers: Sequence[int], channels: Sequence[int], stride: int, levels: bool, seed: int) -> Encoder:
    """An untrained ResNet of basic blocks.

    Args:
        layers: blocks of each of the four stages.
        channels: of each stage, and, of the first, of the convolution before it.
        stride: of that convolution (3 x 3, no pooling after it).
        levels: pool over the levels of the network (``models.levels``), not its last one alone.
        seed: of the weights.
    """
    with seeded(seed):
        network = ResNet(
            BasicBlock, list(layers), num_classes=0, channels=tuple(channels), stem_type="deep",
            stem_width=channels[0] // 2,
        )  # fmt: skip
        network.conv1 = nn.Conv2d(3, channels[0], 3, stride=stride, padding=1, bias=False)
        network.maxpool = nn.Identity()
        nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    if not levels:
        return Encoder(network, nn.Identity(), channels[-1])
    pooled = Levels(_Maps(network, _Info(channels, stride)))
    return Encoder(pooled, nn.Identity(), pooled.num_features)
