"""Measuring an encoder: whether it says that the images it is measured on have trained it."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from retrieval.core.settings import load_settings
from retrieval.models.folder import load_encoder
from retrieval.workflows.evaluating import EvaluateRequest, evaluate, split_store
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.hooks import Hooks
from retrieval.workflows.labelled_sets import open_dataset

from .support import fill


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Six classes of three pictures."""
    for number in range(6):
        fill(tmp_path / "set" / f"class{number}", range(10 * number, 10 * number + 3))
    return tmp_path / "set"


@pytest.fixture
def run_on(tmp_path: Path, other_model: Path) -> Callable[..., Path]:
    """A training run's folder, as ``train`` leaves it, that has learned from the images in these folders."""

    def make(*folders: Path) -> Path:
        run = tmp_path / "run"
        shutil.copytree(other_model, run / "encoder")
        fingerprint = load_encoder(other_model)[1].fingerprint
        (run / "metrics.json").write_text(json.dumps({"result": {"fingerprint": fingerprint}}))
        paths = [str(path) for folder in folders for path in sorted(folder.iterdir())]
        (run / "split.json").write_text(json.dumps({"kind": "grouped", "train": paths, "val": [], "test": []}))
        return run

    return make


def draw_split(dataset: Path) -> None:
    """As an ``evaluate --split test`` does, and a ``train`` that is stopped."""
    split_store(load_settings(), str(dataset), None).split(open_dataset(str(dataset)))


def said_of_training(dataset: Path, model: Path, **changes: object) -> list[str]:
    said: list[str] = []
    evaluate(EvaluateRequest(str(dataset), str(model), workers=1, **changes), hooks=Hooks(said.append))  # type: ignore[arg-type]
    return [line for line in said if "trained" in line]


def test_a_split_that_was_only_drawn_has_trained_nobody(dataset: Path, other_model: Path) -> None:
    draw_split(dataset)
    assert said_of_training(dataset, other_model) == []


def test_an_encoder_that_learned_from_the_images_is_named_with_its_run(
    dataset: Path, run_on: Callable[..., Path], tiny_model: Path
) -> None:
    run = run_on(dataset / "class0", dataset / "class1")
    (line,) = said_of_training(dataset, run / "encoder", against=str(tiny_model))
    assert line.startswith(f"6 of 18 images have trained other, in the run {run};")
    assert "--split test" not in line
    draw_split(dataset)
    (line,) = said_of_training(dataset, tiny_model, against=str(run / "encoder"))
    assert "trained other" in line
    assert "--split test" in line
    # Who asks for the images that are held out is not told that others are not.
    assert said_of_training(dataset, run / "encoder", part="test") == []


def test_images_that_the_run_has_not_seen_are_fair(dataset: Path, run_on: Callable[..., Path], tmp_path: Path) -> None:
    draw_split(dataset)
    run = run_on(fill(tmp_path / "elsewhere", range(3)))
    assert said_of_training(dataset, run / "encoder") == []
    (run / "split.json").write_text("{}")
    assert said_of_training(dataset, run / "encoder") == []


def test_the_gallery_knows_the_run_of_an_encoder_that_lies_elsewhere(
    dataset: Path, gallery: Path, run_on: Callable[..., Path], other_model: Path
) -> None:
    run = run_on(dataset / "class5")
    fingerprint = load_encoder(other_model)[1].fingerprint
    assert said_of_training(dataset, other_model, gallery=gallery) == []
    with Gallery(gallery) as opened, opened.writing():
        opened.catalog.runs.record(os.fsencode(run), fingerprint, data="d", recipe={}, metrics={})
        opened.catalog.seal()
    (line,) = said_of_training(dataset, other_model, gallery=gallery)
    assert line.startswith(f"3 of 18 images have trained other, in the run {run};")
    assert said_of_training(dataset, other_model, gallery=gallery.with_name("none")) == []
