"""Files that cannot be used: listed with a reason, tried again when asked, never in the way of the others."""

from pathlib import Path

import pytest

from retrieval.core.errors import EmptyGallery, Reason
from retrieval.images.pool import DecodePool
from retrieval.workflows.indexing import retry_failures
from retrieval.workflows.upkeep import failures

from .support import assert_accounted, counts, index, save, searchable


@pytest.fixture
def broken(folder: Path) -> Path:
    """Six good pictures, an empty one, half of one, and a text that claims to be one."""
    whole = (folder / "red" / "0000.png").read_bytes()
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_text("this is no picture at all")
    return folder


def reasons(gallery: Path) -> dict[str, str]:
    return {Path(f.path).name: f.reason for f in failures(gallery)}


def test_each_bad_file_is_listed_with_its_reason_and_the_others_are_indexed(gallery: Path, broken: Path) -> None:
    assert counts(index(gallery, broken)) == {"found": 9, "new": 6, "failed": 3, "embedded": 6}
    listed = reasons(gallery)
    assert set(listed) == {"empty.jpg", "half.png", "text.jpg"}
    assert listed["empty.jpg"] == Reason.EMPTY
    assert listed["text.jpg"] == Reason.NOT_AN_IMAGE
    assert listed["half.png"] in (Reason.TRUNCATED, Reason.CORRUPT)
    assert all(f.message for f in failures(gallery))
    assert len(searchable(gallery)) == 6


def test_known_failures_are_not_read_again(gallery: Path, broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index(gallery, broken)
    read = []
    submit = DecodePool.submit
    monkeypatch.setattr(DecodePool, "submit", lambda self, job: read.append(job) or submit(self, job))
    assert counts(index(gallery, broken)) == {"found": 9, "unchanged": 6, "failed": 3}
    assert read == []


def test_a_mended_file_is_taken_by_the_next_run(gallery: Path, broken: Path) -> None:
    index(gallery, broken)
    save(broken / "half.png", 80)
    assert counts(index(gallery, broken)) == {"found": 9, "new": 1, "unchanged": 6, "failed": 2, "embedded": 1}
    assert "half.png" not in reasons(gallery)


def test_a_good_file_that_breaks_is_a_failure_and_no_longer_found(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    (folder / "red" / "0000.png").write_bytes(b"")
    assert counts(index(gallery, folder)) == {"found": 6, "unchanged": 5, "failed": 1}
    assert len(searchable(gallery)) == 5
    save(folder / "red" / "0000.png", 0)
    # The content is known: what comes back is not embedded a second time.
    assert index(gallery, folder).embedded == 0
    assert len(searchable(gallery)) == 6


def test_a_retry_reads_every_failure_again_even_if_it_is_as_it_was(gallery: Path, broken: Path) -> None:
    index(gallery, broken)
    report = retry_failures(gallery, workers=1)
    assert_accounted(report)
    assert counts(report) == {"found": 3, "failed": 3}
    save(broken / "half.png", 80)
    report = retry_failures(gallery, workers=1)
    assert counts(report) == {"found": 3, "new": 1, "failed": 2, "embedded": 1}
    assert len(searchable(gallery)) == 7


def test_a_retry_leaves_failures_in_folders_alone_that_cannot_be_reached(gallery: Path, broken: Path) -> None:
    index(gallery, broken)
    broken.rename(broken.with_name("unmounted"))
    report = retry_failures(gallery, workers=1)
    assert report.found == 0
    assert len(failures(gallery)) == 3


def test_a_retry_where_nothing_was_ever_indexed_says_so_and_looks_for_no_model(tmp_path: Path) -> None:
    with pytest.raises(EmptyGallery):
        retry_failures(tmp_path / "gallery")


def test_a_failed_file_that_goes_and_comes_back_is_still_a_failure(gallery: Path, broken: Path) -> None:
    index(gallery, broken)
    (broken / "empty.jpg").rename(broken.parent / "aside.jpg")
    assert counts(index(gallery, broken)) == {"found": 8, "unchanged": 6, "failed": 2, "missing": 1}
    assert "empty.jpg" not in reasons(gallery)
    (broken.parent / "aside.jpg").rename(broken / "empty.jpg")
    assert counts(index(gallery, broken)) == {"found": 9, "unchanged": 6, "failed": 3}
    assert reasons(gallery)["empty.jpg"] == Reason.EMPTY


def test_a_folder_of_nothing_but_failures_leaves_an_empty_gallery(gallery: Path, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.jpg").write_bytes(b"no")
    assert counts(index(gallery, tmp_path / "bad")) == {"found": 1, "failed": 1}
    assert searchable(gallery) == set()
