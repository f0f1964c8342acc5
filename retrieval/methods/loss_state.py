"""What losses learn or accumulate: who makes it, who moves it, and that it is in every checkpoint.

Parameters are optimised. Everything else follows a rule of its own, named after the state: centres by Wen's rule and
memory banks by momentum after each step; the normaliser of noise-contrastive estimation once, from the first batch.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, distributed, nn

from retrieval.functional.gather import gather
from retrieval.functional.latest import latest
from retrieval.losses import LossSpec, StateSpec, updated_bank, updated_centres

RULES = ("centres", "bank", "log_z")
"""States that are not parameters, by name; a loss with another one needs its rule here."""


class LossState(nn.Module):
    """The state of one loss: parameters and buffers under the loss's own names.

    Args:
        spec: of the loss.
        classes: C.
        dimension: D.
        examples: n, images of the dataset.
        generator: of the random initialisations, on the CPU.

    Raises:
        ValueError: there is no rule for a state of this loss, or it needs ``examples``.
    """

    def __init__(self, spec: LossSpec, classes: int, dimension: int, examples: int, generator: torch.Generator) -> None:
        super().__init__()
        self.specs: Mapping[str, StateSpec] = spec.state
        for name, state in spec.state.items():
            initial = state.initial(classes, dimension, examples, generator)
            if state.kind == "memory" and not examples:
                raise ValueError("A loss with a memory of every image needs to know how many there are.")
            if state.kind == "parameter":
                self.register_parameter(name, nn.Parameter(initial))
            elif name in RULES:
                self.register_buffer(name, initial)
            else:
                raise ValueError(f"There is no rule by which {name!r} could follow the embeddings.")

    def tensors(self) -> dict[str, Tensor]:
        """Every state by its name, as the loss takes it."""
        return {name: getattr(self, name) for name in self.specs}

    @torch.no_grad()
    def follow(self, embeddings: Tensor, labels: Tensor, ids: Tensor, centre_rate: float) -> None:
        """Move what follows a rule after a step.

        Args:
            embeddings: [B, D] of this step, in the loss's space, of *this* process, like ``labels`` and ``ids`` [B].
            centre_rate: alpha of Wen's rule.
        """
        states = self.tensors()
        if "centres" in states:
            centres = states["centres"]
            centres.copy_(updated_centres(centres, embeddings, labels, centre_rate, _summed))
        if "bank" in states:
            everyone, their_ids = gather(embeddings), gather(ids)
            places = latest(their_ids)
            states["bank"].copy_(updated_bank(states["bank"], their_ids[places], everyone[places]))


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def _summed(values: Tensor) -> Tensor:
    """Sum over the processes."""
    if _several():
        values = values.clone()
        distributed.all_reduce(values)
    return values
