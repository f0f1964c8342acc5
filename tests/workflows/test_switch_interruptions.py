"""A switch that is stopped, overtaken, or finds things damaged."""

import os
from pathlib import Path
from typing import Any

import pytest

from retrieval.core.errors import (
    DiskFull,
    GalleryBusy,
    GalleryDamaged,
    ModelDamaged,
    ModelMismatch,
)
from retrieval.models.folder import load_encoder
from retrieval.workflows import switching
from retrieval.workflows.backup import backup, restore
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.patience import alone
from retrieval.workflows.spaces import drop_space, rollback, spaces
from retrieval.workflows.status import status
from retrieval.workflows.switching import SwitchHooks

from .support import (
    StopAfter,
    fill,
    flip,
    index,
    live_fingerprint,
    searchable,
    switch_to,
)


@pytest.mark.usefixtures("small_batches")
def test_a_stopped_switch_goes_on_where_it_was(gallery: Path, tmp_path: Path, other_model: Path) -> None:
    photos = fill(tmp_path / "photos", range(40))
    index(gallery, photos)
    before, stop = live_fingerprint(gallery), StopAfter(4)
    report = switch_to(gallery, other_model, hooks=SwitchHooks(progress=stop.progress, stop=stop.stop))
    assert report.interrupted
    assert not report.switched
    assert 4 <= report.embedded == report.covered < 40
    assert live_fingerprint(gallery) == before
    assert status(gallery, check=True).agree
    again = switch_to(gallery, other_model)
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
    report = switch_to(gallery, other_model)
    assert (report.switched, report.embedded, report.total) == (True, 9, 9)
    assert len(built) == 2
    assert len(searchable(gallery)) == 9


def test_a_library_that_changed_between_two_runs_is_not_mixed_in(
    gallery: Path, tmp_path: Path, other_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index(gallery, fill(tmp_path / "photos", range(6)))
    stop = StopAfter(0)
    assert switch_to(gallery, other_model, hooks=SwitchHooks(progress=stop.progress, stop=stop.stop)).interrupted
    with Gallery(gallery) as opened, opened.catalog._session.write() as connection:
        connection.exec_driver_sql("UPDATE spaces SET probes = zeroblob(length(probes)) WHERE live = 0")
    with pytest.raises(ModelMismatch, match="library") as caught:
        switch_to(gallery, other_model)
    fingerprint = load_encoder(other_model)[1].fingerprint
    assert f"retrieval spaces --drop {fingerprint[:16]}" in caught.value.hint
    assert drop_space(gallery, fingerprint[:16]).covered == 0
    assert switch_to(gallery, other_model).switched


def test_a_gallery_that_is_replaced_meanwhile_is_left_alone(gallery: Path, tmp_path: Path, other_model: Path) -> None:
    index(gallery, fill(tmp_path / "photos", range(6)))
    backup(gallery, tmp_path / "b.tar")
    hooks = SwitchHooks(estimated=lambda _: restore(tmp_path / "b.tar", gallery))
    with pytest.raises(GalleryDamaged, match="replaced by a backup") as caught:
        switch_to(gallery, other_model, hooks=hooks)
    assert "again" in caught.value.hint
    assert len(spaces(gallery)) == 1
    assert switch_to(gallery, other_model).switched


def test_two_switches_at_once_and_dropping_meanwhile_are_refused(six: tuple[Path, Path], other_model: Path) -> None:
    gallery, _ = six
    with Gallery(gallery) as opened, alone(opened):
        with pytest.raises(GalleryBusy, match="switch"):
            switch_to(gallery, other_model)
        with pytest.raises(GalleryBusy, match="switch"):
            drop_space(gallery, "0123")
        assert switch_to(gallery, other_model, estimate_only=True).costs is not None


def test_a_disk_that_cannot_hold_it_is_said_before(
    six: tuple[Path, Path], other_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery, _ = six

    class Usage:
        free = 1000

    monkeypatch.setattr("retrieval.workflows.switch_estimate.shutil.disk_usage", lambda _: Usage)
    with pytest.raises(DiskFull, match="needs about") as caught:
        switch_to(gallery, other_model)
    assert "--drop" in caught.value.hint
    assert len(spaces(gallery)) == 1


def test_a_damaged_copy_of_the_encoder_is_made_anew(six: tuple[Path, Path], other_model: Path) -> None:
    gallery, _ = six
    fingerprint = switch_to(gallery, other_model).fingerprint
    rollback(gallery)
    flip(gallery / "models" / fingerprint[:16] / "model.safetensors", -500)
    with pytest.raises(ModelDamaged):
        switch_to(gallery, fingerprint)
    assert switch_to(gallery, other_model).switched
    assert status(gallery, check=True).agree


def test_a_rollback_to_what_is_damaged_is_refused(six: tuple[Path, Path], other_model: Path) -> None:
    gallery, _ = six
    old = live_fingerprint(gallery)
    new = switch_to(gallery, other_model).fingerprint
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
    assert live_fingerprint(gallery) == new
