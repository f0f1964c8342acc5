"""Gradient caching: the gradient of pieces is the gradient of the whole."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from retrieval.core.errors import BadValue
from retrieval.functional.batch import Batch
from retrieval.methods.method import Method, StepOutput
from retrieval.training.caching import cached_backward, refuse_mixing
from retrieval.training.loop import fit
from retrieval.training.policies import apply_policies
from tests.methods.views import TinyViews, tiny_method
from tests.training.tiny import Pull, TinySource, config, tiny_encoder


def gradients(method: Method) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in method.named_parameters() if p.grad is not None}


def backward(loss: Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]


def cached(method: Method, batch: Batch, chunk: int) -> StepOutput:
    return cached_backward(method, batch, chunk, backward=backward, autocast=contextlib.nullcontext)


def batch() -> Batch:
    return next(TinySource().batches(0, 0))


@pytest.mark.parametrize("chunk", [1, 5, 12, 100])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_equals_one_piece(chunk: int, batch_norm: bool) -> None:
    """In float64, without batch-norm and with it frozen."""
    model = Pull(tiny_encoder(batch_norm)).double()
    apply_policies(model, config(), 0)
    double = Batch(batch().inputs.double(), *batch()[1:])
    expected = model.training_step(double)
    backward(expected.loss)
    whole = gradients(model)
    model.zero_grad()
    step = cached(model, double, chunk)
    assert step.loss.item() == pytest.approx(expected.loss.item(), abs=1e-14)
    pieces = gradients(model)
    assert pieces.keys() == whole.keys()
    assert "encoder.backbone.stem.weight" in pieces
    assert "log_scale" in pieces
    assert ("encoder.backbone.norm.weight" in pieces) is False
    for name, gradient in whole.items():
        torch.testing.assert_close(pieces[name], gradient, rtol=1e-11, atol=1e-13)


def test_replays_what_dropout_drew() -> None:
    """The oracle embeds chunk by chunk in one graph, from the same random state."""
    model = Pull(tiny_encoder(dropout=0.5))
    model.train()
    torch.manual_seed(3)
    outputs = [model.embed(piece) for piece in batch().inputs.split(5)]
    after = torch.get_rng_state()
    whole = type(outputs[0])(*(torch.cat(parts) for parts in zip(*outputs, strict=True)))
    backward(model.loss_of(whole, batch()).loss)
    expected = gradients(model)
    model.zero_grad()
    torch.manual_seed(3)
    cached(model, batch(), 5)
    assert torch.equal(torch.get_rng_state(), after)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-5, atol=1e-7)


def test_the_backbone_never_holds_more_than_a_chunk() -> None:
    model = Pull(tiny_encoder())
    sizes = []
    model.encoder.backbone.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    cached(model, batch(), 5)
    assert sizes == [5, 5, 2] * 2


def test_a_frozen_backbone_still_trains_the_head() -> None:
    model = Pull(tiny_encoder())
    apply_policies(model, config(backbone_rate=0.0), 0)
    cached(model, batch(), 5)
    assert {name.split(".")[1] for name in gradients(model) if name != "log_scale"} == {"head"}


class Views(Pull):
    """``embed`` may give one output a view: nested tuples."""

    def embed(self, inputs: Tensor) -> Any:
        return [super().embed(inputs), (super().embed(-inputs),)]

    def loss_of(self, output: Any, batch: Batch) -> StepOutput:
        first, (second,) = output
        step = super().loss_of(first, batch)
        return step._replace(loss=step.loss + (first.raw * second.raw).mean())


def test_several_views() -> None:
    model = Views(tiny_encoder())
    backward(model.training_step(batch()).loss)
    expected = gradients(model)
    model.zero_grad()
    cached(model, batch(), 4)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-5, atol=1e-7)


def test_autocast_does_not_lose_gradients() -> None:
    """Weights that are cast without gradient in the first pass must not be used again in the second."""
    model = Pull(tiny_encoder())

    def autocast() -> Any:
        return torch.autocast("cpu", torch.bfloat16)

    with autocast():
        step = model.training_step(batch())
    backward(step.loss)
    expected = gradients(model)
    model.zero_grad()
    types = []
    model.encoder.head.register_forward_hook(lambda _, __, output: types.append(output.dtype))
    cached_backward(model, batch(), 5, backward=backward, autocast=autocast)
    assert types == [torch.bfloat16] * 6
    pieces = gradients(model)
    assert pieces.keys() == expected.keys()
    for name, gradient in pieces.items():
        torch.testing.assert_close(gradient, expected[name], rtol=0.1, atol=0.02)


@pytest.mark.parametrize("whose", ["backbone", "head", "without statistics"])
def test_batch_norm_that_mixes_is_refused(tmp_path: Path, whose: str) -> None:
    encoder = tiny_encoder(batch_norm=whose == "backbone")
    values = config(chunk=4)
    if whose == "backbone":
        values = config(chunk=4, batch_norm="train")
    elif whose == "head":
        encoder.head = nn.Sequential(encoder.head, nn.BatchNorm1d(4))
    else:
        encoder.backbone.norm = nn.BatchNorm1d(8, track_running_stats=False)
    with pytest.raises(BadValue, match="statistics from each chunk") as caught:
        fit(Pull(encoder), TinySource(), values, folder=tmp_path)
    assert "norm" in caught.value.message or "head.1" in caught.value.message


def test_batch_norm_of_a_backbone_at_rest_is_no_reason() -> None:
    model = Pull(tiny_encoder(batch_norm=True))
    apply_policies(model, config(batch_norm="train", head_first_epochs=1), 0)
    refuse_mixing(model.encoder)
    apply_policies(model, config(batch_norm="train", head_first_epochs=1), 1)
    with pytest.raises(BadValue, match=r"backbone\.norm"):
        refuse_mixing(model.encoder)


def test_a_cached_run_is_an_uncached_run(tmp_path: Path) -> None:
    """Several epochs of AdamW, within float32's rounding."""
    whole, pieces = Pull(tiny_encoder(batch_norm=True)), Pull(tiny_encoder(batch_norm=True))
    fit(whole, TinySource(), config(), folder=tmp_path / "whole")
    fit(pieces, TinySource(), config(chunk=5), folder=tmp_path / "pieces")
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(pieces.state_dict()[name], value, rtol=1e-3, atol=1e-4)


def test_a_method_that_takes_batches_whole_is_refused_before_anything(tmp_path: Path) -> None:
    """Also where nothing in its encoder mixes the examples of a batch."""
    with pytest.raises(BadValue, match="SimCLR takes a batch as a whole"):
        fit(tiny_method("simclr"), TinyViews(), config(chunk=4), folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()
