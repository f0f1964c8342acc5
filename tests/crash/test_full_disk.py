"""A disk that is full, or a folder that cannot be written: said as what it is, nothing lost, and the next run goes on.

A limit to the size of files stands for the disk wherever the tests run; a small disk of its own is tried where one can
be mounted.
"""

import os
import random
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from retrieval.core.errors import DiskFull
from tests.crash.support import NOTHING, assert_as_if_never_interrupted, assert_sound, change_library, read_truth

pytestmark = pytest.mark.slow

LIMITS = 12


def largest_file(gallery):
    return max(path.stat().st_size for path in gallery.rglob("*") if path.is_file())


def test_files_that_may_not_grow(launcher, index, small_model, small, tmp_path):
    """The limit is raised step by step: it is met by the model, the vectors, the catalog, the index, at any place."""
    gallery, truth = tmp_path / "gallery", NOTHING
    full = 0
    for limit in sorted(random.Random("limits").sample(range(1000, largest_file(small.before_change)), LIMITS)):
        ended = launcher.run("index", largest_file=limit, gallery=gallery, photos=small.photos, model=small_model)
        assert ended.code in (0, DiskFull.exit_code), (limit, ended.words)
        full += ended.code != 0
        truth = assert_sound(gallery, small.first, truth)
    assert full >= LIMITS // 2
    index(gallery, small.photos)
    assert_as_if_never_interrupted(gallery, small.first, small.before_change)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8, 0.95])
def test_vectors_that_may_not_grow(share, launcher, index, small_model, small, tmp_path):
    """A second run meets the limit in the middle of a commit."""
    gallery, photos = tmp_path / "gallery", Path(shutil.copytree(small.photos, tmp_path / "photos"))
    index(gallery, photos)
    before = read_truth(gallery)
    change_library(photos)
    limit = int(share * largest_file(gallery))
    launcher.run("index", largest_file=limit, gallery=gallery, photos=photos)
    assert_sound(gallery, small.second, before, small.first)
    index(gallery, photos)
    assert_as_if_never_interrupted(gallery, small.second, small.gallery)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own, or a skip where none may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1400k", "tmpfs", str(folder)]
    if os.name != "posix" or shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_is_full(launcher, index, small_model, small, small_disk):
    gallery, ballast = small_disk / "gallery", small_disk / "ballast"
    truth, full = NOTHING, 0
    for free in range(20_000, 1_300_000, 80_000):
        fill_up(ballast, free)
        ended = launcher.run("index", gallery=gallery, photos=small.photos, model=small_model)
        assert ended.code in (0, DiskFull.exit_code), (free, ended.words)
        full += ended.code != 0
        ballast.unlink()
        truth = assert_sound(gallery, small.first, truth)
        if ended.code == 0:
            break
    assert full >= 4
    index(gallery, small.photos)
    assert_as_if_never_interrupted(gallery, small.first, small.before_change)


def fill_up(ballast, free):
    """Leave about so many bytes free."""
    there = os.statvfs(ballast.parent)
    ballast.write_bytes(b"x" * max(0, there.f_bavail * there.f_frsize - free))


NOBODY = 65534


@pytest.fixture
def public_folder():
    """A folder below which other users may look; pytest's own are private."""
    with tempfile.TemporaryDirectory(prefix="retrieval-crash-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def allow_writing(folder, allowed):
    for path in (folder, *folder.rglob("*")):
        path.chmod((0o755 if path.is_dir() else 0o644) if allowed else (0o555 if path.is_dir() else 0o444))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may try things as somebody else")
def test_a_gallery_that_may_not_be_written(launcher, index, small_model, small, public_folder):
    gallery, photos = public_folder / "gallery", Path(shutil.copytree(small.photos, public_folder / "photos"))
    index(gallery, photos)
    before = read_truth(gallery)
    change_library(photos)
    allow_writing(gallery, False)
    ended = launcher.run("index", user=NOBODY, gallery=gallery, photos=photos)
    assert ended.code not in (0, 99), ended.words
    allow_writing(gallery, True)
    assert_sound(gallery, small.second, before, small.first)
    index(gallery, photos)
    assert_as_if_never_interrupted(gallery, small.second, small.gallery)
