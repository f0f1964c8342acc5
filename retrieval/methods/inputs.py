"""How a labelled batch becomes the arguments of a loss, whichever of the four kinds it takes."""

from typing import Any

import torch
from torch import Tensor

from retrieval.losses import LossSpec
from retrieval.losses.nce import nce
from retrieval.methods.pairing import class_pairs

NOISE = 63
"""Most noise samples of a query, where they come from the batch."""

INSTANCE_NOISE = 1024
"""Most noise samples of a batch, where they come from the memory bank (the paper's 4096 are for 1.28 M images)."""


def arguments(
    spec: LossSpec, embeddings: Tensor, labels: Tensor, ids: Tensor, examples: int, generator: torch.Generator
) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
    """The arguments of one loss for one batch, state and options apart.

    ``"labels"`` takes the batch as it is. ``"views"`` and ``"queries"`` take two images of a class as the two views
    of one (``class_pairs``); ``nce`` adds the keys of other pairs as noise, whose probability is that of any image.
    ``"instances"`` takes the images' ids, and noise that is drawn evenly from the memory bank, with replacement.

    Args:
        spec: of the loss.
        embeddings: [B, D] in its space; ``labels`` and ``ids`` [B].
        examples: n, images of the dataset; ``"instances"`` and ``nce`` need it.
        generator: of the draws, on the CPU, so that every device and every process draws the same.

    Returns:
        Positional and keyword arguments.

    Raises:
        ValueError: there is no noise to take: fewer than two pairs, or ``examples`` is not known.
    """
    if spec.inputs == "labels":
        return (embeddings, labels), {}
    if spec.inputs == "instances":
        drawn = torch.randint(examples, (min(INSTANCE_NOISE, examples),), generator=generator)
        return (embeddings, ids), {"noise": drawn.to(ids.device)}
    first, second = class_pairs(labels)
    queries, keys = embeddings[first], embeddings[second]
    if spec.inputs == "queries" and spec.function is nce:
        if examples < 1:
            raise ValueError("NCE needs to know how many images there are, for the probability of its noise.")
        return (queries, keys, _other_keys(keys, generator)), {"noise_probability": 1 / examples}
    return (queries, keys), {}


def _other_keys(keys: Tensor, generator: torch.Generator) -> Tensor:
    """[N, m, D] for each of N keys m others: the keys at m drawn distances further on, round the end."""
    count = len(keys)
    if count < 2:
        raise ValueError(f"NCE takes its noise from other pairs of the batch, and there are {count} pairs.")
    shifts = (torch.randperm(count - 1, generator=generator)[:NOISE] + 1).to(keys.device)
    places = (torch.arange(count, device=keys.device)[:, None] + shifts) % count
    return keys[places]
