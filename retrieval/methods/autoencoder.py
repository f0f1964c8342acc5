"""An autoencoder: the image, made small, is decoded from its embedding. A baseline: what pixels alone teach.

Hinton and Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", Science 2006:
https://doi.org/10.1126/science.1127647
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from retrieval.functional.batch import Batch
from retrieval.functional.distances import widened
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.models.decoder import Decoder, doublings_to
from retrieval.models.encoder import Encoder, EncoderOutput


class Autoencoder(SelfSupervised):
    """Mean squared error between the image at a reduced size and what the decoder makes of its embedding.

    In the log, beside the loss: ``unexplained``, the loss as a share of the variance of the batch's pixels about their
    mean image; 1 is what a decoder reaches that draws the mean image whatever the embedding.

    Args:
        encoder: see ``SelfSupervised``; the decoder gets its raw embedding.
        side: of the decoded image in pixels: 4, 8, 16, and so on.
        width: channels of the decoder's first map.
        seed: see ``SelfSupervised``.

    Raises:
        ValueError: see ``Decoder``.
    """

    views = 1

    def __init__(self, encoder: Encoder, *, side: int = 32, width: int = 128, seed: int = 0) -> None:
        super().__init__(encoder, seed=seed)
        self.side = side
        self.decoder = Decoder(encoder.dimension, side, width, seed=seed)

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """See ``SelfSupervised.check_options``."""
        super().check_options(options)
        doublings_to(options["side"])

    def loss_of_views(
        self, views: Sequence[Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor], Sequence[EncoderOutput]]:
        """The error for the first view."""
        output = self.encoder(views[0])
        target = reduced(views[0], self.side)
        loss = (self.decoder(output.raw) - target).square().mean()
        variance = (target - target.mean(dim=0)).square().mean()
        still = loss.detach()
        logs = {"reconstruction": still, "unexplained": still / variance.clamp_min(torch.finfo(still.dtype).tiny)}
        return loss, logs, [output]

    def learned(self) -> Iterator[tuple[nn.Module, float]]:
        """The decoder."""
        yield self.decoder, 1.0

    def chance_constants(self) -> dict[str, float]:
        """1: of embeddings that are alike the best decoder draws the mean image."""
        return {"unexplained": 1.0}


def reduced(images: Tensor, side: int) -> Tensor:
    """[B, 3, side, side] of [B, 3, S, S]: the mean over the area of each pixel, in float32 or wider."""
    return functional.adaptive_avg_pool2d(widened(images), (side, side))
