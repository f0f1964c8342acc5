"""From labels to a lesson that can be shown: what there is to learn from, what it costs, what it has brought."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from retrieval.core.errors import BadValue, EmptyGallery, NoSuchPath
from retrieval.workflows.evaluating import split_store
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.labels import set_label
from retrieval.workflows.lesson_cost import lesson_cost
from retrieval.workflows.lessons import read_lesson
from retrieval.workflows.readiness import readiness
from retrieval.workflows.recipes import load_recipe
from retrieval.workflows.training import Request, train

from .support import index, save


@pytest.fixture(scope="session")
def _taught_once(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[Path, Path]:
    base = tmp_path_factory.mktemp("taught")
    for number in range(8):
        for n in range(8):
            save(base / "photos" / f"class {number}" / f"{n}.png", 100 * number + n)
    index(base / "gallery", base / "photos", model=str(tiny_model))
    recipe = load_recipe("quick-head", {"epochs": 2, "dimension": 16, "trials": [1.0]})
    train(Request("gallery", recipe, base / "run", gallery=base / "gallery", split="auto", workers=1))
    return base / "gallery", base / "run"


@pytest.fixture
def taught(_taught_once: tuple[Path, Path]) -> tuple[Path, Path]:
    """(gallery, run): eight labels of eight pictures, and a training on them; neither may be changed."""
    return _taught_once


def test_a_gallery_with_labels_is_ready_and_the_parts_are_those_that_a_training_takes(
    taught: tuple[Path, Path],
) -> None:
    folder, run = taught
    found = readiness(folder)
    split = json.loads((run / "split.json").read_text())
    assert (found.images, found.labelled, found.classes, found.alone, found.lack) == (64, 64, 8, 0, None)
    assert (found.train, found.choose, found.prove) == tuple(len(split[part]) for part in ("train", "val", "test"))
    labels = {part: {Path(name).parent.name for name in split[part]} for part in ("train", "test")}
    assert found.prove_classes == len(labels["test"])
    assert found.new_classes == len(labels["test"] - labels["train"])


def test_looking_draws_no_split(six: tuple[Path, Path]) -> None:
    from retrieval.core.settings import load_settings

    readiness(six[0])
    assert not split_store(load_settings(), "gallery", six[0]).exists


def test_what_is_missing(gallery: Path, tmp_path: Path) -> None:
    assert readiness(gallery).lack == "labels"
    for n, name in enumerate("abcd"):
        save(tmp_path / "flat" / f"{name}.png", n)
    index(gallery, tmp_path / "flat")
    ids = ["a", "b", "c"]
    paths = [str(tmp_path / "flat" / f"{name}.png") for name in ids]
    set_label(gallery, paths[:1], "one")
    assert readiness(gallery).lack == "labels"
    set_label(gallery, paths[1:2], "two")
    found = readiness(gallery)
    assert (found.lack, found.classes, found.alone) == ("pairs", 2, 2)
    set_label(gallery, paths[2:3], "two")
    assert readiness(gallery).lack == "more"
    with pytest.raises(BadValue, match="too little"):
        lesson_cost(gallery, load_recipe("quick-head"))
    with pytest.raises(EmptyGallery):
        readiness(tmp_path / "none")


def test_costs_are_a_range_and_grow_with_the_work(taught: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    ready = readiness(taught[0])
    quick, deep = (lesson_cost(taught[0], load_recipe(name), ready=ready) for name in ("quick-head", "triplet-center"))
    for cost in (quick, deep):
        assert 0 < cost.seconds_low < cost.seconds_high
        assert cost.images == ready.train
        assert cost.bytes > 100_000_000
    assert (quick.scope, deep.scope) == ("head", "full")
    assert deep.bytes > quick.bytes
    # With a step of a second, four trials of forty epochs of 117 batches are at least that many seconds.
    monkeypatch.setattr("retrieval.workflows.lesson_cost._timed", lambda work, _: (work() and None) or 1.0)
    many = replace(ready, train=15_000, classes=1_000)
    found = lesson_cost(taught[0], load_recipe("quick-head"), ready=many)
    assert found.seconds_high > 4 * 40 * 117
    assert found.seconds_low > 4 * 18 * 117


def test_a_lesson_says_what_the_run_has_proven(taught: tuple[Path, Path]) -> None:
    folder, run = taught
    lesson = read_lesson(folder, run)
    metrics = json.loads((run / "metrics.json").read_text())
    assert lesson.recall.after.mean == metrics["after"]["metrics"]["recall_at_1"]["mean"]
    assert lesson.map_at_r.difference.low == metrics["comparison"]["map_at_r"]["low"]
    assert (lesson.recipe, lesson.queries) == ("quick-head", metrics["after"]["queries"])
    assert (lesson.live, lesson.known, lesson.outdated, lesson.report) == (False, False, False, True)
    assert bool(lesson.refusals) == (lesson.verdict != "better" or lesson.leaks > 0)
    gains = [one.difference for one in lesson.classes]
    assert gains == sorted(gains, reverse=True)


@pytest.mark.parametrize(
    ("stored", "first", "ranking", "verdict"),
    [
        ("open", (-0.005, 0.1), (0.02, 0.2), "better"),
        ("better", (0.01, 0.1), (-0.02, 0.2), "open"),
        ("open", (0.01, 0.1), (-0.2, -0.02), "worse"),
    ],
)
def test_a_run_of_an_older_rule_is_judged_by_that_of_today(
    taught: tuple[Path, Path],
    tmp_path: Path,
    stored: str,
    first: tuple[float, float],
    ranking: tuple[float, float],
    verdict: str,
) -> None:
    folder, run = taught
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["verdict"], metrics["split"]["leaks"] = stored, 0
    for name, (low, high) in (("recall_at_1", first), ("map_at_r", ranking)):
        side = {"mean": 0.5, "low": 0.4, "high": 0.6}
        metrics["comparison"][name] |= {"mean": (low + high) / 2, "low": low, "high": high, "before": side}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "recipe.json").write_bytes((run / "recipe.json").read_bytes())
    lesson = read_lesson(folder, tmp_path)
    assert lesson.verdict == verdict
    # The two halves of the page: what was proven, and whether the gate lets it through.
    assert bool(lesson.refusals) == (lesson.verdict != "better")


def test_the_queries_of_a_lesson_are_images_of_the_gallery_and_right_means_the_same_label(
    taught: tuple[Path, Path],
) -> None:
    folder, run = taught
    lesson, split = read_lesson(folder, run), json.loads((run / "split.json").read_text())
    assert lesson.better or lesson.worse
    with Gallery(folder) as gallery:
        for row in (*lesson.better, *lesson.worse):
            for image in (row.query, *row.before, *row.after):
                assert image.id is not None
                (record,) = gallery.catalog.images.records([image.id]).values()
                assert record.labels == (image.label,)
                assert image.right == (image.label == row.query.label)
            assert row.query.id not in {image.id for image in row.before}
            (asked,) = gallery.catalog.images.records([row.query.id or 0]).values()
            assert asked.paths[0] in split["test"]
            assert len(row.before) == len(row.after) == 5


def test_an_older_run_has_no_rows_and_a_damaged_one_says_so(taught: tuple[Path, Path], tmp_path: Path) -> None:
    folder, run = taught
    kept = {name: (run / name).read_bytes() for name in ("metrics.json", "recipe.json")}
    old = tmp_path / "old"
    old.mkdir()
    for name, content in kept.items():
        (old / name).write_bytes(content)
    lesson = read_lesson(folder, old)
    assert (lesson.better, lesson.worse, lesson.report) == ((), (), False)
    (old / "metrics.json").write_text("{}")
    with pytest.raises(BadValue, match="cannot be read"):
        read_lesson(folder, old)
    with pytest.raises(NoSuchPath):
        read_lesson(folder, tmp_path / "none")
