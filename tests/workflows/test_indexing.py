"""Indexing: incremental, by content, and with every file accounted for."""

import os
import shutil
from pathlib import Path
from time import monotonic

import pytest

from retrieval.core.errors import BadValue, EmptyGallery, ModelMismatch, NoSuchPath
from retrieval.workflows import index_run
from retrieval.workflows.encoders import GalleryEncoder
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.index_report import Estimate, Hooks, Progress

from .support import DIMENSION, REPORT_KEYS, counts, fill, index, names, save, searchable


def test_a_first_run_takes_everything_and_a_second_one_embeds_nothing(gallery: Path, folder: Path) -> None:
    first = index(gallery, folder)
    assert counts(first) == {"found": 6, "new": 6, "embedded": 6}
    assert searchable(gallery) == {str(path) for path in folder.rglob("*.png")}
    second = index(gallery, folder)
    assert counts(second) == {"found": 6, "unchanged": 6}
    assert second.images_per_second == 0


def test_the_report_has_the_keys_of_the_issue_and_names_the_space(gallery: Path, folder: Path) -> None:
    report = index(gallery, folder)
    values = report.to_dict()
    assert list(values)[: len(REPORT_KEYS)] == REPORT_KEYS
    with Gallery(gallery) as opened:
        assert values["space"] == opened.live_space().fingerprint
    assert values["seconds"] > 0
    assert values["images_per_second"] > 0


def test_a_new_file_is_all_that_a_later_run_reads(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    save(folder / "red" / "more.png", 50)
    assert counts(index(gallery, folder)) == {"found": 7, "new": 1, "unchanged": 6, "embedded": 1}


def test_renaming_a_file_embeds_nothing_and_leaves_no_ghost(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    (folder / "red" / "0000.png").rename(folder / "blue" / "renamed.png")
    assert counts(index(gallery, folder)) == {"found": 6, "moved": 1, "unchanged": 5}
    assert names(searchable(gallery)) == {"0001.png", "0002.png", "0003.png", "0004.png", "0005.png", "renamed.png"}


def test_swapping_two_files_embeds_nothing(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    a, b = folder / "red" / "0000.png", folder / "red" / "0001.png"
    a.rename(folder / "aside")
    b.rename(a)
    (folder / "aside").rename(b)
    report = counts(index(gallery, folder))
    assert report.get("embedded", 0) == 0
    assert report["found"] == 6
    assert "missing" not in report
    assert len(searchable(gallery)) == 6


def test_renaming_a_folder_inside_a_root_embeds_nothing(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    (folder / "red").rename(folder / "crimson")
    assert counts(index(gallery, folder)) == {"found": 6, "moved": 3, "unchanged": 3}
    assert {Path(path).parent.name for path in searchable(gallery)} == {"crimson", "blue"}


def test_a_remounted_folder_embeds_nothing(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    elsewhere = folder.rename(folder.with_name("mounted elsewhere"))
    assert counts(index(gallery, elsewhere)) == {"found": 6, "moved": 6}
    assert searchable(gallery) == {str(path) for path in elsewhere.rglob("*.png")}


def test_a_copied_file_embeds_nothing_and_both_places_are_known(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    shutil.copy(folder / "red" / "0000.png", folder / "blue" / "copy.png")
    assert counts(index(gallery, folder)) == {"found": 7, "copied": 1, "unchanged": 6}
    assert len(searchable(gallery)) == 7


def test_duplicates_within_one_run_are_embedded_once(gallery: Path, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        save(tmp_path / "photos" / f"{name}.png", 1)
    save(tmp_path / "photos" / "d.png", 2)
    assert counts(index(gallery, tmp_path / "photos")) == {"found": 4, "new": 2, "copied": 2, "embedded": 2}


def test_an_edited_file_is_embedded_and_its_old_content_is_gone(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    save(folder / "red" / "0000.png", 70, size=(60, 40))
    assert counts(index(gallery, folder)) == {"found": 6, "changed": 1, "unchanged": 5, "embedded": 1}
    assert len(searchable(gallery)) == 6
    with Gallery(gallery) as opened:
        stored, findable = opened.catalog.spaces.count(opened.live_space().id)
    assert (stored, findable) == (7, 6)


def test_an_edit_that_is_taken_back_embeds_nothing(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    save(folder / "red" / "0000.png", 70, size=(60, 40))
    index(gallery, folder)
    save(folder / "red" / "0000.png", 0)
    assert counts(index(gallery, folder)) == {"found": 6, "changed": 1, "unchanged": 5}


def test_a_touched_file_is_read_but_not_embedded(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    os.utime(folder / "red" / "0000.png", ns=(1, 1))
    assert counts(index(gallery, folder)) == {"found": 6, "unchanged": 6}


def test_a_deleted_file_is_missing_until_it_comes_back_for_nothing(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    aside = (folder / "red" / "0000.png").rename(folder.parent / "aside.png")
    assert counts(index(gallery, folder)) == {"found": 5, "unchanged": 5, "missing": 1}
    assert "0000.png" not in names(searchable(gallery))
    # Every run says it, until it is back or forgotten.
    assert counts(index(gallery, folder)) == {"found": 5, "unchanged": 5, "missing": 1}
    aside.rename(folder / "red" / "0000.png")
    assert counts(index(gallery, folder)) == {"found": 6, "unchanged": 6}
    assert "0000.png" in names(searchable(gallery))


def test_a_missing_file_that_comes_back_elsewhere_has_moved(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    aside = (folder / "red" / "0000.png").rename(folder.parent / "aside.png")
    index(gallery, folder)
    aside.rename(folder / "blue" / "back.png")
    assert counts(index(gallery, folder)) == {"found": 6, "moved": 1, "unchanged": 5}


def test_nested_paths_in_one_command_count_once(gallery: Path, folder: Path) -> None:
    report = index(gallery, folder, folder / "red", folder / "red" / "0000.png", folder)
    assert counts(report) == {"found": 6, "new": 6, "embedded": 6}


def test_a_parent_after_its_child_takes_it_in(gallery: Path, folder: Path) -> None:
    assert counts(index(gallery, folder / "red")) == {"found": 3, "new": 3, "embedded": 3}
    assert counts(index(gallery, folder)) == {"found": 6, "new": 3, "unchanged": 3, "embedded": 3}
    with Gallery(gallery) as opened:
        assert [os.fsdecode(root.path) for root in opened.catalog.roots.all()] == [str(folder)]


def test_indexing_a_part_says_nothing_of_the_rest(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    (folder / "blue" / "0003.png").unlink()
    assert counts(index(gallery, folder / "red")) == {"found": 3, "unchanged": 3}
    assert counts(index(gallery, folder / "blue")) == {"found": 2, "unchanged": 2, "missing": 1}


def test_a_folder_whose_name_begins_like_another_is_not_inside_it(gallery: Path, tmp_path: Path) -> None:
    fill(tmp_path / "a", range(2))
    fill(tmp_path / "a b", range(2, 4))
    index(gallery, tmp_path / "a", tmp_path / "a b")
    (tmp_path / "a b" / "0002.png").unlink()
    assert counts(index(gallery, tmp_path / "a")) == {"found": 2, "unchanged": 2}
    assert counts(index(gallery, tmp_path / "a b")) == {"found": 1, "unchanged": 1, "missing": 1}


def test_single_files_take_only_themselves(gallery: Path, folder: Path) -> None:
    one = folder / "red" / "0000.png"
    assert counts(index(gallery, one)) == {"found": 1, "new": 1, "embedded": 1}
    assert counts(index(gallery, one)) == {"found": 1, "unchanged": 1}
    assert searchable(gallery) == {str(one)}
    assert counts(index(gallery, folder)) == {"found": 6, "new": 5, "unchanged": 1, "embedded": 5}


def test_a_single_file_keeps_its_label_when_its_folder_is_indexed_later(gallery: Path, folder: Path) -> None:
    index(gallery, folder / "red" / "0000.png")
    index(gallery, folder)
    with Gallery(gallery) as opened:
        assert dict(opened.catalog.images.labels()) == {"blue": 3, "red": 3}


def test_no_paths_means_all_known_folders(gallery: Path, tmp_path: Path) -> None:
    index(gallery, fill(tmp_path / "a", range(2)), fill(tmp_path / "b", range(2, 4)))
    save(tmp_path / "b" / "new.png", 9)
    assert counts(index(gallery)) == {"found": 5, "new": 1, "unchanged": 4, "embedded": 1}


def test_no_paths_and_no_known_folder_is_said_and_makes_no_gallery(tmp_path: Path) -> None:
    with pytest.raises(EmptyGallery, match="index FOLDER"):
        index(tmp_path / "nothing yet")
    assert not (tmp_path / "nothing yet").exists()


def test_an_empty_folder_is_no_error(gallery: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert counts(index(gallery, tmp_path / "empty")) == {}


def test_files_that_are_no_images_are_skipped_and_stand_apart(gallery: Path, folder: Path) -> None:
    (folder / "notes.txt").write_text("no image")
    (folder / "data.bin").write_bytes(bytes(1000))
    (folder / ".hidden.png").write_bytes((folder / "red" / "0000.png").read_bytes())
    (folder / "Thumbs.db").write_bytes(b"x")
    assert counts(index(gallery, folder)) == {"found": 6, "new": 6, "skipped": 2, "embedded": 6}
    assert counts(index(gallery, folder)) == {"found": 6, "unchanged": 6, "skipped": 2}


def test_an_image_is_known_by_its_content_not_by_its_ending(gallery: Path, tmp_path: Path) -> None:
    save(tmp_path / "photos" / "picture", 1)
    save(tmp_path / "photos" / "picture.txt", 2, format="WEBP")
    assert counts(index(gallery, tmp_path / "photos")) == {"found": 2, "new": 2, "embedded": 2}


def test_symlink_loops_are_survived_and_linked_folders_count_once(gallery: Path, folder: Path) -> None:
    (folder / "red" / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "self").symlink_to(folder / "self")
    (folder / "again").symlink_to(folder / "blue", target_is_directory=True)
    assert counts(index(gallery, folder)) == {"found": 6, "new": 6, "embedded": 6}


def test_a_path_that_is_not_there_is_refused_and_nothing_is_recorded(gallery: Path, folder: Path) -> None:
    with pytest.raises(NoSuchPath, match="no file or folder"):
        index(gallery, folder, folder / "typo")
    with Gallery(gallery) as opened:
        assert opened.catalog.roots.all() == []


def test_a_folder_of_other_files_never_becomes_a_gallery(folder: Path, tiny_model: Path) -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises(BadValue, match="not a gallery"):
        index(folder, folder, model=str(tiny_model))
    assert sorted(folder.rglob("*")) == before


def test_another_encoder_is_refused_and_the_way_out_is_said(six: tuple[Path, Path], other_model: Path) -> None:
    gallery, photos = six
    with pytest.raises(ModelMismatch, match="another encoder") as caught:
        index(gallery, photos, model=str(other_model))
    assert "--gallery" in caught.value.hint
    assert counts(index(gallery, photos)) == {"found": 6, "unchanged": 6}


def test_the_same_encoder_may_be_given_again(six: tuple[Path, Path], tiny_model: Path) -> None:
    gallery, photos = six
    assert counts(index(gallery, photos, model=str(tiny_model))) == {"found": 6, "unchanged": 6}


def test_a_folder_that_cannot_be_listed_keeps_its_files(
    gallery: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(folder / "redder", range(20, 22))
    index(gallery, folder)
    shutil.rmtree(folder / "redder")
    closed, real = os.fsencode(folder / "red"), os.scandir

    def scandir(path: bytes) -> object:
        if path == closed:
            raise PermissionError(13, "Permission denied")
        return real(path)

    # The tests may run as root, whom no mode keeps out: the system's answer is played.
    monkeypatch.setattr("retrieval.images.scan.os.scandir", scandir)
    said: list[str] = []
    for path in (folder / "red").iterdir():
        path.rename(folder.parent / path.name)
    report = index(gallery, folder, hooks=Hooks(say=said.append))
    # What lies beside it under a longer name is gone all the same.
    assert counts(report) == {"found": 3, "unchanged": 3, "missing": 2}
    assert any("Cannot list" in line and "red" in line for line in said)
    assert len(searchable(gallery)) == 6


def test_the_costs_are_said_before_anything_is_read_and_progress_reaches_the_end(gallery: Path, folder: Path) -> None:
    told: list[Estimate | Progress] = []
    hooks = Hooks(estimated=told.append, progress=told.append)
    index(gallery, folder, hooks=hooks)
    assert isinstance(told[0], Estimate)
    assert (told[0].plan.found, told[0].plan.to_read) == (6, 6)
    assert told[0].seconds is not None
    assert told[0].seconds > 0
    assert told[0].bytes > 6 * 2 * DIMENSION
    last = told[-1]
    assert isinstance(last, Progress)
    assert (last.done, last.total, last.failed) == (6, 6, 0)


@pytest.mark.parametrize("begins_with", ["an estimate", "a known rate"])
def test_loading_the_encoder_makes_no_run_look_slow(
    gallery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begins_with: str
) -> None:
    """The rate of a run is the next one's estimate: an hour's photos must not be foretold by the seconds of loading."""
    loading, opened = [0.0], GalleryEncoder._open
    monkeypatch.setattr(index_run, "monotonic", lambda: monotonic() + loading[0])

    def open_slowly(encoder: GalleryEncoder) -> object:
        if "_runtime" not in vars(encoder):
            loading[0] += 10_000
        return opened(encoder)

    monkeypatch.setattr(GalleryEncoder, "_open", open_slowly)
    photos = fill(tmp_path / "photos", range(120))
    if begins_with == "a known rate":
        index(gallery, fill(tmp_path / "before", range(200, 201)))
        with Gallery(gallery) as opened_gallery:
            opened_gallery.catalog.put(_rate_key(opened_gallery), 50.0)
            opened_gallery.catalog.seal()
        loading[0] = 0
    told: list[Estimate | Progress] = []
    report = index(gallery, photos, hooks=Hooks(estimated=told.append, progress=told.append))
    assert loading[0] == 10_000
    assert report.embedded == 120
    assert report.images_per_second > 120 / 10_000
    assert all(one.seconds_left is None or one.seconds_left < 10_000 for one in told if isinstance(one, Progress))
    with Gallery(gallery) as opened_gallery:
        assert opened_gallery.catalog.get(_rate_key(opened_gallery)) == pytest.approx(
            report.images_per_second, abs=0.01
        )


def test_a_small_run_foretells_nothing(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    with Gallery(gallery) as opened:
        assert opened.catalog.get(_rate_key(opened)) is None


def _rate_key(gallery: Gallery) -> str:
    return f"rate:{gallery.live_space().fingerprint[:16]}"


def test_a_run_that_is_stopped_before_it_began_changes_nothing_and_says_so(six: tuple[Path, Path]) -> None:
    gallery, photos = six
    report = index(gallery, photos, hooks=Hooks(stop=lambda: True))
    assert report.interrupted
    assert report.missing == 0
    assert len(searchable(gallery)) == 6


def test_a_run_that_is_stopped_in_the_middle_is_finished_by_the_next(gallery: Path, tmp_path: Path) -> None:
    photos = fill(tmp_path / "many", range(100, 160))
    asked = iter(range(10_000))
    # The scan asks for every file; after the estimate, the stop comes when some files have been handed out.
    reading: list[Estimate] = []
    hooks = Hooks(estimated=reading.append, stop=lambda: bool(reading) and next(asked) > 10)
    first = index(gallery, photos, hooks=hooks)
    assert first.interrupted
    assert 0 < first.embedded < 60
    second = index(gallery, photos)
    assert not second.interrupted
    assert first.embedded + second.embedded == 60
    assert counts(second)["unchanged"] == first.embedded
    assert len(searchable(gallery)) == 60
