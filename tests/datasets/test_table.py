"""Tables as people save them."""

import codecs
import csv
import io
import os
import re
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.core.errors import BadValue, NoSuchPath
from retrieval.core.labelled import UNLABELLED
from retrieval.datasets.table import from_csv, pictures_in_csv

FILES = ("a/1.jpg", "a/2.jpg", "b/1.jpg", "b 2.jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\xff\xd8\xff")
    return tmp_path


def read(folder: Path, text: str | bytes) -> list[tuple[str, str, str | None]]:
    path = folder / "set.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [(os.path.relpath(os.fsdecode(i.path), folder), i.label, i.part) for i in from_csv(path).images]


def refusal(folder: Path, text: str | bytes, kind: type[BadValue | NoSuchPath] = BadValue) -> str:
    with pytest.raises(kind) as caught:
        read(folder, text)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


PLAIN = "path,label\na/1.jpg,x\na/2.jpg,x\nb/1.jpg,y\n"
EXPECTED = [("a/1.jpg", "x", None), ("a/2.jpg", "x", None), ("b/1.jpg", "y", None)]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        codecs.BOM_UTF8 + PLAIN.encode(),
        PLAIN.encode("utf-16"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace(",", "|").encode(),
        PLAIN.rstrip("\n").encode(),
        b"\n" + PLAIN.replace("\n", "\n\n").encode(),
        b" Path ,LABEL\na/1.jpg,x\na/2.jpg,x\nb/1.jpg,y\n",
        b'"label","more","path"\nx,1,a/1.jpg\nx,,a/2.jpg\ny,3,./b/../b/1.jpg\n',
    ],
)
def test_every_way_to_save_it_reads_the_same(folder: Path, content: bytes) -> None:
    assert read(folder, content) == EXPECTED


def test_the_split_column_names_parts(folder: Path) -> None:
    text = "path,label,split\na/1.jpg,x,train\na/2.jpg,x,Valid\nb/1.jpg,y,TEST\nb 2.jpg,y,\n"
    assert [part for _, _, part in read(folder, text)] == ["train", "val", "test", None]


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), min_size=4, max_size=4),
    delimiter=st.sampled_from(",;\t|"),
)
def test_whatever_a_label_holds_it_comes_back(
    labels: list[str], delimiter: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    labels = [label if label.strip() else "x" + label for label in labels]
    labels[1] = labels[0]
    if len(set(labels)) == 1:
        labels[2] += "y"
    folder = tmp_path_factory.mktemp("labels")
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(["path", "label"])
    writer.writerows(zip(FILES, labels, strict=True))
    for name in FILES:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    assert [label for _, label, _ in read(folder, out.getvalue())] == labels


def test_bytes_that_are_no_utf8_survive(folder: Path) -> None:
    rows = read(folder, b"path,label\na/1.jpg,caf\xe9\na/2.jpg,caf\xe9\nb/1.jpg,caf\xe8\n")
    assert [os.fsencode(label) for _, label, _ in rows] == [b"caf\xe9", b"caf\xe9", b"caf\xe8"]


def test_absolute_paths_are_taken_as_they_are(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "set.csv"
    elsewhere.write_text("path,label\n" + "".join(f"{folder / name},{name[0]}\n" for name in FILES))
    assert [os.fsdecode(i.path) for i in from_csv(elsewhere).images] == [str(folder / name) for name in FILES]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("file,label\na/1.jpg,x\n", "no column 'path'"),
        ("path;class\na/1.jpg;x\n", "no column 'label'"),
        ("a/1.jpg,x\na/2.jpg,x\n", "no column 'path' and no column 'label'"),
        ("path,label,split\na/1.jpg,x,trian\n", "line 2: the split 'trian' is not known. Did you mean 'train'?"),
        ("path,label\na/1.jpg,x\n\na/1.jpg,y\n", "line 4: .* has the label 'y', line 2 says 'x'"),
        ("path,label,split\na/1.jpg,x,train\n./a/1.jpg,x,test\n", "line 3: .* has the split 'test'"),
        ("path,label\n", "no labelled image"),
        ("path,label\na/1.jpg,\n,x\n", "no labelled image"),
        ("path,label\na/1.jpg,x\na/2.jpg,x\n", "same label"),
        ("path,label\na/1.jpg,x\nb/1.jpg,y\n", "only one image"),
        ("path,label\n" + '"' + "x" * 200_000 + "\n", "cannot be read as a table"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(folder: Path, text: str, words: str) -> None:
    assert re.search(words, refusal(folder, text))


def test_no_file_at_all_is_refused_and_a_few_missing_ones_are_listed(folder: Path) -> None:
    said = refusal(folder, "path,label\nz/1.jpg,x\nz/2.jpg,x\nz\0/1.jpg,y\n", NoSuchPath)
    assert "None of the 3 files" in said
    assert "line 2" in said
    notes: list[str] = []
    (folder / "set.csv").write_text(PLAIN + "z/1.jpg,y\n\n,\n" + "a/1.jpg,x\n")
    assert len(from_csv(folder / "set.csv", notes.append)) == 4
    assert any("1 of 4 file does not exist" in note and "line 5" in note for note in notes)
    assert any("1 rows" in note and "no path" in note for note in notes)
    assert any("repeat" in note for note in notes)


def test_a_table_that_is_not_there_or_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NoSuchPath):
        from_csv(tmp_path / "none.csv")
    with pytest.raises(BadValue, match="cannot be read"):
        from_csv(tmp_path)


@settings(max_examples=40, deadline=None)
@given(content=st.binary(max_size=200) | st.text(string.printable, max_size=200).map(str.encode))
def test_any_bytes_give_a_dataset_or_one_clear_line(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / "set.csv"
    for prefix in (b"", b"path,label\n", codecs.BOM_UTF16_LE):
        path.write_bytes(prefix + content)
        said = ""
        try:
            from_csv(path)
        except (BadValue, NoSuchPath) as error:
            said = str(error)
        assert len(said.splitlines()) <= 1


def pictures(folder: Path, text: str) -> list[tuple[str, str]]:
    path = folder / "set.csv"
    path.write_text(text)
    return [(os.path.relpath(os.fsdecode(i.path), folder), i.label) for i in pictures_in_csv(path).images]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path\na/1.jpg\nb 2.jpg\n", [("a/1.jpg", UNLABELLED), ("b 2.jpg", UNLABELLED)]),
        ("more;path\n1;a/1.jpg\n2;b 2.jpg\n", [("a/1.jpg", UNLABELLED), ("b 2.jpg", UNLABELLED)]),
        ("path,label\na/1.jpg,x\nb/1.jpg, \n", [("a/1.jpg", "x"), ("b/1.jpg", UNLABELLED)]),
        (PLAIN, [(path, label) for path, label, _ in EXPECTED]),
    ],
)
def test_labels_may_be_missing_where_none_are_needed(folder: Path, text: str, expected: list[tuple[str, str]]) -> None:
    assert pictures(folder, text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [("file\na/1.jpg\n", "no column 'path'"), ("path\na/1.jpg\n", "only one image"), ("path\n", "no image")],
)
def test_a_table_without_pictures_is_refused(folder: Path, text: str, words: str) -> None:
    with pytest.raises(BadValue, match=words) as caught:
        pictures(folder, text)
    assert caught.value.hint
