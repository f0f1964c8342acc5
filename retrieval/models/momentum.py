"""The momentum twin: a copy of a network that follows it slowly and gets no gradient.

He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020, equation 2:
https://arxiv.org/abs/1911.05722
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class MomentumTwin(nn.Module):
    """A copy of ``original`` whose parameters are an exponential moving average of the original's.

    Batch-norm: the twin computes its own statistics from what it is shown itself, as the papers' code does (its
    weights, and so its activations, are others than the original's); its running buffers are therefore not averaged.
    ``forward`` puts each of its batch-norm layers into the mode that the original's has, so that layers that a run
    freezes are frozen in both. Other buffers are copied.

    Args:
        original: what is followed; not a part of the twin, and not in its state.
    """

    def __init__(self, original: nn.Module) -> None:
        super().__init__()
        self.copy = copy.deepcopy(original).requires_grad_(False)
        # In a tuple, so that torch does not take the original for a part of this module.
        self._followed = (original,)

    @torch.no_grad()
    def forward(self, *inputs: Tensor) -> object:
        """What the twin makes of the inputs, without gradient."""
        for mine, theirs in zip(self.copy.modules(), self._followed[0].modules(), strict=True):
            mine.training = theirs.training
        return self.copy(*inputs)

    @torch.no_grad()
    def follow(self, momentum: float) -> None:
        """twin ← momentum · twin + (1 - momentum) · original, after a step. ``momentum`` is in [0, 1]."""
        if not 0 <= momentum <= 1:
            raise ValueError(f"The momentum {momentum} is not between 0 and 1.")
        original = self._followed[0]
        for mine, theirs in zip(self.copy.parameters(), original.parameters(), strict=True):
            mine.lerp_(theirs.to(mine.dtype), 1 - momentum)
        statistics = {id(b) for layer in self.copy.modules() if isinstance(layer, _BatchNorm) for b in layer.buffers()}
        for buffer, other in zip(self.copy.buffers(), original.buffers(), strict=True):
            if id(buffer) not in statistics:
                buffer.copy_(other)


def rising(start: float, step: int, steps: int, end: float = 1.0) -> float:
    """The momentum of a step (from 0) of ``steps``: from ``start`` to ``end`` along half a cosine.

    Grill et al., "Bootstrap Your Own Latent", NeurIPS 2020, appendix J: https://arxiv.org/abs/2006.07733

    >>> [round(rising(0.9, step, 4), 3) for step in range(5)]
    [0.9, 0.915, 0.95, 0.985, 1.0]
    """
    share = min(1.0, step / max(1, steps))
    return end - (end - start) * (math.cos(math.pi * share) + 1) / 2
