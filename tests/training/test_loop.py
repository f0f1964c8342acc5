"""The loop: that it learns, stops, resumes, and says what went wrong."""

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from retrieval.core.errors import BadValue, ModelDamaged, TrainingFailed
from retrieval.methods.method import Method
from retrieval.training import checkpoint, devices, loop
from retrieval.training.hooks import Progress, TrainHooks, Validated
from retrieval.training.loop import fit
from tests.training.tiny import (
    Pictures,
    Pull,
    StopAfter,
    TinySource,
    config,
    convolutional_encoder,
    same_state,
    timeless,
    tiny_encoder,
)


def separation(method: Method) -> float:
    """How much nearer embeddings are to their own class than to others; draws a random number, as a probe may."""
    torch.rand(1)
    source = TinySource(seed=7)
    with torch.inference_mode():
        embeddings = method.encoder.encode(source.inputs)  # type: ignore[operator]
    similarity = embeddings @ embeddings.T
    same = source.labels[:, None] == source.labels[None, :]
    return float(similarity[same].mean() - similarity[~same].mean())


def method(**options: Any) -> Pull:
    return Pull(tiny_encoder(batch_norm=True, dropout=0.2), **options)


def test_learns_and_reports(tmp_path: Path) -> None:
    seen: list[Progress] = []
    validations: list[Validated] = []
    hooks = TrainHooks(progress=seen.append, validated=validations.append)
    model = method()
    fitted = fit(model, TinySource(), config(epochs=8), folder=tmp_path, validate=separation_of_training, hooks=hooks)
    assert (fitted.stopped, fitted.epochs, fitted.steps) == ("done", 8, 40)
    assert fitted.start_value is not None
    assert fitted.best_value is not None
    assert fitted.best_value > fitted.start_value + 0.2
    assert [p.step for p in seen] == list(range(2, 41, 2))
    assert all(p.steps == 40 and p.images_per_second > 0 and p.eta_seconds >= 0 for p in seen)
    assert seen[-1].loss < seen[0].loss
    assert seen[-1].sample == 480
    assert 1 <= (seen[-1].effective_rank or 0) <= 4
    assert [v.epoch for v in validations] == list(range(9))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines == fitted.history
    assert [line["kind"] for line in lines].count("validation") == 9
    assert not model.training


def separation_of_training(method: Method) -> float:
    source = TinySource()
    with torch.inference_mode():
        embeddings = method.encoder.encode(source.inputs)  # type: ignore[operator]
    similarity = embeddings @ embeddings.T
    same = source.labels[:, None] == source.labels[None, :]
    return float(similarity[same].mean() - similarity[~same].mean())


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "average": {"average": 0.9},
    "accumulate": {"accumulate": 2},
    "head-first": {"head_first_epochs": 1, "layer_decay": 0.7},
    "batch-norm": {"batch_norm": "train"},
    "sgd-clip": {"optimiser": "sgd", "clip": 0.05},
    "bf16": {"precision": "bf16-mixed"},
    "fp16": {"precision": "16-mixed"},
    "chunk": {"chunk": 5},
    "patience": {"patience": 2, "schedule": "constant"},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("steps", [2, 5, 7])
def test_resumes_bit_for_bit(tmp_path: Path, variant: str, steps: int) -> None:
    """N steps are the same as some, a stop, a fresh process's objects, and the rest; 5 is the end of an epoch."""
    values = config(**VARIANTS[variant])
    whole, half, rest = method(), method(), method()
    expected = fit(whole, TinySource(), values, folder=tmp_path / "whole", validate=separation)
    stopped = fit(
        half, TinySource(), values, folder=tmp_path / "parts", validate=separation,
        hooks=TrainHooks(stop=StopAfter(steps)),
    )  # fmt: skip
    assert stopped.stopped == "interrupted"
    assert stopped.steps == steps
    random.seed(99)  # the resumed run must not lean on what happens to be drawn around it
    np.random.seed(99)
    torch.manual_seed(99)
    fitted = fit(rest, TinySource(), values, folder=tmp_path / "parts", resume=True, validate=separation)
    same_state(whole, rest)
    assert fitted.best_value == expected.best_value
    assert fitted.best_epoch == expected.best_epoch
    assert timeless(fitted.history) == timeless(expected.history)
    lines = [json.loads(line) for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert lines == fitted.history
    first, second = (checkpoint.load_checkpoint(tmp_path / name) for name in ("whole", "parts"))
    for part in ("method", "optimiser", "scaler", "average", "best", "random"):
        assert_same(first[part], second[part], part)  # type: ignore[index]


def assert_same(one: Any, two: Any, where: str) -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, two), where
    elif isinstance(one, dict):
        assert one.keys() == two.keys(), where
        for name in one:
            assert_same(one[name], two[name], f"{where}.{name}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(two), where
        for i, (a, b) in enumerate(zip(one, two, strict=True)):
            assert_same(a, b, f"{where}[{i}]")
    else:
        assert one == two, where


def test_dropout_and_validation_do_draw() -> None:
    """The resume test would prove nothing about random states if nothing were drawn."""
    model = method()
    model.train()
    batch = next(TinySource().batches(0, 0))
    assert not torch.equal(model.embed(batch.inputs).raw, model.embed(batch.inputs).raw)


def test_leaves_random_states_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    expected = (torch.rand(1).item(), np.random.rand(), random.random())
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    fit(method(), TinySource(), config(epochs=1), folder=tmp_path, validate=separation)
    assert (torch.rand(1).item(), np.random.rand(), random.random()) == expected


def test_validation_changes_nothing(tmp_path: Path) -> None:
    """It draws, and the dropout of the next step does not notice."""
    fit(method(), TinySource(), config(), folder=tmp_path / "with", validate=separation)
    fit(method(), TinySource(), config(), folder=tmp_path / "without")
    first, second = (checkpoint.load_checkpoint(tmp_path / name) for name in ("with", "without"))
    assert first is not None
    assert second is not None
    assert_same(first["method"], second["method"], "method")


def test_a_seed_gives_one_result(tmp_path: Path) -> None:
    first, second, other = method(), method(), method()
    for name, model, seed in (("a", first, 0), ("b", second, 0), ("c", other, 1)):
        fit(model, TinySource(), config(seed=seed), folder=tmp_path / name)
    same_state(first, second)
    assert not torch.equal(first.encoder.head.weight, other.encoder.head.weight)


def test_early_stopping_keeps_the_best(tmp_path: Path) -> None:
    values = iter([0.1, 0.5, 0.3, 0.9, 0.4, 0.3, 0.2])
    weights = []

    def validate(model: Method) -> float:
        assert not model.training
        weights.append({k: v.clone() for k, v in model.encoder.state_dict().items()})
        return next(values)

    model = method()
    fitted = fit(model, TinySource(), config(epochs=20, patience=3), folder=tmp_path, validate=validate)
    assert (fitted.stopped, fitted.epochs, fitted.best_epoch, fitted.best_value) == ("early", 6, 3, 0.9)
    for name, value in model.encoder.state_dict().items():
        assert torch.equal(value, weights[3][name])
    assert not torch.equal(weights[3]["head.weight"], weights[6]["head.weight"])
    again = fit(method(), TinySource(), config(epochs=20, patience=3), folder=tmp_path, resume=True, validate=validate)
    assert (again.stopped, again.epochs, again.best_value) == ("early", 6, 0.9)


def test_a_start_that_is_best_is_kept(tmp_path: Path) -> None:
    values = iter([0.9, 0.8, 0.7])
    model, start = method(), method()
    fitted = fit(model, TinySource(), config(epochs=2), folder=tmp_path, validate=lambda _: next(values))
    assert (fitted.best_epoch, fitted.start_value) == (0, 0.9)
    same_state(model.encoder, start.encoder)


def test_a_value_that_is_no_number_is_never_best(tmp_path: Path) -> None:
    values = iter([math.nan, 0.1, math.nan])
    fitted = fit(method(), TinySource(), config(epochs=2), folder=tmp_path, validate=lambda _: next(values))
    assert (fitted.best_epoch, fitted.best_value) == (1, 0.1)


def test_validates_every_few_epochs_and_at_the_end(tmp_path: Path) -> None:
    seen: list[Validated] = []
    fit(
        method(), TinySource(2), config(epochs=5, validate_every=2), folder=tmp_path, validate=separation,
        hooks=TrainHooks(validated=seen.append),
    )  # fmt: skip
    assert [v.epoch for v in seen] == [0, 2, 4, 5]


def test_averaged_weights_are_validated_and_kept(tmp_path: Path) -> None:
    seen = []

    def validate(model: Method) -> float:
        seen.append(model.encoder.state_dict()["head.weight"].clone())
        return float(len(seen))

    model = method()
    fit(model, TinySource(), config(average=0.99), folder=tmp_path, validate=validate)
    state = checkpoint.load_checkpoint(tmp_path)
    assert state is not None
    assert torch.equal(model.encoder.head.weight, state["average"]["values"]["head.weight"])
    assert torch.equal(seen[-1], model.encoder.head.weight)
    assert not torch.equal(model.encoder.head.weight, state["method"]["encoder.head.weight"])


@pytest.mark.parametrize("values", [{}, {"accumulate": 2}, {"chunk": 4}])
def test_nan_names_step_files_and_checkpoint(tmp_path: Path, values: dict[str, Any]) -> None:
    step = 5 if "accumulate" in values else 7
    with pytest.raises(TrainingFailed) as caught:
        fit(method(poison_at=step), TinySource(), config(save_seconds=0, **values), folder=tmp_path)
    message = str(caught.value)
    assert f"step {step} (epoch " in message
    assert "photo " in message
    assert f"{tmp_path / 'last.ckpt'} (step {step - 1})" in message
    record = json.loads((tmp_path / "failed_batch.json").read_text())
    assert record["step"] == step
    assert len(record["files"]) == 12 * values.get("accumulate", 1)
    state = checkpoint.load_checkpoint(tmp_path)
    assert state is not None
    assert all(torch.isfinite(value).all() for value in state["method"].values())
    fitted = fit(method(), TinySource(), config(save_seconds=0, **values), folder=tmp_path, resume=True)
    assert fitted.stopped == "done"


def test_a_gradient_that_is_not_a_number_stops_too(tmp_path: Path) -> None:
    """The square root of 0: the loss is fine, its gradient is not, and no weight may be touched by it."""

    class Root(Pull):
        def loss_of(self, output: Any, batch: Any) -> Any:
            step = super().loss_of(output, batch)
            return step._replace(loss=step.loss + (output.raw.sum() * 0).sqrt())

    model = Root(tiny_encoder())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(TrainingFailed, match="gradient is not a number in step 1"):
        fit(model, TinySource(), config(), folder=tmp_path)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_fp16_without_end_of_overflows_stops(tmp_path: Path) -> None:
    class Overflow(Pull):
        def loss_of(self, output: Any, batch: Any) -> Any:
            step = super().loss_of(output, batch)
            return step._replace(loss=step.loss + (output.raw.sum() * 0).sqrt())

    with pytest.raises(TrainingFailed, match=r"gradient is not a number in step 2\d "):
        fit(Overflow(tiny_encoder()), TinySource(), config(epochs=9, precision="16-mixed"), folder=tmp_path)


def test_what_follows_the_weights_rests_where_fp16_skips_a_step(tmp_path: Path) -> None:
    class Overflow(Pull):
        """The gradients of its fourth and fifth batch overflow."""

        def __init__(self) -> None:
            super().__init__(tiny_encoder())
            self.given, self.skipped, self.kept = 0, [], []  # type: ignore[var-annotated]

        def loss_of(self, output: Any, batch: Any) -> Any:
            step = super().loss_of(output, batch)
            self.given += 1
            foul = (output.raw.sum() * 0).sqrt() if self.given in (4, 5) else 0.0
            return step._replace(loss=step.loss + foul)

        def after_step(self) -> None:
            super().after_step()
            self.kept.append(self.given)

        def skipped_step(self) -> None:
            self.skipped.append(self.given)

    model = Overflow()
    values = config(epochs=2, precision="16-mixed", average=0.9)
    fitted = fit(model, TinySource(), values, folder=tmp_path)
    assert {4, 5} <= set(model.skipped)
    assert sorted(model.kept + model.skipped) == list(range(1, fitted.steps + 1))
    stored = checkpoint.load_checkpoint(tmp_path)
    assert stored is not None
    assert stored["average"]["steps"] == len(model.kept) > 0
    assert stored["scaler"]["scale"] == 2.0 ** (16 - len(model.skipped))


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_half_precision_is_used_and_learns(tmp_path: Path, precision: str) -> None:
    types = set()
    model = method()
    model.encoder.head.register_forward_hook(lambda _, __, output: types.add(output.dtype))
    fitted = fit(model, TinySource(), config(epochs=6, precision=precision), folder=tmp_path)
    assert types == {torch.bfloat16 if precision == "bf16-mixed" else torch.float16}
    losses = [line["loss"] for line in fitted.history if line["kind"] == "step"]
    assert losses[-1] < losses[0]
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_half_precision_is_near_full(tmp_path: Path) -> None:
    exact, rough = method(), method()
    fit(exact, TinySource(), config(epochs=1), folder=tmp_path / "32")
    fit(rough, TinySource(), config(epochs=1, precision="bf16-mixed"), folder=tmp_path / "16")
    start = method().encoder.head.weight
    moves = [(model.encoder.head.weight - start).flatten() for model in (exact, rough)]
    assert torch.cosine_similarity(*moves, dim=0) > 0.98
    assert not torch.equal(*moves)


def test_slow_steps_are_reported_before_their_number_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who started a run must not look at nothing for minutes."""
    seen: list[Progress] = []
    values = config(epochs=2, log_every=1000)
    quick = fit(method(), TinySource(), values, folder=tmp_path / "quick", hooks=TrainHooks(progress=seen.append))
    assert seen == []
    monkeypatch.setattr(loop, "SILENT_SECONDS", 0.0)
    slow = fit(method(), TinySource(), values, folder=tmp_path / "slow", hooks=TrainHooks(progress=seen.append))
    assert [one.step for one in seen] == list(range(1, slow.steps + 1))
    assert all(one.steps == slow.steps == quick.steps for one in seen)


def test_a_run_is_not_overwritten(tmp_path: Path) -> None:
    fit(method(), TinySource(), config(epochs=1), folder=tmp_path)
    with pytest.raises(BadValue, match="already holds a run"):
        fit(method(), TinySource(), config(epochs=1), folder=tmp_path)


def test_resuming_needs_the_same_run(tmp_path: Path) -> None:
    fit(method(), TinySource(), config(epochs=1), folder=tmp_path)
    with pytest.raises(BadValue, match=r"learning_rate = 0\.01, not 0\.5"):
        fit(method(), TinySource(), config(epochs=1, learning_rate=0.5), folder=tmp_path, resume=True)
    with pytest.raises(BadValue, match="dataset or split has changed"):
        fit(method(), TinySource(4), config(epochs=1), folder=tmp_path, resume=True)
    fit(method(), TinySource(), config(epochs=1, log_every=1), folder=tmp_path, resume=True)


def test_a_run_goes_on_in_the_precision_it_began_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``auto`` is another one on another machine; the one it stood for is kept."""
    monkeypatch.setattr(devices, "has_fast_bf16", lambda: True)
    whole, rest = method(), method()
    fit(whole, TinySource(), config(precision="auto"), folder=tmp_path / "whole")
    fit(
        method(), TinySource(), config(precision="auto"), folder=tmp_path / "parts",
        hooks=TrainHooks(stop=StopAfter(4)),
    )  # fmt: skip
    monkeypatch.setattr(devices, "has_fast_bf16", lambda: False)
    before = (tmp_path / "parts" / "last.ckpt").read_bytes()
    with pytest.raises(BadValue, match="started in the precision bf16-mixed; here it would go on in 32-true") as caught:
        fit(method(), TinySource(), config(precision="auto"), folder=tmp_path / "parts", resume=True)
    assert "--set precision=bf16-mixed" in caught.value.hint
    assert (tmp_path / "parts" / "last.ckpt").read_bytes() == before
    fit(rest, TinySource(), config(precision="bf16-mixed"), folder=tmp_path / "parts", resume=True)
    same_state(whole, rest)


def test_resuming_nothing_is_starting(tmp_path: Path) -> None:
    fitted = fit(method(), TinySource(), config(epochs=1), folder=tmp_path / "new", resume=True)
    assert fitted.steps == 5


def test_a_damaged_checkpoint_is_said(tmp_path: Path) -> None:
    fit(method(), TinySource(), config(epochs=1), folder=tmp_path)
    path = tmp_path / "last.ckpt"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelDamaged, match="cannot be read"):
        fit(method(), TinySource(), config(epochs=1), folder=tmp_path, resume=True)


def test_no_epochs_train_nothing(tmp_path: Path) -> None:
    model, start = method(), method()
    fitted = fit(model, TinySource(), config(epochs=0), folder=tmp_path, validate=separation)
    assert (fitted.stopped, fitted.steps, fitted.best_epoch) == ("done", 0, 0)
    same_state(model, start)


def test_accumulation_is_the_mean_gradient(tmp_path: Path) -> None:
    """One step of SGD from two batches is the step along the mean of their gradients."""
    model, by_hand = Pull(tiny_encoder()), Pull(tiny_encoder())
    values = config(
        epochs=1, accumulate=2, optimiser="sgd", warmup_share=0.0, schedule="constant", weight_decay=0.0,
        backbone_rate=1.0,
    )  # fmt: skip
    fit(model, TinySource(2), values, folder=tmp_path)
    sum(by_hand.training_step(batch).loss / 2 for batch in TinySource(2).batches(0, 0)).backward()
    weight = by_hand.encoder.head.weight
    # Nesterov's first step is (1 + momentum) times the gradient.
    assert torch.allclose(model.encoder.head.weight, weight - 0.01 * 1.9 * weight.grad, atol=1e-7)


def test_an_odd_last_group_counts_its_own_batches(tmp_path: Path) -> None:
    fitted = fit(Pull(tiny_encoder()), TinySource(5), config(epochs=2, accumulate=2), folder=tmp_path)
    assert fitted.steps == 6


def test_a_source_that_ends_early_is_an_error(tmp_path: Path) -> None:
    source = TinySource()
    source.steps = lambda epoch: 6  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="ended after 5 batches"):
        fit(method(), source, config(), folder=tmp_path)


class Stuck(Pull):
    """Its loss stands at its margin from the first step."""

    def collapse_constants(self) -> dict[str, float]:
        return {"pull": 0.2}

    def loss_of(self, output: Any, batch: Any) -> Any:
        step = super().loss_of(output, batch)
        return step._replace(logs={"pull": torch.tensor(0.2)})


@pytest.mark.parametrize("stop", [99, 12])
def test_alarms_are_raised_and_logged(tmp_path: Path, stop: int) -> None:
    """Twenty steps after the warm-up, also where the run was stopped and resumed meanwhile."""
    said: list[str] = []
    hooks = TrainHooks(say=said.append, stop=StopAfter(stop))
    fit(Stuck(tiny_encoder()), TinySource(), config(epochs=6), folder=tmp_path, hooks=hooks)
    hooks = TrainHooks(say=said.append)
    fitted = fit(Stuck(tiny_encoder()), TinySource(), config(epochs=6), folder=tmp_path, resume=True, hooks=hooks)
    assert len(said) == 1
    assert said[0].startswith("Alarm in step 22: loss = margin")
    assert [line["step"] for line in fitted.history if line["kind"] == "alarm"] == [22]


def test_a_step_of_several_batches_is_read_once(tmp_path: Path) -> None:
    """The alarm takes as many steps as without accumulation, and a line of the log is the mean over its steps."""

    class Counting(Stuck):
        batches = 0

        def loss_of(self, output: Any, batch: Any) -> Any:
            step = super().loss_of(output, batch)
            self.batches += 1
            # As a share that is not measured in every batch.
            extra = {"active": torch.tensor(float(self.batches))} if self.batches in (1, 2, 4) else {}
            return step._replace(logs={**step.logs, **extra})

    values = config(epochs=12, accumulate=2, log_every=2)
    fitted = fit(Counting(tiny_encoder()), TinySource(4), values, folder=tmp_path)
    assert [line["step"] for line in fitted.history if line["kind"] == "alarm"] == [21]
    first = next(line for line in fitted.history if line["kind"] == "step")
    assert first["active"] == (1.5 + 4) / 2


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("chunk", [None, 5])
def test_pictures_are_trained_on_with_channels_last_and_weights_are_given_back_as_they_came(
    tmp_path: Path, precision: str, chunk: int | None
) -> None:
    model, lay = Pull(convolutional_encoder()), set()

    def look(layer: nn.Conv2d, inputs: tuple[torch.Tensor, ...], _: torch.Tensor) -> None:
        lay.update(part.is_contiguous(memory_format=torch.channels_last) for part in (*inputs, layer.weight))

    model.encoder.backbone.blocks[0][0].register_forward_hook(look)
    values = config(epochs=2, average=0.9, precision=precision, chunk=chunk)
    fit(model, Pictures(), values, folder=tmp_path / "whole")
    assert lay == {True}
    assert all(value.is_contiguous() for value in model.state_dict().values())
    # And a run that was stopped goes on in the same layout, to the same weights.
    fit(
        Pull(convolutional_encoder()),
        Pictures(),
        values,
        folder=tmp_path / "parts",
        hooks=TrainHooks(stop=StopAfter(3)),
    )
    rest = Pull(convolutional_encoder())
    fit(rest, Pictures(), values, folder=tmp_path / "parts", resume=True)
    same_state(model, rest)
