"""Networks that are trained into each collapse ring its alarm within the first epoch; their healthy twins do not."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from retrieval.functional.batch import Batch
from retrieval.methods.method import Method, StepOutput
from retrieval.methods.metric_learning import MetricLearning, Term
from retrieval.models.encoder import Encoder, EncoderOutput
from retrieval.training.alarms import ALARMS
from retrieval.training.config import LoopConfig
from retrieval.training.loop import fit
from tests.methods.test_alarms import COLLAPSES as of_teachers_and_queues
from tests.training.tiny import Pull, config

CLASSES, FEATURES, DIMENSION, STEPS = 64, 24, 32, 60


class Blobs:
    """``STEPS`` batches of 32 classes, two examples each, that a tiny network can learn to tell apart."""

    def __init__(self) -> None:
        self.means = torch.randn(CLASSES, FEATURES, generator=torch.Generator().manual_seed(0))

    def steps(self, epoch: int) -> int:
        return STEPS

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        random = torch.Generator().manual_seed(1 + epoch)
        for n in range(STEPS):
            labels = torch.randperm(CLASSES, generator=random)[:32].repeat_interleave(2)
            noise = torch.randn(64, FEATURES, generator=random)
            if n >= start:
                yield Batch(self.means[labels] + 0.4 * noise, labels, torch.arange(64))

    def describe(self, ids: Tensor) -> list[str]:
        return [str(i) for i in ids.tolist()]


def encoder() -> Encoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone = nn.Sequential(nn.Linear(FEATURES, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU())
        return Encoder(backbone, nn.Linear(48, DIMENSION), DIMENSION)


class TwoDirections(Pull):
    """Looks at two of its dimensions and lets the others wither, as a loss with no term against it may."""

    def loss_of(self, output: EncoderOutput, batch: Batch) -> StepOutput:
        seen = output.raw[:, :2]
        step = super().loss_of(EncoderOutput(seen, nn.functional.normalize(seen, dim=1)), batch)
        withering = 10 * output.raw[:, 2:].square().sum(dim=1).mean()
        return StepOutput(step.loss + withering, step.logs, output.normalised.detach())


def learning(*terms: Term, **options: Any) -> MetricLearning:
    return MetricLearning(encoder(), terms, CLASSES, **options)


def rung(method: Method, folder: Path, values: LoopConfig) -> list[str]:
    """The alarms of a run's first epoch, by name."""
    history = fit(method, Blobs(), values, folder=folder).history
    return [line["name"] for line in history if line["kind"] == "alarm" and line["epoch"] == 1]


GENTLE: dict[str, Any] = {"epochs": 1, "backbone_rate": 1.0, "weight_decay": 0.0, "learning_rate": 3e-3}
FAST: dict[str, Any] = {**GENTLE, "learning_rate": 0.3}
CRUSHED: dict[str, Any] = {**GENTLE, "learning_rate": 0.01, "weight_decay": 90.0}
"""Weights are a tenth after every step; only biases, which do not decay, are left to make embeddings of."""
WITHERED: dict[str, Any] = {**GENTLE, "learning_rate": 0.03, "weight_decay": 3.0, "schedule": "constant"}

NT_XENT = Term("nt_xent", options={"temperature": 0.1})
BATCH_HARD = Term("triplet", miner="batch_hard")

COLLAPSES: dict[str, tuple[Callable[[], Method], dict[str, Any]]] = {
    "loss = margin": (lambda: learning(BATCH_HARD), CRUSHED),
    "loss = chance": (lambda: learning(NT_XENT), CRUSHED),
    "complete collapse": (lambda: learning(NT_XENT), CRUSHED),
    "dimensional collapse": (lambda: TwoDirections(encoder()), WITHERED),
    "exploding norm": (lambda: learning(NT_XENT), FAST),
}


def test_every_alarm_has_its_collapse() -> None:
    """Here, or among the methods that have a teacher or a queue."""
    assert set(COLLAPSES) | {name for name, *_ in of_teachers_and_queues.values()} == {alarm.name for alarm in ALARMS}


@pytest.mark.parametrize("name", COLLAPSES)
def test_a_network_that_is_trained_into_it_rings(tmp_path: Path, name: str) -> None:
    make, values = COLLAPSES[name]
    assert rung(make(), tmp_path, config(**values)).count(name) == 1


@pytest.mark.parametrize(
    "make",
    [lambda: learning(BATCH_HARD), lambda: learning(NT_XENT), lambda: Pull(encoder())],
    ids=["batch-hard", "NT-Xent", "supervised contrastive"],
)
def test_its_healthy_twin_rings_nothing(tmp_path: Path, make: Callable[[], Method]) -> None:
    """The same networks, examples and losses."""
    assert rung(make(), tmp_path, config(**GENTLE)) == []
