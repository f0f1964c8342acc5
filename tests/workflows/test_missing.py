"""Files that are gone: every run counts all of them, until they come back or are forgotten."""

from pathlib import Path

import pytest

from retrieval.workflows.indexing import estimate_index
from retrieval.workflows.upkeep import prune

from .support import counts, index, save, searchable


def test_what_is_gone_is_counted_by_every_run_until_it_is_forgotten(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    for number in (0, 1):
        (folder / "red" / f"{number:04d}.png").unlink()
    (folder / "blue" / "0003.png").unlink()
    for _ in range(2):
        assert counts(index(gallery, folder)) == {"found": 3, "unchanged": 3, "missing": 3}
    # Only of what was looked at.
    assert counts(index(gallery, folder / "red")) == {"found": 1, "unchanged": 1, "missing": 2}
    save(folder / "red" / "0000.png", 0)
    (folder / "red" / "0002.png").unlink()
    for _ in range(2):
        report = index(gallery, folder)
        assert (report.found, report.missing, report.embedded) == (3, 3, 0)
    assert prune(gallery) == 3
    assert counts(index(gallery, folder)) == {"found": 3, "unchanged": 3}


def test_no_file_is_counted_twice(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    gone = folder / "red" / "0000.png"
    gone.unlink()
    for paths in ((folder, gone), (gone, gone), (gone, folder / "red")):
        assert index(gallery, *paths).missing == 1


def test_a_single_file_that_is_gone_is_counted_and_may_come_back(gallery: Path, folder: Path) -> None:
    single = folder / "red" / "0000.png"
    index(gallery, single)
    single.unlink()
    for _ in range(2):
        assert counts(index(gallery)) == {"missing": 1}
    save(single, 0)
    assert counts(index(gallery)) == {"found": 1, "unchanged": 1}
    assert searchable(gallery) == {str(single)}


@pytest.mark.parametrize("also", [False, True])
def test_a_file_is_missing_or_offline_and_never_both(gallery: Path, folder: Path, tmp_path: Path, also: bool) -> None:
    index(gallery, folder)
    (folder / "red" / "0000.png").unlink()
    assert index(gallery, folder).missing == 1
    local = save(tmp_path / "local" / "1.png", 70).parent
    folder.rename(tmp_path / "unmounted")
    report = index(gallery, local, *([folder] if also else []))
    assert (report.missing, report.offline) == (0, 5)
    assert estimate_index(gallery, [local], workers=1).offline == 5
