"""VICReg: views alike, every dimension spread out, no two dimensions the same.

Bardes, Ponce and LeCun, "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning", ICLR
2022: https://arxiv.org/abs/2105.04906
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from retrieval.functional.batch import Batch
from retrieval.functional.gather import gather_with_gradient
from retrieval.losses.vicreg import COLLAPSED, Scaling, covariance_term, invariance_term, variance_term
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.models.encoder import Encoder, EncoderOutput
from retrieval.models.projector import mlp


class VICReg(SelfSupervised):
    """VICReg on the raw output of the projector.

    The invariance is each process's own; variance and covariance are those of all processes' rows together. A weight
    of 0 switches a term off, which is how table 4 of the paper is repeated; the log has all three terms all the same,
    unweighted: ``invariance``, ``variance`` (stands at 0.99 when collapsed) and ``covariance``.

    Args:
        encoder: see ``SelfSupervised``.
        hidden: width of the projector's two hidden layers (8192 in the paper).
        dimension: D, width of its output (8192 in the paper).
        invariance, variance, covariance: weights >= 0 of the terms.
        scaling: ``"authors"``, that of their code, or ``"paper"``, that of its equations; see ``losses.vicreg``.
        seed: see ``SelfSupervised``.

    Raises:
        ValueError: see ``check_options``.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        hidden: int = 2048,
        dimension: int = 2048,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
        scaling: Scaling = "authors",
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, seed=seed)
        weights = {"invariance": invariance, "variance": variance, "covariance": covariance}
        self.check_options({**weights, "scaling": scaling})
        self.invariance, self.variance, self.covariance, self.scaling = invariance, variance, covariance, scaling
        self.projector = mlp([encoder.dimension, hidden, hidden, dimension], last_bias=False, seed=seed)

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """See ``SelfSupervised.check_options``."""
        super().check_options(options)
        if options["scaling"] not in ("authors", "paper"):
            raise ValueError(f"The scaling is authors or paper, not {options['scaling']!r}.")
        if not any(options[name] for name in ("invariance", "variance", "covariance")):
            raise ValueError("Of invariance, variance and covariance one is above 0: else nothing is learned.")

    def loss_of_views(
        self, views: Sequence[Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor], Sequence[EncoderOutput]]:
        """The loss of the first two views."""
        seen = [self.encoder(view) for view in views[:2]]
        first, second = (self.projector(one.raw) for one in seen)
        everyone = gather_with_gradient(first), gather_with_gradient(second)
        invariance = invariance_term(first, second, self.scaling)
        variance = variance_term(*everyone, self.scaling)
        covariance = covariance_term(*everyone)
        loss = self.invariance * invariance + self.variance * variance + self.covariance * covariance
        terms = {"invariance": invariance, "variance": variance, "covariance": covariance}
        return loss, {name: term.detach() for name, term in terms.items()}, seen

    def learned(self) -> Iterator[tuple[nn.Module, float]]:
        """The projector."""
        yield self.projector, 1.0

    def chance_constants(self) -> dict[str, float]:
        """The variance term of rows that are alike: 0.99, or 1.98 in the paper's scaling."""
        return {"variance": COLLAPSED if self.scaling == "authors" else 2 * COLLAPSED}
