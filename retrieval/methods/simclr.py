"""SimCLR: two views of an image find each other among all views of the batch.

Chen, Kornblith, Norouzi and Hinton, "A Simple Framework for Contrastive Learning of Visual Representations", ICML
2020, algorithm 1: https://arxiv.org/abs/2002.05709. With three layers in the projector, its first hidden layer kept:
"Big Self-Supervised Models are Strong Semi-Supervised Learners" (SimCLRv2), NeurIPS 2020, section 2:
https://arxiv.org/abs/2006.10029
"""

import math
from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from retrieval.functional.batch import Batch
from retrieval.functional.gather import gather_with_gradient
from retrieval.losses.nt_xent import nt_xent
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.models.encoder import Encoder, EncoderOutput
from retrieval.models.projector import mlp, unit


class SimCLR(SelfSupervised):
    """SimCLR (two layers in the projector) and the first stage of SimCLRv2 (three).

    Args:
        encoder: see ``SelfSupervised``.
        hidden: width of the projector's hidden layers.
        dimension: width of its output.
        layers: of the projector, at least 1.
        temperature: tau > 0 of NT-Xent.
        seed: see ``SelfSupervised``.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        hidden: int = 2048,
        dimension: int = 128,
        layers: int = 2,
        temperature: float = 0.5,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, seed=seed)
        self.temperature = temperature
        self.projector = mlp([encoder.dimension, *[hidden] * (layers - 1), dimension], last_bias=False, seed=seed)
        self._views = 0

    def loss_of_views(
        self, views: Sequence[Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor], Sequence[EncoderOutput]]:
        """NT-Xent of the first two views, over all processes."""
        seen = [self.encoder(view) for view in views[:2]]
        first, second = (gather_with_gradient(unit(self.projector(one.raw))) for one in seen)
        self._views = 2 * len(first)
        loss = nt_xent(first, second, temperature=self.temperature)
        return loss, {"nt_xent": loss.detach()}, seen

    def learned(self) -> Iterator[tuple[nn.Module, float]]:
        """The projector."""
        yield self.projector, 1.0

    def chance_constants(self) -> dict[str, float]:
        """ln(2N - 1): every view is as near as any other."""
        return {"nt_xent": math.log(self._views - 1)} if self._views > 1 else {}
