"""Every loss and every miner of the tables: a run resumes bit for bit, and gradient caching is exact."""

import contextlib
from pathlib import Path

import pytest
import torch

from retrieval.methods.metric_learning import MetricLearning
from retrieval.training import checkpoint
from retrieval.training.caching import cached_backward
from retrieval.training.hooks import TrainHooks
from retrieval.training.loop import fit
from tests.training.pairs import RUNS
from tests.training.test_loop import assert_same
from tests.training.tiny import CLASSES, StopAfter, config, same_state, timeless

NAMES = [name for name in RUNS if name.startswith(("loss-", "miner-", "convolutional-")) or name == "sum"]


def method(name: str, dropout: float) -> MetricLearning:
    return MetricLearning(RUNS[name].encoder(dropout), RUNS[name].terms, CLASSES, examples=36, measure_every=2, seed=5)


@pytest.mark.parametrize("name", NAMES)
def test_resumes_bit_for_bit(tmp_path: Path, name: str) -> None:
    """Within the second epoch, with averaged weights, dropout and batch-norm: trained, and with convolutions frozen."""
    source = RUNS[name].source(per_epoch=6 if "accumulate" in name else 3)
    values = config(**{"epochs": 2, "average": 0.9, "batch_norm": "train", "log_every": 1, **RUNS[name].changes})
    whole, half, rest = (method(name, 0.2) for _ in range(3))
    expected = fit(whole, source, values, folder=tmp_path / "whole")
    fit(half, source, values, folder=tmp_path / "parts", hooks=TrainHooks(stop=StopAfter(4)))
    torch.manual_seed(99)
    fitted = fit(rest, source, values, folder=tmp_path / "parts", resume=True)
    assert (fitted.stopped, fitted.steps) == ("done", 6)
    same_state(whole, rest)
    assert timeless(fitted.history) == timeless(expected.history)
    first, second = (checkpoint.load_checkpoint(tmp_path / part) for part in ("whole", "parts"))
    assert first is not None
    assert second is not None
    for part in ("method", "optimiser", "average", "random"):
        assert_same(first[part], second[part], part)


@pytest.mark.parametrize("name", NAMES)
def test_state_moves_and_is_kept(tmp_path: Path, name: str) -> None:
    """Whatever a loss owns is in the checkpoint; what should move has moved."""
    model, start = method(name, 0.0), method(name, 0.0)
    fit(model, RUNS[name].source(per_epoch=3), config(epochs=1), folder=tmp_path)
    state = checkpoint.load_checkpoint(tmp_path)
    assert state is not None
    before = start.state_dict()
    own = [key for key in before if key.startswith("states.")]
    specs = [spec for term in model.terms for spec in term.spec.state]
    assert len(own) == len(specs)
    assert set(own) <= state["method"].keys()
    for key in own:
        assert not torch.equal(state["method"][key], before[key]), key
    assert int(state["method"]["batches"]) == 3


@pytest.mark.parametrize("name", NAMES)
def test_caching_is_exact(name: str) -> None:
    """In float64, with batch-norm frozen."""
    batch = next(RUNS[name].source(per_epoch=3).batches(0, 0))
    batch = batch._replace(inputs=batch.inputs.double())
    whole, pieces = method(name, 0.0).double(), method(name, 0.0).double()
    for model in (whole, pieces):
        model.train()
        model.encoder.backbone.eval()
    whole.training_step(batch).loss.backward()  # type: ignore[no-untyped-call]
    cached_backward(
        pieces, batch, 5, backward=lambda loss: loss.backward(), autocast=contextlib.nullcontext
    )  # fmt: skip
    for (key, one), two in zip(whole.named_parameters(), pieces.parameters(), strict=True):
        assert (one.grad is None) == (two.grad is None), key
        if one.grad is not None and two.grad is not None:
            torch.testing.assert_close(two.grad, one.grad, rtol=1e-8, atol=1e-10, msg=lambda m, key=key: f"{key}: {m}")
    assert any(parameter.grad is not None for parameter in whole.encoder.parameters())
