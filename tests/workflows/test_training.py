"""Training from end to end, on drawn pictures: learned, proven, saved, resumed."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import numpy as np
import pytest
import torch

from retrieval.core.errors import BadValue, Interrupted
from retrieval.methods.memory import losses_memory
from retrieval.methods.metric_learning import Term
from retrieval.mining.memory import memory_estimate
from retrieval.models.folder import load_encoder, verify_folder
from retrieval.workflows.recipes import RECIPES, Recipe, load_recipe
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.training import Request, TrainingHooks, TrainReport, train

from .training_support import ONE_RATE, QUICK, from_the_same_features, growing, request, same_weights, tiny_full


def test_a_run_leaves_an_encoder_its_proof_and_a_report(trained: tuple[Path, TrainReport]) -> None:
    out, report = trained
    card = verify_folder(out / "encoder")
    assert card.fingerprint == report.fingerprint
    assert (card.dimension, card.projections[1:], card.trained) == (16, (16,), True)
    assert "quick-head" in card.origin
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics == json.loads(json.dumps(report.metrics))
    for name in ("recall_at_1", "map_at_r"):
        found = metrics["comparison"][name]
        assert found["low"] <= found["mean"] <= found["high"]
        assert found["mean"] == pytest.approx(found["after"]["mean"] - found["before"]["mean"])
    assert metrics["split"]["leaks"] == 0
    assert metrics["result"]["fingerprint"] == card.fingerprint
    calibration = json.loads((out / "calibration.json").read_text())
    assert calibration["kind"] in ("platt", "isotonic")
    html = (out / "report.html").read_text(encoding="utf-8")
    assert "<svg" in html
    assert "data:image/jpeg;base64" in html
    assert (report.images, report.classes, report.unreadable) == (72, 12, 0)
    assert sum(report.parts.values()) + report.left_out == 72


def test_what_proves_is_of_classes_that_neither_train_nor_choose(trained: tuple[Path, TrainReport]) -> None:
    split = json.loads((trained[0] / "split.json").read_text())
    classes = {part: {Path(path).parent.name for path in split[part]} for part in ("train", "val", "test")}
    assert split["kind"] == "class-disjoint"
    for part, paths in split.items():
        if part in classes:
            contents = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths]
            assert split["digests"][part] == contents
    assert not classes["train"] & classes["test"]
    assert not classes["train"] & classes["val"]
    assert not classes["val"] & classes["test"]


def test_the_encoder_in_the_folder_is_the_one_that_was_measured(
    trained: tuple[Path, TrainReport], dataset: Path, tiny_model: Path
) -> None:
    from retrieval.workflows.evaluating import EvaluateRequest, evaluate

    out, report = trained
    table = out.parent / "test.csv"
    split = json.loads((out / "split.json").read_text())
    rows = [f"{path},{Path(path).parent.name}" for path in split["test"]]
    table.write_text("path,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    found = evaluate(EvaluateRequest(str(table), str(out / "encoder"), against=str(tiny_model), workers=1))
    assert found.comparison is not None
    for name in ("recall_at_1", "map_at_r"):
        expected = report.metrics["comparison"][name]
        # bf16 may rank two nearly equal images the other way round.
        assert found.comparison.changes[name].after.mean == pytest.approx(expected["after"]["mean"], abs=0.05)
        assert found.comparison.changes[name].before.mean == pytest.approx(expected["before"]["mean"], abs=0.05)


def test_the_same_embeddings_and_seed_give_the_same_encoder(
    trained: tuple[Path, TrainReport], dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    out = from_the_same_features(trained[0], tmp_path / "again")
    again = train(replace(request(dataset, out, tiny_model), resume=True))
    assert again.fingerprint == trained[1].fingerprint
    assert same_weights(trained[0], out)
    out = from_the_same_features(trained[0], tmp_path / "other")
    assert train(replace(request(dataset, out, tiny_model, seed="1"), resume=True)).fingerprint != again.fingerprint


def test_a_run_that_is_stopped_goes_on_bit_for_bit(
    trained: tuple[Path, TrainReport], dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    steps = 0

    def count(_: object) -> None:
        nonlocal steps
        steps += 1

    out = from_the_same_features(trained[0], tmp_path / "run")
    asked = replace(request(dataset, out, tiny_model), resume=True)
    with pytest.raises(Interrupted, match="Stopped after"):
        train(asked, hooks=TrainingHooks(progress=count, stop=lambda: steps >= 6))
    assert not (out / "encoder").exists()
    first = json.loads((out / "time.json").read_text())["seconds"]
    assert first > 0
    (out / "time.json").write_text(json.dumps({"seconds": 1000 + first}))
    report = train(asked)
    assert report.fingerprint == trained[1].fingerprint
    assert same_weights(trained[0], out)
    assert 1000 + first < report.seconds < 2000


def test_it_trains_on_as_many_threads_as_the_settings_say(
    trained: tuple[Path, TrainReport], dataset: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    monkeypatch.setenv("RETRIEVAL_THREADS", str(before + 1))
    seen: set[int] = set()
    # Embedding sets the number too: here nothing is embedded before the training.
    out = from_the_same_features(trained[0], tmp_path / "run")
    asked = replace(request(dataset, out, tiny_model, epochs="1"), resume=True)
    train(asked, hooks=TrainingHooks(progress=lambda _: seen.add(torch.get_num_threads())))
    assert seen == {before + 1}
    assert torch.get_num_threads() == before


def test_the_whole_encoder_is_trained(dataset: Path, tiny_model: Path, tmp_path: Path) -> None:
    # The trained end is taken, whatever validation says of two epochs: what is looked at is what training moves.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("retrieval.workflows.fitting.validation_score", growing())
        recipe = tiny_full(learning_rate="1e-3", blend="false")
        report = train(Request(str(dataset), recipe, tmp_path / "run", str(tiny_model), workers=1))
    start, result = load_encoder(tiny_model)[0], load_encoder(tmp_path / "run" / "encoder")[0]
    assert report.parts["train"] > 0
    changed = {
        name
        for name, tensor in start.backbone.state_dict().items()
        if not np.allclose(tensor.numpy(), result.backbone.state_dict()[name].numpy())
    }
    assert {part["part"]: part["best_epoch"] for part in report.metrics["training"]}["The whole encoder"] == 2
    norms = [name for name, layer in start.backbone.named_modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    frozen = {f"{name}.{part}" for name in norms for part in start.backbone.get_submodule(name).state_dict()}
    assert frozen
    assert changed == set(start.backbone.state_dict()) - frozen


class StopIn:
    """Hooks that stop a run after some steps of one part of it."""

    def __init__(self, part: str, steps: int) -> None:
        self.part, self.left, self.there = part, steps, False

    def hooks(self) -> TrainingHooks:
        return TrainingHooks(begin=self._begin, progress=self._count, stop=lambda: self.left <= 0)

    def _begin(self, part: str) -> None:
        self.there = part == self.part

    def _count(self, _: object) -> None:
        self.left -= self.there


def test_a_whole_encoder_that_is_stopped_goes_on_bit_for_bit(
    trained: tuple[Path, TrainReport],
    dataset: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Within its second epoch; and in no other precision than it began with, whatever another machine likes best."""
    # What counts is what the training does: every look at the validation part finds it better than before.
    monkeypatch.setattr("retrieval.workflows.fitting.validation_score", growing())
    monkeypatch.setenv("RETRIEVAL_THREADS", "1")
    recipe = tiny_full(batch_size="8", per_class="2", average="0.9", learning_rate="1e-3", blend="false")

    def asked(out: Path, recipe: Recipe = recipe) -> Request:
        return Request(str(dataset), recipe, out, str(tiny_model), workers=1, resume=True)

    whole, cut = (from_the_same_features(trained[0], tmp_path / name) for name in ("whole", "cut"))
    expected = train(asked(whole))
    steps = expected.metrics["training"][1]["steps"]
    with pytest.raises(Interrupted, match=f"Stopped after {steps - 1} steps"):
        train(asked(cut), hooks=StopIn("The whole encoder", steps - 1).hooks())
    assert steps // 2 < steps - 1
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("RETRIEVAL_PRECISION", "bf16")
        with pytest.raises(BadValue, match="started in the precision 32-true; here it would go on in bf16-mixed") as no:
            train(asked(cut))
    assert "--set precision=32-true" in no.value.hint
    named = tiny_full(
        batch_size="8", per_class="2", average="0.9", learning_rate="1e-3", blend="false", precision="32-true"
    )
    assert train(asked(cut, named)).metrics["training"][1] == expected.metrics["training"][1] | {
        "best_value": ANY,
        "start_value": ANY,
    }
    assert same_weights(whole, cut)
    start, result = (load_encoder(folder)[0].backbone.state_dict() for folder in (tiny_model, cut / "encoder"))
    assert any(not torch.equal(start[name], result[name]) for name in start)


def test_where_validation_likes_no_epoch_the_start_is_kept(dataset: Path, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        values = iter(range(1_000, 1, -1))
        patch.setattr("retrieval.workflows.fitting.validation_score", lambda *_: float(next(values)))
        train(Request(str(dataset), tiny_full(blend="false"), tmp_path / "run", str(tiny_model), workers=1))
    start, result = load_encoder(tiny_model)[0], load_encoder(tmp_path / "run" / "encoder")[0]
    for name, tensor in start.backbone.state_dict().items():
        assert np.array_equal(tensor.numpy(), result.backbone.state_dict()[name].numpy()), name


@pytest.mark.parametrize(
    "changes",
    [
        {"sampler": "class_balanced", **ONE_RATE},
        {"mine_every": "2", **ONE_RATE},
        {"supervised_contrastive.miner": "all_pairs"},
    ],
    ids=["class-balanced batches", "hard examples of the whole set", "a miner"],
)
def test_batches_may_be_made_in_other_ways(
    trained: tuple[Path, TrainReport], dataset: Path, tiny_model: Path, tmp_path: Path, changes: dict[str, str]
) -> None:
    out = from_the_same_features(trained[0], tmp_path / "run")
    said: list[str] = []
    asked = replace(request(dataset, out, tiny_model, **changes), resume=True)
    hooks = TrainingHooks(say=said.append, begin=lambda part: said.append(f"begin: {part}"))
    assert train(asked, hooks=hooks).parts == trained[1].parts
    log = [json.loads(line) for path in sorted(out.glob("head*/log.jsonl")) for line in path.read_text().splitlines()]
    if "mine_every" in changes:
        assert {line["staleness"] for line in log if line["kind"] == "step"} == {0.0, 1.0}
    told = [line for line in said if "beside the encoder" in line]
    assert len(told) == 1
    batch = 15 if "mine_every" in changes else 16
    assert told[0].endswith(f"in batches of {batch}.")
    # Once for all trials, before any of them; and what a search of the whole set takes besides, where there is one.
    assert said.index(told[0]) == min(n for n, line in enumerate(said) if line.startswith("begin: ")) - (
        2 if "mine_every" in changes else 1
    )
    searches = [line for line in said if line.startswith("Searching all")]
    assert len(searches) == ("mine_every" in changes)


def test_a_miner_and_a_second_loss_are_part_of_what_the_memory_is_said_to_be(
    trained: tuple[Path, TrainReport], dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    sizes = []
    plain = load_recipe("quick-head", {**QUICK, **ONE_RATE, "epochs": "0"})
    term = plain.terms[0]
    for terms in ((term,), (replace(term, miner="all_pairs"),), (term, Term("nce_instance"))):
        out = from_the_same_features(trained[0], tmp_path / f"run{len(sizes)}")
        said: list[str] = []
        asked = replace(request(dataset, out, tiny_model), recipe=replace(plain, terms=terms), resume=True)
        with pytest.MonkeyPatch.context() as patch:
            # In bytes: such small batches are all of one megabyte.
            patch.setattr("retrieval.workflows.fitting.megabytes", lambda size: f"<{size}>")
            train(asked, hooks=TrainingHooks(say=said.append))
        (line,) = (line for line in said if "beside the encoder" in line)
        sizes.append(int(line.partition("<")[2].partition(">")[0]))
    assert sizes[1] == sizes[0] + memory_estimate("all_pairs", 16, 4, 16)
    numbers = json.loads((tmp_path / "run0" / "split.json").read_text())["train"]
    classes = len({Path(path).parent.name for path in numbers})
    assert sizes[2] == sizes[0] + losses_memory([Term("nce_instance")], 16, 16, classes, len(numbers))


@pytest.mark.parametrize(
    ("changes", "also"),
    [
        ({"normalise": "false"}, {}),
        ({"mine_positives": "farthest"}, {"mine_every": "3"}),
    ],
    ids=["normalise", "mine_positives"],
)
def test_a_key_reaches_the_training(
    trained: tuple[Path, TrainReport],
    dataset: Path,
    tiny_model: Path,
    tmp_path: Path,
    changes: dict[str, str],
    also: dict[str, str],
) -> None:
    """And a run that was begun before there was the key goes on with its default, and with no other value."""
    seen: list[dict[str, torch.Tensor]] = []
    terms = (Term("triplet"), Term("center", 0.1))
    for number, values in enumerate((also, also | changes)):
        out = from_the_same_features(trained[0], tmp_path / f"run{number}")
        recipe = replace(load_recipe("quick-head", {**QUICK, **ONE_RATE, "epochs": "1", **values}), terms=terms)
        asked = Request(str(dataset), recipe, out, str(tiny_model), workers=1, resume=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("retrieval.workflows.fitting.validation_score", growing())
            train(asked)
        seen.append(load_encoder(out / "encoder")[0].state_dict())
    assert any(not torch.equal(seen[0][name], seen[1][name]) for name in seen[0])
    stored = json.loads((tmp_path / "run0" / "recipe.json").read_text())
    (name,) = changes
    del stored["recipe"][name]
    (tmp_path / "run0" / "recipe.json").write_text(json.dumps(stored))
    run = RunFolder(tmp_path / "run0")
    run.remember(stored | {"recipe": stored["recipe"] | {name: getattr(RECIPES["quick-head"], name)}}, resume=True)
    with pytest.raises(BadValue, match=f"another {name}"):
        run.remember(stored | {"recipe": stored["recipe"] | {name: getattr(recipe, name)}}, resume=True)


def test_the_centres_rate_reaches_the_training_of_the_whole_encoder(
    dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """Over a frozen backbone there is nothing for it to do: the centres are exact in every epoch."""
    seen = []
    for rate in ("0.5", "0.0"):
        out = tmp_path / f"rate {rate}"
        recipe = replace(
            tiny_full(centre_rate=rate, head_epochs="0"), terms=(Term("triplet"), Term("center", 10.0)), blend=False
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("retrieval.workflows.fitting.validation_score", growing())
            train(Request(str(dataset), recipe, out, str(tiny_model), workers=1))
        seen.append(load_encoder(out / "encoder")[0].state_dict())
    assert any(not torch.equal(seen[0][name], seen[1][name]) for name in seen[0])


def test_resuming_where_there_is_no_run_is_said_and_begins_one(
    trained: tuple[Path, TrainReport], dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    out = from_the_same_features(trained[0], tmp_path / "run")
    train(replace(request(dataset, out, tiny_model, **ONE_RATE), resume=True), hooks=TrainingHooks(say=said.append))
    assert any("no run in" in line for line in said)


def test_an_alarm_of_a_run_stands_in_its_metrics_and_on_its_page(
    dataset: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from retrieval.training.loop import fit

    def with_alarm(*arguments: object, **options: object) -> object:
        fitted = fit(*arguments, **options)  # type: ignore[arg-type]
        alarm = {"name": "loss = margin", "step": 3, "kind": "alarm", "epoch": 1}
        return replace(fitted, history=[*fitted.history, alarm])

    monkeypatch.setattr("retrieval.workflows.fit_part.fit", with_alarm)
    report = train(request(dataset, tmp_path / "run", tiny_model, **ONE_RATE))
    assert [part["alarms"] for part in report.metrics["training"]] == [[{"name": "loss = margin", "step": 3}]]
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "alarm in step 3: loss = margin. The loss stands at the value" in page
