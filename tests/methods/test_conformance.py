"""What every self-supervised method must hold. A new one joins by its line in the table."""

import inspect
import json
import sys
from pathlib import Path

import pytest
import torch
from torch import multiprocessing

from retrieval.methods.self_supervised import SelfSupervised
from retrieval.methods.table import METHODS
from retrieval.training import checkpoint
from retrieval.training.hooks import TrainHooks
from retrieval.training.loop import fit
from tests.methods.processes import compare
from tests.methods.views import EXAMPLES, TinyViews, config, small_views, tiny_encoder, tiny_method
from tests.training.test_loop import assert_same
from tests.training.tiny import StopAfter, same_state, timeless

every = pytest.mark.parametrize("name", METHODS)


def source(name: str, part: slice = slice(None)) -> TinyViews:
    return TinyViews(max(2, tiny_method(name).views), small_views(name), part)


def begun(name: str) -> SelfSupervised:
    """A method that stands before the first batch of ``source``, as the loop brings it there."""
    method, batches = tiny_method(name), source(name)
    method.begin(2 * batches.steps(0), batches.steps(0))
    method.before_epoch(0, lambda: batches.batches(0, 0))
    return method


@every
def test_the_line_in_the_table_is_true(name: str) -> None:
    spec = METHODS[name]
    document = sys.modules[spec.make.__module__].__doc__
    assert document is not None
    assert "https://" in document
    assert "Args:" in (spec.make.__doc__ or "")
    assert inspect.Parameter.empty not in spec.options.values()
    assert spec.summary
    assert spec.paper


@every
def test_resumes_bit_for_bit(tmp_path: Path, name: str) -> None:
    """Within the second epoch, with trained batch-norm."""
    values = config(batch_norm="train")
    whole, half, rest = (tiny_method(name, batch_norm=True) for _ in range(3))
    expected = fit(whole, source(name), values, folder=tmp_path / "whole")
    fit(half, source(name), values, folder=tmp_path / "parts", hooks=TrainHooks(stop=StopAfter(4)))
    torch.manual_seed(99)
    fitted = fit(rest, source(name), values, folder=tmp_path / "parts", resume=True)
    assert (fitted.stopped, fitted.steps) == ("done", 6)
    same_state(whole, rest)
    assert timeless(fitted.history) == timeless(expected.history)
    first, second = (checkpoint.load_checkpoint(tmp_path / part) for part in ("whole", "parts"))
    assert first is not None
    assert second is not None
    for part in ("method", "optimiser", "random"):
        assert_same(first[part], second[part], part)


@every
def test_all_that_is_learned_learns(tmp_path: Path, name: str) -> None:
    """Every parameter that the optimiser gets moves, and the loss is a finite number."""
    method = tiny_method(name)
    before = {key: value.clone() for key, value in method.named_parameters()}
    fitted = fit(method, source(name), config(epochs=3, weight_decay=0.0), folder=tmp_path)
    given = {id(p) for group in method.groups() for p in group.parameters}
    moved = {key for key, value in method.named_parameters() if not torch.equal(value, before[key])}
    assert {key for key, value in method.named_parameters() if id(value) in given} <= moved
    losses = [line["loss"] for line in fitted.history if line["kind"] == "step"]
    assert len(losses) == 9


@every
def test_the_seed_decides_and_nothing_else_is_drawn(name: str) -> None:
    """Building and stepping neither uses nor changes the global random state."""
    batch = next(source(name).batches(0, 0))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one = begun(name)
    loss = one.training_step(batch).loss
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(begun(name).training_step(batch).loss, loss)


@every
def test_bf16_is_near_fp32(name: str) -> None:
    """The loss under autocast; what the loss itself computes is in float32."""
    batch = next(source(name).batches(0, 0))
    plain = begun(name).training_step(batch).loss
    with torch.autocast("cpu", torch.bfloat16):
        half = begun(name).training_step(batch).loss
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, plain, rtol=0.05, atol=0.05)


@every
def test_the_step_says_what_the_diagnostics_need(name: str) -> None:
    method, batch = begun(name), next(source(name).batches(0, 0))
    output = method.training_step(batch)
    assert output.labels is not None
    assert len(output.embeddings) == len(output.labels)
    torch.testing.assert_close(output.embeddings.norm(dim=1), torch.ones(len(output.labels)))
    assert not output.embeddings.requires_grad
    assert all(not value.requires_grad for value in output.logs.values())
    assert method.collapse_constants().keys() <= output.logs.keys()


@every
def test_too_few_views_are_refused(name: str) -> None:
    method = tiny_method(name)
    batch = next(source(name).batches(0, 0))
    if method.views > 1:
        with pytest.raises(ValueError, match="views"):
            method.training_step(batch._replace(others=()))


@every
def test_the_encoder_is_what_remains(name: str) -> None:
    """What the method adds stands beside the encoder, whose tensors keep their names."""
    assert tiny_method(name).encoder.state_dict().keys() == tiny_encoder().state_dict().keys()


@pytest.fixture(scope="module")
def differences(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, float]]:
    """The largest relative difference of each method's state between two processes and one, in either process."""
    folder = tmp_path_factory.mktemp("pair")
    multiprocessing.spawn(compare, args=(str(folder),), nprocs=2)  # type: ignore[no-untyped-call]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


@every
def test_two_processes_are_one(differences: list[dict[str, float]], name: str) -> None:
    """Without batch-norm in the backbone, whose statistics are each process's own."""
    for found in differences:
        assert found[name] < 1e-5


def test_there_are_enough_examples() -> None:
    assert EXAMPLES % 16 == 0
