"""A small decoder: from an embedding back to a small image."""

import torch
from torch import Tensor, nn

from retrieval.functional.distances import widened
from retrieval.models.seeding import seeded

START = 4
"""Side of the first map, in pixels."""

LEAST = 8
"""Fewest channels of a map."""


class Decoder(nn.Module):
    """A linear map to 4 × 4 maps, then nearest-neighbour enlargement by 2 and a convolution until the side is reached.

    Normalised over a single image (group-norm with one group), so that no image depends on its batch.

    Args:
        dimension: D of the embedding.
        side: of the image, in pixels: 4, 8, 16, and so on.
        width: channels of the first map; halved with every enlargement, ``LEAST`` at the least.
        seed: of the initialisation; the global random state is neither used nor changed.

    Raises:
        ValueError: a side that is not 4 times a power of two.
    """

    def __init__(self, dimension: int, side: int, width: int, *, seed: int = 0) -> None:
        super().__init__()
        doublings = doublings_to(side)
        self.width = width
        with seeded(seed):
            self.start = nn.Linear(dimension, width * START * START)
            layers: list[nn.Module] = []
            for _ in range(doublings):
                narrower = max(LEAST, width // 2)
                layers += [
                    nn.Upsample(scale_factor=2, mode="nearest"),
                    nn.Conv2d(width, narrower, 3, padding=1, bias=False),
                    nn.GroupNorm(1, narrower),
                    nn.ReLU(inplace=True),
                ]
                width = narrower
            layers.append(nn.Conv2d(width, 3, 3, padding=1))
            self.layers = nn.Sequential(*layers)

    def forward(self, embeddings: Tensor) -> Tensor:
        """[B, 3, side, side] in float32 or wider, of [B, D]: pixels normalised by mean and standard deviation."""
        maps = torch.relu(self.start(embeddings)).view(-1, self.width, START, START)
        return widened(self.layers(maps))


def doublings_to(side: int) -> int:
    """How often the first map is enlarged to ``side`` pixels. Raises ValueError where it never has that side."""
    doublings = max(0, (side // START).bit_length() - 1)
    if side != START << doublings:
        raise ValueError(f"The side of a decoded image is {START} times a power of two, not {side}.")
    return doublings
