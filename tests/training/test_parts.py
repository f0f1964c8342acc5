"""Average, alarms, configuration, log, devices and random states."""

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from retrieval.core.errors import BadValue
from retrieval.functional.diagnostics import effective_rank
from retrieval.training import devices
from retrieval.training.alarms import QUIET, WINDOW, Reading, Watch, window_of
from retrieval.training.averaging import Average
from retrieval.training.config import LoopConfig
from retrieval.training.log import RunLog
from retrieval.training.meter import RANK_EVERY, Meter, Shown
from retrieval.training.randomness import random_states, random_states_kept, seed_everything, set_random_states


def test_average_is_the_recursion() -> None:
    """Against a loop in numbers, with batch-norm's running mean averaged and its counter copied."""
    module = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    average = Average(module, 0.9)
    weight, mean = float(average.values["0.weight"]), 0.0
    for step in range(1, 200):
        with torch.no_grad():
            module[0].weight.fill_(math.sin(step))  # type: ignore[operator,union-attr]
            module[1].running_mean.fill_(step)  # type: ignore[operator,union-attr]
            module[1].num_batches_tracked.fill_(step)  # type: ignore[operator,union-attr]
        average.update()
        decay = min(0.9, step / (step + 9))
        weight = decay * weight + (1 - decay) * math.sin(step)
        mean = decay * mean + (1 - decay) * step
    assert float(average.values["0.weight"]) == pytest.approx(weight, abs=1e-5)
    assert float(average.values["1.running_mean"]) == pytest.approx(mean, rel=1e-5)
    assert int(average.values["1.num_batches_tracked"]) == 199
    with average.applied():
        assert torch.equal(module[0].weight, average.values["0.weight"])  # type: ignore[arg-type]
    assert float(module.state_dict()["0.weight"]) == pytest.approx(math.sin(199))
    with pytest.raises(ValueError, match="another module"):
        average.load_state_dict({"steps": 1, "values": {}})


def test_an_average_of_what_stands_still_is_exact() -> None:
    module = nn.Linear(7, 7)
    average = Average(module, 0.99)
    for _ in range(50):
        average.update()
    assert torch.equal(average.values["weight"], module.weight)


def reading(step: int, loss: float = 1.0, spread: float | None = 1.0, margin: float = 0.2) -> Reading:
    return Reading(step, {"loss": 1.0, "triplet": loss}, spread, {"triplet": margin})


def test_loss_at_its_margin_rings_once() -> None:
    watch = Watch()
    rung = [watch.read(reading(step, 0.2003)) for step in range(3 * WINDOW)]
    assert [len(alarms) for alarms in rung] == [0] * (WINDOW - 1) + [1] + [0] * 2 * WINDOW
    assert rung[WINDOW - 1][0].name == "loss = margin"
    assert watch.read(reading(0, 0.1)) == []
    assert not any(watch.read(reading(step, 0.2)) for step in range(2 * WINDOW))
    # A run that has been well for a while rings anew.
    assert not any(watch.read(reading(step, 0.1)) for step in range(QUIET + 1))
    rung = [watch.read(reading(step, 0.2)) for step in range(WINDOW)]
    assert [len(alarms) for alarms in rung] == [0] * (WINDOW - 1) + [1]


def test_a_loss_that_passes_its_margin_does_not_ring() -> None:
    watch = Watch()
    assert all(not watch.read(reading(step, 0.25 - 0.001 * step)) for step in range(100))


def test_a_loss_that_stands_in_the_mean_rings_and_one_that_falls_through_does_not() -> None:
    """Noise around the margin rings once, though its mean leaves the margin now and then; a slow fall does not ring."""
    for seed, sigma in ((0, 0.01), (1, 0.01), (2, 0.02), (3, 0.02), (4, 0.02)):
        noise, noisy = np.random.default_rng(seed).normal(0, sigma, 500), Watch()
        rung = [a.name for step in range(500) for a in noisy.read(reading(step, 0.2 * (1 + noise[step])))]
        assert rung == ["loss = margin"], (seed, sigma)
    falling, wild = Watch(), Watch()
    assert not any(falling.read(reading(step, 0.2 * (1.03 - 0.0006 * step))) for step in range(100))
    assert not any(wild.read(reading(step, 0.2 * (1 + 0.12 * (-1) ** step))) for step in range(60))


@pytest.mark.parametrize(("steps", "window"), [(1, 10), (12, 12), (20, 20), (500, 20)])
def test_short_epochs_have_a_shorter_window(steps: int, window: int) -> None:
    assert window_of(steps) == window
    watch = Watch(window)
    rung = [bool(watch.read(reading(step, spread=0.001))) for step in range(40)]
    assert rung.index(True) == window - 1
    # Of dimensions a trend is judged, of losses a mean: they take twenty steps.
    for sign in (lambda step: rank(step, 0.09), lambda step: reading(step, 0.2)):
        watch = Watch(window)
        rung = [bool(watch.read(sign(step))) for step in range(1, 40)]
        assert rung.index(True) == WINDOW - 1
        assert sum(rung) == 1


def test_a_checkpoint_of_an_earlier_version_still_rings_what_it_rang() -> None:
    watch = Watch()
    for step in range(WINDOW):
        watch.read(reading(step, spread=0.001))
    state = watch.state_dict()
    assert state["ringing"] == {"complete collapse": 0}
    again = Watch()
    again.load_state_dict({**state, "ringing": ["complete collapse"]})
    assert again.read(reading(WINDOW, spread=0.001)) == []


def test_one_point_rings_and_survives_a_checkpoint() -> None:
    watch = Watch()
    for step in range(WINDOW - 1):
        assert watch.read(reading(step, spread=0.001)) == []
    again = Watch()
    again.load_state_dict(json.loads(json.dumps(watch.state_dict())))
    assert [alarm.name for alarm in again.read(reading(99, spread=0.001))] == ["complete collapse"]
    assert again.read(reading(100, spread=0.001)) == []
    assert [a for step in range(50) for a in Watch().read(reading(step, spread=None))] == []


def rank(step: int, share: float) -> Reading:
    return Reading(step, {"loss": 1.0}, 1.0, rank_share=share if step % RANK_EVERY == 0 else None)


def test_few_dimensions_ring_where_they_stay_few() -> None:
    """Measured now and then; embeddings that are gaining dimensions are those of a start."""
    watch, rising, one = Watch(), Watch(), Watch()
    rung = {step: [a.name for a in watch.read(rank(step, 0.09))] for step in range(1, 60)}
    assert {step: names for step, names in rung.items() if names} == {20: ["dimensional collapse"]}
    assert not any(rising.read(rank(step, 0.01 * 1.3 ** (step / 10))) for step in range(1, 60))
    assert not any(one.read(rank(step, 0.09 if step == 20 else 0.5)) for step in range(1, 60))


def length(step: int, value: float) -> Reading:
    return Reading(step, {"raw_norm": value}, 1.0)


def test_lengths_ring_against_those_of_the_start() -> None:
    for start, end, expected in ((0.01, 90.0, False), (0.01, 110.0, True), (30.0, 2900.0, False), (30.0, 3100.0, True)):
        watch = Watch()
        watch.read(length(1, start))
        again = Watch()
        again.load_state_dict(json.loads(json.dumps(watch.state_dict())))
        rung = [a.name for step in range(2, 60) for a in again.read(length(step, end + step / 100))]
        assert rung == (["exploding norm"] if expected else []), (start, end)
    unknown = Watch()
    assert not any(unknown.read(Reading(step, {"loss": 1.0}, 1.0)) for step in range(1, 60))


def test_a_loss_at_chance_rings_though_chance_moves_with_the_batch() -> None:
    def at(step: int, factor: float) -> Reading:
        chance = math.log(2 * (10 + step % 3) - 1)
        return Reading(step, {"nt_xent": factor * chance}, 1.0, chance={"nt_xent": chance})

    watch, learning = Watch(), Watch()
    rung = [a.name for step in range(1, 60) for a in watch.read(at(step, 1.004))]
    assert rung == ["loss = chance"]
    assert not any(learning.read(at(step, 0.99)) for step in range(1, 60))


@pytest.mark.parametrize(
    ("constant", "first", "now"),
    [
        (5.0, 4.0, True),
        (5.0, 4.6, False),
        (5.0, 5.01, False),
        (5.0, 7.0, False),
        (-1.0, -0.2, True),
        (-1.0, -0.95, True),
        (-1.0, -0.997, False),
    ],
)
def test_what_has_come_to_a_constant_rings_in_the_warm_up_and_what_began_there_after_it(
    constant: float, first: float, now: bool
) -> None:
    def at(step: int, value: float, settled: bool) -> Reading:
        return Reading(step, {"term": value}, 1.0, chance={"term": constant}, settled=settled)

    watch = Watch()
    watch.read(at(1, first, False))
    again = Watch()
    again.load_state_dict(json.loads(json.dumps(watch.state_dict())))
    rung = [step for step in range(2, 100) if again.read(at(step, constant, step > 50))]
    assert rung == [WINDOW + 1 if now else 50 + WINDOW]


def test_a_watch_goes_on_from_a_checkpoint_of_an_earlier_version() -> None:
    watch = Watch()
    watch.read(length(1, 1.0))
    state = watch.state_dict()
    state["start"] = state["start"]["reading"]
    again = Watch()
    again.load_state_dict(json.loads(json.dumps(state)))
    assert "exploding norm" in [a.name for step in range(2, 60) for a in again.read(length(step, 200.0))]


def part(size: int, loss: float, **logs: float) -> Shown:
    random = torch.Generator().manual_seed(size)
    embeddings = nn.functional.normalize(torch.randn(size, 4, generator=random), dim=1)
    return Shown({"loss": loss, **logs}, embeddings, torch.arange(size), size, {"triplet": loss / 10}, {})


def test_a_step_of_several_batches_is_one_reading() -> None:
    """The mean over its batches, over those that have it; and one summand of the report's mean."""
    meter = Meter()
    parts = [part(8, 1.0, active=0.5), part(6, 2.0), part(4, 6.0, active=0.3)]
    read = meter.read(7, parts)
    assert read.logs == {"loss": 3.0, "active": 0.4}
    assert read.constants == {"triplet": pytest.approx(0.3)}
    spreads = [float(one.embeddings.double().std(dim=0).mean()) * 2 for one in parts]
    assert read.spread == pytest.approx(sum(spreads) / 3)
    assert (len(meter.embeddings), meter.examples) == (18, 18)
    meter.read(8, [part(8, 7.0)])
    report = meter.report()
    assert (report["loss"], report["active"]) == (5.0, 0.4)
    assert meter.read(9, [part(1, 1.0)]).spread is None


def test_the_rank_is_measured_now_and_then_against_what_it_could_be() -> None:
    meter = Meter()
    reads = [meter.read(step, [part(8, 1.0)]).rank_share for step in range(1, 21)]
    assert [step for step, share in enumerate(reads, 1) if share is not None] == [10, 20]
    rows = meter.embeddings
    # Eight labels, four dimensions.
    assert reads[-1] == pytest.approx(float(effective_rank(rows)) / 4)
    two = Meter()
    two.read(1, [part(8, 1.0)._replace(labels=torch.arange(8) % 2)])
    assert two.rank_share() == pytest.approx(float(effective_rank(two.embeddings)) / 2)
    unknown = Meter()
    unknown.read(1, [part(8, 1.0)._replace(labels=torch.full((8,), -1))])
    assert unknown.rank_share() == pytest.approx(float(effective_rank(unknown.embeddings)) / 4)
    zero = Meter()
    zero.read(1, [part(8, 1.0)._replace(embeddings=torch.zeros(8, 4))])
    assert zero.rank_share() is None


WRONG = {
    "epochs": -1, "learning_rate": 0.0, "weight_decay": -1.0, "optimiser": "adam", "warmup_share": 1.0,
    "schedule": "step", "precision": "16", "accumulate": 0, "clip": 0.0, "average": 1.0, "chunk": 0,
    "head_first_epochs": -1, "batch_norm": "eval", "backbone_rate": -0.1, "layer_decay": 0.0, "patience": 0,
    "validate_every": 0, "log_every": 0, "save_seconds": -1.0, "device": "tpu", "devices": 0,
    "seed": -1,
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_values_out_of_range(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is "):
        LoopConfig(**{name: WRONG[name]})  # type: ignore[arg-type]


def test_every_field_has_a_range() -> None:
    assert set(WRONG) == set(LoopConfig.__dataclass_fields__)


def test_precision_and_device(monkeypatch: pytest.MonkeyPatch) -> None:
    for fast, expected in ((False, "32-true"), (True, "bf16-mixed")):
        monkeypatch.setattr(devices, "has_fast_bf16", lambda fast=fast: fast)
        assert devices.resolved_precision("auto", "cpu") == expected
    assert devices.resolved_precision("16-mixed", "cpu") == "16-mixed"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert devices.resolved_precision("auto", "cuda") == "bf16-mixed"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert devices.resolved_precision("auto", "cuda") == "16-mixed"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadValue, match="no device 'cuda'"):
        devices.device_kind("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert devices.device_kind("auto") == "cuda"
    with pytest.raises(BadValue, match="There are 1 GPUs, not 2"):
        devices.start_fabric(LoopConfig(device="cuda", devices=2))


def test_random_states_come_back() -> None:
    seed_everything(4)
    states = random_states()
    drawn = [random.random(), np.random.rand(), torch.rand(1).item(), np.random.randn()]
    set_random_states(states)
    assert [random.random(), np.random.rand(), torch.rand(1).item(), np.random.randn()] == drawn
    set_random_states(states)
    with random_states_kept():
        seed_everything(9)
    assert [random.random(), np.random.rand(), torch.rand(1).item(), np.random.randn()] == drawn


def test_log_lines_are_json_and_tensorboard_gets_scalars(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = RunLog(tmp_path, [{"kind": "step", "step": 1, "loss": 3.0}])
    log.write({"kind": "step", "step": 2, "loss": 2.5, "active": None, "rate": math.inf})
    log.close()
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == log.history
    assert log.history[1] == {"kind": "step", "step": 2, "loss": 2.5, "active": None, "rate": None}
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("step/loss")] == [(2, 2.5)]


def test_log_without_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    log = RunLog(tmp_path, [])
    log.write({"kind": "step", "step": 1, "loss": 1.0})
    log.close()
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_other_processes_write_nothing(tmp_path: Path) -> None:
    log = RunLog(tmp_path, [], enabled=False)
    log.write({"kind": "step", "step": 1, "loss": 1.0})
    log.close()
    assert list(tmp_path.iterdir()) == []
    assert len(log.history) == 1
