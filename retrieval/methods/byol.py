"""BYOL: an online network predicts what its own slow average makes of the other view; no negatives.

Grill et al., "Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning", NeurIPS 2020, equations 1 and 2
and appendix J: https://arxiv.org/abs/2006.07733. The paper's loss, a sum over both ways of squared distances, is 4
times this one plus 4.
"""

from collections.abc import Iterator, Sequence
from typing import cast

from torch import Tensor, nn

from retrieval.functional.batch import Batch
from retrieval.methods.predicting import make_predictor, spread, symmetric
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.models.encoder import Encoder, EncoderOutput
from retrieval.models.momentum import MomentumTwin, rising
from retrieval.models.projector import mlp


class BYOL(SelfSupervised):
    """BYOL, and what is left of it without its guards.

    Args:
        encoder: see ``SelfSupervised``.
        hidden: width of the hidden layers of the projector and the predictor.
        dimension: width of their outputs.
        momentum: of the twin at the start, in [0, 1]; it rises to 1 by the end of the run.
        predictor: False: the online projection is compared itself (the paper's table 5b: collapse).
        stop_gradient: False: the targets are the online network's own, and get their gradient; the twin follows, and
            nobody asks it. Without a predictor beside, nothing keeps images apart.
        seed: see ``SelfSupervised``.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        hidden: int = 4096,
        dimension: int = 256,
        momentum: float = 0.996,
        predictor: bool = True,
        stop_gradient: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, seed=seed)
        self.momentum, self.stop_gradient = momentum, stop_gradient
        self.projector = mlp([encoder.dimension, hidden, dimension], seed=seed)
        self.predictor = make_predictor(predictor, dimension, hidden, seed + 1)
        self.target_encoder = MomentumTwin(encoder)
        self.target_projector = MomentumTwin(self.projector)

    def loss_of_views(
        self, views: Sequence[Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor], Sequence[EncoderOutput]]:
        """The symmetric negative cosine of the first two views."""
        seen = [self.encoder(view) for view in views[:2]]
        projections = [self.projector(one.raw) for one in seen]
        targets = [self._target(view) for view in views[:2]] if self.stop_gradient else projections
        loss = symmetric([self.predictor(one) for one in projections], targets)
        return loss, {"negative_cosine": loss.detach(), "projection_spread": spread(projections[0].detach())}, seen

    def after_step(self) -> None:
        """The twin follows."""
        # Less the one just seen, so that the first step has the momentum of the start.
        momentum = rising(self.momentum, int(self.batches) - 1, self.steps)
        self.target_encoder.follow(momentum)
        self.target_projector.follow(momentum)

    def learned(self) -> Iterator[tuple[nn.Module, float]]:
        """The projector and the predictor."""
        yield self.projector, 1.0
        yield self.predictor, 1.0

    def collapse_constants(self) -> dict[str, float]:
        """-1: all predictions are all targets."""
        return {"negative_cosine": -1.0}

    def _target(self, view: Tensor) -> Tensor:
        """[B, D] the twin's projection, without gradient."""
        output = cast(EncoderOutput, self.target_encoder(view))
        return cast(Tensor, self.target_projector(output.raw))
