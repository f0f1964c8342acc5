"""Labels and splits in tables: imported, exported, refused."""

import os
from pathlib import Path
from typing import Any

import pytest

from retrieval.core.errors import BadValue, NoSuchPath
from retrieval.core.types import Filters
from retrieval.datasets.table import from_csv
from retrieval.workflows import labels as workflow
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.searching import Searcher
from retrieval.workflows.status import status

from .support import carried, id_of, index, save, table


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
