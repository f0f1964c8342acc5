"""SIGKILL during a backup, a restore and a repair.

A backup is there whole or not at all. After a restore that was killed, the gallery is the old one or the new one,
whole, and if it is the new one, the old one lies aside, whole. A repair that was killed can be done again.
"""

import shutil
import signal
from pathlib import Path

import pytest

from retrieval.workflows.backup import backup, restore
from retrieval.workflows.status import status
from tests.crash.support import (
    assert_brought_back,
    assert_same,
    assert_sound,
    at,
    read_truth,
    space_folder,
)

pytestmark = pytest.mark.slow

BACKUP = {
    "catalog copied": at("retrieval.workflows.backup:_write", "before"),
    "a member written": at("tarfile:TarFile.addfile", "after", 2),
    "written, not in place": at("os:replace", "before", 1, "kept.backup"),
    "in place": at("os:replace", "after", 1, "kept.backup"),
}

RESTORE = {
    "before anything": at("retrieval.workflows.backup:_unpack", "before"),
    "half unpacked": at("retrieval.workflows.backup:_copy", "after", 2),
    "unpacked": at("retrieval.workflows.backup:_unpack", "after"),
    "checked": at("retrieval.workflows.backup:_check", "after"),
    "before the first rename": at("os:replace", "before", 1, "/gallery"),
    "after the first rename": at("os:replace", "after", 1, "/gallery"),
    "before the second rename": at("os:replace", "before", 2, "/gallery"),
    "after the second rename": at("os:replace", "after", 2, "/gallery"),
    "before the third rename": at("os:replace", "before", 3, "/gallery"),
    "after the third rename": at("os:replace", "after", 3, "/gallery"),
    "done": at("retrieval.workflows.backup:_exchange", "after"),
}

REPAIR = {
    "rows cut": at("retrieval.catalog.spaces:Spaces.set_rows", "after"),
    "vectors given up": at("retrieval.catalog.spaces:Spaces.drop_vectors", "after"),
    "index thrown away": at("retrieval.index:discard", "after"),
    "index built": at("retrieval.index:publish", "before"),
    "index published": at("retrieval.index:publish", "after"),
}


@pytest.fixture
def gallery(small, tmp_path):
    """A gallery after the change of its photos."""
    return Path(shutil.copytree(small.gallery, tmp_path / "gallery"))


@pytest.mark.parametrize("point", BACKUP)
def test_backup(point, launcher, gallery, small, tmp_path):
    file = tmp_path / "kept.backup"
    assert launcher.run("backup", sabotage=BACKUP[point], gallery=gallery, file=file).signal == signal.SIGKILL
    assert_sound(gallery, small.second, small.second)
    assert file.exists() == (point == "in place")
    if not file.exists():
        backup(gallery, file)
        assert not list(tmp_path.glob(".retrieval-backup-*"))
    assert restore(file, tmp_path / "again") is None
    assert_same(assert_sound(tmp_path / "again", small.second), small.second)


@pytest.mark.parametrize("point", RESTORE)
def test_restore(point, launcher, gallery, small, tmp_path):
    file = tmp_path / "kept.backup"
    backup(small.before_change, file)
    ended = launcher.run("restore", sabotage=RESTORE[point], file=file, gallery=gallery)
    if "third" not in point:
        assert ended.signal == signal.SIGKILL
    found = status(gallery, check=True)
    assert found.agree, found.problems
    aside = list(tmp_path.glob("gallery.before-restore-*"))
    if read_truth(gallery).files == small.first.files:
        assert_same(assert_sound(gallery, small.first, small.first), small.first)
        assert_same(assert_sound(aside[0], small.second, small.second), small.second)
    else:
        assert aside == []
        assert_same(assert_sound(gallery, small.second, small.second), small.second)
    restore(file, gallery)
    assert not list(tmp_path.glob(".gallery.restoring-*"))
    assert_same(assert_sound(gallery, small.first, small.first), small.first)


@pytest.mark.parametrize("point", REPAIR)
def test_repair(point, launcher, index, small, finished, tmp_path):
    gallery = Path(shutil.copytree(finished, tmp_path / "gallery"))
    damage_vectors(gallery)
    assert launcher.run("repair", sabotage=REPAIR[point], gallery=gallery).signal == signal.SIGKILL
    status(gallery, repair=True)
    index(gallery, small.photos)
    assert_brought_back(gallery, finished)


@pytest.mark.parametrize("point", REPAIR)
def test_index_instead_of_the_repair_that_was_killed(point, launcher, index, small, finished, tmp_path):
    """Whoever goes on without repairing again loses nothing either: a repair after that brings all back."""
    gallery = Path(shutil.copytree(finished, tmp_path / "gallery"))
    damage_vectors(gallery)
    assert launcher.run("repair", sabotage=REPAIR[point], gallery=gallery).signal == signal.SIGKILL
    index(gallery, small.photos)
    status(gallery, repair=True)
    index(gallery, small.photos)
    assert_brought_back(gallery, finished)


def damage_vectors(gallery):
    """Rows missing at the end, and one in the middle that is wrong."""
    folder = space_folder(gallery)
    with open(folder / "rows.bin", "r+b") as file:
        file.truncate((folder / "rows.bin").stat().st_size - 5 * 16)
    with open(folder / "vectors.f16", "r+b") as file:
        file.seek(700)
        file.write(b"\x00\x11\x22")
