"""Names that break other programs survive the whole round trip."""

import os
from pathlib import Path

import pytest

from retrieval.core.types import Filters
from retrieval.workflows.backup import backup, restore
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.searching import Searcher
from retrieval.workflows.upkeep import failures, list_roots, missing_files

from .support import counts, index, save, searchable

ODD = [
    b"not utf-8 \xff\xfe.png",
    b"two\nlines.png",
    b"tab\tand\rreturn.png",
    b"-leading-dash.png",
    b"glob*?[a-z]{b,c}.png",
    b"percent%20%s.png",
    b"quote'\"`$(x).png",
    b"back\\slash.png",
    b"[bold]markup[red].png",
    "combining e\u0301 and precomposed \u00e9.png".encode(),
    "right-to-left \u202e gnp.png".encode(),
    "\U0001f4f7.png".encode(),
    b" leading and trailing space .png ",
    b"l" * 251 + b".png",
    b"like_%.png",
    b"\x01control.png",
]


@pytest.fixture
def odd(tmp_path: Path) -> bytes:
    """A folder with every odd name, inside a folder that is odd itself."""
    folder = os.path.join(os.fsencode(tmp_path), b"odd \xff\nfolder")
    for seed, name in enumerate(ODD):
        save(os.path.join(folder, name), seed)
    return folder


def test_odd_names_come_back_byte_for_byte(gallery: Path, odd: bytes) -> None:
    folder = Path(os.fsdecode(odd))
    assert counts(index(gallery, folder)) == {"found": len(ODD), "new": len(ODD), "embedded": len(ODD)}
    assert {os.fsencode(path) for path in searchable(gallery)} == {os.path.join(odd, name) for name in ODD}
    assert counts(index(gallery, folder)) == {"found": len(ODD), "unchanged": len(ODD)}
    assert [os.fsencode(root.path) for root in list_roots(gallery)] == [odd]


def test_each_odd_name_can_be_searched_with_and_filtered_by(gallery: Path, odd: bytes) -> None:
    index(gallery, Path(os.fsdecode(odd)))
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        paths = [os.path.join(odd, name) for name in ODD]
        for raw, found in zip(paths, searcher.by_files(paths, 1), strict=True):
            assert [os.fsencode(path) for path in found.neighbours[0].paths] == [raw]
        for raw in paths[:3]:
            found = searcher.by_files([raw], 50, Filters(under=(os.fsdecode(raw),)))[0]
            assert [os.fsencode(n.paths[0]) for n in found.neighbours] == [raw]
        assert {label for label, _ in searcher.labels()} == set()


def test_an_odd_folder_name_becomes_a_label_that_can_be_shown(gallery: Path, odd: bytes) -> None:
    index(gallery, Path(os.fsdecode(os.path.dirname(odd))) / os.fsdecode(os.path.basename(odd)))
    parent = Path(os.fsdecode(os.path.dirname(odd)))
    (parent / "above").mkdir()
    os.rename(odd, os.path.join(os.fsencode(parent / "above"), os.path.basename(odd)))
    index(gallery, parent / "above")
    with Gallery(gallery) as opened:
        assert opened.catalog.images.labels() == [("odd \\xff\\nfolder", len(ODD))]


def test_odd_names_that_fail_vanish_or_move_are_named_exactly(gallery: Path, odd: bytes) -> None:
    folder = Path(os.fsdecode(odd))
    index(gallery, folder)
    paths = [os.path.join(odd, name) for name in ODD]
    with open(paths[0], "wb") as file:
        file.write(b"broken")
    os.remove(paths[1])
    os.rename(paths[2], paths[2] + b"\xfe")
    assert counts(index(gallery, folder)) == {
        "found": len(ODD) - 1,
        "unchanged": len(ODD) - 3,
        "moved": 1,
        "failed": 1,
        "missing": 1,
    }
    assert [os.fsencode(f.path) for f in failures(gallery)] == [paths[0]]
    assert [os.fsencode(path) for path in missing_files(gallery)] == [paths[1]]
    assert paths[2] + b"\xfe" in {os.fsencode(path) for path in searchable(gallery)}


def test_odd_names_survive_a_backup_and_a_gallery_may_have_one(gallery: Path, odd: bytes, tmp_path: Path) -> None:
    index(gallery, Path(os.fsdecode(odd)))
    before = searchable(gallery)
    target = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), b"back\xffup\n%.tar")))
    backup(gallery, target)
    other = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), b"another % gallery \xe9\n#?")))
    restore(target, other)
    assert searchable(other) == before
    assert counts(index(other)) == {"found": len(ODD), "unchanged": len(ODD)}
