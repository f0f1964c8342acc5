"""Measuring an encoder: whether it says that the images it is measured on have trained it."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
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
    assert said_of_training(dataset, run) == [line]
    draw_split(dataset)
    (line,) = said_of_training(dataset, tiny_model, against=str(run / "encoder"))
    assert "trained other" in line
    assert "--split test" in line


def test_who_asks_for_what_is_held_out_is_not_told_that_others_have_trained(
    dataset: Path, run_on: Callable[..., Path]
) -> None:
    split = split_store(load_settings(), str(dataset), None).split(open_dataset(str(dataset)))
    run = run_on()
    images = open_dataset(str(dataset)).images
    trained = [os.fsdecode(images[i].path) for i in split.train.tolist()]
    (run / "split.json").write_text(json.dumps({"kind": "grouped", "train": trained, "val": [], "test": []}))
    assert said_of_training(dataset, run / "encoder", part="test") == []
    assert len(said_of_training(dataset, run / "encoder")) == 1


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


def test_a_part_that_was_drawn_otherwise_is_not_taken_for_held_out(dataset: Path, run_on: Callable[..., Path]) -> None:
    draw_split(dataset)
    split = split_store(load_settings(), str(dataset), None).split(open_dataset(str(dataset)))
    held = {os.fsdecode(open_dataset(str(dataset)).images[i].path) for i in split.test.tolist()}
    run = run_on(*sorted(dataset.iterdir()))
    (line,) = said_of_training(dataset, run / "encoder", part="test")
    assert line.startswith(f"{len(held)} of {len(held)} images have trained other")
    assert "--split test" not in line


def test_queries_that_stand_in_the_database_are_no_match_for_themselves(
    dataset: Path, other_model: Path, tmp_path: Path
) -> None:
    """The same folder twice, and copies of some of it: as many queries as there are, each without itself."""
    whole = evaluate(EvaluateRequest(str(dataset), str(other_model), workers=1))
    said: list[str] = []

    def apart(queries: Path) -> object:
        request = EvaluateRequest(None, str(other_model), queries=str(queries), database=str(dataset), workers=1)
        return evaluate(request, hooks=Hooks(said.append))

    twice = apart(dataset)
    assert twice.way == "18 queries among 18 images"  # type: ignore[attr-defined]
    assert twice.result.intervals == whole.result.intervals  # type: ignore[attr-defined]
    copies = tmp_path / "copies"
    shutil.copytree(dataset / "class0", copies / "class0")
    shutil.copytree(dataset / "class1", copies / "class1")
    some = apart(copies)
    assert some.way == "6 queries among 18 images"  # type: ignore[attr-defined]
    np.testing.assert_array_equal(some.result.values["recall_at_1"], whole.result.values["recall_at_1"][:6])  # type: ignore[attr-defined]
    assert [line for line in said if "no match for itself" in line] == [
        f"{n} queries stand in the database too: no match for itself." for n in (18, 6)
    ]
