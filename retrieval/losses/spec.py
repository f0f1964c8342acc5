"""What the table says about a loss, so that a method can run it without knowing it."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

Shape = Callable[[int, int, int], tuple[int, ...]]
"""(classes C, dimension D, images n) to the shape of a state."""

Initialisation = Literal["zeros", "sphere", "linear"]


@dataclass(frozen=True, slots=True)
class StateSpec:
    """A tensor that a loss reads and a method owns: it is checkpointed and restored with the run.

    Attributes:
        kind: ``"parameter"`` is optimised; ``"rule"`` follows an update function beside the loss; ``"memory"`` is
            overwritten by what has been seen.
        shape: of the tensor.
        initialisation: ``"zeros"``; ``"sphere"``, rows of unit norm in random directions; ``"linear"``, normal with a
            standard deviation of 1 / sqrt(last axis).
        rate: factor on the learning rate.
    """

    kind: Literal["parameter", "rule", "memory"]
    shape: Shape
    initialisation: Initialisation
    rate: float = 1.0

    def initial(self, classes: int, dimension: int, n: int, generator: torch.Generator | None = None) -> Tensor:
        """The tensor at the start of a run, float32 on the CPU.

        Args:
            classes: C.
            dimension: D.
            n: images of the dataset.
            generator: of the random initialisations.
        """
        shape = self.shape(classes, dimension, n)
        if self.initialisation == "zeros":
            return torch.zeros(shape)
        drawn = torch.randn(shape, generator=generator)
        return normalize(drawn, dim=-1) if self.initialisation == "sphere" else drawn / shape[-1] ** 0.5


@dataclass(frozen=True, slots=True)
class LossSpec:
    """One loss.

    Attributes:
        function: positional arguments are the inputs of the batch; by keyword come state, ``mined`` and options.
        space: which embedding of the encoder it takes.
        inputs: ``"labels"``: embeddings [B, D], labels [B]; ``"views"``: two views [N, D] each; ``"queries"``:
            queries and keys [N, D] each, and negatives or noise; ``"instances"``: embeddings [B, D], their rows of
            the memory bank [B], and the rows that are noise; ``"distributions"``: scores [N, K] and a distribution
            for each [N, K], which methods without labels make and no labelled batch has.
        summary: one line.
        paper: where it comes from.
        state: what the function reads by these keywords and a method keeps.
        mined: what a miner may give it; None if it takes nothing mined.
        active: same arguments as the function; the share of pairs, triplets or anchors that take part.
        lowest: no value is below it, but for rounding.
        chance: the inputs of the batch to the loss's value where the embeddings tell nothing, 0 where there is none.
        against_others: each pair is told from all other pairs of the batch, which must then be of other classes.
    """

    function: Callable[..., Tensor]
    space: Literal["normalised", "raw"]
    inputs: Literal["labels", "views", "queries", "instances", "distributions"]
    summary: str
    paper: str
    state: Mapping[str, StateSpec] = field(default_factory=dict)
    mined: Literal["pairs", "triplets"] | None = None
    active: Callable[..., Tensor] | None = None
    lowest: float = 0.0
    chance: Callable[..., float] | None = None
    against_others: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """What a recipe can set, with the defaults of the signature."""
        parameters = inspect.signature(self.function).parameters.values()
        return {
            one.name: one.default
            for one in parameters
            if one.kind is one.KEYWORD_ONLY and one.name != "mined" and one.name not in self.state
        }
