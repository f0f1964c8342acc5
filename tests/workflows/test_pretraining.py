"""Training without labels from end to end, on drawn pictures: learned, measured, saved, resumed, refused."""

import errno
import json
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from retrieval.core.errors import BadValue, DiskFull, Interrupted, NoSuchPath
from retrieval.core.settings import load_settings
from retrieval.datasets.folder import pictures_in_folder
from retrieval.methods.table import METHODS
from retrieval.models.folder import load_encoder, verify_folder
from retrieval.models.projector import mlp
from retrieval.workflows.embedding_sets import embed_labelled, runtime_of
from retrieval.workflows.gate import evidence_against
from retrieval.workflows.indexing import index_paths
from retrieval.workflows.label_free import TwoLooks
from retrieval.workflows.methods_at_work import nearest_rows
from retrieval.workflows.prepared_pictures import prepared_pictures
from retrieval.workflows.pretraining import PretrainReport, PretrainRequest, TrainingHooks, pretrain
from retrieval.workflows.recipes import PRETRAIN_RECIPES, ViewRecipe, load_pretrain_recipe
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.run_report import MATCHES, ROWS

from .support import fill, save
from .training_support import same_weights

QUICK = {"epochs": "2", "batch_size": "8", "log_every": "1", "learning_rate": "0.01"}
SMALL = {
    "hidden": 16, "dimension": 4, "bottleneck": 8, "prototypes": 4, "clusters": 4, "queue": 16, "slice_size": 8,
    "splits": 2, "side": 8, "width": 16,
}  # fmt: skip
"""Values of options that make a method small, by their names."""


def quick(name: str = "simclr", **changes: str) -> ViewRecipe:
    """A recipe that takes seconds."""
    recipe = PRETRAIN_RECIPES[name]
    small = {f"{recipe.method}.{key}": value for key, value in SMALL.items() if key in recipe.spec.options}
    return load_pretrain_recipe(name=name, settings={**QUICK, **small, **changes})


def request(dataset: object, out: Path, model: Path | None, recipe: ViewRecipe | None = None) -> PretrainRequest:
    return PretrainRequest(str(dataset), recipe or quick(), out, model and str(model), workers=1)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen pictures: three class folders of five, and one picture beside them."""
    folder = tmp_path_factory.mktemp("photos")
    for number, name in enumerate(("red", "green", "blue")):
        fill(folder / name, range(10 * number, 10 * number + 5))
    save(folder / "stray.png", 99)
    return folder


@pytest.fixture(scope="module")
def trained(photos: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PretrainReport]:
    out = tmp_path_factory.mktemp("runs") / "one"
    return out, pretrain(request(photos, out, tiny_model))


def test_a_run_leaves_an_encoder_what_it_measured_and_a_report(
    trained: tuple[Path, PretrainReport], tiny_model: Path
) -> None:
    out, report = trained
    card, start = verify_folder(out / "encoder"), verify_folder(tiny_model)
    assert (card.fingerprint, card.trained, card.dimension) == (report.fingerprint, True, start.dimension)
    assert card.fingerprint != start.fingerprint
    assert "without labels with simclr" in card.origin
    assert (report.images, report.labelled, report.unreadable, report.epochs, report.steps) == (16, 15, 0, 2, 4)
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics == json.loads(json.dumps(report.metrics))
    for side in ("before", "after"):
        found = metrics["label_free"][side]
        assert found["sample"] == 16
        assert found["alignment"] > 0
        assert found["uniformity"] < 0
        assert 1 <= found["effective_rank"] <= 16
        assert found["std"]["least"] <= found["std"]["median"] <= found["std"]["greatest"]
    assert metrics["label_free"]["before"] != metrics["label_free"]["after"]
    html = (out / "report.html").read_text(encoding="utf-8")
    assert "Loss: without labels" in html
    assert "What has changed, without labels" in html
    free = metrics["label_free"]["after"]["uniformity"]
    assert f"<td>{free:.3g}</td>".replace("-", "−") in html
    # As after a training with labels: the queries as rows of pictures.
    assert "The worst queries of all" in html
    assert html.count("data:image/jpeg;base64,") > 10


def test_labels_measure_and_choose_nothing(trained: tuple[Path, PretrainReport]) -> None:
    labelled = trained[1].metrics["labelled"]
    assert labelled["used_to_choose"] is False
    # The picture in no class folder is no query and in no database.
    assert (labelled["images"], labelled["after"]["queries"], labelled["after"]["classes"]) == (15, 15, 3)
    for name in ("recall_at_1", "map_at_r"):
        change = labelled["comparison"][name]
        assert change["low"] <= change["mean"] <= change["high"]
        assert change["mean"] == pytest.approx(change["after"]["mean"] - change["before"]["mean"])
    assert "used neither for training nor for choosing" in (trained[0] / "report.html").read_text(encoding="utf-8")


def test_other_labels_give_the_same_weights(
    trained: tuple[Path, PretrainReport], photos: Path, tiny_model: Path, tmp_path: Path
) -> None:
    paths = sorted(str(path) for path in photos.rglob("*.png"))
    table = tmp_path / "set.csv"
    table.write_text("path\n" + "\n".join(paths) + "\n")
    report = pretrain(request(table, tmp_path / "run", tiny_model))
    assert (report.images, report.labelled, report.metrics["labelled"]) == (16, 0, None)
    assert same_weights(trained[0], tmp_path / "run")
    html = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Neighbours before and after" in html
    assert html.count('class="query"') == ROWS
    # A picture, and its neighbours before and after.
    assert html.count("data:image/jpeg;base64,") == ROWS * (1 + 2 * MATCHES)
    assert "What has changed, without labels" in html
    assert 'class="verdict-card' not in html


def test_the_metrics_are_those_of_the_encoder_in_the_folder(
    trained: tuple[Path, PretrainReport], photos: Path, tiny_model: Path
) -> None:
    from retrieval.workflows.evaluating import EvaluateRequest, evaluate

    found = evaluate(EvaluateRequest(str(photos), str(trained[0] / "encoder"), against=str(tiny_model), workers=1))
    assert found.comparison is not None
    for name in ("recall_at_1", "map_at_r"):
        change, expected = found.comparison.changes[name], trained[1].metrics["labelled"]["comparison"][name]
        assert change.after.mean == pytest.approx(expected["after"]["mean"])
        assert change.before.mean == pytest.approx(expected["before"]["mean"])


def test_the_diagnostics_are_those_of_the_encoder_in_the_folder(
    trained: tuple[Path, PretrainReport], photos: Path
) -> None:
    """Alignment by a slow loop over pairs of views; rank and spread from the embeddings."""
    encoder, card = load_encoder(trained[0] / "encoder")
    pictures, settings = pictures_in_folder(photos), load_settings()
    prepared = prepared_pictures(pictures, card.preprocessing, settings, TrainingHooks(), needs_labels=False)
    views = TwoLooks(prepared, np.arange(16), card, quick()).embedded(encoder)
    distances = [float((one - other).square().sum()) for one, other in zip(*views, strict=True)]
    found = trained[1].metrics["label_free"]["after"]
    assert found["alignment"] == pytest.approx(np.mean(distances), rel=1e-4)
    rows = embed_labelled(pictures, runtime_of(encoder, card, settings), card.preprocessing, settings).vectors
    shares = np.linalg.svd(rows.astype(float), compute_uv=False)
    shares /= shares.sum()
    assert found["effective_rank"] == pytest.approx(np.exp(-np.sum(shares * np.log(shares))), rel=1e-3)
    spread = rows.std(axis=0, ddof=1) * np.sqrt(rows.shape[1])
    assert found["std"]["median"] == pytest.approx(np.sort(spread)[(len(spread) - 1) // 2], rel=1e-3)


def test_the_whole_encoder_learns_batch_norm_included(trained: tuple[Path, PretrainReport], tiny_model: Path) -> None:
    start, result = load_encoder(tiny_model)[0], load_encoder(trained[0] / "encoder")[0]
    after = result.state_dict()
    still = [name for name, tensor in start.named_parameters() if torch.equal(tensor, after[name])]
    assert still == []
    means = [name for name in after if name.endswith("running_mean")]
    assert means
    assert all(not torch.equal(start.state_dict()[name], after[name]) for name in means)


def test_an_encoder_that_is_trained_is_adapted_gently(
    trained: tuple[Path, PretrainReport], photos: Path, tmp_path: Path
) -> None:
    moved: dict[str, float] = {}
    start = load_encoder(trained[0] / "encoder")[0].state_dict()
    for name in ("simclr", "adapt"):
        said: list[str] = []
        asked = request(photos, tmp_path / name, trained[0] / "encoder", quick(name))
        pretrain(asked, hooks=TrainingHooks(say=said.append))
        assert any("--recipe adapt" in line for line in said) is (name == "simclr")
        after = load_encoder(tmp_path / name / "encoder")[0].state_dict()
        statistics = [torch.equal(start[key], after[key]) for key in start if "running_" in key]
        assert all(statistics) is (name == "adapt")
        weights = [key for key in start if key.endswith("weight")]
        moved[name] = max(float((after[key] - start[key]).abs().max()) for key in weights)
    assert 0 < moved["adapt"] < moved["simclr"] / 2


def test_what_was_learned_beside_the_encoder_is_kept(trained: tuple[Path, PretrainReport], tiny_model: Path) -> None:
    tensors = load_file(trained[0] / "method.safetensors")
    assert {name.partition(".")[0] for name in tensors} == {"projector"}
    projector = mlp([verify_folder(tiny_model).dimension, 16, 4], last_bias=False)
    projector.load_state_dict({name.removeprefix("projector."): tensor for name, tensor in tensors.items()})
    fresh = mlp([verify_folder(tiny_model).dimension, 16, 4], last_bias=False)
    assert not torch.equal(projector[0].weight, fresh[0].weight)


def test_a_gallery_indexes_and_switches_with_the_result(
    trained: tuple[Path, PretrainReport], six: tuple[Path, Path], tmp_path: Path
) -> None:
    report = index_paths(tmp_path / "new", [six[1]], model=str(trained[0] / "encoder"), workers=1)
    assert (report.new, report.failed) == (6, 0)
    (refusal,) = evidence_against(RunFolder(trained[0]))
    assert "without labels" in refusal.why
    assert "retrieval evaluate" in refusal.hint
    assert "--force" in refusal.hint


def test_a_run_that_is_stopped_goes_on_bit_for_bit(
    trained: tuple[Path, PretrainReport], photos: Path, tiny_model: Path, tmp_path: Path
) -> None:
    asked, steps = request(photos, tmp_path / "run", tiny_model), []
    with pytest.raises(Interrupted, match="Stopped after 3 steps"):
        pretrain(asked, hooks=TrainingHooks(progress=steps.append, stop=lambda: len(steps) >= 3))
    assert not (tmp_path / "run" / "encoder").exists()
    with pytest.raises(BadValue, match="holds a run"):
        pretrain(asked)
    again = pretrain(replace(asked, resume=True))
    assert same_weights(trained[0], tmp_path / "run")
    free = [report.metrics["label_free"]["after"]["effective_rank"] for report in (trained[1], again)]
    assert free[1] == pytest.approx(free[0], rel=1e-4)
    kept = [load_file(folder / "method.safetensors") for folder in (trained[0], tmp_path / "run")]
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in kept[0])
    # Resumed once more, it changes nothing.
    assert pretrain(replace(asked, resume=True)).fingerprint == again.fingerprint


def test_stopping_while_pictures_are_prepared_is_heard(photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="prepared"):
        pretrain(request(photos, tmp_path / "run", tiny_model), hooks=TrainingHooks(stop=lambda: True))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("key", "value"), [("epochs", "3"), ("simclr.temperature", "0.1"), ("look.flip", "0")])
def test_a_run_is_not_resumed_with_another_recipe(
    key: str, value: str, trained: tuple[Path, PretrainReport], photos: Path, tiny_model: Path
) -> None:
    before = (trained[0] / "recipe.json").read_bytes()
    asked = replace(request(photos, trained[0], tiny_model, quick(**{key: value})), resume=True)
    with pytest.raises(BadValue, match="started with another"):
        pretrain(asked)
    assert (trained[0] / "recipe.json").read_bytes() == before


def test_a_run_with_labels_is_not_resumed_without(photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text('{"recipe": {"name": "quick-head", "loop": {}}, "version": 1}')
    with pytest.raises(BadValue, match="started with another kind"):
        pretrain(replace(request(photos, tmp_path, tiny_model), resume=True))


def test_broken_images_are_said_counted_and_left_out(photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "photos"
    shutil.copytree(photos, copy)
    (copy / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (copy / "notes.txt").write_text("no image")
    said: list[str] = []
    report = pretrain(request(copy, tmp_path / "run", tiny_model), hooks=TrainingHooks(say=said.append))
    assert (report.images, report.unreadable) == (16, 1)
    assert any("1 of 17 images cannot be read" in line and "broken.png" in line for line in said)
    assert "1 image could not be read" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_fewer_images_than_a_batch_are_one_batch(tiny_model: Path, tmp_path: Path) -> None:
    said: list[str] = []
    asked = request(fill(tmp_path / "photos", range(3)), tmp_path / "run", tiny_model)
    report = pretrain(asked, hooks=TrainingHooks(say=said.append))
    assert (report.images, report.steps) == (3, 2)
    assert any("one batch" in line for line in said)
    assert report.metrics["labelled"] is None


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda p: p / "nowhere", NoSuchPath, "no dataset"),
        (lambda p: fill(p / "empty", range(0)) or p / "empty", NoSuchPath, "no dataset"),
        (lambda p: _made(p / "empty"), BadValue, "no image"),
        (lambda p: fill(p / "one", range(1)), BadValue, "only one image"),
        (lambda p: _made(p / "broken", "a.png", "b.png"), BadValue, "can be read"),
    ],
    ids=["nothing there", "nothing made", "empty", "one image", "all broken"],
)
def test_images_that_cannot_teach_are_refused_in_one_line(
    make: Callable[[Path], Path], error: type[Exception], words: str, tiny_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words) as caught:
        pretrain(request(make(tmp_path), tmp_path / "run", tiny_model))
    assert "\n" not in caught.value.message  # type: ignore[attr-defined]
    assert caught.value.hint  # type: ignore[attr-defined]
    assert not (tmp_path / "run").exists()


def _made(folder: Path, *broken: str) -> Path:
    folder.mkdir()
    for name in broken:
        (folder / name).write_bytes(b"\x89PNG\r\n\x1a\n broken")
    return folder


def test_a_value_that_the_method_refuses_is_one_line(photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="cannot be") as caught:
        pretrain(request(photos, tmp_path / "run", tiny_model, quick("byol", **{"byol.momentum": "2"})))
    assert "retrieval recipes" in caught.value.hint


def test_views_that_the_encoder_cannot_take_are_said_first(photos: Path, tmp_path: Path) -> None:
    from retrieval.workflows.models import create_model

    create_model(tmp_path / "vit", backbone="test_vit", untrained=True, input_size=64)
    seen: list[str] = []
    recipe = quick(looks="swav-multi-crop")
    with pytest.raises(BadValue, match="views of 27 pixels") as caught:
        pretrain(
            request(photos, tmp_path / "run", tmp_path / "vit", recipe),
            hooks=TrainingHooks(working=lambda what, *_: seen.append(what)),
        )
    assert "crops=0" in caught.value.hint
    assert seen == []


@pytest.mark.parametrize("fails_at", [1, 4, 7])
def test_a_disk_that_fills_up_at_any_time_loses_nothing(
    fails_at: int, photos: Path, tiny_model: Path, tmp_path: Path, trained: tuple[Path, PretrainReport]
) -> None:
    """Every file is synced when it is written: the n-th of those calls finds the disk full."""
    asked = request(photos, tmp_path / "run", tiny_model)
    with pytest.raises(DiskFull, match="No space is left") as full:
        _on_full_disk(lambda: pretrain(asked), fails_at)
    assert "--resume" in full.value.hint
    assert not list(tmp_path.rglob("*.tmp"))
    pretrain(replace(asked, resume=True))
    assert same_weights(trained[0], tmp_path / "run")


def _on_full_disk(do: Callable[[], object], fails_at: int) -> None:
    """From the n-th file on that ``do`` syncs there is no space."""
    calls, really = 0, os.fsync

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


def test_a_gallery_gives_all_its_images_and_its_encoder(six: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, _ = six
    asked = replace(request("gallery", tmp_path / "run", None), gallery=gallery)
    report = pretrain(asked)
    assert (report.images, report.labelled, report.start) == (6, 6, "tiny")
    assert report.metrics["labelled"]["after"]["classes"] == 2


def test_a_gallery_leaves_out_what_cannot_be_reached(gallery: Path, folder: Path, tmp_path: Path) -> None:
    index_paths(gallery, [folder], workers=1)
    (folder / "red" / "0000.png").unlink()
    said: list[str] = []
    asked = replace(request("gallery", tmp_path / "run", None), gallery=gallery)
    assert pretrain(asked, hooks=TrainingHooks(say=said.append)).images == 5
    assert any("1 image cannot be reached" in line for line in said)


def test_averaged_weights_are_kept_where_they_are_asked_for(
    trained: tuple[Path, PretrainReport], photos: Path, tiny_model: Path, tmp_path: Path
) -> None:
    report = pretrain(request(photos, tmp_path / "run", tiny_model, quick(average="0.9")))
    stored = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    kept = load_encoder(tmp_path / "run" / "encoder")[0].state_dict()
    assert all(torch.equal(kept[name], value) for name, value in stored["average"]["values"].items())
    assert report.fingerprint != trained[1].fingerprint


def test_a_collapse_is_an_alarm_in_the_report(tiny_model: Path, photos: Path, tmp_path: Path) -> None:
    said: list[str] = []
    collapsing = {"name": "complete collapse", "step": 2, "kind": "alarm", "epoch": 1}

    def with_alarm(*arguments: object, **options: object) -> object:
        from retrieval.training.loop import fit

        fitted = fit(*arguments, **options)  # type: ignore[arg-type]
        return replace(fitted, history=[*fitted.history, collapsing])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("retrieval.workflows.fit_part.fit", with_alarm)
        report = pretrain(request(photos, tmp_path / "run", tiny_model), hooks=TrainingHooks(say=said.append))
    assert report.metrics["alarms"] == [{"name": "complete collapse", "step": 2}]
    assert "Alarm in step 2: complete collapse. All embeddings have become one point" in (
        tmp_path / "run" / "report.html"
    ).read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("method", [name for name in METHODS if name in PRETRAIN_RECIPES])
def test_every_method_trains(method: str, photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    report = pretrain(request(photos, tmp_path / "run", tiny_model, quick(method, epochs="1")))
    assert report.steps == 2
    assert verify_folder(tmp_path / "run" / "encoder").fingerprint == report.fingerprint
    assert load_file(tmp_path / "run" / "method.safetensors").keys() is not None


def test_the_nearest_rows_are_those_of_a_plain_search() -> None:
    random = np.random.default_rng(0)
    queries, base = (random.standard_normal((n, 8)).astype(np.float32) for n in (50, 20))
    base /= np.linalg.norm(base, axis=1, keepdims=True)
    found = nearest_rows(queries, base)
    assert found.tolist() == (queries @ base.T).argmax(axis=1).tolist()
    assert found.dtype == np.int64
