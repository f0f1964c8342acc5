"""What the starter encoder learns from: what is left out of it, and signs that are the same on every machine."""

from __future__ import annotations

import csv
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "data" / "make_starter_set.py"


@pytest.fixture(scope="module")
def made() -> Iterator[ModuleType]:
    """The script as a module; what it changes for itself is put back."""
    path = list(sys.path)
    spec = importlib.util.spec_from_file_location("make_starter_set", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_starter_set"] = module
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("make_starter_set", None)
    sys.path[:] = path


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """The sets' folders, each with a few pictures, those to be left out too."""
    folders = [f"{name}/class{n:02d}" for name in ("caltech101", "flowers90") for n in range(11)]
    folders += [f"{name}/{part}/a" for name in ("imagenette", "cifar10") for part in ("train", "val", "test")]
    folders += ["grocery/train/a", "omniglot/background/a"]
    for n, folder in enumerate(folders):
        (tmp_path / folder).mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (40, 30), (n, 100 * i, 90)).save(tmp_path / folder / f"{i}.jpg")
    return tmp_path


def table(folder: Path) -> list[tuple[str, str]]:
    with open(folder / "pictures.csv", encoding="utf-8", newline="") as file:
        return [(row["path"], row["label"]) for row in csv.DictReader(file)]


def test_what_is_held_out_is_not_in_the_table(made: ModuleType, unpacked: Path, tmp_path: Path) -> None:
    mix = made.Mix(signs=3, hands=2, cifar=1, collages=6, drawings=4, things=2, sights=2, goods=1, shelves=2)
    out = tmp_path / "out"
    out.mkdir()
    rows = made.make(unpacked, out, mix)
    listed = table(out)
    assert len(listed) == rows == 5 * 2 * 2 + 2 + 1 + 3 * 2 + 10 + 2 * 2 + 2
    assert not any("grocery" in path or "omniglot" in path or "samples" in path for path, _ in listed)
    photos = {Path(path).relative_to(unpacked).parent.as_posix() for path, _ in listed if str(out) not in path}
    classes = {f"{name}/class{n:02d}" for name in ("caltech101", "flowers90") for n in range(5)}
    assert photos == classes | {"imagenette/train/a", "cifar10/train/a"}
    assert sum(label == "" for _, label in listed) == 10
    assert all(Path(path).is_file() for path, _ in listed)
    # For choosing a recipe, the last fifth of those classes is left out too.
    assert made.make(unpacked, out, mix, validating=True) == rows - 2 * 2
    assert not any("class04" in path for path, _ in table(out))


def test_what_is_drawn_in_three_dimensions_has_the_labels_of_its_folders(made: ModuleType, tmp_path: Path) -> None:
    drawn = [*made.drawn_things(tmp_path, 2, 2, first=7), *made.drawn_goods(tmp_path, 2, 1)]
    assert [label for _, label in drawn] == ["things/0007"] * 2 + ["things/0008"] * 2 + ["goods/0000", "goods/0001"]
    contents = [path.read_bytes() for path, _ in drawn]
    assert len(set(contents)) == len(contents)
    # Begun anew they are the same, and what is there is not drawn again.
    drawn[0][0].unlink()
    drawn[1][0].write_bytes(b"kept")
    assert [path for path, _ in made.drawn_things(tmp_path, 2, 2, first=7)] == [path for path, _ in drawn[:4]]
    assert [path.read_bytes() for path, _ in drawn[:2]] == [contents[0], b"kept"]


def test_a_sign_is_the_same_every_time_and_its_hands_differ(made: ModuleType) -> None:
    def written(n: int, hand: int) -> np.ndarray:
        sign = made.glyphs.invent(np.random.default_rng([1, n]))
        return np.asarray(made.glyphs.write(sign, np.random.default_rng([2, n, hand])), np.int64)

    assert written(5, 0).shape == (112, 112, 3)
    assert np.array_equal(written(5, 0), written(5, 0))
    assert np.abs(written(5, 0) - written(5, 1)).mean() > 1
    # No sheet is empty, and none is nearly all ink.
    for n in range(40):
        picture = written(n, 0)
        ground = np.median(picture.reshape(-1, 3), axis=0)
        ink = float((np.abs(picture - ground).sum(2) > 60).mean())
        assert 0.002 < ink < 0.6, n
