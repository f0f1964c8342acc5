"""W-MSE: views of an image agree after their batch has been whitened, with no negatives and no twin.

Ermolov, Siarohin, Sangineto and Sebe, "Whitening for Self-Supervised Representation Learning", ICML 2021:
https://arxiv.org/abs/2007.06346
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from retrieval.core.errors import BadValue, TrainingFailed
from retrieval.functional.batch import Batch
from retrieval.functional.gather import gather_with_gradient
from retrieval.losses.w_mse import SingularCovariance, w_mse
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.models.encoder import Encoder, EncoderOutput
from retrieval.models.projector import mlp

RESCUE = 1e-3
"""Shrinkage with which a step is tried once more whose covariance had no Cholesky factor."""


class WMSE(SelfSupervised):
    """W-MSE on the raw output of the projector, over all processes together; projector and loss in float32 at least.

    Batches that are no multiple of the slice: the rows are drawn into slices anew in each step, and those that fill
    none sit this step out. A step whose covariance has no Cholesky factor is computed once more with the shrinkage
    ``RESCUE``; the run fails if that does not help. In the log, beside the loss: ``left_out``, the share of rows in no
    slice, and ``rescued``, the share of steps that needed the shrinkage.

    Args:
        encoder: see ``SelfSupervised``.
        views: of an image, 2 (W-MSE 2) or more (4 for W-MSE 4); every pair of them is compared.
        hidden: width of the projector's hidden layer.
        dimension: D, width of its output.
        slice_size: rows that are whitened together, 2 D at the least.
        iterations: times that the rows are drawn into slices in one step; the loss is the mean.
        shrinkage: epsilon in [0, 1); see ``losses.w_mse``. The paper has none.
        seed: see ``SelfSupervised``.

    Raises:
        ValueError, BadValue: see ``check_options``.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        views: int = 2,
        hidden: int = 1024,
        dimension: int = 64,
        slice_size: int = 128,
        iterations: int = 1,
        shrinkage: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, seed=seed)
        self.check_options({"views": views, "dimension": dimension, "slice_size": slice_size, "shrinkage": shrinkage})
        self.views, self.slice_size = views, slice_size
        self.iterations, self.shrinkage = iterations, shrinkage
        self.projector = mlp([encoder.dimension, hidden, dimension], seed=seed)

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """See ``SelfSupervised.check_options``."""
        super().check_options(options)
        size, dimension = options["slice_size"], options["dimension"]
        if size < 2 * dimension:
            raise BadValue(
                f"A slice of {size} rows is too small for {dimension} dimensions: single ones become singular.",
                f"Use slice_size = {2 * dimension} or more, or a smaller dimension.",
            )

    @classmethod
    def least_batch(cls, options: Mapping[str, Any]) -> int:
        """A slice: fewer rows have no covariance of their own."""
        return int(options["slice_size"])

    def loss_of_views(
        self, views: Sequence[Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor], Sequence[EncoderOutput]]:
        """The mean over pairs of views and over the draws of slices.

        Raises:
            BadValue: fewer rows, over all processes, than a slice has.
            TrainingFailed: a covariance has no Cholesky factor even with shrinkage.
        """
        seen = [self.encoder(view) for view in views[: self.views]]
        with torch.autocast(batch.inputs.device.type, enabled=False):
            rows = torch.stack([gather_with_gradient(self.projector(one.raw)) for one in seen])
        count = rows.shape[1]
        if count < self.slice_size:
            raise BadValue(
                f"W-MSE whitens slices of {self.slice_size} images, and a batch has {count}.",
                "Use a larger batch_size, or a smaller slice_size and dimension.",
            )
        loss, rescued = self._loss(rows)
        logs = {
            "w_mse": loss.detach(),
            "left_out": loss.new_tensor(count % self.slice_size / count),
            "rescued": loss.new_tensor(float(rescued)),
        }
        return loss, logs, seen

    def learned(self) -> Iterator[tuple[nn.Module, float]]:
        """The projector."""
        yield self.projector, 1.0

    def chance_constants(self) -> dict[str, float]:
        """2: of views that were alike whitening has left the rounding, and they have nothing in common."""
        return {"w_mse": 2.0}

    def _loss(self, rows: Tensor) -> tuple[Tensor, bool]:
        draws = self.draws()
        orders = [torch.randperm(rows.shape[1], generator=draws).to(rows.device) for _ in range(self.iterations)]
        try:
            return self._with(rows, orders, self.shrinkage), False
        except SingularCovariance:
            pass
        try:
            return self._with(rows, orders, max(RESCUE, self.shrinkage)), True
        except SingularCovariance as error:
            raise TrainingFailed(
                f"W-MSE cannot whiten its projections: {error}",
                "They have collapsed or are no numbers: use a lower learning rate, a smaller dimension, or a larger "
                "slice_size.",
            ) from error

    def _with(self, rows: Tensor, orders: Sequence[Tensor], shrinkage: float) -> Tensor:
        losses = [w_mse(rows, order, size=self.slice_size, shrinkage=shrinkage) for order in orders]
        return torch.stack(losses).mean()
