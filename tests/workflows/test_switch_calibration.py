"""The calibration that a switch brings, and what a search says by it."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval.core.types import Filters
from retrieval.evaluation.calibrate import calibrate, confirm
from retrieval.evaluation.calibration import Calibration
from retrieval.evaluation.retrieval import retrieve
from retrieval.evaluation.vectors import LabelledVectors
from retrieval.workflows.calibrating import calibrate_space
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.queries import Example, Query
from retrieval.workflows.searching import Searcher
from retrieval.workflows.spaces import rollback, spaces
from retrieval.workflows.switching import SwitchHooks

from .support import PLATT, an_image, index, picture, switch_to

KINDS, EACH = 16, 8
VALIDATES = range(4, 8)


@pytest.fixture
def alike(tmp_path: Path, _blank_once: Path) -> tuple[Path, Path]:
    """Sixteen kinds of picture that are hard to tell apart, eight each, in folders of their own."""
    common = np.asarray(picture(0)).astype(np.float64)
    for kind in range(KINDS):
        for n in range(EACH):
            random = np.random.default_rng([kind, n])
            image = 0.6 * common + 0.4 * np.asarray(picture(kind + 1)) + random.normal(0, 45, common.shape)
            place = tmp_path / "photos" / f"kind {kind:02d}" / f"{n}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(place)
    shutil.copytree(_blank_once, tmp_path / "gallery")
    index(tmp_path / "gallery", tmp_path / "photos")
    return tmp_path / "gallery", tmp_path / "photos"


def test_scores_are_calibrated_by_what_validates_among_all_that_the_gallery_holds(
    alike: tuple[Path, Path], run_folder: Callable[..., Path]
) -> None:
    gallery, photos = alike
    run, files = run_folder(), sorted(photos.rglob("*.png"))
    parts: dict[str, list[Path]] = {"train": [], "val": [], "test": []}
    for file in files:
        kind = int(file.parent.name.split()[1])
        parts["train" if kind < 4 else "val" if kind in VALIDATES else "test"].append(file)
    # A run on copies: the contents are known here, the paths are not.
    document = {part: [f"/elsewhere/{file.name}" for file in some] for part, some in parts.items()}
    digests = {part: [hashlib.sha256(file.read_bytes()).hexdigest() for file in some] for part, some in parts.items()}
    (run / "split.json").write_text(json.dumps({**document, "digests": digests}))
    said: list[str] = []
    switch_to(gallery, run, hooks=SwitchHooks(say=said.append))
    assert not [line for line in said if "calibrat" in line]
    with Gallery(gallery) as opened:
        space = opened.live_space()
        found = opened.catalog.calibrations.current(space.id)
        assert found is not None
        stored = Calibration.from_dict(found[1])
        label_of = opened.catalog.labels.chosen()
        ids = np.array(sorted(label_of), np.int64)
        vectors = opened.store(space).read(ids)
    numbers = np.array([int(label_of[i].split()[1]) for i in ids.tolist()], np.int64)
    assert len(ids) == KINDS * EACH

    # The pairs are those of the validation images' first ten matches among all images.
    validates = np.isin(numbers, VALIDATES)
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    first = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    same = numbers[first] == numbers[:, None]
    assert (stored.pairs, stored.positives) == (10 * validates.sum(), same[validates].sum())

    # The run's own map comes from validation images that search each other. Neither map has seen the test images.
    own = calibrate(retrieve(vectors[validates], numbers[validates])).calibration
    proves = numbers >= 8
    queries = LabelledVectors(vectors[proves], numbers[proves], ids[proves])
    result = retrieve(vectors, numbers, ids, queries, margins=True)
    by_own, by_stored = (confirm(one, result) for one in (own, stored))
    assert by_stored.reliability.ece.mean < by_own.reliability.ece.mean - 0.05
    assert by_stored.reliability.brier < by_own.reliability.brier
    # Queries whose label is held out of the whole gallery are told so more often.
    assert by_stored.threshold is not None
    assert by_own.threshold is not None
    assert by_stored.threshold.true_alarms.mean > by_own.threshold.true_alarms.mean
    # By margin too something is said, and seldom wrongly; the run's own was not measured among these images.
    assert (own.margin, stored.margin_among) == (None, KINDS * EACH)
    assert by_stored.margin is not None
    assert by_stored.margin.true_alarms.mean > by_own.threshold.true_alarms.mean
    assert by_stored.margin.true_alarms.mean > by_stored.margin.false_alarms.mean + 0.05


@pytest.mark.parametrize("known", [0, 19])
def test_without_enough_validation_images_the_runs_own_calibration_has_to_do(
    alike: tuple[Path, Path], run_folder: Callable[..., Path], known: int
) -> None:
    gallery, photos = alike
    run = run_folder()
    validates = [str(file) for file in sorted(photos.rglob("*.png"))[::6][:known]]
    (run / "split.json").write_text(json.dumps({"train": [], "val": validates, "test": []}))
    said: list[str] = []
    switch_to(gallery, run, hooks=SwitchHooks(say=said.append))
    (line,) = [line for line in said if "calibrat" in line]
    assert f"{known} are in the gallery" in line
    assert "spaces --calibrate" in line
    with Gallery(gallery) as opened:
        assert opened.catalog.calibrations.current(opened.live_space().id) == (1, PLATT)


def test_a_run_brings_its_calibration_and_is_remembered(
    six: tuple[Path, Path], run_folder: Callable[..., Path]
) -> None:
    gallery, photos = six
    report = switch_to(gallery, run_folder())
    assert report.refusals == ()
    (_, new) = spaces(gallery)
    assert (new.calibrated, new.run, new.live) == (True, report.run, True)
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        found = searcher.by_image((photos / "red" / "0000.png").read_bytes(), 3)
        assert found.nothing_like_this is False
        for neighbour in found.neighbours:
            expected = 1 / (1 + np.exp(-(12 * neighbour.score - 6)))
            assert neighbour.probability == pytest.approx(expected, abs=1e-6)
    # An old space has none, and says so by silence.
    rollback(gallery)
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        found = searcher.by_id(an_image(gallery), 3)
        assert (found.nothing_like_this, {n.probability for n in found.neighbours}) == (None, {None})


def test_nothing_like_this_is_said_where_the_best_score_is_below_the_threshold(six: tuple[Path, Path]) -> None:
    gallery, _ = six
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        image = an_image(gallery)
        best = searcher.by_id(image, 1).neighbours[0].score
        space = opened.live_space().id
        for threshold, expected in ((best + 1e-4, True), (best, False), (None, None)):
            opened.catalog.calibrations.add(space, {**PLATT, "threshold": threshold})
            assert searcher.by_id(image, 1).nothing_like_this is expected


BY_MARGIN = {**PLATT, "threshold": 1.01, "margin_among": KINDS * EACH}
"""By cosine every query would be told."""


def margin_by_loop(vectors: dict[int, np.ndarray], query: np.ndarray, left_out: int | None = None) -> float:
    """The best margin of a query's first five matches, each less the mean cosine of its own first ten."""
    there = {i: v for i, v in vectors.items() if i != left_out}
    first = sorted(there, key=lambda i: (-float(there[i] @ query), i))[:5]
    margins = []
    for match in first:
        others = sorted((float(there[i] @ there[match]) for i in there if i != match), reverse=True)[:10]
        margins.append(float(there[match] @ query) - sum(others) / len(others))
    return max(margins)


def test_nothing_like_this_is_said_where_no_margin_reaches_the_threshold(alike: tuple[Path, Path]) -> None:
    gallery, _ = alike
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        space = opened.live_space()
        ids = opened.catalog.spaces.findable(space.id)[0]
        rows = opened.store(space).read(ids).astype(np.float64)
        vectors = dict(zip(ids.tolist(), rows / np.linalg.norm(rows, axis=1, keepdims=True), strict=True))
        image = int(ids[40])
        data = Path(searcher.record(image).paths[0]).read_bytes()
        # Asked for by its number, it is no result and nobody's neighbour.
        for ask, margin in (
            (lambda: searcher.by_id(image, 1), margin_by_loop(vectors, vectors[image], image)),
            (lambda: searcher.find(Query((Example(image),)), 1), margin_by_loop(vectors, vectors[image], image)),
        ):
            for threshold, expected in ((margin + 2e-3, True), (margin - 2e-3, False)):
                opened.catalog.calibrations.add(space.id, {**BY_MARGIN, "margin": threshold})
                found = ask()
                assert found.nothing_like_this is expected
                assert len(found.neighbours) == 1
        # An upload finds the image itself.
        opened.catalog.calibrations.add(space.id, {**BY_MARGIN, "margin": 2.0})
        assert searcher.by_image(data, 1).nothing_like_this is False
        opened.catalog.calibrations.add(space.id, {**BY_MARGIN, "margin": -2.0})
        nowhere = searcher.by_id(image, 3, Filters(labels=("no such label",)))
        assert (nowhere.neighbours, nowhere.nothing_like_this) == ((), True)


def test_the_threshold_of_a_gallery_is_about_margins(alike: tuple[Path, Path]) -> None:
    """Fitted and asked in the same way: at most one of twenty that have a match is told that there is none."""
    gallery, _ = alike
    measured = calibrate_space(gallery)
    assert measured["margin_among"] == KINDS * EACH
    assert measured["margin"] == measured["margin_alarms"]["value"]
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        ids = opened.catalog.spaces.findable(opened.live_space().id)[0].tolist()
        told = [searcher.by_id(image, 3).nothing_like_this for image in ids]
    assert np.mean(told) == pytest.approx(measured["margin_alarms"]["false_alarms"]["mean"])
    assert np.mean(told) <= 0.05


@pytest.mark.parametrize("k", [0, -2])
def test_fewer_results_than_one_are_refused_however_many_matches_are_looked_at(six: tuple[Path, Path], k: int) -> None:
    gallery, photos = six
    file = photos / "red" / "0000.png"
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        opened.catalog.calibrations.add(opened.live_space().id, {**BY_MARGIN, "margin": 0.0})
        for ask in (
            lambda: searcher.by_id(an_image(gallery), k),
            lambda: searcher.by_image(file.read_bytes(), k),
            lambda: searcher.by_files([os.fsencode(file)], k),
        ):
            with pytest.raises(ValueError, match=f"k is {k}, but must be at least 1"):
                ask()


def test_a_calibration_that_cannot_be_read_is_said_once_and_is_none(six: tuple[Path, Path]) -> None:
    said: list[str] = []
    with Gallery(six[0]) as opened, Searcher(opened, said.append) as searcher:
        opened.catalog.calibrations.add(opened.live_space().id, {"kind": "magic"})
        for _ in range(2):
            found = searcher.by_id(an_image(six[0]), 2)
            assert (found.nothing_like_this, {n.probability for n in found.neighbours}) == (None, {None})
    assert len([line for line in said if "without probabilities" in line]) == 1
