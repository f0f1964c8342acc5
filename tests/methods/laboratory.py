"""Runs of a tiny network that are made to collapse on purpose, beside their healthy twins."""

import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from retrieval.functional.batch import Batch
from retrieval.functional.diagnostics import dimension_std, effective_rank
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.methods.table import METHODS
from retrieval.models.encoder import Encoder
from retrieval.training.loop import fit
from tests.methods.views import EXAMPLES, FEATURES, LABELS, SMALL, TinyConv, TinyViews, config, nearest


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
    method = made(name, seed, **options)
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


STEPS = 120
"""Of the one epoch of ``rung``."""


class _LongEpochs(TinyViews):
    """``STEPS`` batches an epoch, of several passes over the pictures."""

    def steps(self, epoch: int) -> int:
        return STEPS

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        one_pass = TinyViews()
        passes = STEPS // one_pass.steps(0)
        batches = (batch for n in range(passes) for batch in one_pass.batches(passes * epoch + n, 0))
        yield from islice(batches, start, None)


class Unrelated(_LongEpochs):
    """Views that have nothing in common, of many images at once: what a loss is then is seen without much noise."""

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(epoch)
        ids = torch.arange(2048) % EXAMPLES
        for n in range(STEPS):
            views = [torch.randn(len(ids), *self.pictures.shape[1:], generator=generator) for _ in range(2)]
            if n >= start:
                yield Batch(views[0], LABELS[ids], ids, (views[1],))


def rung(name: str, folder: Path, *, rate: float, decay: float = 0.0, **options: Any) -> list[tuple[str, int]]:
    """The alarms, with their steps, of the first epoch of a run through the real loop."""
    return rings(made(name, **options), folder, rate=rate, decay=decay)


def rings(
    method: SelfSupervised, folder: Path, *, rate: float, decay: float = 0.0, source: TinyViews | None = None
) -> list[tuple[str, int]]:
    """``rung`` for a method that is there already, and for other views."""
    values = config(epochs=1, learning_rate=rate, weight_decay=decay, log_every=STEPS)
    history = fit(method, source or _LongEpochs(), values, folder=folder).history
    return [(line["name"], line["step"]) for line in history if line["kind"] == "alarm"]


def made(name: str, seed: int = 0, **options: Any) -> SelfSupervised:
    """A method of the table on a tiny network."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # Batch-norm at the end, as in a real backbone: a tiny network's embeddings are otherwise mostly their mean.
        encoder = Encoder(TinyConv(batch_norm=False), nn.BatchNorm1d(FEATURES), FEATURES)
    handed = {"examples": EXAMPLES, "nearest": nearest}
    given = {key: value for key, value in handed.items() if METHODS[name].needs(key)}
    return METHODS[name].make(encoder, **{**SMALL[name], **options}, **given, seed=seed)


@torch.no_grad()
def _projected(method: Any, pictures: Tensor) -> tuple[float, float]:
    projector = method.projector if hasattr(method, "projector") else method.head
    rows = nn.functional.normalize(projector(method.encoder(pictures).raw), dim=1)
    spread = float(dimension_std(rows).mean()) * math.sqrt(rows.shape[1])
    return spread, float(effective_rank(rows, centred=True))
