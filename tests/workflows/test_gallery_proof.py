"""A model that brings no proof on labels: the gallery's own measure it, and refuse it where they do not show a gain."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.catalog import AUTOMATIC, Entry
from retrieval.models.folder import load_encoder, read_card, save_encoder
from retrieval.workflows import gallery_proof, labels
from retrieval.workflows.distilling import DistilRequest, distil
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.gallery_proof import MOST_IMAGES, MOST_OF_A_CLASS, _chosen, held_out
from retrieval.workflows.models import create_model
from retrieval.workflows.recipes import load_distil_recipes
from retrieval.workflows.run_folder import WITHOUT_LABELS, RunFolder
from retrieval.workflows.spaces import rollback, spaces
from retrieval.workflows.switching import SwitchHooks, SwitchRefused

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


Labelled = Callable[..., Path]


@pytest.fixture
def labelled(drawn: tuple[Path, dict[str, dict[str, str]]], tmp_path: Path) -> Labelled:
    """Makes an own copy of the gallery, with the labels under which the live or the new encoder is good."""
    base, found = drawn

    def make(good: str, name: str = "labelled") -> Path:
        gallery = copy_gallery(base / "gallery", tmp_path / name)
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
    assert any(f"{LABELLED} labelled images of the gallery tell first" in line for line in said)
    assert any("recall@1" in line and "MAP@R" in line for line in said)


def test_a_model_that_they_do_not_is_refused_before_the_others_are_embedded(
    labelled: Labelled, other_model: Path
) -> None:
    gallery = labelled("live")
    looked = switch_to(gallery, other_model, estimate_only=True)
    assert (looked.proof, looked.refusals, looked.to_measure) == (None, (), LABELLED)
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


def kinds(photos: Path, number: int, size: int) -> Path:
    """A folder of ``number`` folders of ``size`` pictures."""
    for kind in range(number):
        fill(photos / f"kind {kind}", range(size * kind, size * kind + size))
    return photos


def spoil(photos: Path, *names: str) -> None:
    """What cannot be read any more."""
    for path in photos.rglob("*.png"):
        if not names or any(name in str(path) for name in names):
            path.write_bytes(b"no picture")


def test_perfect_labels_prove_nothing(gallery: Path, tmp_path: Path, other_model: Path) -> None:
    # Two pictures of each class that differ in nothing but their file.
    for path in kinds(tmp_path / "photos", 10, 1).rglob("*.png"):
        path.with_name("twin.png").write_bytes(path.read_bytes() + b"twin")
    index(gallery, tmp_path / "photos")
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
    assert (report.switched, report.proof, report.to_measure) == (True, None, 0)
    assert any("too few labels" in line for line in said)
    assert any("nothing proves" in line and "rollback" in line for line in said)


@pytest.mark.parametrize(("number", "size", "asked"), [(5, 3, 0), (3, 10, 0), (4, 5, 20), (7, 3, 21)])
def test_a_few_labels_tell_by_chance_and_are_not_asked(
    gallery: Path, tmp_path: Path, other_model: Path, number: int, size: int, asked: int
) -> None:
    index(gallery, kinds(tmp_path / "photos", number, size))
    assert switch_to(gallery, other_model, estimate_only=True).to_measure == asked


# --- what has trained one of them ---------------------------------------------------------------------------------


def record(
    gallery: Gallery,
    folder: Path,
    fingerprint: str,
    images: list[int],
    metrics: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """A run that the gallery knows, and the images that it has learned from."""
    records = gallery.catalog.images.records(images)
    run = RunFolder(folder)
    run.folder.mkdir()
    run.write("metrics.json", {})
    paths, digests = [records[i].paths[0] for i in images], [records[i].digest for i in images]
    run.write("split.json", {"train": paths, "digests": {"train": digests}})
    with gallery.writing():
        gallery.catalog.runs.record(os.fsencode(folder), fingerprint, data="", recipe={}, metrics=metrics)
        gallery.catalog.seal()


@pytest.mark.parametrize("who", ["live", "start", "teacher"])
def test_what_has_trained_one_of_them_is_not_asked(
    labelled: Labelled, run_folder: Callable[..., Path], other_model: Path, tmp_path: Path, who: str
) -> None:
    gallery = labelled("live")
    card = load_encoder(other_model)[1]
    switch_to(gallery, other_model, force=True)
    rollback(gallery)
    run = None
    if who != "live":
        start = {"name": "tiny", "fingerprint": live_fingerprint(gallery)}
        other = {"name": card.name, "fingerprint": card.fingerprint}
        run = RunFolder(run_folder(kind=WITHOUT_LABELS, start=other if who == "start" else start))
        run.write("recipe.json", {"teacher": other} if who == "teacher" else {})
    with Gallery(gallery) as opened:
        live = opened.live_space()
        # From elsewhere: the gallery has a space of the other one, but knows no run that made it.
        everything = held_out(opened, live, card, run, lambda _: None)
        assert everything is not None
        assert len(everything) == LABELLED
        records = opened.catalog.images.records(everything.ids.tolist())
        label_of = {image_id: records[image_id].labels[0] for image_id in everything.ids.tolist()}
        names = sorted(set(label_of.values()))
        taught = [image_id for image_id, label in label_of.items() if label in names[:6]]
        alone = [image_id for image_id, label in label_of.items() if label == names[6]]
        trained = live.fingerprint if who == "live" else card.fingerprint
        record(opened, tmp_path / "lesson", trained, [*taught, *alone[1:]])
        left = held_out(opened, live, card, run, lambda _: None)
        assert left is not None
        # Nor is the one that is left of its class: nothing is like it.
        assert set(left.ids.tolist()) == set(everything.ids.tolist()) - {*taught, *alone}
        # Where it is not known any more what that was, none is asked.
        said: list[str] = []
        (tmp_path / "lesson" / "split.json").unlink()
        assert held_out(opened, live, card, run, said.append) is None
        assert any("not known" in line for line in said)


@pytest.mark.parametrize("good", ["new", "live"])
def test_labels_that_may_have_trained_a_model_can_only_speak_against_it(
    labelled: Labelled, run_folder: Callable[..., Path], tmp_path: Path, other_model: Path, good: str
) -> None:
    # One whose run with labels is gone, and a copy of a result, whose card says what that began with.
    first, second, said = labelled(good), labelled(good, "another"), list[str]()
    run = run_folder(comparison={}, result={"fingerprint": load_encoder(other_model)[1].fingerprint})
    new = switch_to(first, run, force=True).fingerprint
    rollback(first)
    shutil.rmtree(run)
    encoder, card = load_encoder(other_model)
    origin = f"trained with quick-head from tiny {live_fingerprint(second)[:12]} (untrained)"
    save_encoder(encoder, replace(card, origin=origin), tmp_path / "copy")
    for gallery, model, word in ((first, new, "its training run"), (second, tmp_path / "copy", "a training run")):
        if good == "live":
            assert "is below zero" in refusal(gallery, model).message
            continue
        said.clear()
        report = switch_to(gallery, model, hooks=SwitchHooks(say=said.append))
        assert report.switched
        assert report.proof is not None
        assert (report.proof["certain"], report.proof["verdict"]) == (False, "better")
        assert any("may have trained it" in line and word in line for line in said)
        assert any("nothing proves" in line for line in said)


def test_a_refused_run_without_labels_is_refused_without_its_folder(
    labelled: Labelled, run_folder: Callable[..., Path]
) -> None:
    gallery = labelled("live")
    run = run_folder(kind=WITHOUT_LABELS, start={"name": "live", "fingerprint": live_fingerprint(gallery)})
    error = refusal(gallery, run)
    shutil.rmtree(run)
    again = refusal(gallery, error.report.fingerprint)
    assert again.message == error.message
    assert again.report.proof is not None
    assert again.report.proof["certain"] is True


def test_ancestors_that_are_not_known_leave_it_open_what_was_learned(
    labelled: Labelled, run_folder: Callable[..., Path], tmp_path: Path, other_model: Path
) -> None:
    # A run without labels that began with a copy of a result; the gallery has a space of that copy.
    gallery = labelled("new")
    encoder, card = load_encoder(other_model)
    origin = f"trained with quick-head from tiny {live_fingerprint(gallery)[:12]} (untrained)"
    save_encoder(encoder, replace(card, origin=origin), tmp_path / "copy")
    switch_to(gallery, tmp_path / "copy", force=True)
    rollback(gallery)
    run = RunFolder(run_folder(kind=WITHOUT_LABELS, start={"name": "copy", "fingerprint": card.fingerprint}))
    with Gallery(gallery) as opened:
        result = replace(card, fingerprint="1" * 64)
        assert held_out(opened, opened.live_space(), result, run, lambda _: None) is None
    # The live encoder's run began with one that no run of this gallery made.
    with Gallery(gallery) as opened:
        live, said = opened.live_space(), list[str]()
        ids, _ = opened.catalog.spaces.findable(live.id)
        record(opened, tmp_path / "lesson", live.fingerprint, ids.tolist()[:3], {"start": {"fingerprint": "0" * 64}})
        assert held_out(opened, live, result, None, said.append) is None
    assert any("model in use is not known" in line for line in said)


def test_the_starter_was_never_taught_by_a_gallery_that_holds_its_teacher(
    labelled: Labelled, other_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery, card = labelled("new"), load_encoder(other_model)[1]
    switch_to(gallery, other_model)
    rollback(gallery)
    with Gallery(gallery) as opened:
        live = opened.live_space()
        folder = opened.layout.model(live.fingerprint)
        starter = replace(read_card(folder), origin=f"distilled from mobilenet {card.fingerprint[:12]} (file)")
        (folder / "card.json").write_bytes(starter.to_bytes())
        result = replace(card, fingerprint="1" * 64)
        assert held_out(opened, live, result, None, lambda _: None) is None
        monkeypatch.setattr(gallery_proof, "starter_card", lambda: starter)
        for other in (result, card):
            asked = held_out(opened, live, other, None, lambda _: None)
            assert asked is not None
            assert asked.certain


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


@pytest.mark.parametrize("change", ["unknown start", "teacher", "no start", "no labels", "learned", "supervised"])
def test_a_run_without_labels_whose_lessons_are_not_known_proves_nothing(
    labelled: Labelled, six: tuple[Path, Path], run_folder: Callable[..., Path], change: str
) -> None:
    gallery = six[0] if change == "no labels" else labelled("new")
    start = {"name": "live", "fingerprint": live_fingerprint(gallery)}
    unknown = {"name": "another", "fingerprint": "0" * 64}
    metrics: dict[str, Any] = {"kind": WITHOUT_LABELS, "start": unknown if change == "unknown start" else start}
    metrics["labelled"] = {"learned": change == "learned"}
    if change == "no start":
        del metrics["start"]
    run = run_folder(**metrics)
    recipe = {"recipe": {"options": {"supervised": 20.0 if change == "supervised" else 0.0}}}
    RunFolder(run).write("recipe.json", recipe | ({"teacher": unknown} if change == "teacher" else {}))
    error = refusal(gallery, run)
    assert "trained without labels" in error.message
    assert error.report.embedded == 0


def test_a_real_distillation_says_what_has_taught_it(
    labelled: Labelled, tmp_path: Path, tiny_model: Path, other_model: Path
) -> None:
    # A student that is an encoder of the gallery, taught by one that the gallery does not know.
    gallery = labelled("new")
    features, _ = load_distil_recipes({"epochs": "1", "batch_size": "8"})
    pictures = fill(tmp_path / "unlabelled", range(300, 316))
    request = DistilRequest(
        str(other_model), str(tiny_model), str(pictures), features, tmp_path / "distilled", workers=1
    )
    distil(request)
    assert "trained without labels" in refusal(gallery, tmp_path / "distilled").message


# --- while it goes on ---------------------------------------------------------------------------------------------


def test_a_switch_that_is_stopped_while_it_measures_goes_on(
    labelled: Labelled, other_model: Path, small_batches: None
) -> None:
    gallery = labelled("new")
    stop = StopAfter(10)
    report = switch_to(gallery, other_model, hooks=SwitchHooks(progress=stop.progress, stop=stop.stop))
    assert (report.interrupted, report.switched, report.proof, report.to_measure) == (True, False, None, LABELLED)
    assert 10 <= report.covered < LABELLED
    assert switch_to(gallery, other_model, estimate_only=True).proof is None
    went_on = switch_to(gallery, other_model)
    assert (went_on.switched, went_on.embedded) == (True, PICTURES - report.covered)
    assert went_on.proof is not None


def test_another_model_that_comes_into_use_meanwhile_was_compared_with_nothing(
    six: tuple[Path, Path], tmp_path: Path, tiny_model: Path, other_model: Path
) -> None:
    gallery, _ = six
    create_model(tmp_path / "third", backbone="test_efficientnet", untrained=True, input_size=32, seed=2)
    switch_to(gallery, other_model)

    def went_back(_: object) -> None:
        if live_fingerprint(gallery) == load_encoder(other_model)[1].fingerprint:
            rollback(gallery)

    with pytest.raises(SwitchRefused, match="changed meanwhile"):
        switch_to(gallery, tmp_path / "third", hooks=SwitchHooks(progress=went_back))
    assert live_fingerprint(gallery) == load_encoder(tiny_model)[1].fingerprint
    assert switch_to(gallery, tmp_path / "third").switched


def test_images_that_one_space_lacks_are_left_out_of_the_proof(
    gallery: Path, tmp_path: Path, other_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index(gallery, kinds(tmp_path / "photos", 6, 5))
    spoil(tmp_path / "photos", "kind 0", "0006.png")
    report = switch_to(gallery, other_model, force=True)
    assert report.proof is not None
    assert (report.proof["images"], len(report.skipped)) == (24, 6)
    # An image without any direction is like nothing, and no fault of the program.
    rollback(gallery)
    stored = gallery_proof.stored_vectors

    def some_zero(*arguments: Any) -> tuple[Any, Any]:
        vectors, there = stored(*arguments)
        vectors[:2] = 0
        return vectors, there

    monkeypatch.setattr(gallery_proof, "stored_vectors", some_zero)
    again = switch_to(gallery, report.fingerprint, force=True)
    assert again.proof is not None
    assert again.proof["images"] == 22


def test_a_gallery_none_of_whose_labelled_images_can_be_read_cannot_tell(
    gallery: Path, tmp_path: Path, other_model: Path
) -> None:
    said: list[str] = []
    index(gallery, kinds(tmp_path / "photos", 4, 5))
    spoil(tmp_path / "photos")
    report = switch_to(gallery, other_model, force=True, hooks=SwitchHooks(say=said.append))
    assert report.proof is None
    assert any("Too few labelled images can be read" in line for line in said)


def test_labels_of_images_that_the_live_space_lacks_do_not_keep_an_estimate_silent(
    gallery: Path, tmp_path: Path, other_model: Path
) -> None:
    photos = kinds(tmp_path / "photos", 5, 5)
    index(gallery, photos)
    switch_to(gallery, other_model, force=True)
    kinds(photos, 7, 5)
    index(gallery, photos)
    rollback(gallery)
    looked = switch_to(gallery, other_model, estimate_only=True)
    assert looked.proof is not None
    assert (looked.proof["images"], looked.to_measure) == (25, 0)


@given(
    sizes=st.lists(st.one_of(st.integers(0, 4), st.integers(0, 700)), max_size=40),
    many=st.integers(0, 4000),
    seed=st.integers(0, 9),
)
def test_as_many_images_of_each_class_are_asked_as_fit(sizes: list[int], many: int, seed: int) -> None:
    sizes = sizes + [2] * many
    numbers = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes)).astype(np.int64)
    chosen = _chosen(numbers)
    assert (np.diff(chosen) > 0).all()
    there = np.array([*sizes, 0])
    asked = np.bincount(numbers[chosen], minlength=len(there)) if len(chosen) else np.zeros_like(there)
    several = there > 1
    assert (asked[~several] == 0).all()
    assert asked.sum() <= MOST_IMAGES
    most = asked.max(initial=0)
    assert most <= MOST_OF_A_CLASS
    if 2 * several.sum() <= MOST_IMAGES:
        # The same number of each, and one more of each would be too many.
        assert (asked[several] == np.minimum(there[several], max(2, most))).all()
        more = np.minimum(there[several], most + 1).sum()
        assert more > MOST_IMAGES or most == MOST_OF_A_CLASS or (asked[several] == there[several]).all()
    else:
        assert (asked > 0).sum() == MOST_IMAGES // 2
    np.testing.assert_array_equal(chosen, _chosen(numbers))
