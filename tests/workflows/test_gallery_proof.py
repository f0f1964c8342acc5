"""A model that brings no proof on labels: the gallery's own measure it, and refuse it where they do not show a gain."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.catalog import AUTOMATIC, Entry
from retrieval.workflows import labels
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.gallery_proof import MOST_IMAGES, _chosen, held_out
from retrieval.workflows.run_folder import WITHOUT_LABELS, RunFolder
from retrieval.workflows.spaces import spaces
from retrieval.workflows.switching import SwitchHooks

from .support import StopAfter, copy_gallery, fill, index, live_fingerprint, refusal, switch_to, table, vectors_by_name

PICTURES, LABELLED, OF_A_CLASS = 162, 150, 3


@pytest.fixture(scope="module")
def drawn(
    tmp_path_factory: pytest.TempPathFactory, _blank_once: Path, tiny_model: Path, other_model: Path
) -> tuple[Path, dict[str, dict[str, str]]]:
    """A gallery without labels, and for each of two encoders labels under which it is good."""
    base = tmp_path_factory.mktemp("sixty")
    photos = fill(base / "photos", range(PICTURES))
    copy_gallery(_blank_once, base / "gallery")
    index(base / "gallery", photos)
    index(base / "other", photos, model=str(other_model))
    found = {}
    for name, gallery, model in (("live", "gallery", tiny_model), ("new", "other", other_model)):
        found[name] = by_neighbours(vectors_by_name(base / gallery, model))
    return base, found


def by_neighbours(vectors: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Classes of an image and those nearest to it of those that are left, by file name."""
    left, label_of = set(sorted(vectors)[:LABELLED]), dict[str, str]()
    while left:
        first = vectors[min(left)]
        nearest = sorted(left, key=lambda name: -float(vectors[name] @ first))[:OF_A_CLASS]
        label_of |= dict.fromkeys(nearest, f"like {nearest[0]}")
        left -= set(nearest)
    return label_of


Labelled = Callable[[str], Path]


@pytest.fixture
def labelled(drawn: tuple[Path, dict[str, dict[str, str]]], tmp_path: Path) -> Labelled:
    """Makes an own copy of the gallery, with the labels under which the live or the new encoder is good."""
    base, found = drawn

    def make(good: str) -> Path:
        gallery = copy_gallery(base / "gallery", tmp_path / "labelled")
        rows = [(str(base / "photos" / name), label) for name, label in found[good].items()]
        labels.import_csv(gallery, table(tmp_path / "labels.csv", *rows))
        return gallery

    return make


def measured(vectors: Mapping[str, np.ndarray], label_of: Mapping[str, str]) -> tuple[float, float]:
    """(recall@1, MAP@R), leave one out, image by image."""
    first, precision = [], []
    for name, label in label_of.items():
        others = sorted(label_of.keys() - {name}, key=lambda other: -float(vectors[other] @ vectors[name]))
        right = [label_of[other] == label for other in others[: OF_A_CLASS - 1]]
        first.append(right[0])
        precision.append(np.mean([np.mean(right[: rank + 1]) * right[rank] for rank in range(len(right))]))
    return float(np.mean(first)), float(np.mean(precision))


def test_a_model_that_the_labels_prove_to_be_better_is_switched_to(
    labelled: Labelled, drawn: tuple[Path, dict[str, dict[str, str]]], tiny_model: Path, other_model: Path
) -> None:
    gallery, said = labelled("new"), list[str]()
    report = switch_to(gallery, other_model, hooks=SwitchHooks(say=said.append))
    assert (report.switched, report.forced, report.refusals, report.embedded) == (True, False, (), PICTURES)
    assert report.proof is not None
    assert (report.proof["images"], report.proof["verdict"]) == (LABELLED, "better")
    base, found = drawn
    for side, where, model in (("before", "gallery", tiny_model), ("after", "other", other_model)):
        recall, precision = measured(vectors_by_name(base / where, model), found["new"])
        for metric, value in (("recall_at_1", recall), ("map_at_r", precision)):
            # How images share a batch changes the last digits of their embeddings.
            assert report.proof["comparison"][metric][side]["mean"] == pytest.approx(value, abs=0.03)
    assert any(f"{LABELLED} labelled images of the gallery measure first" in line for line in said)
    assert any("recall@1" in line and "MAP@R" in line for line in said)


def test_a_model_that_they_do_not_is_refused_before_the_others_are_embedded(
    labelled: Labelled, other_model: Path
) -> None:
    gallery = labelled("live")
    looked = switch_to(gallery, other_model, estimate_only=True)
    assert (looked.proof, looked.refusals) == (None, ())
    error = refusal(gallery, other_model)
    assert f"the labels of {LABELLED} images" in error.message
    assert "is below zero" in error.message
    assert (error.report.embedded, error.report.covered, error.report.total) == (LABELLED, LABELLED, PICTURES)
    assert error.report.proof is not None
    assert error.report.proof["verdict"] == "worse"
    again = refusal(gallery, error.report.fingerprint[:12])
    assert (again.report.embedded, again.message) == (0, error.message)
    looked = switch_to(gallery, other_model, estimate_only=True)
    assert (looked.proof, looked.refusals) == (error.report.proof, error.report.refusals)
    report = switch_to(gallery, other_model, force=True)
    assert (report.switched, report.forced, report.embedded) == (True, True, PICTURES - LABELLED)
    assert report.refusals == error.report.refusals == spaces(gallery)[1].forced


def test_perfect_labels_prove_nothing(gallery: Path, tmp_path: Path, other_model: Path) -> None:
    # Two pictures of each class that differ in nothing but their file.
    photos = tmp_path / "photos"
    for seed in range(4):
        for twin in ("a", "b"):
            (photos / f"kind {seed}").mkdir(parents=True, exist_ok=True)
            fill(photos / f"kind {seed}", range(seed, seed + 1))
            source = photos / f"kind {seed}" / f"{seed:04d}.png"
            (photos / f"kind {seed}" / f"{twin}.png").write_bytes(source.read_bytes() + twin.encode())
            source.unlink()
    index(gallery, photos)
    assert "prove nothing" in refusal(gallery, other_model).message


def test_automatic_labels_are_not_asked(
    drawn: tuple[Path, dict[str, dict[str, str]]], tmp_path: Path, other_model: Path
) -> None:
    # The live encoder has proposed them.
    gallery, said = copy_gallery(drawn[0] / "gallery", tmp_path / "gallery"), list[str]()
    with Gallery(gallery) as opened, opened.writing():
        ids, _ = opened.catalog.spaces.findable(opened.live_space().id)
        entries = [Entry(image_id, str(place % 5), AUTOMATIC, 0.9) for place, image_id in enumerate(ids.tolist())]
        opened.catalog.labels.change("automatic", entries)
        opened.catalog.seal()
    report = switch_to(gallery, other_model, hooks=SwitchHooks(say=said.append))
    assert (report.switched, report.proof) == (True, None)
    assert any("too few labels" in line and "rollback" in line for line in said)


def test_what_has_trained_the_live_encoder_is_not_asked(labelled: Labelled, tmp_path: Path) -> None:
    gallery = labelled("live")
    with Gallery(gallery) as opened:
        live = opened.live_space()
        everything = held_out(opened, live, None, lambda _: None)
        assert everything is not None
        records = opened.catalog.images.records(everything.ids.tolist())
        # Half of the classes, and one image of another class but one.
        names = sorted({records[i].labels[0] for i in everything.ids.tolist()})
        taught = [i for i in everything.ids.tolist() if records[i].labels[0] in names[:6]]
        alone = [i for i in everything.ids.tolist() if records[i].labels[0] == names[6]]
        run = RunFolder(tmp_path / "run")
        run.folder.mkdir()
        trained = [records[i] for i in [*taught, *alone[1:]]]
        digests = [record.digest for record in trained]
        run.write("metrics.json", {"start": {"fingerprint": "0" * 64}})
        paths = [record.paths[0] for record in trained]
        run.write("split.json", {"train": paths, "digests": {"train": digests}})
        with opened.writing():
            opened.catalog.runs.record(os.fsencode(run.folder), live.fingerprint, data="", recipe={}, metrics={})
            opened.catalog.seal()
        left = held_out(opened, live, None, lambda _: None)
        assert left is not None
        # Nor is the one that is left of its class: nothing is like it.
        assert set(left.ids.tolist()) == set(everything.ids.tolist()) - {*taught, *alone}


@pytest.mark.parametrize("good", ["new", "live"])
def test_a_run_without_labels_is_measured_by_them(
    labelled: Labelled, run_folder: Callable[..., Path], good: str
) -> None:
    gallery = labelled(good)
    start = {"name": "live", "fingerprint": live_fingerprint(gallery)}
    run = run_folder(kind=WITHOUT_LABELS, start=start)
    if good == "new":
        report = switch_to(gallery, run)
        assert (report.switched, report.forced) == (True, False)
    else:
        assert "is below zero" in refusal(gallery, run).message


@pytest.mark.parametrize("change", ["unknown start", "teacher", "no start", "no labels"])
def test_a_run_without_labels_whose_lessons_are_not_known_proves_nothing(
    labelled: Labelled, unlabelled: tuple[Path, Path], run_folder: Callable[..., Path], change: str
) -> None:
    gallery = unlabelled[0] if change == "no labels" else labelled("new")
    metrics = {"kind": WITHOUT_LABELS, "start": {"name": "live", "fingerprint": live_fingerprint(gallery)}}
    if change == "unknown start":
        metrics["start"] = {"name": "another", "fingerprint": "0" * 64}
    elif change == "teacher":
        metrics["teacher"] = {"name": "taught", "fingerprint": "0" * 64}
    elif change == "no start":
        del metrics["start"]
    error = refusal(gallery, run_folder(**metrics))
    assert "trained without labels" in error.message
    assert error.report.embedded == 0


def test_a_switch_that_is_stopped_while_it_measures_goes_on(
    labelled: Labelled, other_model: Path, small_batches: None
) -> None:
    gallery = labelled("new")
    stop = StopAfter(10)
    report = switch_to(gallery, other_model, hooks=SwitchHooks(progress=stop.progress, stop=stop.stop))
    assert (report.interrupted, report.switched, report.proof) == (True, False, None)
    assert 10 <= report.covered < LABELLED
    assert switch_to(gallery, other_model, estimate_only=True).proof is None
    went_on = switch_to(gallery, other_model)
    assert (went_on.switched, went_on.embedded) == (True, PICTURES - report.covered)
    assert went_on.proof is not None


def test_images_that_cannot_be_read_any_more_are_left_out_of_the_proof(
    gallery: Path, tmp_path: Path, other_model: Path
) -> None:
    photos = tmp_path / "photos"
    for number in range(4):
        fill(photos / f"kind {number}", range(4 * number, 4 * number + 4))
    index(gallery, photos)
    for number in range(4):
        (photos / "kind 0" / f"{number:04d}.png").write_bytes(b"no picture")
    (photos / "kind 1" / "0004.png").write_bytes(b"no picture")
    report = switch_to(gallery, other_model, force=True)
    assert report.proof is not None
    assert (report.proof["images"], len(report.skipped)) == (11, 5)


@pytest.mark.usefixtures("small_batches")
def test_a_gallery_none_of_whose_labelled_images_can_be_read_cannot_tell(
    gallery: Path, tmp_path: Path, other_model: Path
) -> None:
    photos, said = tmp_path / "photos", list[str]()
    for number in range(2):
        fill(photos / f"kind {number}", range(2 * number, 2 * number + 2))
    index(gallery, photos)
    for number in range(4):
        (photos / f"kind {number // 2}" / f"{number:04d}.png").write_bytes(b"no picture")
    report = switch_to(gallery, other_model, force=True, hooks=SwitchHooks(say=said.append))
    assert report.proof is None
    assert any("Too few labelled images can be read" in line for line in said)


@given(sizes=st.lists(st.integers(0, 2600), max_size=30), seed=st.integers(0, 9))
def test_whole_classes_are_asked_and_no_more_images_than_the_interval_needs(sizes: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    numbers = random.permutation(np.repeat(np.arange(len(sizes)), sizes)).astype(np.int64)
    places = np.flatnonzero(random.random(len(numbers)) < 0.9)
    chosen = _chosen(numbers, places)
    left = np.bincount(numbers[places], minlength=1)
    assert np.isin(chosen, places).all()
    assert (np.diff(chosen) > 0).all()
    assert len(chosen) <= MOST_IMAGES
    asked = np.bincount(numbers[chosen], minlength=len(left))
    most = MOST_IMAGES // 4
    assert ((asked == 0) | (asked == np.minimum(left, most))).all()
    several = int((left > 1).sum())
    assert (asked > 0).sum() >= (min(several, 4) if several > 1 else 0)
    if np.minimum(left[left > 1], most).sum() <= MOST_IMAGES and several > 1:
        assert (asked > 0).sum() == several
    np.testing.assert_array_equal(chosen, _chosen(numbers, places))
