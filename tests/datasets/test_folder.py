"""A folder of class folders becomes labels, whatever the folders are called."""

import os
import sys
from pathlib import Path

import pytest

from retrieval.core.errors import BadValue, NoSuchPath
from retrieval.core.labelled import UNLABELLED
from retrieval.datasets.checks import count
from retrieval.datasets.folder import from_folder, pictures_in_folder
from tests.conftest import draw

ODD_NAMES = ["a\nb", " leading", "trailing ", "🌵", "naïve café", "-rf", "a,b;c", '"quoted"', "a\tb", "..hidden?"[2:]]


def filled(root: Path, *relpaths: str) -> Path:
    for relpath in relpaths:
        (root / relpath).parent.mkdir(parents=True, exist_ok=True)
        (root / relpath).write_bytes(b"text" if relpath.endswith(".txt") else b"\xff\xd8\xff")
    return root


def found(root: Path) -> list[tuple[str, str, str | None]]:
    images = from_folder(root).images
    return [(os.path.relpath(os.fsdecode(i.path), root), i.label, i.part) for i in images]


def test_the_first_folder_is_the_class_and_what_lies_deeper_belongs_to_it(tmp_path: Path) -> None:
    filled(tmp_path, "pear/1.jpg", "apple/2.jpg", "apple/red/old/1.png", "apple/notes.txt", "pear/.hidden.jpg")
    assert found(tmp_path) == [
        ("apple/2.jpg", "apple", None),
        ("apple/red/old/1.png", "apple", None),
        ("pear/1.jpg", "pear", None),
    ]
    assert from_folder(tmp_path).images[0].path == os.fsencode(tmp_path / "apple/2.jpg")


def test_parts_are_told_from_classes(tmp_path: Path) -> None:
    filled(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "Validation/a/2.jpg", "test/b/x/3.jpg", "iconic/a/4.jpg")
    assert found(tmp_path) == [
        ("Validation/a/2.jpg", "a", "val"),
        ("iconic/a/4.jpg", "a", "iconic"),
        ("test/b/x/3.jpg", "b", "test"),
        ("train/a/1.jpg", "a", "train"),
        ("train/b/1.jpg", "b", "train"),
    ]


def test_one_folder_called_test_is_a_class(tmp_path: Path) -> None:
    filled(tmp_path, "test/1.jpg", "test/2.jpg", "other/1.jpg")
    assert {label for _, label, _ in found(tmp_path)} == {"test", "other"}


def test_odd_class_names_survive(tmp_path: Path) -> None:
    filled(tmp_path, *(f"{name}/{n}.jpg" for name in ODD_NAMES for n in range(2)))
    labelled = from_folder(tmp_path)
    assert labelled.classes == sorted(ODD_NAMES)
    assert all(os.path.exists(image.path) for image in labelled.images)


@pytest.mark.skipif(sys.platform != "linux", reason="needs file names of any bytes")
def test_class_names_that_are_no_utf8_stay_apart(tmp_path: Path) -> None:
    for name in (b"caf\xe9", b"caf\xe8", "café".encode()):
        folder = os.path.join(os.fsencode(tmp_path), name)
        os.mkdir(folder)
        for n in range(2):
            Path(os.fsdecode(os.path.join(folder, b"%d.jpg" % n))).write_bytes(b"\xff\xd8\xff")
    labelled = from_folder(tmp_path)
    assert {os.fsencode(label) for label in labelled.classes} == {b"caf\xe9", b"caf\xe8", "café".encode()}
    assert all(os.path.exists(image.path) for image in labelled.images)


def test_images_outside_class_folders_are_left_out_and_said(tmp_path: Path) -> None:
    filled(tmp_path, "stray.jpg", "a/1.jpg", "a/2.jpg", "b/1.jpg")
    notes: list[str] = []
    assert len(from_folder(tmp_path, notes.append)) == 3
    assert len(notes) == 1
    assert notes[0].startswith("1 images in")


def test_singletons_stay_and_are_counted(tmp_path: Path) -> None:
    filled(tmp_path, "a/1.jpg", "a/2.jpg", "b/1.jpg", "c/1.jpg")
    counts = count(from_folder(tmp_path))
    assert (counts.images, counts.classes, counts.singletons) == (4, 3, 2)
    assert str(counts) == "4 images of 3 classes; 2 classes have one image and no pair to learn from"


@pytest.mark.parametrize(
    ("relpaths", "words"),
    [
        ([], "no image in a class folder"),
        (["a.jpg", "b.jpg"], "no image in a class folder"),
        (["a/1.jpg", "a/2.jpg"], "same label, 'a'"),
        (["flowers/rose/1.jpg", "flowers/lily/1.jpg"], "single folder"),
        (["a/1.jpg", "b/1.jpg"], "only one image"),
        (["a/notes.txt", "b/notes.txt"], "no image in a class folder"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_in_one_line(tmp_path: Path, relpaths: list[str], words: str) -> None:
    filled(tmp_path, *relpaths)
    with pytest.raises(BadValue, match=words) as caught:
        from_folder(tmp_path)
    assert caught.value.hint
    assert len(str(caught.value).splitlines()) == 1


def test_the_folder_that_was_meant_is_named(tmp_path: Path) -> None:
    filled(tmp_path, "flowers/rose/1.jpg", "flowers/lily/1.jpg")
    with pytest.raises(BadValue) as caught:
        from_folder(tmp_path)
    assert str(tmp_path / "flowers") in caught.value.hint


def test_missing_folders_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NoSuchPath):
        from_folder(tmp_path / "none")
    with pytest.raises(BadValue, match="not a folder"):
        from_folder(draw(tmp_path / "a.png", 1))


def test_an_image_without_an_ending_counts_by_its_content(tmp_path: Path) -> None:
    filled(tmp_path, "a/1", "a/2.jpg", "b/1.jpg")
    (tmp_path / "b" / "2").write_bytes(b"text")
    assert [relpath for relpath, _, _ in found(tmp_path)] == ["a/1", "a/2.jpg", "b/1.jpg"]


def test_pictures_are_all_images_with_the_labels_that_there_are(tmp_path: Path) -> None:
    filled(tmp_path, "stray.jpg", "a/1.jpg", "a/deep/2", "b/1.jpg", "b/notes.txt", ".hidden/3.jpg")
    pictures = pictures_in_folder(tmp_path)
    names = [os.path.relpath(os.fsdecode(image.path), tmp_path) for image in pictures.images]
    assert names == ["a/1.jpg", "a/deep/2", "b/1.jpg", "stray.jpg"]
    assert [image.label for image in pictures.images] == ["a", "a", "b", UNLABELLED]
    assert pictures.classes == ["a", "b"]
    assert pictures.numbers.tolist() == [0, 0, 1, -1]


@pytest.mark.parametrize("relpaths", [["a/1.jpg", "2.jpg"], ["x/a/1.jpg", "x/b/1.jpg"], ["1.jpg", "2.jpg"]])
def test_pictures_need_no_classes(tmp_path: Path, relpaths: list[str]) -> None:
    assert len(pictures_in_folder(filled(tmp_path, *relpaths))) == 2


@pytest.mark.parametrize(
    ("relpaths", "words"), [([], "no image in"), (["a/notes.txt"], "no image in"), (["a/1.jpg"], "only one image")]
)
def test_too_few_pictures_are_refused_in_one_line(tmp_path: Path, relpaths: list[str], words: str) -> None:
    with pytest.raises(BadValue, match=words) as caught:
        pictures_in_folder(filled(tmp_path, *relpaths))
    assert caught.value.hint
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(NoSuchPath):
        pictures_in_folder(tmp_path / "none")
