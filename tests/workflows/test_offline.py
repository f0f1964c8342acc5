"""Folders that cannot be reached: offline, never deleted."""

import shutil
from pathlib import Path

import pytest

from retrieval.workflows.gallery import Gallery
from retrieval.workflows.index_report import Hooks
from retrieval.workflows.indexing import estimate_index
from retrieval.workflows.searching import Searcher
from retrieval.workflows.status import status
from retrieval.workflows.upkeep import list_roots, missing_files, prune

from .support import counts, fill, index, searchable


@pytest.fixture
def two_roots(gallery: Path, folder: Path, tmp_path: Path) -> tuple[Path, Path, Path]:
    """(gallery, drive with six pictures, local folder with two)."""
    local = fill(tmp_path / "local", range(40, 42))
    index(gallery, folder, local)
    return gallery, folder, local


def test_an_offline_folder_stays_searchable_and_says_that_it_is_offline(two_roots: tuple[Path, Path, Path]) -> None:
    gallery, drive, local = two_roots
    drive.rename(drive.with_name("unplugged"))
    before = status(gallery)
    assert (before.images, before.offline_files, before.missing) == (8, 6, 0), "before any run has noticed"
    assert counts(index(gallery, local)) == {"found": 2, "unchanged": 2, "offline": 6}
    assert len(searchable(gallery)) == 8
    found = status(gallery)
    assert (found.images, found.offline_files, found.missing) == (8, 6, 0)
    assert found.offline_roots == [str(drive)]
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        answer = next(searcher.by_path(local / "0040.png", 8)).found
        assert {(Path(n.paths[0]).parent.name == "local", n.offline) for n in answer.neighbours} == {
            (True, False),
            (False, True),
        }


def test_status_counts_as_offline_what_an_index_run_counts(two_roots: tuple[Path, Path, Path]) -> None:
    gallery, drive, local = two_roots
    next(drive.rglob("*.png")).unlink()
    assert index(gallery, drive).missing == 1
    drive.rename(drive.with_name("unplugged"))
    report, found = index(gallery, local), status(gallery)
    assert (found.offline_files, found.missing) == (report.offline, 1) == (5, 1)


def test_indexing_everything_leaves_an_offline_folder_out(two_roots: tuple[Path, Path, Path]) -> None:
    gallery, drive, _ = two_roots
    drive.rename(drive.with_name("unplugged"))
    assert counts(index(gallery)) == {"found": 2, "unchanged": 2, "offline": 6}
    assert counts(index(gallery, drive)) == {"offline": 6}
    assert counts(index(gallery, drive / "red")) == {"offline": 6}


def test_an_empty_mount_point_is_offline(two_roots: tuple[Path, Path, Path]) -> None:
    gallery, drive, _ = two_roots
    away = drive.rename(drive.with_name("unplugged"))
    drive.mkdir()
    assert counts(index(gallery, drive)) == {"offline": 6}
    assert len(searchable(gallery)) == 8
    drive.rmdir()
    away.rename(drive)
    assert counts(index(gallery)) == {"found": 8, "unchanged": 8}


def said_by(gallery: Path, *paths: Path) -> str:
    said: list[str] = []
    index(gallery, *paths, hooks=Hooks(say=said.append))
    return "\n".join(said)


def test_what_lies_in_an_offline_folder_is_named_with_the_folder(two_roots: tuple[Path, Path, Path]) -> None:
    gallery, drive, local = two_roots
    drive.rename(drive.with_name("unplugged"))
    for path in (drive / "red", drive / "red" / "0000.png", drive / "never seen"):
        (line,) = said_by(gallery, path).splitlines()
        assert f"{path} was not looked at" in line
        assert f"in {drive}, which is offline (no such file or directory)" in line
        assert "6 files" in line
        assert f"retrieval roots --remove {drive}" in line
    for paths in ((drive,), ()):
        assert said_by(gallery, *paths).startswith(f"{drive} is offline (no such")
    assert said_by(gallery, local) == ""


def test_an_emptied_folder_is_said_to_be_empty_and_what_to_do(two_roots: tuple[Path, Path, Path]) -> None:
    gallery, drive, _ = two_roots
    drive.rename(drive.with_name("unplugged"))
    drive.mkdir()
    line = said_by(gallery, drive)
    for words in (
        f"{drive} is offline",
        "it is empty",
        "6 files were indexed",
        "not mounted",
        "not even by `retrieval prune`",
        f"if you emptied the folder yourself, `retrieval roots --remove {drive}`",
    ):
        assert words in line
    assert [(root.online, root.why) for root in list_roots(gallery) if root.path == str(drive)] == [
        (False, "the folder is there, but it is empty")
    ]
    assert prune(gallery) == 0
    assert len(searchable(gallery)) == 8


def test_a_dry_run_names_offline_folders_too(two_roots: tuple[Path, Path, Path]) -> None:
    gallery, drive, _ = two_roots
    drive.rename(drive.with_name("unplugged"))
    said: list[str] = []
    assert estimate_index(gallery, [drive / "red"], hooks=Hooks(say=said.append)).offline == 6
    assert "which is offline" in said[0]


def test_prune_never_forgets_an_offline_folder(two_roots: tuple[Path, Path, Path]) -> None:
    gallery, drive, local = two_roots
    # One file was missing while the drive was there: that, too, is left alone while it is not.
    aside = (drive / "red" / "0000.png").rename(drive.with_name("aside.png"))
    index(gallery)
    (local / "0040.png").unlink()
    index(gallery)
    away = drive.rename(drive.with_name("unplugged"))
    assert missing_files(gallery) == [str(local / "0040.png")]
    assert prune(gallery) == 1
    away.rename(drive)
    aside.rename(drive / "red" / "0000.png")
    assert counts(index(gallery)) == {"found": 7, "unchanged": 7}


def test_a_drive_that_comes_back_is_as_it_was(two_roots: tuple[Path, Path, Path]) -> None:
    gallery, drive, _ = two_roots
    away = drive.rename(drive.with_name("unplugged"))
    index(gallery)
    assert [root.online for root in list_roots(gallery)] == [True, False]
    away.rename(drive)
    assert counts(index(gallery, drive)) == {"found": 6, "unchanged": 6}
    assert status(gallery).offline_roots == []


def test_a_drive_that_comes_back_at_another_place_embeds_nothing(two_roots: tuple[Path, Path, Path]) -> None:
    gallery, drive, _ = two_roots
    away = drive.rename(drive.with_name("unplugged"))
    index(gallery)
    assert counts(index(gallery, away)) == {"found": 6, "moved": 6}
    assert len(searchable(gallery)) == 8


def test_a_copy_of_an_offline_drive_embeds_nothing(two_roots: tuple[Path, Path, Path], tmp_path: Path) -> None:
    gallery, drive, _ = two_roots
    shutil.copytree(drive, tmp_path / "backup of drive")
    drive.rename(drive.with_name("unplugged"))
    assert index(gallery, tmp_path / "backup of drive").embedded == 0


def test_a_look_at_the_status_does_not_need_the_write_lock_nor_change_anything(
    two_roots: tuple[Path, Path, Path],
) -> None:
    gallery, drive, _ = two_roots
    drive.rename(drive.with_name("unplugged"))
    with Gallery(gallery) as opened, opened.layout.writing():
        assert status(gallery).offline_roots == [str(drive)]
        assert [root.online for root in list_roots(gallery)] == [True, False]


def test_indexing_the_folder_above_an_offline_drive_keeps_the_drive_offline(gallery: Path, tmp_path: Path) -> None:
    drive = fill(tmp_path / "media" / "drive", range(3))
    fill(tmp_path / "media" / "card", range(3, 5))
    index(gallery, drive)
    drive.rename(tmp_path / "unplugged")
    drive.mkdir()
    report = index(gallery, tmp_path / "media")
    assert counts(report) == {"found": 2, "new": 2, "offline": 3, "embedded": 2}
    assert missing_files(gallery) == []
    assert len(searchable(gallery)) == 5
