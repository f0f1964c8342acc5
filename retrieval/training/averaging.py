"""Averaged weights: an exponential moving average (EMA) of the encoder along its training.

Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992; in the moving form e.g. Tarvainen
and Valpola, "Mean teachers are better role models", NeurIPS 2017, section 2: https://arxiv.org/abs/1703.01780
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """The moving average of a module's state.

    After step t (from 1) the average is ``d * average + (1 - d) * weights`` with d = min(decay, t / (t + 9)), so that
    a short run is not held at its start.

    Batch-norm: running means and variances are averaged like weights (they are themselves averages of what the moving
    weights gave, and lag behind the averaged weights by as much as those lag behind the moving ones); with frozen
    batch-norm they never change and the average equals them. Integer buffers are copied.

    Args:
        module: what is averaged; the average starts as a copy of it.
        decay: d, in (0, 1).
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = module
        self.decay = decay
        self.steps = 0
        self.values = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Follow the module by one step."""
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 9))
        for name, value in self.module.state_dict().items():
            average = self.values[name]
            if average.is_floating_point():
                # average + (value - average) * w leaves a value that never moves exactly where it is.
                average.add_(value.detach() - average, alpha=1 - decay)
            else:
                average.copy_(value)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The module has the averaged weights inside the block and its own again afterwards."""
        own = {name: value.detach().clone() for name, value in self.module.state_dict().items()}
        self.module.load_state_dict(self.values)
        try:
            yield
        finally:
            self.module.load_state_dict(own)

    def state_dict(self) -> dict[str, int | dict[str, Tensor]]:
        """What a checkpoint keeps."""
        return {"steps": self.steps, "values": self.values}

    def load_state_dict(self, state: dict[str, int | dict[str, Tensor]]) -> None:
        """The inverse of ``state_dict``. Raises ValueError where names do not fit."""
        steps, values = state["steps"], state["values"]
        if not isinstance(steps, int) or not isinstance(values, dict) or values.keys() != self.values.keys():
            raise ValueError("This average is of another module.")
        self.steps = steps
        for name, value in values.items():
            self.values[name].copy_(value)
