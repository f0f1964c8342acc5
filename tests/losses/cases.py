"""Inputs for any loss of the table, made from what its line and its signature say."""

import inspect
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from retrieval.losses import LOSSES

BATCH, DIMENSION, CLASSES, IMAGES = 12, 6, 4, 20

VARIANTS: dict[str, list[dict[str, Any]]] = {
    "contrastive": [{"balanced": True}, {"balanced": True, "squared": False}, {"squared": False}],
    "triplet": [
        {"select": "all", "squared": True},
        {"select": "mixed", "soft": True},
        {"select": "hard"},
        {"select": "easy", "soft": True},
    ],
    "center": [{"reduction": "sum"}],
    "cosine_softmax": [{"kind": "normface"}, {"kind": "arcface", "margin": 0.5}],
    "vicreg": [{"scaling": "paper"}],
    "info_nce_queries": [{"in_batch": False}, {"symmetric": True}],
}
"""Further options with which the whole suite runs; every loss runs with its defaults."""

ALL = [(name, options) for name in LOSSES for options in ({}, *VARIANTS.get(name, []))]


def named(case: tuple[str, dict[str, Any]]) -> str:
    """For pytest's listing."""
    return "-".join([case[0], *(f"{key}={value}" for key, value in case[1].items())])


@dataclass(frozen=True)
class Case:
    """One call of one loss.

    Attributes:
        name: in the table.
        options: beside the defaults.
        embeddings: the inputs that are embeddings of the batch, [N, D] each.
        labels: [N] for the losses that take labels or ids; [N, K] where they are soft.
        rest: further positional inputs that are no rows of the batch, by name.
        state: what a method would own.
    """

    name: str
    options: dict[str, Any]
    embeddings: list[Tensor]
    labels: Tensor | None
    rest: dict[str, Any]
    state: dict[str, Tensor]

    def loss(self, **more: Any) -> Tensor:
        """The loss of this case."""
        labels = [] if self.labels is None else [self.labels]
        rest = list(self.rest.values())
        return LOSSES[self.name].function(*self.embeddings, *labels, *rest, **self.state, **self.options, **more)

    def leaves(self) -> list[Tensor]:
        """What has a gradient."""
        return [*self.embeddings, *(self.state[name] for name in parameters(self.name))]

    def with_gradient(self) -> "Case":
        """The same numbers as new leaves."""
        state = {k: v.clone().requires_grad_(k in parameters(self.name)) for k, v in self.state.items()}
        return replace(self, embeddings=[e.clone().requires_grad_() for e in self.embeddings], state=state)

    def gradients(self, **more: Any) -> tuple[Tensor, list[Tensor]]:
        """The loss and its gradients with respect to ``leaves``."""
        case = self.with_gradient()
        loss = case.loss(**more)
        return loss.detach(), list(torch.autograd.grad(loss, case.leaves()))

    def rows(self, index: Tensor) -> "Case":
        """Some rows of the batch."""
        return replace(
            self,
            embeddings=[e[index] for e in self.embeddings],
            labels=None if self.labels is None else self.labels[index],
        )

    def to(self, dtype: torch.dtype) -> "Case":
        """Embeddings, state and negatives in another type."""

        def turned(value: Any) -> Any:
            return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value

        return replace(
            self,
            embeddings=[e.to(dtype) for e in self.embeddings],
            labels=turned(self.labels),
            rest={k: turned(v) for k, v in self.rest.items()},
            state={k: v.to(dtype) for k, v in self.state.items()},
        )


def parameters(name: str) -> list[str]:
    """The state of a loss that has a gradient."""
    return [key for key, spec in LOSSES[name].state.items() if spec.kind == "parameter"]


def make(name: str, options: dict[str, Any], seed: int = 0, batch: int = BATCH) -> Case:
    """A case in float64: random directions, three rows a class."""
    spec, generator = LOSSES[name], torch.Generator().manual_seed(seed)

    def directions(*shape: int) -> Tensor:
        return normalize(torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1)

    state = {k: s.initial(CLASSES, DIMENSION, IMAGES, generator).double() for k, s in spec.state.items()}
    numbers = torch.arange(batch)
    inputs: dict[str, Any] = {
        "negatives": directions(5, DIMENSION),
        "noise": torch.arange(12, 17) if spec.inputs == "instances" else directions(5, DIMENSION),
        "noise_probability": 0.1,
    }
    positional = [
        parameter.name
        for parameter in inspect.signature(spec.function).parameters.values()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    rest = {key: inputs[key] for key in positional[2:] if key in inputs}
    if options.get("symmetric"):
        rest = {}
    sides = 2 if spec.inputs in ("views", "queries") else 1
    labels = {"labels": numbers % CLASSES, "instances": numbers}.get(spec.inputs)
    if spec.inputs == "distributions":
        labels = torch.softmax(3 * directions(batch, DIMENSION), dim=1)
    return Case(name, options, [directions(batch, DIMENSION) for _ in range(sides)], labels, rest, state)
