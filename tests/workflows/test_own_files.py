"""A gallery is no folder of pictures: what the program keeps in it is never indexed, wherever the gallery lies."""

import os
import shutil
from pathlib import Path

import pytest

from retrieval.core.errors import BadValue
from retrieval.workflows.folders import look_at_folder
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.index_report import Hooks
from retrieval.workflows.indexing import estimate_index
from retrieval.workflows.watching import has_changed

from .support import contents, counts, index, names, save, searchable

PHOTOS = {f"{number:04d}.png" for number in range(6)}


@pytest.fixture
def inner(gallery: Path, folder: Path) -> Path:
    """A gallery inside the folder of pictures, with a photo that it was searched with."""
    inner = folder / "blue" / "gallery"
    shutil.copytree(gallery, inner)
    save(inner / "history" / f"{'a' * 64}.jpg", 50, format="JPEG")
    return inner


def test_a_gallery_inside_an_indexed_folder_is_left_out_without_a_word(inner: Path, folder: Path) -> None:
    said: list[str] = []
    assert counts(index(inner, folder, hooks=Hooks(say=said.append))) == {"found": 6, "new": 6, "embedded": 6}
    assert names(searchable(inner)) == PHOTOS
    assert counts(index(inner)) == {"found": 6, "unchanged": 6}
    plan = estimate_index(inner, [folder], workers=1).plan
    assert (plan.found, plan.skipped) == (6, 0)
    look = look_at_folder(inner, str(folder), workers=1)
    assert (look.found, look.skipped) == (6, 0)
    assert not has_changed(inner)
    assert said == []


def test_a_gallery_that_does_not_exist_yet_may_be_made_inside_its_folder(folder: Path, tiny_model: Path) -> None:
    report = index(folder / "gallery", folder, model=str(tiny_model))
    assert counts(report) == {"found": 6, "new": 6, "embedded": 6}
    assert counts(index(folder / "gallery", folder)) == {"found": 6, "unchanged": 6}


@pytest.mark.parametrize("name", ["gallery.before-restore-20260101-000000", "other", "a link"])
def test_any_other_gallery_is_left_out_and_said(gallery: Path, folder: Path, tmp_path: Path, name: str) -> None:
    if name == "a link":
        shutil.copytree(gallery, tmp_path / "other")
        (folder / name).symlink_to(tmp_path / "other", target_is_directory=True)
    else:
        shutil.copytree(gallery, folder / name)
    save(folder / name / "history" / f"{'a' * 64}.jpg", 50, format="JPEG")
    said: list[str] = []
    assert counts(index(gallery, folder, hooks=Hooks(say=said.append)))["found"] == 6
    assert names(searchable(gallery)) == PHOTOS
    assert [line for line in said if name in line and "left out" in line]


@pytest.mark.parametrize("below", ["", "history", f"history/{'a' * 64}.jpg", "models", "not/there"])
@pytest.mark.parametrize("whose", ["gallery", "gallery.before-restore-20260101-000000", "a link"])
def test_a_path_in_a_gallery_is_refused_and_nothing_is_changed(gallery: Path, whose: str, below: str) -> None:
    other = gallery.with_name(whose)
    if whose == "a link":
        other.symlink_to(gallery, target_is_directory=True)
    elif other != gallery:
        shutil.copytree(gallery, other)
    save(other / "history" / f"{'a' * 64}.jpg", 50, format="JPEG")
    before = contents(gallery)
    for run in (lambda: index(gallery, other / below), lambda: estimate_index(gallery, [other / below])):
        with pytest.raises(BadValue, match="keeps its own files") as caught:
            run()
        assert caught.value.exit_code == 14
    assert contents(gallery) == before


def test_no_gallery_is_made_for_a_path_inside_it(tmp_path: Path, tiny_model: Path) -> None:
    save(tmp_path / "gallery" / ".pictures" / "1.png", 1)
    with pytest.raises(BadValue, match="keeps its own files"):
        index(tmp_path / "gallery", tmp_path / "gallery" / ".pictures", model=str(tiny_model))
    assert sorted(path.name for path in (tmp_path / "gallery").iterdir()) == [".pictures"]


@pytest.mark.parametrize("root", ["", "blue/gallery/history"])
def test_own_files_that_were_indexed_once_are_taken_for_missing(inner: Path, folder: Path, root: str) -> None:
    catalog = inner / "catalog.sqlite3"
    catalog.rename(inner.parent / "elsewhere")
    shutil.copytree(inner, folder.parent / "work")
    (inner.parent / "elsewhere").rename(folder.parent / "work" / "catalog.sqlite3")
    # Without its catalog it is a folder as any other, as it was to a version that did not look for one.
    index(folder.parent / "work", folder / root)
    assert f"{'a' * 64}.jpg" in names(searchable(folder.parent / "work"))
    shutil.rmtree(inner)
    (folder.parent / "work").rename(inner)
    with Gallery(inner) as opened:
        assert [os.fsdecode(known.path) for known in opened.catalog.roots.all()] == [str(folder / root)]
    assert has_changed(inner)
    assert index(inner).missing == 1
    assert f"{'a' * 64}.jpg" not in names(searchable(inner))
    assert not has_changed(inner)
