"""Switching between encoders: what it embeds, when it refuses, how it goes on, and the way back."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.catalog import PERSON, Entry
from retrieval.core.errors import (
    BadValue,
    DiskFull,
    EmptyGallery,
    GalleryBusy,
    GalleryDamaged,
    ModelDamaged,
    ModelMismatch,
    ModelUnsafe,
    NoSuchPath,
    NotProven,
)
from retrieval.models.folder import load_encoder
from retrieval.workflows import filling, switching
from retrieval.workflows.backup import backup, restore
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.patience import alone
from retrieval.workflows.searching import Searcher
from retrieval.workflows.spaces import drop_space, rollback, spaces
from retrieval.workflows.status import status
from retrieval.workflows.switching import SwitchHooks, SwitchRefused, SwitchReport, switch
from retrieval.workflows.upkeep import prune

from .support import contents, counts, fill, flip, index, names, save, searchable

BETTER = {
    "comparison": {
        "recall_at_1": {"mean": 0.1, "low": 0.05, "high": 0.15},
        "map_at_r": {"mean": 0.2, "low": 0.1, "high": 0.3},
    },
    "split": {"leaks": 0},
}
PLATT = {"kind": "platt", "slope": 12.0, "intercept": -6.0, "pairs": 100, "positives": 40, "threshold": 0.9}


@pytest.fixture(autouse=True)
def _shared_pool(_pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.workflows.filling.DecodePool", lambda *_, **__: _pool)


@pytest.fixture
def run_folder(tmp_path: Path, other_model: Path) -> Callable[..., Path]:
    """A training run's folder, as ``train`` leaves it; ``change`` is written over what would be proven."""

    def make(**change: Any) -> Path:
        folder = tmp_path / "run"
        shutil.copytree(other_model, folder / "encoder")
        (folder / "metrics.json").write_text(json.dumps({**BETTER, **change}))
        (folder / "recipe.json").write_text(json.dumps({"recipe": "quick-head", "data": "d" * 64}))
        (folder / "calibration.json").write_text(json.dumps(PLATT))
        return folder

    return make


def go(gallery: Path, model: Path | str, **options: Any) -> SwitchReport:
    """A switch; every image must be accounted for."""
    report = switch(gallery, str(model), **{"workers": 1, **options})
    if not report.interrupted and not options.get("estimate_only"):
        assert report.covered + len(report.skipped) == report.total
    return report


def live(gallery: Path) -> str:
    with Gallery(gallery) as opened:
        return opened.live_space().fingerprint


def an_image(gallery: Path) -> int:
    """The number of some image."""
    with Gallery(gallery) as opened:
        return int(opened.catalog.spaces.findable(opened.live_space().id)[0][0])


def refusal(gallery: Path, model: Path | str, **options: Any) -> SwitchRefused:
    before = live(gallery)
    with pytest.raises(SwitchRefused) as caught:
        go(gallery, model, **options)
    assert live(gallery) == before
    assert caught.value.exit_code == NotProven.exit_code
    assert "--force" in caught.value.hint
    assert not caught.value.report.switched
    return caught.value


def vectors(gallery: Path, model: Path) -> dict[str, np.ndarray]:
    """What the live space stores, by file name."""
    with Gallery(gallery) as opened:
        space = opened.live_space()
        assert space.fingerprint == load_encoder(model)[1].fingerprint
        ids, _ = opened.catalog.spaces.embedded_rows(space.id)
        stored = opened.store(space).read(ids)
        records = opened.catalog.images.records(ids.tolist())
        return {os.path.basename(records[i].paths[0]): vector for i, vector in zip(ids.tolist(), stored, strict=True)}


# --- the way there and back ---------------------------------------------------------------------------------------


def test_a_switched_gallery_is_what_indexing_with_the_new_encoder_makes(
    six: tuple[Path, Path], other_model: Path, tmp_path: Path
) -> None:
    gallery, photos = six
    said: list[str] = []
    estimates = []
    report = go(gallery, other_model, hooks=SwitchHooks(said.append, estimates.append))
    assert (report.switched, report.embedded, report.covered, report.total) == (True, 6, 6, 6)
    assert (report.skipped, report.refusals, report.forced, report.interrupted) == ((), (), False, False)
    (costs,) = estimates
    assert costs == report.costs
    assert (costs.images, costs.to_embed, costs.unreachable) == (6, 6, 0)
    assert costs.seconds is not None
    assert 0 < costs.bytes < costs.free
    assert any("without a training run" in line and "rollback" in line for line in said)
    index(tmp_path / "fresh", photos, model=str(other_model))
    fresh, switched = vectors(tmp_path / "fresh", other_model), vectors(gallery, other_model)
    assert fresh.keys() == switched.keys()
    for name, vector in fresh.items():
        np.testing.assert_allclose(switched[name], vector, atol=2e-3)
    assert searchable(gallery) == searchable(tmp_path / "fresh")
    found = status(gallery, check=True)
    assert found.agree, found.problems


def test_rollback_embeds_nothing_and_switching_again_neither(six: tuple[Path, Path], other_model: Path) -> None:
    gallery, _ = six
    before = live(gallery)
    new = go(gallery, other_model).fingerprint
    done = rollback(gallery)
    assert (done.fingerprint, done.was, done.lacking) == (before, new, 0)
    assert live(gallery) == before
    with pytest.raises(BadValue, match="never switched to"):
        rollback(gallery)
    again = go(gallery, new[:12])
    assert (again.switched, again.embedded, again.fingerprint) == (True, 0, new)
    assert again.costs is not None
    assert again.costs.seconds is None
    assert status(gallery, check=True).agree


def test_indexing_goes_on_in_the_new_space_and_a_rollback_asks_for_what_came_since(
    six: tuple[Path, Path], other_model: Path, tmp_path: Path
) -> None:
    gallery, _ = six
    new = go(gallery, other_model).fingerprint
    assert index(gallery, fill(tmp_path / "more", range(20, 23))).space == new
    assert len(searchable(gallery)) == 9
    done = rollback(gallery)
    assert done.lacking == 3
    assert len(searchable(gallery)) == 6
    report = index(gallery, tmp_path / "more")
    assert counts(report) == {"found": 3, "unchanged": 3, "embedded": 3}
    assert len(searchable(gallery)) == 9
    assert [(s.live, s.covered, s.total) for s in spaces(gallery)] == [(True, 9, 9), (False, 9, 9)]


def test_what_was_forgotten_and_gone_meanwhile_is_so_in_both_spaces(
    tmp_path: Path, gallery: Path, folder: Path, other_model: Path
) -> None:
    index(gallery, folder)
    go(gallery, other_model)
    (folder / "red" / "0000.png").unlink()
    (folder / "red" / "0001.png").rename(folder / "blue" / "moved.png")
    index(gallery, folder)
    prune(gallery)
    rollback(gallery)
    assert names(searchable(gallery)) == {"moved.png", "0002.png", "0003.png", "0004.png", "0005.png"}
    assert status(gallery, check=True).agree


def test_an_estimate_changes_nothing(six: tuple[Path, Path], other_model: Path) -> None:
    gallery, _ = six
    before = contents(gallery)
    report = go(gallery, other_model, estimate_only=True)
    assert not report.switched
    assert report.costs is not None
    assert (report.costs.to_embed, report.covered, report.total) == (6, 0, 6)
    assert contents(gallery) == before


def test_a_run_brings_its_calibration_and_is_remembered(
    six: tuple[Path, Path], run_folder: Callable[..., Path]
) -> None:
    gallery, photos = six
    report = go(gallery, run_folder())
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


def test_a_calibration_that_cannot_be_read_is_said_once_and_is_none(six: tuple[Path, Path]) -> None:
    said: list[str] = []
    with Gallery(six[0]) as opened, Searcher(opened, said.append) as searcher:
        opened.catalog.calibrations.add(opened.live_space().id, {"kind": "magic"})
        for _ in range(2):
            found = searcher.by_id(an_image(six[0]), 2)
            assert (found.nothing_like_this, {n.probability for n in found.neighbours}) == (None, {None})
    assert len([line for line in said if "without probabilities" in line]) == 1


# --- the gate -------------------------------------------------------------------------------------------------------


def gain(low: float) -> dict[str, Any]:
    return {"comparison": {**BETTER["comparison"], "map_at_r": {"mean": 0.02, "low": low, "high": 0.04}}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (gain(-0.01), ("MAP@R", "touches zero", "-0.010")),
        (gain(0.0), ("MAP@R", "touches zero")),
        (gain(float("nan")), ("does not say what MAP@R",)),
        ({"comparison": {"map_at_r": BETTER["comparison"]["map_at_r"]}}, ("does not say what recall@1",)),
        ({"comparison": None}, ("recall@1", "MAP@R")),
        ({"split": {"leaks": 3}}, ("leaks", "3 images")),
        ({"split": {}}, ("whether its split leaks",)),
        ({**gain(-0.01), "split": {"leaks": 1}}, ("MAP@R", "leaks")),
    ],
    ids=str,
)
def test_a_run_that_proves_nothing_is_refused_before_anything_is_embedded(
    six: tuple[Path, Path], run_folder: Callable[..., Path], change: dict[str, Any], words: tuple[str, ...]
) -> None:
    gallery, _ = six
    run = run_folder(**change)
    error = refusal(gallery, run)
    for word in words:
        assert word in error.message
    assert error.report.embedded == 0
    assert len(spaces(gallery)) == 1
    assert not (gallery / "models" / error.report.fingerprint[:16]).exists()
    report = go(gallery, run, force=True)
    assert (report.switched, report.forced) == (True, True)
    assert report.refusals == error.report.refusals == spaces(gallery)[1].forced


def test_a_run_without_metrics_proves_nothing(six: tuple[Path, Path], run_folder: Callable[..., Path]) -> None:
    run = run_folder()
    (run / "metrics.json").write_text("{")
    assert "damaged" in refusal(six[0], run).message
    (run / "metrics.json").unlink()
    assert "metrics.json is missing" in refusal(six[0], run).message
    assert go(six[0], run, force=True).switched


def test_going_back_to_a_forced_run_by_its_fingerprint_asks_for_its_proof_again(
    six: tuple[Path, Path], run_folder: Callable[..., Path]
) -> None:
    gallery, _ = six
    new = go(gallery, run_folder(**gain(-0.1)), force=True).fingerprint
    rollback(gallery)
    assert "touches zero" in refusal(gallery, new).message


def test_the_gate_is_not_passed_by_another_name(
    gallery: Path, tmp_path: Path, run_folder: Callable[..., Path], other_model: Path
) -> None:
    index(gallery, fill(tmp_path / "photos", range(40)))
    fingerprint = load_encoder(other_model)[1].fingerprint
    run = run_folder(**gain(-0.01), result={"fingerprint": fingerprint})
    assert "touches zero" in refusal(gallery, run / "encoder").message
    # Forced and stopped: what goes on with it by the name of its space, or with a copy, is judged as it was.
    stop = _StopAfter(4)
    report = go(gallery, run, force=True, hooks=SwitchHooks(progress=stop.progress, stop=stop.stop))
    assert report.interrupted
    for name in (fingerprint[:16], other_model):
        assert "touches zero" in refusal(gallery, name).message
    assert go(gallery, fingerprint[:16], force=True).switched


@pytest.mark.parametrize("damage", ["flipped", "cut", "pickled", "no weights", "nothing"])
def test_a_damaged_model_is_refused_whatever_is_forced(
    six: tuple[Path, Path], run_folder: Callable[..., Path], damage: str
) -> None:
    gallery, _ = six
    run = run_folder()
    weights = run / "encoder" / "model.safetensors"
    if damage == "flipped":
        flip(weights, -500)
    elif damage == "cut":
        os.truncate(weights, 5000)
    elif damage == "pickled":
        (run / "encoder" / "weights.pth").write_bytes(b"\x80\x04.")
    elif damage == "no weights":
        weights.unlink()
    else:
        shutil.rmtree(run / "encoder")
    before = live(gallery)
    for force in (False, True):
        with pytest.raises((ModelDamaged, ModelUnsafe, BadValue)) as caught:
            go(gallery, run, force=force)
        assert caught.value.hint
    assert live(gallery) == before
    assert len(spaces(gallery)) == 1


def test_what_cannot_be_a_target_is_said(six: tuple[Path, Path], tiny_model: Path, tmp_path: Path) -> None:
    gallery, _ = six
    with pytest.raises(BadValue, match="live already"):
        go(gallery, tiny_model)
    with pytest.raises(BadValue, match="live already"):
        go(gallery, live(gallery)[:10])
    with pytest.raises(BadValue, match="No space"):
        go(gallery, "0123456789ab")
    with pytest.raises(NoSuchPath):
        go(gallery, "./nowhere")
    with pytest.raises(EmptyGallery):
        go(tmp_path / "none", tiny_model)
    assert not (tmp_path / "none").exists()


# --- coverage -----------------------------------------------------------------------------------------------------


def test_files_that_are_gone_are_named_before_anything_is_embedded(
    gallery: Path, folder: Path, other_model: Path
) -> None:
    index(gallery, folder)
    (folder / "red" / "0001.png").unlink()
    error = refusal(gallery, other_model)
    assert "5 of 6 images" in error.message
    assert "prune" in error.hint
    (skipped,) = error.report.skipped
    assert (skipped.path, skipped.reason) == (str(folder / "red" / "0001.png"), "gone")
    assert f"ids {skipped.image_id})" in error.message
    assert error.report.embedded == 0
    # The hint helps.
    index(gallery, folder)
    prune(gallery)
    report = go(gallery, other_model)
    assert (report.switched, report.covered, report.total) == (True, 5, 5)


def test_an_offline_folder_is_named_and_embedded_once_it_is_back(
    gallery: Path, folder: Path, other_model: Path, tmp_path: Path
) -> None:
    index(gallery, folder / "red")
    index(gallery, folder / "blue")
    (folder / "blue").rename(tmp_path / "away")
    error = refusal(gallery, other_model)
    assert "3 of 6 images" in error.message
    assert "drive" in error.hint
    assert {entry.reason for entry in error.report.skipped} == {"offline"}
    report = go(gallery, other_model, force=True)
    assert (report.switched, report.covered, report.total, len(report.skipped)) == (True, 3, 6, 3)
    assert "3 of 6" in spaces(gallery)[1].forced[0]
    assert len(searchable(gallery)) == 3
    (tmp_path / "away").rename(folder / "blue")
    assert counts(index(gallery)) == {"found": 6, "unchanged": 6, "embedded": 3}
    assert len(searchable(gallery)) == 6
    assert status(gallery, check=True).agree


def test_an_image_is_read_from_another_file_where_the_first_one_is_gone_or_changed(
    gallery: Path, folder: Path, other_model: Path
) -> None:
    shutil.copy(folder / "red" / "0000.png", folder / "blue" / "copy.png")
    shutil.copy(folder / "red" / "0001.png", folder / "blue" / "copy 1.png")
    index(gallery, folder)
    (folder / "blue" / "copy.png").unlink()
    save(folder / "blue" / "copy 1.png", 99)
    report = go(gallery, other_model)
    assert (report.switched, report.embedded, report.total) == (True, 6, 6)


def test_a_file_that_changed_since_it_was_indexed_is_no_embedding_of_what_it_was(
    gallery: Path, folder: Path, other_model: Path
) -> None:
    index(gallery, folder)
    save(folder / "red" / "0000.png", 99)
    (folder / "red" / "0001.png").write_bytes(b"no picture")
    error = refusal(gallery, other_model)
    assert {entry.reason for entry in error.report.skipped} == {"changed", "unreadable"}
    assert error.report.embedded == 4
    assert "retrieval index" in error.hint
    # What was embedded is kept, and the hint helps.
    index(gallery, folder)
    report = go(gallery, other_model)
    assert (report.switched, report.embedded, report.total) == (True, 1, 5)


def test_what_has_no_file_any_more_but_a_persons_label_does_not_count(
    gallery: Path, folder: Path, other_model: Path
) -> None:
    index(gallery, folder)
    with Gallery(gallery) as opened:
        opened.catalog.labels.change("set", [Entry(an_image(gallery), "mine", PERSON)])
    (folder / "red" / "0000.png").unlink()
    index(gallery, folder)
    prune(gallery)
    assert go(gallery, other_model).total == 5


# --- interruptions --------------------------------------------------------------------------------------------------


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two images a commit, and one under way at a time."""
    flow = filling.embed_files

    def one_by_one(items: Any, *arguments: Any, **options: Any) -> Any:
        for item in items:
            yield from flow([item], *arguments, **options)

    monkeypatch.setattr(filling, "_BATCH_IMAGES", 2)
    monkeypatch.setattr(filling, "embed_files", one_by_one)


class _StopAfter:
    """Asks to stop once so many images are done."""

    def __init__(self, images: int) -> None:
        self.left = images
        self.done = 0

    def progress(self, progress: Any) -> None:
        self.done = progress.done

    def stop(self) -> bool:
        return self.done >= self.left


@pytest.mark.usefixtures("small_batches")
def test_a_stopped_switch_goes_on_where_it_was(gallery: Path, tmp_path: Path, other_model: Path) -> None:
    photos = fill(tmp_path / "photos", range(40))
    index(gallery, photos)
    before, stop = live(gallery), _StopAfter(4)
    report = go(gallery, other_model, hooks=SwitchHooks(progress=stop.progress, stop=stop.stop))
    assert report.interrupted
    assert not report.switched
    assert 4 <= report.embedded == report.covered < 40
    assert live(gallery) == before
    assert status(gallery, check=True).agree
    again = go(gallery, other_model)
    assert (again.switched, again.embedded) == (True, 40 - report.embedded)
    assert status(gallery, check=True).agree
    with Gallery(gallery) as opened:
        assert opened.live_space().rows == 40


def test_images_that_are_indexed_meanwhile_are_caught_up_with(
    gallery: Path, tmp_path: Path, other_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index(gallery, fill(tmp_path / "photos", range(6)))
    built = []

    class Index(switching.LiveIndex):
        """Another process indexes while the new index is built, after everything was embedded."""

        def __init__(self, *arguments: Any) -> None:
            built.append(len(built))
            if len(built) == 1:
                index(gallery, fill(tmp_path / "late", range(50, 53)))
            super().__init__(*arguments)

    monkeypatch.setattr(switching, "LiveIndex", Index)
    report = go(gallery, other_model)
    assert (report.switched, report.embedded, report.total) == (True, 9, 9)
    assert len(built) == 2
    assert len(searchable(gallery)) == 9


def test_a_library_that_changed_between_two_runs_is_not_mixed_in(
    gallery: Path, tmp_path: Path, other_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index(gallery, fill(tmp_path / "photos", range(6)))
    stop = _StopAfter(0)
    assert go(gallery, other_model, hooks=SwitchHooks(progress=stop.progress, stop=stop.stop)).interrupted
    with Gallery(gallery) as opened, opened.catalog._session.write() as connection:
        connection.exec_driver_sql("UPDATE spaces SET probes = zeroblob(length(probes)) WHERE live = 0")
    with pytest.raises(ModelMismatch, match="library") as caught:
        go(gallery, other_model)
    fingerprint = load_encoder(other_model)[1].fingerprint
    assert f"retrieval spaces --drop {fingerprint[:16]}" in caught.value.hint
    assert drop_space(gallery, fingerprint[:16]).covered == 0
    assert go(gallery, other_model).switched


def test_a_gallery_that_is_replaced_meanwhile_is_left_alone(gallery: Path, tmp_path: Path, other_model: Path) -> None:
    index(gallery, fill(tmp_path / "photos", range(6)))
    backup(gallery, tmp_path / "b.tar")
    hooks = SwitchHooks(estimated=lambda _: restore(tmp_path / "b.tar", gallery))
    with pytest.raises(GalleryDamaged, match="replaced by a backup") as caught:
        go(gallery, other_model, hooks=hooks)
    assert "again" in caught.value.hint
    assert len(spaces(gallery)) == 1
    assert go(gallery, other_model).switched


def test_two_switches_at_once_and_dropping_meanwhile_are_refused(six: tuple[Path, Path], other_model: Path) -> None:
    gallery, _ = six
    with Gallery(gallery) as opened, alone(opened):
        with pytest.raises(GalleryBusy, match="switch"):
            go(gallery, other_model)
        with pytest.raises(GalleryBusy, match="switch"):
            drop_space(gallery, "0123")
        assert go(gallery, other_model, estimate_only=True).costs is not None


def test_a_disk_that_cannot_hold_it_is_said_before(
    six: tuple[Path, Path], other_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery, _ = six

    class Usage:
        free = 1000

    monkeypatch.setattr("retrieval.workflows.switch_estimate.shutil.disk_usage", lambda _: Usage)
    with pytest.raises(DiskFull, match="needs about") as caught:
        go(gallery, other_model)
    assert "--drop" in caught.value.hint
    assert len(spaces(gallery)) == 1


def test_a_damaged_copy_of_the_encoder_is_made_anew(six: tuple[Path, Path], other_model: Path) -> None:
    gallery, _ = six
    fingerprint = go(gallery, other_model).fingerprint
    rollback(gallery)
    flip(gallery / "models" / fingerprint[:16] / "model.safetensors", -500)
    with pytest.raises(ModelDamaged):
        go(gallery, fingerprint)
    assert go(gallery, other_model).switched
    assert status(gallery, check=True).agree


def test_a_rollback_to_what_is_damaged_is_refused(six: tuple[Path, Path], other_model: Path) -> None:
    gallery, _ = six
    old = live(gallery)
    new = go(gallery, other_model).fingerprint
    store = gallery / "spaces" / old[:16] / "vectors.f16"
    whole = store.read_bytes()
    os.truncate(store, len(whole) - 1)
    with pytest.raises(GalleryDamaged, match="lost") as caught:
        rollback(gallery)
    assert "--repair" in caught.value.hint
    store.write_bytes(whole)
    flip(gallery / "models" / old[:16] / "model.safetensors", -500)
    with pytest.raises(ModelDamaged):
        rollback(gallery)
    assert live(gallery) == new


# --- spaces -----------------------------------------------------------------------------------------------------


def test_spaces_say_what_is_live_where_a_rollback_leads_and_what_they_cost(
    six: tuple[Path, Path], other_model: Path
) -> None:
    gallery, _ = six
    (only,) = spaces(gallery)
    assert (only.live, only.back, only.covered, only.total, only.calibrated, only.run) == (True, False, 6, 6, False, "")
    go(gallery, other_model)
    old, new = spaces(gallery)
    assert (old.live, old.back, new.live, new.back) == (False, True, True, False)
    assert new.bytes > 1000
    assert json.dumps([space.to_dict() for space in (old, new)])


def test_a_space_that_is_not_live_can_be_dropped_with_all_its_files(six: tuple[Path, Path], other_model: Path) -> None:
    gallery, _ = six
    old = live(gallery)
    new = go(gallery, other_model).fingerprint
    with pytest.raises(BadValue, match="is live"):
        drop_space(gallery, new)
    for unknown in ("", "zz", "0" * 64):
        with pytest.raises(BadValue, match="begins"):
            drop_space(gallery, unknown)
    assert drop_space(gallery, old[:8]).fingerprint == old
    left = [str(path.relative_to(gallery)) for path in gallery.rglob("*")]
    assert not [path for path in left if old[:16] in path]
    assert [space.fingerprint for space in spaces(gallery)] == [new]
    with pytest.raises(BadValue, match="dropped since"):
        rollback(gallery)
    assert len(searchable(gallery)) == 6
    assert status(gallery, check=True).agree


def test_a_dropped_space_can_be_made_again_though_a_crash_left_its_files(
    six: tuple[Path, Path], other_model: Path, tmp_path: Path
) -> None:
    gallery, _ = six
    new = go(gallery, other_model).fingerprint
    rollback(gallery)
    parts = [gallery / part / new[:16] for part in ("spaces", "index", "models")]
    for n, part in enumerate(parts):
        shutil.copytree(part, tmp_path / f"left {n}")
    drop_space(gallery, new)
    index(gallery, fill(tmp_path / "more", range(60, 62)))
    for n, part in enumerate(parts):
        shutil.copytree(tmp_path / f"left {n}", part)
    report = go(gallery, other_model)
    assert (report.embedded, report.covered) == (8, 8)
    assert len(searchable(gallery)) == 8
    assert status(gallery, check=True).agree
