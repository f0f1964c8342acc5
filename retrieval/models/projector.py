"""Projectors and predictors: the layers between an encoder and a self-supervised loss, left behind after training."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from retrieval.functional.distances import widened
from retrieval.functional.gather import gather_with_gradient
from retrieval.models.seeding import seeded


class GatheredBatchNorm(nn.BatchNorm1d):
    """Batch-norm of [B, D] rows whose statistics in training are those of all processes' rows together.

    A batch that is spread over several processes is then normalised as one. (torch's SyncBatchNorm does it on GPUs
    only.) Computed in float32 at least.
    """

    def forward(self, rows: Tensor) -> Tensor:
        """[B, D] of [B, D]; B times the number of processes is at least 2 in training."""
        rows = widened(rows)
        if not self.training:
            return super().forward(rows)
        everyone = gather_with_gradient(rows)
        mean, variance = everyone.mean(dim=0), everyone.var(dim=0, unbiased=False)
        self._follow(mean.detach(), variance.detach(), len(everyone))
        normalised = (rows - mean) * torch.rsqrt(variance + self.eps)
        return normalised * self.weight + self.bias if self.affine else normalised

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Running statistics, as torch keeps them: with the unbiased variance."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        rate = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), rate)
        self.running_var.lerp_((variance * count / max(1, count - 1)).to(self.running_var.dtype), rate)


def mlp(
    widths: Sequence[int],
    *,
    batch_norm: bool = True,
    last_norm: bool = False,
    last_affine: bool = True,
    last_bias: bool = True,
    gelu: bool = False,
    seed: int = 0,
) -> nn.Sequential:
    """A multi-layer perceptron with ReLU between its layers: [B, widths[0]] → [B, widths[-1]].

    Args:
        widths: of the input, every hidden layer, and the output; two at the least.
        batch_norm: after every hidden layer, before its ReLU; these layers have no bias of their own then.
        last_norm: batch-norm after the last layer too.
        last_affine: whether that one has a scale and a shift.
        last_bias: whether the last layer has a bias; never with ``last_norm``.
        gelu: GELU in place of ReLU.
        seed: of the initialisation; the global random state is neither used nor changed.

    Raises:
        ValueError: fewer than two widths.
    """
    if len(widths) < 2:
        raise ValueError(f"A perceptron has an input and an output, not {list(widths)}.")
    layers: list[nn.Module] = []
    with seeded(seed):
        for before, after in pairwise(widths[:-1]):
            layers.append(nn.Linear(before, after, bias=not batch_norm))
            layers += [GatheredBatchNorm(after)] if batch_norm else []
            layers.append(nn.GELU() if gelu else nn.ReLU(inplace=True))
        layers.append(nn.Linear(widths[-2], widths[-1], bias=last_bias and not last_norm))
        if last_norm:
            layers.append(GatheredBatchNorm(widths[-1], affine=last_affine))
    return nn.Sequential(*layers)


def unit(rows: Tensor) -> Tensor:
    """[B, D] rows with unit L2 norm, in float32 or wider; a zero row stays zero."""
    return functional.normalize(widened(rows), dim=-1, eps=1e-12)
