"""Gathers and draws what the starter encoder learns from; `retrieval/workflows/recipes/starter.py` says how it does.

python data/make_starter_set.py --from UNPACKED --out DIR

UNPACKED holds the unpacked sets of `../shared/data` (caltech101, cifar10, flowers90, imagenette). DIR gets the pictures
that are drawn, and `pictures.csv` (path, label), which `retrieval distil` takes; photographs stay where they are.

Left out whole: grocery, omniglot and data/samples; the second half of the classes of caltech101 and flowers90;
imagenette's val and cifar10's test.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

from starter import glyphs, renderings  # noqa: E402

SIGNS, HANDS = 1500, 10
CIFAR_A_CLASS = 400
COLLAGES, DRAWINGS = 3000, 1600

Row = tuple[Path, str]


def photographs(unpacked: Path, *, validating: bool = False) -> list[Row]:
    """The photographs with their labels: of caltech101 and flowers90 the classes to train on.

    Args:
        unpacked: holds the sets.
        validating: leave out the last fifth of those classes, for choosing a recipe.
    """
    rows: list[Row] = []
    for name in ("caltech101", "flowers90"):
        classes = sorted(folder.name for folder in (unpacked / name).iterdir() if folder.is_dir())
        half = len(classes) // 2
        kept = classes[: half - half // 5 if validating else half]
        rows += [(path, f"{name}/{label}") for label in kept for path in sorted((unpacked / name / label).iterdir())]
    train = unpacked / "imagenette" / "train"
    return rows + [(path, f"imagenette/{path.parent.name}") for path in sorted(train.glob("*/*"))]


def small_photographs(unpacked: Path) -> list[Row]:
    """The first pictures of each class of cifar10's train."""
    folders = sorted(folder for folder in (unpacked / "cifar10" / "train").iterdir() if folder.is_dir())
    return [(path, f"cifar10/{folder.name}") for folder in folders for path in sorted(folder.iterdir())[:CIFAR_A_CLASS]]


def drawn_signs(out: Path) -> Iterator[Row]:
    """Draw the signs: sign n by hand h always is the same picture."""
    for n in range(SIGNS):
        sign, folder = glyphs.invent(np.random.default_rng([1, n])), out / "signs" / f"{n:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        for hand in range(HANDS):
            path = folder / f"{hand:02d}.png"
            glyphs.write(sign, np.random.default_rng([2, n, hand])).save(path)
            yield path, f"signs/{n:04d}"


def drawn_from(photos: list[Path], out: Path) -> Iterator[Row]:
    """Collages and line drawings; they have no label."""
    (out / "made").mkdir(parents=True, exist_ok=True)
    for n in range(COLLAGES + DRAWINGS):
        rng = np.random.default_rng([3, n])
        chosen = [Image.open(photos[i]).convert("RGB") for i in rng.integers(0, len(photos), 4)]
        made = (
            renderings.collage(chosen, rng)
            if n < COLLAGES
            else renderings.LINES[n % len(renderings.LINES)](chosen[0], rng)
        )
        path = out / "made" / f"{n:05d}.jpg"
        made.save(path, quality=92)
        yield path, ""


def make(unpacked: Path, out: Path, *, validating: bool = False) -> int:
    """Draw everything and write the table; returns how many pictures it has."""
    photos = photographs(unpacked, validating=validating)
    rows = [*photos, *small_photographs(unpacked), *drawn_signs(out), *drawn_from([path for path, _ in photos], out)]
    with open(out / "pictures.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label"))
        writer.writerows((str(path.absolute()), label) for path, label in rows)
    return len(rows)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Gather and draw what the starter encoder learns from.")
    parser.add_argument("--from", dest="unpacked", type=Path, required=True, help="folder of the unpacked sets")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is drawn, and for pictures.csv")
    parser.add_argument("--validating", action="store_true", help="leave out the classes that choose a recipe")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    print(f"{make(given.unpacked, given.out, validating=given.validating):,} pictures: {given.out / 'pictures.csv'}")


if __name__ == "__main__":
    main()
