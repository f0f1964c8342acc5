"""Two gloo processes, each with half of every batch, end where one process with whole batches ends."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from retrieval.methods.metric_learning import MetricLearning
from retrieval.training.loop import fit
from tests.training.pairs import RUNS, run_config
from tests.training.tiny import CLASSES


@pytest.fixture(scope="module")
def two(children: Path) -> list[dict[str, Any]]:
    """What both processes ended with."""
    assert json.loads((children / "ended.json").read_text())["pair"] == 0, (children / "pair0.txt").read_text()
    return [torch.load(children / f"pair{rank}" / "results.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_two_processes_are_one(tmp_path: Path, two: list[dict[str, Any]], name: str) -> None:
    run = RUNS[name]
    alone = MetricLearning(run.encoder(), run.terms, CLASSES, examples=24, measure_every=1)
    start = {key: value.clone() for key, value in alone.state_dict().items()}
    fit(alone, run.source(per_epoch=2), run_config(run, devices=1), folder=tmp_path)
    first, second = (state[name] for state in two)
    moved = 0
    for key, value in alone.state_dict().items():
        assert torch.equal(first[key], second[key]), key
        torch.testing.assert_close(first[key], value, rtol=1e-4, atol=1e-6, msg=lambda m, key=key: f"{key}: {m}")
        moved += not torch.equal(value, start[key])
    assert moved > 2
