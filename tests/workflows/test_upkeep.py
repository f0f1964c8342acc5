"""Roots and pruning: the only things that ever forget anything."""

import shutil
from pathlib import Path

import pytest

from retrieval.core.errors import EmptyGallery, GalleryBusy, NoSuchPath
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.upkeep import failures, left_behind, list_roots, missing_files, prune, remove_root

from .support import contents, counts, fill, index, names, searchable


def test_roots_are_listed_with_what_is_in_them(gallery: Path, folder: Path, tmp_path: Path) -> None:
    (folder / "bad.jpg").write_bytes(b"")
    other = fill(tmp_path / "other", range(40, 42))
    index(gallery, folder, other / "0040.png")
    (folder / "red" / "0000.png").unlink()
    index(gallery, folder)
    other.rename(tmp_path / "away")
    listed = {Path(root.path).name: root for root in list_roots(gallery)}
    assert set(listed) == {"photos", "other"}
    photos, single = listed["photos"], listed["other"]
    assert (photos.online, photos.whole, photos.present, photos.missing, photos.failed) == (True, True, 5, 1, 1)
    assert (single.online, single.whole, single.present, single.missing, single.failed) == (False, False, 1, 0, 0)


def test_removing_a_root_forgets_its_files_and_touches_none(gallery: Path, folder: Path, tmp_path: Path) -> None:
    other = fill(tmp_path / "other", range(40, 42))
    index(gallery, folder, other)
    before = contents(folder)
    assert remove_root(gallery, folder) == 6
    assert contents(folder) == before
    assert names(searchable(gallery)) == {"0040.png", "0041.png"}
    assert [Path(root.path).name for root in list_roots(gallery)] == ["other"]
    assert counts(index(gallery)) == {"found": 2, "unchanged": 2}


def test_an_image_that_lies_in_another_root_too_is_kept(gallery: Path, folder: Path, tmp_path: Path) -> None:
    fill(tmp_path / "other", range(1))
    index(gallery, folder, tmp_path / "other")
    remove_root(gallery, folder)
    assert searchable(gallery) == {str(tmp_path / "other" / "0000.png")}


def test_a_root_that_is_offline_can_be_removed_by_name(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    folder.rename(folder.with_name("gone"))
    assert remove_root(gallery, folder) == 6
    assert list_roots(gallery) == []


def test_only_roots_can_be_removed(six: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, photos = six
    for path in (photos / "red", photos.parent, tmp_path / "typo"):
        with pytest.raises(NoSuchPath, match="not a root"):
            remove_root(gallery, path)
    assert len(searchable(gallery)) == 6


def test_prune_forgets_exactly_what_is_gone(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    gone = [folder / "red" / "0000.png", folder / "blue" / "0004.png"]
    for path in gone:
        path.unlink()
    assert missing_files(gallery) == []
    assert prune(gallery) == 0
    index(gallery, folder)
    assert missing_files(gallery) == sorted(map(str, gone))
    assert prune(gallery) == 2
    assert missing_files(gallery) == []
    assert prune(gallery) == 0
    with Gallery(gallery) as opened:
        assert opened.catalog.spaces.count(opened.live_space().id) == (4, 4)
    assert counts(index(gallery, folder)) == {"found": 4, "unchanged": 4}


def test_a_file_that_came_back_since_is_not_pruned(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    aside = (folder / "red" / "0000.png").rename(folder.parent / "aside.png")
    index(gallery, folder)
    aside.rename(folder / "red" / "0000.png")
    assert missing_files(gallery) == []
    assert prune(gallery) == 0
    assert counts(index(gallery, folder)) == {"found": 6, "unchanged": 6}


def test_a_pruned_file_that_comes_back_is_new(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    aside = (folder / "red" / "0000.png").rename(folder.parent / "aside.png")
    index(gallery, folder)
    prune(gallery)
    aside.rename(folder / "red" / "0000.png")
    assert counts(index(gallery, folder)) == {"found": 6, "new": 1, "unchanged": 5, "embedded": 1}


@pytest.fixture
def remounted(gallery: Path, folder: Path, tmp_path: Path) -> tuple[Path, Path, Path]:
    """(gallery, old place, new place) of a drive with six pictures and a file that fails."""
    (folder / "bad.jpg").write_bytes(b"")
    index(gallery, folder)
    away = folder.rename(tmp_path / "mounted elsewhere")
    assert counts(index(gallery, away)) == {"found": 7, "moved": 6, "failed": 1, "offline": 1}
    return gallery, folder, away


def test_what_a_drive_left_at_its_old_place_can_be_pruned(remounted: tuple[Path, Path, Path]) -> None:
    gallery, old, new = remounted
    assert [(root.path, root.failed) for root in left_behind(gallery)] == [(str(old), 1)]
    assert prune(gallery, only=set()) == 0
    assert prune(gallery, only={str(old)}) == 1
    assert [root.path for root in list_roots(gallery)] == [str(new)]
    assert [file.path for file in failures(gallery)] == [str(new / "bad.jpg")]
    assert len(searchable(gallery)) == 6


def test_a_drive_that_failed_whole_and_is_away_is_not_left_behind(gallery: Path, folder: Path, tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    drive.mkdir()
    (drive / "a.jpg").write_bytes(b"")
    (drive / "b.jpg").write_bytes(b"")
    index(gallery, folder, drive)
    drive.rename(tmp_path / "unplugged")
    # Another folder that has one of the names is no sign of a new place.
    (folder / "a.jpg").write_bytes(b"")
    index(gallery, folder)
    assert left_behind(gallery) == []
    assert prune(gallery) == 0
    assert len(list_roots(gallery)) == 2


def test_an_offline_folder_with_images_is_never_left_behind(gallery: Path, folder: Path, tmp_path: Path) -> None:
    index(gallery, folder)
    shutil.copytree(folder, tmp_path / "copy")
    index(gallery, tmp_path / "copy")
    folder.rename(tmp_path / "unplugged")
    assert left_behind(gallery) == []
    assert prune(gallery) == 0
    assert len(list_roots(gallery)) == 2


@pytest.mark.usefixtures("impatient")
def test_what_writes_needs_the_lock_and_what_reads_does_not(six: tuple[Path, Path]) -> None:
    gallery, photos = six
    with Gallery(gallery) as opened, opened.layout.writing():
        with pytest.raises(GalleryBusy):
            remove_root(gallery, photos)
        with pytest.raises(GalleryBusy):
            prune(gallery)
        assert len(list_roots(gallery)) == 1
        assert failures(gallery) == []
        assert missing_files(gallery) == []


def test_nothing_makes_a_gallery_by_looking_at_it(tmp_path: Path) -> None:
    for look in (list_roots, missing_files, left_behind, prune, failures):
        with pytest.raises(EmptyGallery):
            look(tmp_path / "gallery")
    with pytest.raises(EmptyGallery):
        remove_root(tmp_path / "gallery", tmp_path)
    assert list(tmp_path.iterdir()) == []
