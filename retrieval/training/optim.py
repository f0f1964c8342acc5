"""The optimiser: parameter groups with their own rates, and a schedule that is a pure function of the step."""

import math
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from retrieval.methods.method import Method, ParameterGroup
from retrieval.training.config import LoopConfig
from retrieval.training.layers import layers_of
from retrieval.training.policies import backbone_of, batch_norms


def trained_groups(method: Method, config: LoopConfig) -> list[ParameterGroup]:
    """The method's groups as this run trains them.

    What the run freezes for good is left out (``backbone_rate`` 0, frozen batch-norm). The backbone is split into its
    layers ``"backbone.0"`` (at the input) to ``"backbone.L-1"``; layer l has the rate
    ``backbone_rate * layer_decay ** (L - 1 - l)``.

    Raises:
        ValueError: nothing is left to train, or a parameter stands in two groups.
    """
    backbone = backbone_of(method)
    frozen = _frozen(backbone, config)
    place = _places(backbone)
    groups: dict[tuple[str, float, bool], list[nn.Parameter]] = {}
    for group in method.groups():
        for parameter in group.parameters:
            if id(parameter) in frozen:
                continue
            name, rate = group.name, group.rate
            if id(parameter) in place:
                layer, depth = place[id(parameter)]
                name, rate = f"backbone.{layer}", rate * config.backbone_rate * config.layer_decay**depth
            groups.setdefault((name, rate, group.decay), []).append(parameter)
    everything = [parameter for parameters in groups.values() for parameter in parameters]
    if len({id(parameter) for parameter in everything}) != len(everything):
        raise ValueError("A parameter stands in two groups.")
    if not everything:
        raise ValueError("Nothing is left to train: the backbone is frozen and there is no head.")
    return [ParameterGroup(name, parameters, rate, decay) for (name, rate, decay), parameters in groups.items()]


def make_optimiser(method: Method, config: LoopConfig) -> Optimizer:
    """The optimiser over ``trained_groups``; each group carries its ``name`` and its ``factor`` on the rate."""
    groups: list[dict[str, Any]] = [
        {
            "params": group.parameters,
            "name": group.name,
            "factor": group.rate,
            "weight_decay": config.weight_decay if group.decay else 0.0,
        }
        for group in trained_groups(method, config)
    ]
    if config.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def warmup_steps(total: int, config: LoopConfig) -> int:
    """Steps of ``total`` in which the rate rises to its peak."""
    return round(config.warmup_share * total)


def rate_at(step: int, total: int, config: LoopConfig, begins: int = 0) -> float:
    """The factor on the learning rate in a step (from 0) of ``total``: linear warm-up, then half a cosine to 0.

    The warm-up takes ``warmup_share`` of all steps; a group that joins at the step ``begins`` has its own warm-up
    there, under the same cosine, so that a backbone which was at rest is not hit by the full rate at once.

    >>> [round(rate_at(s, 8, LoopConfig(warmup_share=0.25)), 3) for s in range(8)]
    [0.5, 1.0, 1.0, 0.933, 0.75, 0.5, 0.25, 0.067]
    """
    warmup = warmup_steps(total, config)
    rising = min(1.0, (step - begins + 1) / warmup) if warmup else 1.0
    if config.schedule == "constant":
        return rising
    done = max(0, step - warmup) / max(1, total - warmup)
    return rising * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def set_rates(optimiser: Optimizer, step: int, total: int, config: LoopConfig, backbone_begins: int) -> float:
    """Set every group's rate for this step, and give the head's: the run's rate without a group's own factor."""
    for group in optimiser.param_groups:
        begins = backbone_begins if str(group["name"]).startswith("backbone.") else 0
        group["lr"] = config.learning_rate * group["factor"] * max(0.0, rate_at(step, total, config, begins))
    return config.learning_rate * rate_at(step, total, config)


def _frozen(backbone: nn.Module | None, config: LoopConfig) -> set[int]:
    if backbone is None:
        return set()
    if config.backbone_rate == 0:
        return {id(parameter) for parameter in backbone.parameters()}
    if config.batch_norm == "frozen":
        return {id(parameter) for layer in batch_norms(backbone) for parameter in layer.parameters()}
    return set()


def _places(backbone: nn.Module | None) -> dict[int, tuple[int, int]]:
    """For each of the backbone's parameters its layer, and how many layers lie between it and the head."""
    layers = layers_of(backbone) if backbone is not None else []
    return {id(p): (i, len(layers) - 1 - i) for i, layer in enumerate(layers) for p in layer}
