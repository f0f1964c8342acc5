"""SimSiam: one view predicts the other, whose side gets no gradient; no negatives and no momentum twin.

Chen and He, "Exploring Simple Siamese Representation Learning", CVPR 2021, algorithm 1:
https://arxiv.org/abs/2011.10566. As in the authors' code, all three layers of the projector have batch-norm, the last
one without scale and shift (https://github.com/facebookresearch/simsiam). Their predictor's learning rate does not
follow the schedule; here it does.
"""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from retrieval.functional.batch import Batch
from retrieval.methods.predicting import make_predictor, spread, symmetric
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.models.encoder import Encoder, EncoderOutput
from retrieval.models.projector import mlp


class SimSiam(SelfSupervised):
    """SimSiam, and what is left of it without its guards.

    Args:
        encoder: see ``SelfSupervised``.
        hidden: width of the projector's two hidden layers.
        dimension: width of its output.
        bottleneck: width of the predictor's hidden layer.
        predictor: False: views are compared without one (the paper's table 1: no learning).
        stop_gradient: False: targets get their gradient too (the paper's figure 2: collapse).
        seed: see ``SelfSupervised``.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        hidden: int = 2048,
        dimension: int = 2048,
        bottleneck: int = 512,
        predictor: bool = True,
        stop_gradient: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, seed=seed)
        self.stop_gradient = stop_gradient
        widths = [encoder.dimension, hidden, hidden, dimension]
        self.projector = mlp(widths, last_norm=True, last_affine=False, seed=seed)
        self.predictor = make_predictor(predictor, dimension, bottleneck, seed + 1)

    def loss_of_views(
        self, views: Sequence[Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor], Sequence[EncoderOutput]]:
        """The symmetric negative cosine of the first two views."""
        seen = [self.encoder(view) for view in views[:2]]
        projections = [self.projector(one.raw) for one in seen]
        targets = [one.detach() if self.stop_gradient else one for one in projections]
        loss = symmetric([self.predictor(one) for one in projections], targets)
        return loss, {"negative_cosine": loss.detach(), "projection_spread": spread(targets[0])}, seen

    def learned(self) -> Iterator[tuple[nn.Module, float]]:
        """The projector and the predictor."""
        yield self.projector, 1.0
        yield self.predictor, 1.0

    def collapse_constants(self) -> dict[str, float]:
        """-1: all predictions are all targets."""
        return {"negative_cosine": -1.0}
