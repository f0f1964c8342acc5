"""Barlow Twins: two views agree dimension by dimension, and no two dimensions say the same.

Zbontar, Jing, Misra, LeCun and Deny, "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", ICML 2021:
https://arxiv.org/abs/2103.03230
"""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from retrieval.functional.batch import Batch
from retrieval.functional.gather import gather_with_gradient
from retrieval.losses.barlow_twins import correlation_parts, of_parts
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.models.encoder import Encoder, EncoderOutput
from retrieval.models.projector import mlp


class BarlowTwins(SelfSupervised):
    """Barlow Twins on the raw output of the projector, over all processes together.

    In the log, beside the loss: ``diagonal``, the mean of C_ii (1 is the aim, 0 is collapse), ``disagreement``, the
    mean of (1 - C_ii)² (0 is the aim), and ``off_diagonal``, the root of the mean of C_ij² (0 is the aim; near 1 all
    dimensions have become one).

    Args:
        encoder: see ``SelfSupervised``.
        hidden: width of the projector's two hidden layers (8192 in the paper).
        dimension: D, width of its output (8192 in the paper; wider is better there).
        redundancy: lambda >= 0 of the loss.
        seed: see ``SelfSupervised``.
    """

    def __init__(
        self, encoder: Encoder, *, hidden: int = 2048, dimension: int = 2048, redundancy: float = 0.0051, seed: int = 0
    ) -> None:
        super().__init__(encoder, seed=seed)
        self.redundancy, self.dimension = redundancy, dimension
        self._chance: Tensor | None = None
        self.projector = mlp([encoder.dimension, hidden, hidden, dimension], last_bias=False, seed=seed)

    def loss_of_views(
        self, views: Sequence[Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor], Sequence[EncoderOutput]]:
        """The loss of the first two views."""
        seen = [self.encoder(view) for view in views[:2]]
        first, second = (gather_with_gradient(self.projector(one.raw)) for one in seen)
        diagonal, beside = correlation_parts(first, second)
        loss = of_parts(diagonal, beside, self.redundancy)
        still = diagonal.detach()
        self._chance = 1 + still.square().mean()
        pairs = max(1, self.dimension * (self.dimension - 1))
        logs = {
            "barlow_twins": loss.detach(),
            "diagonal": still.mean(),
            "disagreement": (1 - still).square().mean(),
            "off_diagonal": (beside.detach() / pairs).clamp_min(0).sqrt(),
        }
        return loss, logs, seen

    def learned(self) -> Iterator[tuple[nn.Module, float]]:
        """The projector."""
        yield self.projector, 1.0

    def chance_constants(self) -> dict[str, float]:
        """The disagreement if the C_ii came to nothing in their mean: 1 where all rows are alike, and 1 + 1 / N or so
        where the views have nothing in common, since N rows correlate by chance. Of the loss it is only a part, which
        a large lambda would drown.
        """
        return {} if self._chance is None else {"disagreement": float(self._chance)}
