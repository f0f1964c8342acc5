"""Runs in each of two processes: every loss over gathered halves of a batch, beside the whole batch in one process."""

import json
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, distributed
from torch.nn.functional import normalize

from retrieval.functional.gather import gather, gather_with_gradient
from tests.losses.cases import ALL, DIMENSION, Case, make, named


def compare(rank: int, folder: str) -> None:
    """Write the largest difference of each case, relative to the largest gradient, to ``folder/RANK.json``."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    worst = {named(case): _difference(make(*case), rank) for case in ALL}
    Path(folder, f"{rank}.json").write_text(json.dumps(worst))
    distributed.destroy_process_group()


def _difference(case: Case, rank: int) -> float:
    whole = _gradients(case, None)
    half = len(case.embeddings[0]) // 2
    parts = _gradients(case, slice(rank * half, (rank + 1) * half))
    for part in parts:
        # What data-parallel training does with the gradients of its parameters.
        distributed.all_reduce(part)
        part /= 2
    scale = max(float(one.abs().max()) for one in whole)
    return max(float((a - b).abs().max()) for a, b in zip(whole, parts, strict=True)) / max(scale, 1e-12)


def _gradients(case: Case, mine: slice | None) -> list[Tensor]:
    """Of an encoder (a matrix) and of the loss's own parameters."""
    case = case.with_gradient()
    encoder = torch.eye(DIMENSION, dtype=torch.float64).roll(1, 0).mul(1.5).add(0.1).requires_grad_()

    def embed(inputs: Tensor) -> Tensor:
        if mine is None:
            return normalize(inputs @ encoder, dim=1)
        return gather_with_gradient(normalize(inputs[mine] @ encoder, dim=1))

    inputs = [one.detach() for one in case.embeddings]
    labels = case.labels if case.labels is None or mine is None else gather(case.labels[mine])
    run = replace(case, embeddings=[embed(one) for one in inputs], labels=labels)
    leaves = [encoder, *case.leaves()[len(inputs) :]]
    return [one.clone() for one in torch.autograd.grad(run.loss(), leaves)]
