"""What keeps methods without negatives from collapse, one guard at a time: the pattern of VICReg's table 4, small.

Bardes, Ponce and LeCun, "VICReg", ICLR 2022, table 4: https://arxiv.org/abs/2105.04906. Each family is trained with
nothing, with the variance term, and with variance and covariance, both on its projections: BYOL and SimSiam as they
are, SimSiam without its predictor, without predictor and stop-gradient, and VICReg's own mean squared error. The
weights are VICReg's, 25 to 25 to 1; beside a negative cosine, which weighs 1, they are 1 and 1 / 25.

For each: accuracies, and of the embedding its effective rank and spread (standard deviation of its dimensions, 1 where
they are spread evenly, 0 where all images are one point), the spread of the projection, and the alarms that rang. The
last weights count: nothing is chosen.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from retrieval.functional.batch import Batch
from retrieval.losses.vicreg import covariance_term, variance_term
from retrieval.methods.byol import BYOL
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.methods.simsiam import SimSiam
from retrieval.models.encoder import Encoder, EncoderOutput
from retrieval.models.projector import mlp
from tests.benchmarks.ssl_lab import PROTOCOLS, Run, pixels_right, result
from tests.benchmarks.support import show

VARIANCE, COVARIANCE = 1.0, 1 / 25
WIDTHS = {"hidden": 512, "dimension": 512}
PUBLISHED = {
    "BYOL": "69.3 / 70.2 / 69.5",
    "SimSiam": "67.9 / 68.1 / 67.6",
    "SimSiam, no predictor": "35.1 / 67.3 / 67.1",
    "SimSiam, no predictor, no stop-gradient": "collapse / 56.8 / 66.1",
    "VICReg": "collapse / 57.5 / 68.6",
}
"""Of ImageNet, linear, 100 epochs: with nothing / variance / variance and covariance."""


class _Regularised(SelfSupervised):
    """Adds VICReg's terms of the projections to a method's loss."""

    added: tuple[float, float]

    def loss_of_views(
        self, views: Sequence[Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor], Sequence[EncoderOutput]]:
        """The method's loss and the two terms."""
        loss, logs, seen = super().loss_of_views(views, batch)
        if any(self.added):
            first, second = (self.projector(one.raw) for one in seen)
            variance, covariance = variance_term(first, second), covariance_term(first, second)
            loss = loss + self.added[0] * variance + self.added[1] * covariance
            logs = {**logs, "variance": variance.detach(), "covariance": covariance.detach()}
        return loss, logs, seen


class RegularisedBYOL(_Regularised, BYOL):
    """BYOL with the terms."""

    def __init__(self, encoder: Encoder, *, variance: float, covariance: float, **options: Any) -> None:
        super().__init__(encoder, **options)
        self.added = variance, covariance


class RegularisedSimSiam(_Regularised, SimSiam):
    """SimSiam with the terms. Its projector ends without batch-norm, which would hold the variance at 1 by itself."""

    def __init__(self, encoder: Encoder, *, variance: float, covariance: float, **options: Any) -> None:
        super().__init__(encoder, **options)
        widths = [encoder.dimension, options["hidden"], options["hidden"], options["dimension"]]
        self.projector = mlp(widths, last_bias=False, seed=self.seed)
        self.added = variance, covariance


REGULARISED: dict[str, Callable[..., SelfSupervised]] = {"byol": RegularisedBYOL, "simsiam": RegularisedSimSiam}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "BYOL": ("byol", {"momentum": 0.9}),
    "SimSiam": ("simsiam", {"bottleneck": 128}),
    "SimSiam, no predictor": ("simsiam", {"bottleneck": 128, "predictor": False}),
    "SimSiam, no predictor, no stop-gradient": (
        "simsiam", {"bottleneck": 128, "predictor": False, "stop_gradient": False},
    ),
    "VICReg": ("vicreg", {}),
}  # fmt: skip
GUARDS = {"nothing": (0.0, 0.0), "variance": (1.0, 0.0), "variance, covariance": (1.0, 1.0)}


def run(quick: bool = False) -> None:
    """Print the table."""
    protocol = PROTOCOLS["quick-collapse" if quick else "collapse"]
    rows = [["the pixels themselves", "", f"{np.mean(pixels_right(protocol)):.3f}", "", "", "", "", ""]]
    for family, (method, options) in FAMILIES.items():
        for guard, (variance, covariance) in GUARDS.items():
            found = result(_run(protocol.name, method, {**WIDTHS, **options}, variance, covariance))
            assert found is not None
            accuracies = [f"{np.mean(found[name]):.3f}" for name in ("knn", "linear")]
            spreads = [f"{found[name]:.2f}" for name in ("std", "projected_std")]
            rows.append([family, guard, *accuracies, f"{found['rank']:.1f}", *spreads, ", ".join(found["alarms"])])
    images, epochs = 10 * protocol.images[0], protocol.epochs
    title = f"What keeps from collapse: {images:,} images of CIFAR-10, {epochs} epochs, the last weights"
    header = ["family", "guard", "kNN", "linear", "effective rank", "spread", "of the projection", "alarms"]
    show(title, header, rows)
    show("As published (ImageNet, linear, 100 epochs)", ["family", "nothing / + v / + v, c"], [*PUBLISHED.items()])


def _run(protocol: str, method: str, options: dict[str, Any], variance: float, covariance: float) -> Run:
    if method == "vicreg":
        weights = {"invariance": 25.0, "variance": 25.0 * variance, "covariance": covariance}
        return Run(protocol, method, {**options, **weights}, rate=2e-3)
    weights = {"variance": VARIANCE * variance, "covariance": COVARIANCE * covariance}
    return Run(protocol, method, {**options, **weights}, rate=2e-3, by="regularised")
