"""Near-duplicate groups: found through the index, confirmed by pictures, each file accounted for."""

import csv
import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval.core.errors import EmptyGallery
from retrieval.datasets.grouping import near_duplicate_groups
from retrieval.workflows import duplicates
from retrieval.workflows.duplicates import Copy, Duplicates, find_duplicates, write_csv
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.hooks import Hooks

from .support import contents, fill, index, picture, save


def names(found: Duplicates) -> list[set[str]]:
    return sorted(({os.path.basename(copy.path) for copy in group} for group in found.groups), key=sorted)


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """Twelve different pictures; of 0 a copy of the file, of 1 one saved again and smaller, of 2 one as JPEG."""
    folder = tmp_path / "photos"
    for seed in range(12):
        save(folder / f"{seed:04d}.png", seed, (240, 180))
    shutil.copy(folder / "0000.png", folder / "same.png")
    picture(1, (240, 180)).resize((120, 90), Image.Resampling.BICUBIC).save(folder / "small.png")
    picture(2, (240, 180)).save(folder / "again.jpg", quality=60)
    return folder


def test_copies_are_found_and_nothing_else(gallery: Path, copies: Path) -> None:
    index(gallery, copies)
    before = contents(gallery), contents(copies)
    found = find_duplicates(gallery, workers=1)
    assert names(found) == [{"0000.png", "same.png"}, {"0001.png", "small.png"}, {"0002.png", "again.jpg"}]
    assert (found.images, found.files, found.unread, found.interrupted) == (14, 6, 0, False)
    assert contents(copies) == before[1]
    assert set(contents(gallery)) == set(before[0])
    # The best one comes first: most pixels, then most bytes.
    for group in found.groups:
        assert list(group) == sorted(group, key=lambda copy: (-copy.width * copy.height, -copy.bytes, copy.path))
    assert found.bytes == sum(copy.bytes for group in found.groups for copy in group[1:])
    same = next(group for group in found.groups if group[0].image_id == group[1].image_id)
    assert {os.path.basename(copy.path) for copy in same} == {"0000.png", "same.png"}


def test_the_same_groups_as_by_all_hashes(gallery: Path, copies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An independent oracle: every pair of hashes, with the pictures as they are drawn."""
    index(gallery, copies)
    files = sorted(copies.iterdir())
    with Gallery(gallery) as opened:
        ids = opened.catalog.spaces.findable(opened.live_space().id)[0].tolist()
        hashes = opened.catalog.images.phashes(ids)
        paths = {i: record.paths[0] for i, record in opened.catalog.images.records(ids).items()}
    small = np.stack(
        [np.asarray(Image.open(paths[i]).convert("RGB").resize((12, 12), Image.Resampling.BOX)) for i in ids]
    )
    groups = near_duplicate_groups(np.array([hashes[i] for i in ids]), thumbnails=small)
    expected = {frozenset(np.array(ids)[groups == g].tolist()) for g in np.unique(groups)}
    monkeypatch.setattr(duplicates, "BLOCK", 5)
    monkeypatch.setattr(duplicates, "NEIGHBOURS", 1)
    found = find_duplicates(gallery, workers=1)
    together = {frozenset(copy.image_id for copy in group) for group in found.groups}
    assert {group for group in together if len(group) > 1} == {group for group in expected if len(group) > 1}
    assert len(files) == 15


def test_more_copies_than_neighbours_are_one_group(
    gallery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    fill(folder, range(3))
    for quality in range(40, 95, 5):
        picture(50, (240, 180)).save(folder / f"q{quality}.jpg", quality=quality)
    index(gallery, folder)
    monkeypatch.setattr(duplicates, "NEIGHBOURS", 2)
    (group,) = find_duplicates(gallery, workers=1).groups
    assert len(group) == 11


def test_where_files_cannot_be_read_only_nearly_equal_hashes_are_believed(gallery: Path, copies: Path) -> None:
    index(gallery, copies)
    for name in ("0001.png", "0002.png"):
        (copies / name).unlink()
    found = find_duplicates(gallery, workers=1)
    assert found.unread == 2
    assert {"0000.png", "same.png"} in names(found)
    with Gallery(gallery) as opened:
        for group in found.groups:
            hashes = opened.catalog.images.phashes([copy.image_id for copy in group])
            bits = [bin((a ^ b) & (2**64 - 1)).count("1") for a in hashes.values() for b in hashes.values()]
            assert max(bits) <= 8


def test_it_says_how_far_it_is_and_can_be_stopped(gallery: Path, copies: Path) -> None:
    index(gallery, copies)
    said: list[tuple[str, int, int]] = []
    find_duplicates(gallery, workers=1, hooks=Hooks(working=lambda *how: said.append(how)))
    assert said[0] == ("Comparing", 14, 14)
    assert said[-1][0] == "Confirming"
    assert said[-1][1] == said[-1][2]
    stopped = find_duplicates(gallery, workers=1, hooks=Hooks(stop=lambda: True))
    assert stopped.interrupted
    assert stopped.groups == ()


def test_a_gallery_without_copies_and_one_without_anything(six: tuple[Path, Path], tmp_path: Path) -> None:
    found = find_duplicates(six[0], workers=1)
    assert (found.images, found.groups, found.bytes) == (6, (), 0)
    with pytest.raises(EmptyGallery):
        find_duplicates(tmp_path / "none")


def test_the_table_has_a_row_a_file_and_no_formula() -> None:
    group = (Copy(7, "=cmd|x.png", 40, 30, 5, "2021-06-07T14:05:00", False), Copy(8, "/a/b, c.png", 4, 3, 2, "", True))
    out = io.StringIO(newline="")
    write_csv([group], out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert [row["path"] for row in rows] == ["'=cmd|x.png", "/a/b, c.png"]
    assert [(row["group"], row["width"], row["bytes"], row["image"]) for row in rows] == [
        ("1", "40", "5", "7"),
        ("1", "4", "2", "8"),
    ]
