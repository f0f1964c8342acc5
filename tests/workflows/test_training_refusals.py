"""What training cannot use is refused in time, and what goes wrong loses nothing."""

import errno
import json
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from retrieval.core.errors import BadValue, DiskFull, NoSuchPath
from retrieval.methods.metric_learning import Term
from retrieval.models.folder import verify_folder
from retrieval.workflows.recipes import load_recipe
from retrieval.workflows.training import Request, TrainingHooks, TrainReport, train

from ..conftest import draw
from .training_support import ONE_RATE, request


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


def test_a_split_that_does_not_exist_is_refused_before_anything_is_made(
    dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadValue, match="no split"):
        train(replace(request(dataset, tmp_path / "run", tiny_model), split="nope"))
    assert list(tmp_path.iterdir()) == []


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
    (line,) = [line for line in said if "1 of 72 images cannot be read and is left out" in line]
    assert str(copy / "class00" / "0.png") in line
