"""What the last index run found is remembered, whoever started it."""

import time
from pathlib import Path

from retrieval.workflows.gallery import Gallery
from retrieval.workflows.index_report import Hooks
from retrieval.workflows.indexing import index_paths
from retrieval.workflows.last_run import last_run
from retrieval.workflows.status import status
from retrieval.workflows.upkeep import failure_page, list_roots, remove_root

from .support import StopAfter, fill, index


def test_the_last_run_is_what_was_reported(gallery: Path, folder: Path) -> None:
    before = time.time()
    report = index(gallery, folder)
    found = last_run(gallery)
    assert found is not None
    assert found.report == report.to_dict()
    assert before <= found.at <= time.time()
    (folder / "red" / "0000.png").unlink()
    second = index(gallery)
    found = last_run(gallery)
    assert found is not None
    assert found.report == second.to_dict()
    assert found.report["missing"] == 1
    # Remembering is part of the run: the seal was written after it.
    assert status(gallery, check=True).agree


def test_a_root_knows_when_all_of_it_was_looked_at(gallery: Path, folder: Path, tmp_path: Path) -> None:
    other = fill(tmp_path / "other", range(20, 22))
    index(gallery, folder)
    index(gallery, other)
    first = {root.path: root.scanned for root in list_roots(gallery)}
    assert None not in first.values()
    # Only a part of it: not all was looked at.
    index(gallery, folder / "red")
    assert {root.path: root.scanned for root in list_roots(gallery)} == first
    index(gallery, other)
    second = {root.path: root.scanned for root in list_roots(gallery)}
    assert second[str(folder)] == first[str(folder)]
    assert second[str(other)] > first[str(other)]  # type: ignore[operator]
    remove_root(gallery, other)
    index(gallery)
    with Gallery(gallery) as opened:
        assert len(opened.catalog.get("roots_scanned")) == 1


def test_a_run_that_was_stopped_has_not_looked_at_all(gallery: Path, folder: Path, small_batches: None) -> None:
    stop = StopAfter(2)
    index_paths(gallery, [folder], workers=1, hooks=Hooks(progress=stop.progress, stop=stop.stop))
    assert [root.scanned for root in list_roots(gallery)] == [None]
    found = last_run(gallery)
    assert found is not None
    assert found.report["interrupted"]


def test_failures_come_in_pages_and_by_reason(gallery: Path, tmp_path: Path) -> None:
    folder = fill(tmp_path / "photos", range(30, 31))
    for n in range(5):
        (folder / f"empty{n}.jpg").write_bytes(b"")
    (folder / "text.jpg").write_bytes(b"This is no picture at all, whatever its name says.")
    index(gallery, folder)
    page = failure_page(gallery, most=4)
    assert (page.reasons, page.first, page.total) == ({"empty": 5, "not_an_image": 1}, 0, 6)
    rest = failure_page(gallery, first=4, most=4)
    assert rest.first == 4
    paths = [file.path for file in (*page.files, *rest.files)]
    assert paths == sorted(paths)
    assert len(set(paths)) == 6
    # Beyond the end is the last page.
    assert failure_page(gallery, first=99, most=4) == rest
    only = failure_page(gallery, reason="not_an_image")
    assert [Path(file.path).name for file in only.files] == ["text.jpg"]
    assert (only.total, only.reasons) == (1, page.reasons)
    assert failure_page(gallery, reason="timeout").files == []
