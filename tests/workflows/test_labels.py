"""Labels by people: given, taken, undone, listed."""

import os
from pathlib import Path
from typing import Any

import pytest

from retrieval.catalog import CSV, FOLDER, PERSON
from retrieval.core.errors import BadValue, GalleryBusy, NoSuchPath
from retrieval.workflows import labels as workflow
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.status import status

from .support import carried, fill, index, table


def test_people_give_and_take_labels(six: tuple[Path, Path]) -> None:
    gallery, photos = six
    first = str(photos / "red" / "0000.png")
    assert workflow.set_label(gallery, [first, first], "apple").added == 1
    assert workflow.set_label(gallery, [first], "fruit", only=True).removed == 2
    assert carried(gallery)["0000.png"] == ("fruit",)
    assert workflow.set_label(gallery, [first], "fruit", remove=True).removed == 1
    assert "0000.png" not in carried(gallery)
    # Step by step back to what the folders say.
    for expected in (("fruit",), ("apple", "red"), ("red",)):
        workflow.undo(gallery)
        assert carried(gallery)["0000.png"] == expected
    with pytest.raises(BadValue, match="changed a label"):
        workflow.undo(gallery)


def test_one_wrong_image_changes_nothing(six: tuple[Path, Path]) -> None:
    gallery, photos = six
    before = carried(gallery)
    for wrong in (str(photos / "nowhere.png"), "999999", "-3", "9" * 40, str(photos)):
        with pytest.raises(NoSuchPath, match="has no image") as caught:
            workflow.set_label(gallery, [str(photos / "red" / "0000.png"), wrong], "apple")
        assert caught.value.hint
    for empty in ("", "  ", "\t"):
        with pytest.raises(BadValue, match="empty"):
            workflow.set_label(gallery, [str(photos / "red" / "0000.png")], empty)
    assert carried(gallery) == before


@pytest.mark.usefixtures("impatient")
def test_labels_wait_for_nobody_and_say_who_is_writing(six: tuple[Path, Path]) -> None:
    gallery, photos = six
    with Gallery(gallery) as opened, opened.writing(), pytest.raises(GalleryBusy):
        workflow.set_label(gallery, [str(photos / "red" / "0000.png")], "apple")


def test_folders_are_asked_again_where_people_took_their_word_back(six: tuple[Path, Path]) -> None:
    gallery, photos = six
    before = carried(gallery)
    for path in photos.rglob("*.png"):
        workflow.set_label(gallery, [str(path)], path.parent.name, remove=True)
    assert carried(gallery) == {}
    assert workflow.import_folders(gallery, [photos / "red"]).added == 3
    assert workflow.import_folders(gallery).added == 3
    assert workflow.import_folders(gallery).operation is None
    assert carried(gallery) == before


def test_history_tells_what_can_be_undone(six: tuple[Path, Path]) -> None:
    gallery, photos = six
    workflow.set_label(gallery, [str(photos / "red" / "0000.png")], "apple")
    newest, oldest = workflow.history(gallery)
    assert (newest.kind, newest.standing, oldest.kind, oldest.standing) == ("set", 1, "index", 6)
    undone, report = workflow.undo(gallery, oldest.id)
    assert (undone.id, report.removed) == (oldest.id, 6)
    assert carried(gallery) == {"0000.png": ("apple",)}
    with pytest.raises(BadValue, match="in effect"):
        workflow.undo(gallery, oldest.id)
    with pytest.raises(BadValue, match="no operation 999"):
        workflow.undo(gallery, 999)
    again, _ = workflow.undo(gallery, workflow.history(gallery)[0].id)
    assert again.kind == "undo"
    # Also an undoing that was undone itself stays in the list.
    assert [one.kind for one in workflow.history(gallery)] == ["undo", "undo", "set", "index"]
    workflow.undo(gallery, oldest.id)
    # What a person took back, the next index does not bring again.
    for path in photos.rglob("*.png"):
        os.utime(path)
    index(gallery, photos)
    assert carried(gallery) == {"0000.png": ("apple",)}


def test_an_undoing_is_undone_by_its_number_too(six: tuple[Path, Path]) -> None:
    gallery, photos = six
    first = str(photos / "red" / "0000.png")
    for change, before, after in (
        ({"label": "red", "remove": True}, ("red",), ()),
        ({"label": "apple"}, (), ("apple",)),
        ({"label": "pear", "only": True}, ("apple",), ("pear",)),
    ):
        done: Any = workflow.set_label(gallery, [first], **change)
        _, back = workflow.undo(gallery, done.operation)
        assert carried(gallery).get("0000.png", ()) == before
        undone, again = workflow.undo(gallery, back.operation)
        assert (undone.kind, again.added, again.removed) == ("undo", done.added, done.removed)
        assert carried(gallery).get("0000.png", ()) == after
    # Without a number it is the operation itself that is in effect again.
    undone, _ = workflow.undo(gallery)
    assert undone.id == done.operation
    assert carried(gallery)["0000.png"] == ("apple",)
    index(gallery, photos)
    assert carried(gallery)["0000.png"] == ("apple",)
    assert status(gallery, check=True).agree


def test_labels_are_listed_with_where_they_are_from(six: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, photos = six
    workflow.set_label(gallery, [str(photos / "blue" / "0003.png")], "red")
    workflow.import_csv(gallery, table(tmp_path / "t.csv", (str(photos / "red" / "0000.png"), "red")))
    red, blue = workflow.list_labels(gallery)
    assert (red.label, red.images, red.sources) == ("red", 4, {CSV: 1, FOLDER: 3, PERSON: 1})
    assert (blue.label, blue.images) == ("blue", 3)


def test_labels_cost_nothing_when_nothing_is_there(gallery: Path, tmp_path: Path) -> None:
    assert workflow.list_labels(gallery) == []
    assert workflow.offers(gallery) == []
    assert workflow.import_folders(gallery).operation is None
    assert workflow.export_csv(gallery, tmp_path / "empty.csv") == 0
    fill(tmp_path / "photos", range(2))
    index(gallery, tmp_path / "photos")
    # Right in the folder that was indexed: no folder name says anything.
    assert workflow.list_labels(gallery) == []
