"""The sample pictures: that they are all there, differ, are drawn alike every time, and are no colour quiz."""

from __future__ import annotations

import importlib.util
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "data" / "make_samples.py"
SAMPLES = ROOT / "data" / "samples"


@pytest.fixture(scope="module")
def made() -> Iterator[ModuleType]:
    """The script as a module; what it changes for itself is put back."""
    path, environment = list(sys.path), dict(os.environ)
    spec = importlib.util.spec_from_file_location("make_samples", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_samples"] = module
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("make_samples", None)
    sys.path[:] = path
    os.environ.clear()
    os.environ.update(environment)


def committed() -> list[Path]:
    return sorted(SAMPLES.glob("*/*"))


def test_there_are_enough_classes_and_pictures(made: ModuleType) -> None:
    names = made.names()
    assert len(names) >= 24
    assert made.PER_CLASS >= 12
    expected = {made.path_of(SAMPLES, name, number) for name in names for number in range(1, made.PER_CLASS + 1)}
    assert set(committed()) == expected
    for name in names:
        assert name.replace("_", "").isalpha()
        assert name == name.lower()
        assert (SAMPLES / name / f"{name}_01.jpg").is_file()


def test_pictures_are_small_square_plain_jpegs() -> None:
    paths = committed()
    assert paths
    for path in paths:
        with Image.open(path) as picture:
            assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (256, 256)), path
            assert not picture.getexif(), path
            assert set(picture.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}, path
    assert sum(path.stat().st_size for path in paths) <= 6_000_000


def test_no_two_pictures_are_nearly_the_same() -> None:
    small = []
    for path in committed():
        with Image.open(path) as picture:
            grey = picture.convert("L").resize((32, 32), Image.Resampling.BOX)
        small.append(np.asarray(grey, dtype=np.float32).ravel())
    rows = np.stack(small)
    for i in range(len(rows) - 1):
        apart = np.abs(rows[i + 1 :] - rows[i]).mean(axis=1)
        assert apart.min() > 6.0, (committed()[i], committed()[i + 1 + int(apart.argmin())])


# Chosen for what they exercise: glass on tubes, and cut-out plates with clutter about them.
@pytest.mark.parametrize(("name", "number"), [("spectacles", 2), ("key", 3)])
def test_a_picture_is_drawn_alike_every_time(made: ModuleType, name: str, number: int) -> None:
    first = made.draw(name, number)
    np.random.seed(1)  # the state that must not matter
    assert made.draw(name, number) == first
    with Image.open(io.BytesIO(first)) as picture:
        drawn = np.asarray(picture.convert("RGB"), dtype=np.float64)
    kept = made.pixels(made.path_of(SAMPLES, name, number))
    assert np.abs(drawn - kept).mean() < made.TOLERANCE
    # The tolerance must be far below what any other picture would show.
    other = made.pixels(made.path_of(SAMPLES, name, number + 1))
    assert np.abs(drawn - other).mean() > 5 * made.TOLERANCE


def test_a_class_comes_in_several_colours_and_backgrounds(made: ModuleType) -> None:
    for name in made.names():
        corners = []
        for number in range(1, made.PER_CLASS + 1):
            values = made.pixels(made.path_of(SAMPLES, name, number))
            corners.append(np.concatenate([values[:40, :40], values[-40:, -40:]]).mean(axis=(0, 1)))
        assert np.stack(corners).std(axis=0).max() > 12.0, name


def test_colour_alone_does_not_find_the_class(made: ModuleType) -> None:
    by_intersection, by_cosine = made.histogram_recall(SAMPLES)
    assert by_intersection < 0.5
    assert by_cosine < 0.5


def test_histogram_of_a_picture_worked_out_by_hand(made: ModuleType) -> None:
    values = np.array([[[0, 0, 0], [31, 31, 31]], [[32, 0, 0], [255, 255, 255]]], dtype=np.float64)
    counts = made.histogram(values)
    assert counts.shape == (512,)
    expected = np.zeros(512)
    expected[0], expected[64], expected[511] = 0.5, 0.25, 0.25
    np.testing.assert_allclose(counts, expected)


def test_likeness_worked_out_by_hand(made: ModuleType) -> None:
    rows = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    np.testing.assert_allclose(made.intersections(rows), [[1, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 1]])
    half = np.sqrt(0.5)
    np.testing.assert_allclose(made.cosines(rows), [[1, half, 0], [half, 1, half], [0, half, 1]])


def test_recall_worked_out_by_hand(made: ModuleType) -> None:
    # 0 and 1 find one another (same label); 2 finds 1 and 3 finds 2, both wrongly.
    likeness = np.array([[1, 0.9, 0.1, 0.2], [0.9, 1, 0.5, 0.1], [0.1, 0.5, 1, 0.4], [0.2, 0.1, 0.4, 1]])
    assert made.recall_at_1(likeness, ["cup", "cup", "hat", "key"]) == pytest.approx(0.5)


def copy_of(made: ModuleType, target: Path, name: str) -> None:
    """One class of the committed pictures in another folder."""
    (target / name).mkdir(parents=True)
    for number in (1, 2):
        source = made.path_of(SAMPLES, name, number)
        made.path_of(target, name, number).write_bytes(source.read_bytes())


def test_check_names_the_first_difference(made: ModuleType, tmp_path: Path) -> None:
    copy_of(made, tmp_path / "a", "mug")
    copy_of(made, tmp_path / "b", "mug")
    assert made.first_difference(tmp_path / "a", tmp_path / "b", ["mug"], [1, 2]) is None
    changed = made.path_of(tmp_path / "b", "mug", 2)
    Image.new("RGB", (256, 256), "red").save(changed, "JPEG")
    assert "mug_02.jpg: mean difference" in made.first_difference(tmp_path / "a", tmp_path / "b", ["mug"], [1, 2])
    changed.unlink()
    assert made.first_difference(tmp_path / "a", tmp_path / "b", ["mug"], [1, 2]) == "mug/mug_02.jpg: missing"
    copy_of(made, tmp_path / "b", "key")
    assert "key_01.jpg: not a picture" in made.first_difference(tmp_path / "a", tmp_path / "b", ["mug"], [1])


def test_check_exits_1_on_a_difference(made: ModuleType, tmp_path: Path) -> None:
    copy_of(made, tmp_path, "key")
    said: list[str] = []
    arguments = ["--check", "--out", str(tmp_path), "--only", "key", "--numbers", "1", "--jobs", "1"]
    assert made.main(arguments, said.append) == 0
    made.path_of(tmp_path, "key", 1).write_bytes(made.path_of(SAMPLES, "mug", 1).read_bytes())
    assert made.main(arguments, said.append) == 1
    assert "key/key_01.jpg" in said[-1]


def test_contact_sheet_shows_each_picture_in_its_cell(made: ModuleType, tmp_path: Path) -> None:
    made.write_sheet(SAMPLES, tmp_path / "sheet.png", ["mug", "key"], [1, 2, 3], cell=256)
    with Image.open(tmp_path / "sheet.png") as board:
        assert board.size == (768, 512)
        cell = np.asarray(board.crop((256, 256, 512, 512)), dtype=np.float64)
    np.testing.assert_allclose(cell, made.pixels(made.path_of(SAMPLES, "key", 2)))
