"""Exports: what comes out, read by the standard library."""

import csv
import io
import os
import zipfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from retrieval.core.errors import NoSuchPath
from retrieval.workflows import exporting
from retrieval.workflows.exporting import as_csv, as_zip, name_in_archive
from retrieval.workflows.results import Neighbour

ONE = Neighbour(1, 7, 0.5, None, ("a", "b"), ("/x/a.jpg",), 10, 20, "JPEG", 30, datetime(2021, 6, 7), False)


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))


def test_a_table_has_a_row_a_picture_copies_behind_their_first() -> None:
    found = [replace(ONE, copies=(replace(ONE, id=8),)), replace(ONE, rank=2, id=9, probability=0.25)]
    table = rows(b"".join(as_csv(found)))
    assert [(row["rank"], row["id"], row["probability"]) for row in table] == [
        ("1", "7", ""), ("1", "8", ""), ("2", "9", "0.250000"),
    ]  # fmt: skip
    assert (table[0]["labels"], table[0]["path"], table[0]["captured"]) == ("a; b", "/x/a.jpg", "2021-06-07T00:00:00")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "plain", 'quote " , \n line', "caf\udce9"])
def test_no_cell_is_a_formula_and_every_name_survives_as_text(text: str) -> None:
    (row,) = rows(b"".join(as_csv([replace(ONE, labels=(text,), paths=(text,))])))
    assert not row["labels"].startswith(("=", "+", "-", "@"))
    assert row["labels"] == row["path"]


def test_a_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "MOST_ROWS", 4)
    assert len(rows(b"".join(as_csv([ONE] * 9)))) == 4


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a b.jpg", "0001-7-a_b.jpg"),
        ("..", "0001-7"),
        ("...jpg", "0001-7-jpg"),
        ("caf\udce9\n.png", "0001-7-caf_xe9_n.png"),
        ("x" * 300 + ".jpeg", f"0001-7-{'x' * 60}.jpeg"),
        ("猫.webp", "0001-7-猫.webp"),
    ],
)
def test_names_are_safe_and_tell_the_picture(name: str, safe: str) -> None:
    assert name_in_archive(replace(ONE, paths=(f"/x/{name}",))) == safe


def archive(found: list[Neighbour]) -> zipfile.ZipFile:
    opened = zipfile.ZipFile(io.BytesIO(b"".join(as_zip(found))))
    assert opened.testzip() is None
    return opened


def test_copies_are_the_originals_and_what_is_missing_is_named(tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    (tmp_path / "a.jpg").write_bytes(content)
    (tmp_path / "b.jpg").write_bytes(b"small")
    found = [
        replace(ONE, paths=(str(tmp_path / "gone.jpg"), str(tmp_path / "a.jpg"))),
        replace(ONE, rank=2, id=8, paths=(str(tmp_path / "b.jpg"),)),
        replace(ONE, rank=3, id=9, paths=(str(tmp_path / "lost.jpg"),)),
        replace(ONE, rank=4, id=10, paths=(str(tmp_path),)),
        replace(ONE, rank=5, id=11, paths=()),
    ]
    made = archive(found)
    assert made.namelist() == ["0001-7-gone.jpg", "0002-8-b.jpg", "results.csv", "left-out.txt"]
    assert made.read("0001-7-gone.jpg") == content
    assert made.read("left-out.txt").decode().splitlines() == [str(tmp_path / "lost.jpg"), str(tmp_path), "11"]
    assert len(rows(made.read("results.csv"))) == 5


def test_files_are_found_where_results_do_not_tell_and_one_that_was_forgotten_is_named(tmp_path: Path) -> None:
    (tmp_path / "hidden.jpg").write_bytes(b"x")

    def paths_of(one: Neighbour) -> list[str]:
        if one.id == 8:
            raise NoSuchPath("The gallery has no image 8.")
        return [str(tmp_path / "gone.jpg"), str(tmp_path / "hidden.jpg")]

    found = [replace(ONE, paths=("a.jpg",)), replace(ONE, rank=2, id=8, paths=("b.jpg",))]
    made = zipfile.ZipFile(io.BytesIO(b"".join(as_zip(found, paths_of))))
    assert made.namelist() == ["0001-7-a.jpg", "results.csv", "left-out.txt"]
    assert made.read("left-out.txt") == b"b.jpg\n"


def test_an_archive_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "MOST_PICTURES", 3)
    monkeypatch.setattr(exporting, "MOST_BYTES", 250)
    for n in range(5):
        (tmp_path / f"{n}.jpg").write_bytes(b"x" * 100)
    found = [replace(ONE, rank=n, id=n + 1, paths=(str(tmp_path / f"{n}.jpg"),)) for n in range(5)]
    names = archive(found).namelist()
    assert names == ["0000-1-0.jpg", "0001-2-1.jpg", "results.csv", "left-out.txt"]
