"""Choosing a folder: what is offered while somebody types, and what a folder would cost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from retrieval.core.errors import BadValue
from retrieval.workflows import folders
from retrieval.workflows.folders import complete_folder, look_at_folder, typed_folder
from retrieval.workflows.gallery import Gallery

from .support import contents, fill, index


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("Photos", "phones", "Music", ".hidden", "Photos/2023", "Photos/2024"):
        (tmp_path / "home" / name).mkdir(parents=True, exist_ok=True)
    (tmp_path / "home" / "photo.jpg").write_bytes(b"")
    return tmp_path / "home"


def names(typed: str, **options: int) -> list[str]:
    return [os.path.basename(path) for path in complete_folder(typed, **options).paths]


def test_a_path_is_completed_by_folders_only_whatever_the_case(tree: Path) -> None:
    assert names(f"{tree}/ph") == ["phones", "Photos"]
    assert names(f"{tree}/") == ["Music", "phones", "Photos"]
    assert names(f"{tree}/Photos") == ["2023", "2024"]
    assert names(f"{tree}/.h") == [".hidden"]
    assert complete_folder(f"{tree}/Photos").is_folder
    assert not complete_folder(f"{tree}/Phot").is_folder
    assert all(os.path.isabs(path) for path in complete_folder(f"{tree}/").paths)


def test_the_user_s_own_folder_has_a_short_name(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tree))
    assert complete_folder("~/Mus").paths == (f"{tree}/Music",)


@pytest.mark.parametrize("typed", ["", "  ", "Photos", "../etc", "/no/such/place/x", "/\0", "~nobody-at-all/x"])
def test_nothing_is_offered_for_what_is_no_full_path(typed: str) -> None:
    assert complete_folder(typed) == folders.Completion()


def test_what_is_offered_is_bounded(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = complete_folder(f"{tree}/", most=2)
    assert (len(found.paths), found.more) == (2, True)
    assert not complete_folder(f"{tree}/", most=3).more
    monkeypatch.setattr(folders, "_ENTRIES", 1)
    found = complete_folder(f"{tree}/")
    assert found.more
    assert len(found.paths) <= 1


def test_a_folder_that_may_not_be_read_offers_nothing(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: str) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "scandir", refused)
    assert names(f"{tree}/") == []


@pytest.mark.parametrize("typed", ["", "relative", "/no/such/place", "/\0"])
def test_only_a_folder_is_a_folder(typed: str) -> None:
    with pytest.raises(BadValue):
        typed_folder(typed)


def test_a_look_says_what_an_index_run_then_does_and_changes_nothing(gallery: Path, folder: Path) -> None:
    (folder / "notes.txt").write_text("no picture")
    before = contents(gallery)
    look = look_at_folder(gallery, str(folder), workers=1)
    assert contents(gallery) == before
    assert (look.found, look.to_read, look.skipped, look.whole) == (6, 6, 1, True)
    assert look.bytes_to_read == sum(path.stat().st_size for path in folder.rglob("*.png"))
    assert look.seconds is not None
    assert 0 < look.disk < look.free
    report = index(gallery, folder)
    assert (report.found, report.embedded, report.skipped) == (6, 6, 1)
    again = look_at_folder(gallery, f" {folder}/ ", workers=1)
    assert (again.path, again.found, again.to_read, again.disk, again.seconds) == (str(folder), 6, 0, 0, None)


def test_a_look_ends_in_time_and_says_so(gallery: Path, tmp_path: Path) -> None:
    fill(tmp_path / "many", range(40, 44))
    look = look_at_folder(gallery, str(tmp_path / "many"), workers=1, seconds=-1)
    assert not look.whole
    assert look.found < 4


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows open files as a folder")
def test_a_look_at_its_own_open_files_costs_the_gallery_no_lock(six: tuple[Path, Path]) -> None:
    """By this way a look at / did: the next process took itself for the last one, and removed the journal."""
    with Gallery(six[0]) as gallery:
        gallery.catalog.images.count()
        (shared,) = six[0].glob("*-shm")
        tried = f"import fcntl; fcntl.lockf(open({str(shared)!r}, 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        assert subprocess.run([sys.executable, "-c", tried], capture_output=True).returncode
        look_at_folder(six[0], f"/proc/{os.getpid()}/fd", workers=1)
        assert subprocess.run([sys.executable, "-c", tried], capture_output=True).returncode, "the lock is gone"
    assert not list(six[0].glob("*-shm"))


def test_the_gallery_itself_is_no_folder_of_pictures(gallery: Path) -> None:
    for path in (gallery, gallery / "models"):
        with pytest.raises(BadValue, match="keeps its own files"):
            look_at_folder(gallery, str(path), workers=1)


def test_for_a_look_at_a_new_gallery_no_encoder_is_fetched(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched(*_: object, **__: object) -> None:
        raise AssertionError("an encoder was made")

    monkeypatch.setattr("retrieval.workflows.indexing.ensure_space", fetched)
    (folder / "notes.txt").write_text("no picture")
    look = look_at_folder(tmp_path / "none", str(folder))
    assert (look.found, look.to_read, look.skipped, look.seconds, look.whole) == (6, 6, 1, None, True)
    assert 0 < look.disk < 100_000
    assert not (tmp_path / "none").exists()
