"""Training from end to end, on drawn pictures: learned, proven, saved, resumed, refused."""

import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import numpy as np
import pytest
import torch
from PIL import Image

from retrieval.core.errors import BadValue, DiskFull, Interrupted, NoSuchPath
from retrieval.methods.memory import losses_memory
from retrieval.methods.metric_learning import Term
from retrieval.mining.memory import memory_estimate
from retrieval.models.folder import load_encoder, verify_folder
from retrieval.workflows.backup import backup, restore
from retrieval.workflows.indexing import index_paths
from retrieval.workflows.recipes import RECIPES, Recipe, load_recipe
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.status import status
from retrieval.workflows.training import Request, TrainingHooks, TrainReport, train

from ..conftest import draw

QUICK = {"epochs": "4", "validate_every": "2", "dimension": "16", "batch_size": "16", "log_every": "1"}
ONE_RATE = {"trials": "[1.0]"}
"""Where what the learning rates bring is not the subject, one is tried, not three."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve classes of six pictures: a class is a colour, the picture around it is chance."""
    folder = tmp_path_factory.mktemp("dataset")
    random = np.random.default_rng(0)
    for number in range(12):
        colour = random.integers(0, 256, 3)
        for n in range(6):
            pixels = np.clip(colour + random.normal(0, 40, (40, 40, 3)), 0, 255).astype(np.uint8)
            path = folder / f"class{number:02d}" / f"{n}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(path)
    return folder


def request(dataset: object, out: Path, model: Path | None, recipe: str = "quick-head", **changes: str) -> Request:
    return Request(
        dataset=str(dataset),
        recipe=load_recipe(recipe, {**QUICK, **changes}),
        out=out,
        model=model and str(model),
        workers=1,
    )


def tiny_full(**changes: str) -> Recipe:
    values = {**QUICK, **ONE_RATE, "head_epochs": "2", "epochs": "2", "validate_every": "1", **changes}
    return load_recipe("triplet-center", values)


@pytest.fixture(scope="module")
def trained(dataset: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainReport]:
    out = tmp_path_factory.mktemp("runs") / "one"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETRIEVAL_DATA", str(out.parent / "data"))
        return out, train(request(dataset, out, tiny_model))


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


def from_the_same_features(out: Path, run: Path) -> Path:
    """A folder in which a run finds the embeddings that another one made: a bf16 encoder's last digits depend on which
    images happened to share a batch."""
    run.mkdir()
    shutil.copy(out / "start.npz", run)
    return run


def same_weights(one: Path, other: Path) -> bool:
    states = [load_encoder(folder / "encoder")[0].state_dict() for folder in (one, other)]
    return states[0].keys() == states[1].keys() and all(bool((states[0][n] == states[1][n]).all()) for n in states[0])


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


def test_another_run_is_not_resumed(trained: tuple[Path, TrainReport], dataset: Path, other_model: Path) -> None:
    out, _ = trained
    before = sorted(path.name for path in out.iterdir())
    with pytest.raises(BadValue, match="started with another"):
        train(replace(request(dataset, out, other_model), resume=True))
    assert sorted(path.name for path in out.iterdir()) == before


@pytest.mark.parametrize(
    ("key", "value"),
    [("supervised_contrastive.temperature", "0.5"), ("dimension", "8"), ("epochs", "7"), ("whitening", "0.1")],
)
def test_a_run_is_not_resumed_with_another_recipe(
    key: str, value: str, trained: tuple[Path, TrainReport], dataset: Path, tiny_model: Path
) -> None:
    out, _ = trained
    before = (out / "recipe.json").read_bytes()
    with pytest.raises(BadValue, match="started with another " + ("terms" if "." in key else key)):
        train(replace(request(dataset, out, tiny_model, **{key: value}), resume=True))
    assert (out / "recipe.json").read_bytes() == before


@pytest.mark.parametrize(
    ("recipe", "key", "value"),
    [
        ("triplet-center", "triplet.margin", "0"),
        ("triplet-center", "triplet.select", "semi"),
        ("triplet-center", "triplet.select", "mined"),
        ("arcface", "cosine_softmax.kind", "x"),
        ("quick-head", "supervised_contrastive.temperature", "0"),
        ("quick-head", "seed", "-1"),
        ("quick-head", "devices", "2"),
    ],
)
def test_a_value_that_a_loss_cannot_take_is_said_before_anything_is_embedded(
    recipe: str, key: str, value: str, dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    seen: list[str] = []
    with pytest.raises(BadValue):
        train(
            request(dataset, tmp_path / "run", tiny_model, recipe, **{key: value}),
            hooks=TrainingHooks(working=lambda what, *_: seen.append(what)),
        )
    assert seen == []
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("loss", ["nt_xent", "nce", "info_nce_queries"])
@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({}, False),
        ({"per_class": "2"}, True),
        ({"per_class": "2", "sampler": "class_balanced"}, False),
        ({"per_class": "2", "mine_every": "3"}, False),
    ],
    ids=["four of a class", "two of a class", "class-balanced", "mined"],
)
def test_a_loss_of_pairs_never_meets_its_own_class_as_noise(
    loss: str, changes: dict[str, str], fits: bool, tmp_path: Path
) -> None:
    recipe = replace(load_recipe("quick-head", changes), terms=(Term(loss),))
    # Where the batches fit, the next that is missed is the dataset.
    error, words = (NoSuchPath, "no dataset") if fits else (BadValue, f"{loss} takes every other pair")
    with pytest.raises(error, match=words) as caught:
        train(Request(str(tmp_path / "nowhere"), recipe, tmp_path / "run"))
    assert ("per_class=2" in caught.value.hint) != fits


def test_a_folder_with_other_things_is_not_written_to(dataset: Path, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(BadValue, match="or other things"):
        train(request(dataset, tmp_path / "run", tiny_model))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_the_whole_encoder_is_trained(dataset: Path, tiny_model: Path, tmp_path: Path) -> None:
    # The trained end is taken, whatever validation says of two epochs: what is looked at is what training moves.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("retrieval.workflows.fitting.validation_score", _growing())
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
    monkeypatch.setattr("retrieval.workflows.fitting.validation_score", _growing())
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


def _growing() -> Callable[..., float]:
    """A validation that likes every look better than the one before."""
    values = iter(range(1, 1_000))
    return lambda *_: float(next(values))


def test_where_validation_likes_no_epoch_the_start_is_kept(dataset: Path, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        values = iter(range(1_000, 1, -1))
        patch.setattr("retrieval.workflows.fitting.validation_score", lambda *_: float(next(values)))
        train(Request(str(dataset), tiny_full(blend="false"), tmp_path / "run", str(tiny_model), workers=1))
    start, result = load_encoder(tiny_model)[0], load_encoder(tmp_path / "run" / "encoder")[0]
    for name, tensor in start.backbone.state_dict().items():
        assert np.array_equal(tensor.numpy(), result.backbone.state_dict()[name].numpy()), name


@pytest.fixture
def shelf(dataset: Path, tiny_model: Path, tmp_path: Path) -> tuple[Path, Path]:
    """(gallery, photos): a labelled gallery whose photos may be changed."""
    from retrieval.workflows.labels import import_folders

    shutil.copytree(dataset, tmp_path / "photos")
    index_paths(tmp_path / "gallery", [tmp_path / "photos"], model=str(tiny_model))
    import_folders(tmp_path / "gallery")
    return tmp_path / "gallery", tmp_path / "photos"


def test_fine_tuning_leaves_out_what_cannot_be_reached(shelf: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, photos = shelf
    for number in range(0, 12, 3):
        (photos / f"class{number:02d}" / "0.png").unlink()
    said: list[str] = []
    asked = Request("gallery", tiny_full(epochs="1"), tmp_path / "run", gallery=gallery, workers=1)
    report = train(asked, hooks=TrainingHooks(say=said.append))
    assert report.images == 68
    assert any("4 labelled images cannot be reached" in line for line in said)


def test_a_split_that_a_table_gave_to_a_gallery_is_kept_to(shelf: tuple[Path, Path], tmp_path: Path) -> None:
    from retrieval.workflows.labels import import_csv

    gallery, photos = shelf
    parts = {0: "test", 1: "val"}
    rows = [
        f"{path},{path.parent.name},{parts.get(int(path.stem), 'train')}\n" for path in sorted(photos.rglob("*.png"))
    ]
    table = tmp_path / "table.csv"
    table.write_text("path,label,split\n" + "".join(rows))
    import_csv(gallery, table)
    report = train(
        Request(
            "gallery", load_recipe("quick-head", {**QUICK, **ONE_RATE}), tmp_path / "run", gallery=gallery, workers=1
        )
    )
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert (report.split, split["kind"]) == ("given", "given")
    assert {Path(path).stem for path in split["test"]} == {"0"}
    assert {Path(path).stem for path in split["val"]} == {"1"}


def test_the_split_of_a_gallery_goes_where_the_gallery_goes(shelf: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, _ = shelf
    recipe = load_recipe("quick-head", {**QUICK, **ONE_RATE})
    train(Request("gallery", recipe, tmp_path / "one", gallery=gallery, workers=1))
    first = json.loads((tmp_path / "one" / "split.json").read_text())
    backup(gallery, tmp_path / "gallery.tar")
    restore(tmp_path / "gallery.tar", tmp_path / "elsewhere")
    another = load_recipe("quick-head", {**QUICK, **ONE_RATE, "seed": "9"})
    train(Request("gallery", another, tmp_path / "two", gallery=tmp_path / "elsewhere", workers=1))
    assert json.loads((tmp_path / "two" / "split.json").read_text()) == first
    assert status(tmp_path / "elsewhere", check=True).agree


def test_a_gallery_trains_on_its_own_vectors_without_reading_a_file(
    dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    from retrieval.workflows.labels import import_folders

    copy = tmp_path / "photos"
    shutil.copytree(dataset, copy)
    gallery = tmp_path / "gallery"
    index_paths(gallery, [copy], model=str(tiny_model))
    import_folders(gallery)
    shutil.rmtree(copy)
    recipe = load_recipe("quick-head", {**QUICK, **ONE_RATE})
    report = train(Request("gallery", recipe, tmp_path / "run", gallery=gallery, workers=1))
    assert (report.images, report.classes) == (72, 12)
    assert verify_folder(tmp_path / "run" / "encoder").dimension == 16


def test_the_start_of_a_folder_of_photos_is_the_gallerys_encoder(
    dataset: Path, tiny_model: Path, other_model: Path, tmp_path: Path
) -> None:
    index_paths(tmp_path / "gallery", [dataset / "class00"], model=str(other_model))
    said: list[str] = []
    asked = replace(request(dataset, tmp_path / "run", None, **ONE_RATE), gallery=tmp_path / "gallery")
    train(asked, hooks=TrainingHooks(say=said.append))
    start = json.loads((tmp_path / "run" / "recipe.json").read_text())["start"]
    assert start["fingerprint"] == verify_folder(other_model).fingerprint
    assert any("gallery's encoder other" in line and "--model" in line for line in said)


@pytest.mark.parametrize("fails_at", [1, 6, 11])
def test_a_disk_that_fills_up_at_any_time_loses_nothing(
    fails_at: int, dataset: Path, trained: tuple[Path, TrainReport], tiny_model: Path, tmp_path: Path
) -> None:
    """Every file is synced when it is written: the n-th of those calls finds the disk full."""
    asked = request(dataset, tmp_path / "run", tiny_model)
    with pytest.raises(DiskFull, match="No space is left") as full:
        _on_full_disk(lambda: train(asked), fails_at)
    assert "--resume" in full.value.hint
    assert not list(tmp_path.rglob("*.tmp"))
    train(replace(asked, resume=True))
    assert verify_folder(tmp_path / "run" / "encoder").trained
    for name, before in trained[1].metrics["comparison"].items():
        after = json.loads((tmp_path / "run" / "metrics.json").read_text())["comparison"][name]
        assert after["mean"] == pytest.approx(before["mean"], abs=0.1), name


def _on_full_disk(do: Callable[[], object], fails_at: int) -> None:
    """From the n-th file on that ``do`` syncs there is no space."""
    calls = 0
    really = os.fsync

    def sync(handle: int) -> None:
        nonlocal calls
        if stat.S_ISREG(os.fstat(handle).st_mode):
            calls += 1
            if calls >= fails_at:
                raise OSError(errno.ENOSPC, "No space left on device")
        really(handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", sync)
        do()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda p: p / "nowhere", NoSuchPath, "no dataset"),
        (lambda p: _classes(p, 1, 4), BadValue, "class"),
        (lambda p: _classes(p, 0, 0), BadValue, "no class|no image|not one"),
        (lambda p: _classes(p, 12, 1), BadValue, "one image"),
    ],
    ids=["nothing there", "one class", "no images", "one image a class"],
)
def test_a_dataset_that_cannot_teach_is_refused_in_one_line(
    make: object, error: type[Exception], words: str, tiny_model: Path, tmp_path: Path
) -> None:
    folder = make(tmp_path)  # type: ignore[operator]
    with pytest.raises(error, match=words) as caught:
        train(request(folder, tmp_path / "run", tiny_model))
    assert "\n" not in caught.value.message  # type: ignore[attr-defined]


def _classes(folder: Path, classes: int, each: int) -> Path:
    (folder / "set").mkdir()
    for number in range(classes):
        for n in range(each):
            draw(folder / "set" / f"c{number}" / f"{n}.png", 100 * number + n)
    return folder / "set"


def test_unreadable_images_are_said_counted_and_left_out(dataset: Path, tiny_model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "set"
    shutil.copytree(dataset, copy)
    (copy / "class00" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    said: list[str] = []
    report = train(request(copy, tmp_path / "run", tiny_model, **ONE_RATE), hooks=TrainingHooks(say=said.append))
    assert (report.images, report.unreadable) == (71, 1)
    assert any("1 of 72 images cannot be read" in line for line in said)


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
            patch.setattr("retrieval.workflows.fitting.validation_score", _growing())
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
            patch.setattr("retrieval.workflows.fitting.validation_score", _growing())
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


def test_a_split_that_does_not_exist_is_refused_before_anything_is_made(
    dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadValue, match="no split"):
        train(replace(request(dataset, tmp_path / "run", tiny_model), split="nope"))
    assert list(tmp_path.iterdir()) == []


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
