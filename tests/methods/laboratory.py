"""Runs of a tiny network that are made to collapse on purpose, beside their healthy twins."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from retrieval.functional.diagnostics import dimension_std, effective_rank
from retrieval.methods.table import METHODS
from retrieval.models.encoder import Encoder
from tests.methods.views import FEATURES, SMALL, TinyConv, TinyViews


class Ended(NamedTuple):
    """Where a run ended.

    Attributes:
        logs: means over the last epoch.
        spread: of the unit projections of all pictures: about 1 evenly spread, 0 one point.
        rank: their effective rank, centred: 1 where they lie on one line.
    """

    logs: dict[str, float]
    spread: float
    rank: float


def ended(
    name: str, *, epochs: int, rate: float, seed: int = 0, noise: float = 0.3, adam: bool = False, **options: Any
) -> Ended:
    """Train a method on the tiny source: steps of gradient descent with momentum, or of AdamW."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # Batch-norm at the end, as in a real backbone: a tiny network's embeddings are otherwise mostly their mean.
        encoder = Encoder(TinyConv(batch_norm=False), nn.BatchNorm1d(FEATURES), FEATURES)
    method = METHODS[name].make(encoder, **{**SMALL[name], **options}, seed=seed)
    source = TinyViews(noise=noise)
    method.train()
    method.begin(epochs * source.steps(0), source.steps(0))
    parameters = [parameter for group in method.groups() for parameter in group.parameters]
    optimiser = torch.optim.AdamW(parameters, rate) if adam else torch.optim.SGD(parameters, rate, momentum=0.9)
    logs: list[dict[str, Tensor]] = []
    for epoch in range(epochs):
        method.before_epoch(epoch, lambda epoch=epoch: source.batches(epoch, 0))  # type: ignore[misc]
        logs = []
        for batch in source.batches(epoch, 0):
            output = method.training_step(batch)
            optimiser.zero_grad()
            output.loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            method.after_step()
            logs.append(output.logs)
    method.eval()
    last = {key: sum(float(one[key]) for one in logs) / len(logs) for key in logs[0]}
    return Ended(last, *_projected(method, source.pictures))


@torch.no_grad()
def _projected(method: Any, pictures: Tensor) -> tuple[float, float]:
    projector = method.projector if hasattr(method, "projector") else method.head
    rows = nn.functional.normalize(projector(method.encoder(pictures).raw), dim=1)
    spread = float(dimension_std(rows).mean()) * math.sqrt(rows.shape[1])
    return spread, float(effective_rank(rows, centred=True))
