"""Teaching labels to a gallery: from tables, folders and people; undoing; saved copies; neighbours."""

import csv
import io
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from retrieval.catalog import AUTOMATIC, CSV, FOLDER, PERSON
from retrieval.core.errors import BadValue, GalleryBusy, NoSuchPath
from retrieval.core.types import Filters, Matches
from retrieval.datasets.table import from_csv
from retrieval.workflows import labels as workflow
from retrieval.workflows.automatic_labels import auto_label, vote
from retrieval.workflows.calibrating import LabelledSpace, calibrate_space
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.searching import Searcher
from retrieval.workflows.status import status

from .support import fill, index, picture, save


def carried(gallery: Path) -> dict[str, tuple[str, ...]]:
    """The labels of every image by file name; those without any are left out."""
    with Gallery(gallery) as opened:
        ids = {event.image_id for event in opened.catalog.labels.standing()}
        records = opened.catalog.images.records(sorted(ids))
        return {os.path.basename(record.paths[0]): record.labels for record in records.values() if record.paths}


def id_of(gallery: Path, path: Path) -> int:
    with Gallery(gallery) as opened:
        return workflow.image_ids(opened.catalog, [os.fsencode(path)])[os.fsencode(path)]


def table(path: Path, *rows: tuple[str, ...], columns: str = "path,label") -> Path:
    """A CSV as a spreadsheet writes it."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows([tuple(columns.split(",")), *rows])
    path.write_bytes(out.getvalue().encode("utf-8", "surrogateescape"))
    return path


# --- tables ---------------------------------------------------------------------------------------------------------


def test_a_table_gives_labels_to_the_images_that_the_gallery_knows(six: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, photos = six
    rows = table(
        tmp_path / "labels.csv",
        (str(photos / "red" / "0000.png"), "apple"),
        (os.path.relpath(photos / "red" / "0001.png", tmp_path), "pear, ripe"),
        (str(photos / "red" / "0001.png"), "fruit"),
        (str(photos / "nowhere.png"), "lost"),
        ("", "no path"),
        (str(photos / "red" / "0002.png"), "  "),
    )
    report = workflow.import_csv(gallery, rows)
    assert (report.added, report.unchanged, report.removed) == (3, 0, 0)
    assert report.unknown == (str(photos / "nowhere.png"),)
    found = carried(gallery)
    assert found["0000.png"] == ("apple", "red")
    assert found["0001.png"] == ("fruit", "pear, ripe", "red")
    assert found["0002.png"] == ("red",)
    again = workflow.import_csv(gallery, rows)
    assert (again.operation, again.added, again.unchanged) == (None, 0, 3)
    assert status(gallery, check=True).agree


def test_filters_of_a_search_see_new_labels_at_once(six: tuple[Path, Path]) -> None:
    gallery, photos = six
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        query = (photos / "red" / "0000.png").read_bytes()

        def found(**filters: Any) -> set[str]:
            hits = searcher.by_image(query, 10, Filters(**filters)).neighbours
            return {os.path.basename(hit.paths[0]) for hit in hits}

        assert found(labels=("apple",)) == set()
        images = [str(photos / "red" / "0000.png"), str(id_of(gallery, photos / "blue" / "0004.png"))]
        workflow.set_label(gallery, images, "apple")
        assert found(labels=("apple",)) == {"0000.png", "0004.png"}
        assert found(not_labels=("apple",)) == {"0001.png", "0002.png", "0003.png", "0005.png"}
        workflow.undo(gallery)
        assert found(labels=("apple",)) == set()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no columns"),
        (b"file,class\na.png,x\n", "no columns"),
        (b"path,label,split\na.png,x,later\n", "line 2"),
        (b"path,label\na\0.png,x\n", "is in the gallery"),
        (b"path,label\nnowhere.png,x\n", "None of the 1 paths"),
        (b'path,label\n"' + b"x" * 200_000 + b'",y\n', "cannot be read as a table"),
    ],
)
def test_a_table_that_cannot_be_used_is_said_and_nothing_is_changed(
    six: tuple[Path, Path], tmp_path: Path, content: bytes, words: str
) -> None:
    before = carried(six[0])
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises((BadValue, NoSuchPath), match=words) as caught:
        workflow.import_csv(six[0], tmp_path / "t.csv")
    assert caught.value.hint
    assert carried(six[0]) == before
    with pytest.raises(NoSuchPath):
        workflow.import_csv(six[0], tmp_path / "nowhere.csv")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_of_spreadsheets_are_read(six: tuple[Path, Path], tmp_path: Path, encoding: str, delimiter: str) -> None:
    gallery, photos = six
    text = f"Label{delimiter}PATH{delimiter}note\r\nbärig{delimiter}{photos / 'red' / '0000.png'}{delimiter}x\r\n"
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    assert workflow.import_csv(gallery, tmp_path / "t.csv").added == 1
    assert carried(gallery)["0000.png"] == ("bärig", "red")


def test_a_split_is_kept_by_content_and_never_redrawn(six: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, photos = six
    rows = [
        (str(path), "x", part)
        for path, part in zip(sorted(photos.rglob("*.png")), ["Train", "valid", "test"] * 2, strict=True)
    ]
    report = workflow.import_csv(gallery, table(tmp_path / "t.csv", *rows, columns="path,label,split"))
    assert report.split == 6
    changed = [(path, label, "test") for path, label, _ in rows]
    assert workflow.import_csv(gallery, table(tmp_path / "u.csv", *changed, columns="path,label,split")).split == 0
    with Gallery(gallery) as opened:
        assert (
            sorted(opened.catalog.splits.parts(workflow.SPLIT).values()) == ["test"] * 2 + ["train"] * 2 + ["val"] * 2
        )


@pytest.mark.skipif(os.name == "nt", reason="names are bytes on POSIX only")
def test_odd_names_and_labels_survive_the_way_out_and_back(gallery: Path, tmp_path: Path) -> None:
    names = [b"caf\xe9.png", b'quo"te, comma.png', "emoji \U0001f4f7.png".encode(), b"line\nbreak.png"]
    for n, name in enumerate(names):
        save(os.path.join(os.fsencode(tmp_path), b"photos", name), n)
    index(gallery, tmp_path / "photos")
    labels = ["ça va; \U0001f34e", 'say "cheese", please', "back\\slash\ttab", "line\nbreak"]
    paths = [os.fsdecode(os.path.join(os.fsencode(tmp_path), b"photos", name)) for name in names]
    for path, label in zip(paths, labels, strict=True):
        assert workflow.set_label(gallery, [path], label).added == 1
    before = carried(gallery)
    # What cannot be shown in one line is stored as it is shown.
    assert before[os.fsdecode(b"line\nbreak.png")] == ("line\\nbreak",)
    assert workflow.export_csv(gallery, tmp_path / "out.csv") == 4
    for _ in range(4):
        workflow.undo(gallery)
    assert carried(gallery) == {}
    assert workflow.import_csv(gallery, tmp_path / "out.csv").added == 4
    assert carried(gallery) == before


def test_an_export_can_be_imported_and_trained_on(six: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, photos = six
    rows = [(str(path), path.parent.name, "test") for path in sorted(photos.rglob("*.png"))]
    workflow.import_csv(gallery, table(tmp_path / "t.csv", *rows, columns="path,label,split"))
    workflow.undo(gallery)
    assert workflow.export_csv(gallery, tmp_path / "out.csv") == 6
    labelled = from_csv(tmp_path / "out.csv")
    assert {(os.fsdecode(i.path), i.label, i.part) for i in labelled.images} == set(rows)
    with pytest.raises(BadValue, match="exists already"):
        workflow.export_csv(gallery, tmp_path / "out.csv")
    with pytest.raises(NoSuchPath, match="no folder"):
        workflow.export_csv(gallery, tmp_path / "nowhere" / "out.csv")


# --- people -------------------------------------------------------------------------------------------------------


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


# --- files that were saved again ------------------------------------------------------------------------------------


def detailed(seed: int) -> Image.Image:
    """A picture whose perceptual hash says something."""
    return picture(seed, (160, 120))


def test_labels_of_a_file_that_was_saved_again_are_offered_not_assumed(gallery: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for n in range(6):
        detailed(n).save(photos / f"{n}.jpg", quality=95)
    index(gallery, photos)
    workflow.set_label(gallery, [str(photos / "0.jpg")], "apple")
    workflow.set_label(gallery, [str(photos / "1.jpg")], "pear")
    assert workflow.offers(gallery) == []
    detailed(0).save(photos / "0.jpg", quality=80)
    # Another picture in the same place is not the same picture.
    detailed(77).save(photos / "1.jpg", quality=95)
    index(gallery, photos)
    assert "0.jpg" not in carried(gallery)
    (offer,) = workflow.offers(gallery)
    assert (offer.path, offer.labels) == (str(photos / "0.jpg"), ("apple",))
    assert offer.image_id == id_of(gallery, photos / "0.jpg") != offer.old_id
    assert workflow.carry(gallery, [offer]).added == 1
    assert carried(gallery)["0.jpg"] == ("apple",)
    assert workflow.offers(gallery) == []
    workflow.undo(gallery)
    assert workflow.offers(gallery) == [offer]


def test_even_pictures_are_not_offered_to_each_other(gallery: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for n, colour in enumerate(((200, 10, 10), (10, 200, 10))):
        Image.new("RGB", (64, 64), colour).save(tmp_path / "photos" / f"{n}.png")
    index(gallery, tmp_path / "photos")
    workflow.set_label(gallery, [str(tmp_path / "photos" / "0.png")], "red")
    (tmp_path / "photos" / "0.png").unlink()
    index(gallery, tmp_path / "photos")
    assert workflow.offers(gallery) == []


# --- neighbours -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _crowd_once(tmp_path_factory: pytest.TempPathFactory, _blank_once: Path) -> tuple[Path, Path]:
    """Three kinds of picture, eight each in folders of their own, and nine without a folder: three of each kind."""
    base = tmp_path_factory.mktemp("crowd")
    for kind in range(3):
        for n in range(11):
            image = np.asarray(picture(kind, (48, 36))).astype(np.int16)
            noise = np.random.default_rng([kind, n]).integers(-12, 13, image.shape)
            place = base / "photos" / (f"kind {kind}" if n < 8 else "") / f"{kind}-{n}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.clip(image + noise, 0, 255).astype(np.uint8)).save(place)
    shutil.copytree(_blank_once, base / "gallery")
    index(base / "gallery", base / "photos")
    return base / "gallery", base / "photos"


@pytest.fixture
def crowd(_crowd_once: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    return Path(shutil.copytree(_crowd_once[0], tmp_path / "crowd")), _crowd_once[1]


def test_what_has_no_label_is_labelled_as_its_neighbours_are_and_undone_at_once(crowd: tuple[Path, Path]) -> None:
    gallery, _ = crowd
    before = carried(gallery)
    assert len(before) == 24
    report = auto_label(gallery, least=0.8)
    assert (report.proposed, report.added, report.unsure, report.learned_from) == (9, 9, 0, 24)
    assert report.accuracy == 1.0
    after = carried(gallery)
    for name, labels in after.items():
        assert labels == (f"kind {name[0]}",)
    with Gallery(gallery) as opened:
        events = list(opened.catalog.labels.standing(sources=[AUTOMATIC]))
        assert len(events) == 9
        assert all(event.confidence is not None and 0.8 <= event.confidence <= 1 for event in events)
        # Nobody learns from what nobody has confirmed.
        assert len(opened.catalog.labels.chosen()) == 24
    assert workflow.export_csv(gallery, gallery.parent / "trusted.csv") == 24
    assert workflow.export_csv(gallery, gallery.parent / "all.csv", automatic=True) == 33
    undone, taken = workflow.undo(gallery)
    assert (undone.id, undone.kind, taken.removed) == (report.operation, "automatic", 9)
    assert carried(gallery) == before


def test_a_later_run_replaces_the_earlier_one(crowd: tuple[Path, Path]) -> None:
    gallery, photos = crowd
    first = auto_label(gallery, least=0.8)
    assert auto_label(gallery, least=0.8).operation is None
    # A person says what one of them is: it is asked no more.
    workflow.set_label(gallery, [str(photos / "0-8.png")], "special")
    second = auto_label(gallery, least=0.8)
    assert (second.proposed, second.added, second.removed) == (8, 0, 1)
    assert carried(gallery)["0-8.png"] == ("special",)
    workflow.undo(gallery)
    assert carried(gallery)["0-8.png"] == ("kind 0", "special")
    assert first.proposed == 9


def test_what_is_like_nothing_that_is_labelled_stays_without(crowd: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, _ = crowd
    index(gallery, save(tmp_path / "odd.png", 4321))
    measured = calibrate_space(gallery)
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        best = searcher.by_id(id_of(gallery, tmp_path / "odd.png"), 1).neighbours[0].score
        # As if the threshold had been measured among more kinds of picture.
        opened.catalog.calibrations.add(opened.live_space().id, {**measured, "threshold": best + 0.01})
    report = auto_label(gallery, least=0.0)
    assert (report.proposed, report.unsure) == (9, 1)
    assert "odd.png" not in carried(gallery)


def test_learning_from_people_alone_leaves_folders_out(crowd: tuple[Path, Path]) -> None:
    gallery, photos = crowd
    with pytest.raises(BadValue, match="0 labelled images") as caught:
        auto_label(gallery, sources=(PERSON,))
    assert "labels set" in caught.value.hint
    for kind in range(3):
        workflow.set_label(gallery, [str(photos / f"kind {kind}" / f"{kind}-{n}.png") for n in range(8)], f"k{kind}")
    report = auto_label(gallery, sources=(PERSON,), least=0.7)
    assert (report.learned_from, report.proposed + report.unsure) == (24, 9)
    assert report.proposed > 0
    for least, sources in ((1.5, (PERSON,)), (0.9, ("magic",)), (0.9, ())):
        with pytest.raises(BadValue):
            auto_label(gallery, least=least, sources=sources)


def test_the_vote_is_the_loop_that_the_paper_writes() -> None:
    random = np.random.default_rng(3)
    known = LabelledSpace(
        np.arange(10, 30, dtype=np.int64), random.integers(0, 4, 20), list("abcd"), np.zeros((20, 2), np.float32)
    )
    ids = np.stack([random.permutation(known.ids)[:6] for _ in range(8)])
    scores = -np.sort(-random.uniform(0.2, 1.0, (8, 6)), axis=1)
    ids[0, 4:], scores[0, 4:] = -1, -np.inf
    winners, evidence, best = vote(Matches(ids, scores), known)
    for row in range(8):
        votes = dict.fromkeys(range(4), 0.0)
        for image_id, score in zip(ids[row], scores[row], strict=True):
            if image_id != -1:
                votes[int(known.numbers[image_id - 10])] += float(np.exp(score / 0.07))
        winner = max(votes, key=lambda number: votes[number])
        assert winners[row] == winner
        assert evidence[row] == pytest.approx(votes[winner] / sum(votes.values()) * scores[row, 0])
        assert best[row] == scores[row, 0]


def test_a_calibrated_gallery_shows_probabilities(crowd: tuple[Path, Path], six: tuple[Path, Path]) -> None:
    gallery, photos = crowd
    found = calibrate_space(gallery)
    assert found["pairs"] > found["positives"] > 0
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        hits = searcher.by_image((photos / "0-9.png").read_bytes(), 40).neighbours
        probabilities = [hit.probability for hit in hits]
        assert all(p is not None and 0 <= p <= 1 for p in probabilities)
        assert probabilities == sorted(probabilities, reverse=True)  # type: ignore[type-var]
        assert (probabilities[0] or 0) > 0.8 > (probabilities[-1] or 0)
    with pytest.raises(BadValue, match="20 of two labels"):
        calibrate_space(six[0])


def test_labels_cost_nothing_when_nothing_is_there(gallery: Path, tmp_path: Path) -> None:
    assert workflow.list_labels(gallery) == []
    assert workflow.offers(gallery) == []
    assert workflow.import_folders(gallery).operation is None
    assert workflow.export_csv(gallery, tmp_path / "empty.csv") == 0
    fill(tmp_path / "photos", range(2))
    index(gallery, tmp_path / "photos")
    # Right in the folder that was indexed: no folder name says anything.
    assert workflow.list_labels(gallery) == []
