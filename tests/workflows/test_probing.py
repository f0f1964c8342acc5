"""Probing from end to end: which images learn, which are measured, and what is refused."""

import csv
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval.core.errors import BadValue, Interrupted
from retrieval.core.settings import load_settings
from retrieval.evaluation.knn import knn_accuracy
from retrieval.evaluation.linear_probe import linear_probe
from retrieval.evaluation.vectors import LabelledVectors
from retrieval.workflows.embedding_sets import EmbeddedSet
from retrieval.workflows.evaluating import EvaluateRequest, evaluate, split_store
from retrieval.workflows.hooks import Hooks
from retrieval.workflows.probing import ProbeRequest, probe

from .support import index, keep_embeddings


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[str, EmbeddedSet]:
    """Embeddings by dataset, made once."""
    return keep_embeddings(monkeypatch)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few steps with one penalty: the probe's own tests see that it reaches its optimum."""
    short = partial(linear_probe, penalties=[0.1], iterations=5)
    for module in ("workflows.probing", "evaluation.few_labels"):
        monkeypatch.setattr(f"retrieval.{module}.linear_probe", short)


def make(folder: Path, classes: int, each: int, start: int = 0, spread: float = 40.0) -> Path:
    """Classes that are colours, with chance around them."""
    for number in range(classes):
        colour = np.random.default_rng([1, number]).integers(0, 256, 3)
        for n in range(start, start + each):
            random = np.random.default_rng([2, number, n])
            pixels = np.clip(colour + random.normal(0, spread, (40, 40, 3)), 0, 255).astype(np.uint8)
            path = folder / f"class{number:02d}" / f"{n}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return folder


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes: train/ with eight images each, val/ with two, test/ with four."""
    folder = tmp_path_factory.mktemp("parts")
    make(folder / "train", 4, 8)
    make(folder / "val", 4, 2, start=20)
    make(folder / "test", 4, 4, start=30)
    return folder


def request(dataset: Path | str, model: Path, **changes: object) -> ProbeRequest:
    return ProbeRequest(str(dataset), str(model), workers=1, **changes)  # type: ignore[arg-type]


def test_a_named_test_part_is_measured_and_a_named_validation_part_left_alone(
    parts: Path, tiny_model: Path, kept: dict[str, EmbeddedSet]
) -> None:
    report = probe(request(parts, tiny_model))
    assert (report.kind, report.train, report.test, report.classes) == ("given", 32, 16, 4)
    data = kept[str(parts)]
    images, numbers = data.labelled.images, data.labelled.numbers
    rows = {part: [i for i, image in enumerate(images) if image.part == part] for part in ("train", "test")}
    train, test = (LabelledVectors(data.vectors[rows[p]], numbers[rows[p]]) for p in ("train", "test"))
    for k in (1, 5, 20):
        assert report.knn[k].accuracy == knn_accuracy(train, test, k=k).accuracy
    # A tenth of 32 labels is less than one of each of the four; 1 % would be the same draw again.
    assert [(one.share, one.labels) for one in report.few] == [(0.1, 4)]


def test_without_a_named_validation_part_nothing_is_set_aside_for_one(
    parts: Path, tiny_model: Path, tmp_path: Path
) -> None:
    for part in ("train", "test"):
        (tmp_path / part).symlink_to(parts / part)
    report = probe(request(tmp_path, tiny_model))
    assert (report.kind, report.train, report.test) == ("given", 32, 16)


def test_class_folders_are_split_once_and_training_is_not_bound_by_it(tmp_path: Path, tiny_model: Path) -> None:
    folder = make(tmp_path / "data", 9, 8)
    first, again = (probe(request(folder, tiny_model, seed=seed)) for seed in (0, 3))
    assert (first.kind, first.train + first.test) == ("grouped", 72)
    assert first.test == 9
    # Another seed gives other draws, and the same split: kNN answers, which know no seed, stay.
    assert [c.predictions.tolist() for c in first.knn.values()] == [c.predictions.tolist() for c in again.knn.values()]
    assert [d.seed for d in again.few[0].draws] == [3, 4, 5, 6, 7]
    settings = load_settings()
    assert not split_store(settings, str(folder), None).exists
    assert evaluate(EvaluateRequest(str(folder), str(tiny_model), part="test", workers=1)).way.endswith(
        "(class-disjoint split)"
    )


def test_a_split_that_training_has_drawn_is_taken(tmp_path: Path, tiny_model: Path) -> None:
    folder = make(tmp_path / "data", 4, 8)
    # Fewer than eight classes: training draws a grouped split.
    evaluate(EvaluateRequest(str(folder), str(tiny_model), part="test", workers=1))
    settings = load_settings()
    assert split_store(settings, str(folder), None).kinds == ["grouped"]
    probe(request(folder, tiny_model))
    assert not split_store(settings, str(folder), None, "probe").exists


def test_a_class_disjoint_split_of_training_is_warned_of(tmp_path: Path, tiny_model: Path) -> None:
    folder = make(tmp_path / "data", 9, 7)
    evaluate(EvaluateRequest(str(folder), str(tiny_model), part="test", workers=1))
    said: list[str] = []
    probe(request(folder, tiny_model), hooks=Hooks(said.append))
    assert any("have seen some of the test images" in line for line in said)


def test_a_table_with_splits(parts: Path, tiny_model: Path, tmp_path: Path) -> None:
    with (tmp_path / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for part in ("train", "test"):
            for path in sorted((parts / part).rglob("*.png")):
                writer.writerow([path, path.parent.name, part])
    report = probe(request(tmp_path / "table.csv", tiny_model))
    assert (report.kind, report.train, report.test) == ("given", 32, 16)


def test_the_labels_of_a_gallery(gallery: Path, tmp_path: Path, tiny_model: Path) -> None:
    index(gallery, make(tmp_path / "data", 3, 8))
    report = probe(request("gallery", tiny_model, gallery=gallery))
    assert (report.kind, report.train + report.test, report.classes) == ("grouped", 24, 3)
    again = probe(request("gallery", tiny_model, gallery=gallery))
    assert again.to_dict() == report.to_dict()


def test_shares_that_are_less_than_one_a_label_are_said(tmp_path: Path, tiny_model: Path) -> None:
    said: list[str] = []
    report = probe(request(make(tmp_path / "data", 3, 8), tiny_model), hooks=Hooks(said.append))
    assert [(one.share, one.per_class) for one in report.few] == [(0.1, 1)]
    assert any("1% of the" in line and "not measured" in line for line in said)


def test_too_few_labels_are_refused_with_the_way_out(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(BadValue, match="Label more images"):
        probe(request(make(tmp_path / "two", 3, 2), tiny_model))
    make(tmp_path / "apart" / "train", 2, 3)
    for n in range(3):
        path = tmp_path / "apart" / "test" / "elsewhere" / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (n * 80, 9, 9)).save(path)
    with pytest.raises(BadValue, match="None of the test images has a label that is learned"):
        probe(request(tmp_path / "apart", tiny_model))


def test_it_stops_when_asked(parts: Path, tiny_model: Path) -> None:
    told: list[str] = []
    hooks = Hooks(working=lambda what, *_: told.append(what), stop=lambda: "The linear probe" in told)
    with pytest.raises(Interrupted):
        probe(request(parts, tiny_model), hooks=hooks)
