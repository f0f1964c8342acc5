"""What a switch cannot embed: named, waited for, and never made up."""

import shutil
from pathlib import Path

from retrieval.catalog import PERSON, Entry
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.spaces import spaces
from retrieval.workflows.status import status
from retrieval.workflows.upkeep import prune

from .support import an_image, counts, index, refusal, save, searchable, switch_to


def test_files_that_are_gone_are_named_before_anything_is_embedded(
    gallery: Path, folder: Path, other_model: Path
) -> None:
    index(gallery, folder)
    (folder / "red" / "0001.png").unlink()
    error = refusal(gallery, other_model)
    assert "5 of 6 images" in error.message
    assert "prune" in error.hint
    (skipped,) = error.report.skipped
    assert (skipped.path, skipped.reason) == (str(folder / "red" / "0001.png"), "gone")
    assert f"ids {skipped.image_id})" in error.message
    assert error.report.embedded == 0
    # The hint helps.
    index(gallery, folder)
    prune(gallery)
    report = switch_to(gallery, other_model)
    assert (report.switched, report.covered, report.total) == (True, 5, 5)


def test_an_offline_folder_is_named_and_embedded_once_it_is_back(
    gallery: Path, folder: Path, other_model: Path, tmp_path: Path
) -> None:
    index(gallery, folder / "red")
    index(gallery, folder / "blue")
    (folder / "blue").rename(tmp_path / "away")
    error = refusal(gallery, other_model)
    assert "3 of 6 images" in error.message
    assert "drive" in error.hint
    assert {entry.reason for entry in error.report.skipped} == {"offline"}
    report = switch_to(gallery, other_model, force=True)
    assert (report.switched, report.covered, report.total, len(report.skipped)) == (True, 3, 6, 3)
    assert "3 of 6" in spaces(gallery)[1].forced[0]
    assert len(searchable(gallery)) == 3
    (tmp_path / "away").rename(folder / "blue")
    assert counts(index(gallery)) == {"found": 6, "unchanged": 6, "embedded": 3}
    assert len(searchable(gallery)) == 6
    assert status(gallery, check=True).agree


def test_an_image_is_read_from_another_file_where_the_first_one_is_gone_or_changed(
    gallery: Path, folder: Path, other_model: Path
) -> None:
    shutil.copy(folder / "red" / "0000.png", folder / "blue" / "copy.png")
    shutil.copy(folder / "red" / "0001.png", folder / "blue" / "copy 1.png")
    index(gallery, folder)
    (folder / "blue" / "copy.png").unlink()
    save(folder / "blue" / "copy 1.png", 99)
    report = switch_to(gallery, other_model)
    assert (report.switched, report.embedded, report.total) == (True, 6, 6)


def test_a_file_that_changed_since_it_was_indexed_is_no_embedding_of_what_it_was(
    gallery: Path, folder: Path, other_model: Path
) -> None:
    index(gallery, folder)
    save(folder / "red" / "0000.png", 99)
    (folder / "red" / "0001.png").write_bytes(b"no picture")
    error = refusal(gallery, other_model)
    assert {entry.reason for entry in error.report.skipped} == {"changed", "unreadable"}
    assert error.report.embedded == 4
    assert "retrieval index" in error.hint
    # What was embedded is kept, and the hint helps.
    index(gallery, folder)
    report = switch_to(gallery, other_model)
    assert (report.switched, report.embedded, report.total) == (True, 1, 5)


def test_what_has_no_file_any_more_but_a_persons_label_does_not_count(
    gallery: Path, folder: Path, other_model: Path
) -> None:
    index(gallery, folder)
    with Gallery(gallery) as opened:
        opened.catalog.labels.change("set", [Entry(an_image(gallery), "mine", PERSON)])
    (folder / "red" / "0000.png").unlink()
    index(gallery, folder)
    prune(gallery)
    assert switch_to(gallery, other_model).total == 5
