"""Gathers and draws what the starter encoder learns from; `retrieval/workflows/recipes/starter.py` says how it does.

python data/make_starter_set.py --from UNPACKED --out DIR                   of the first stage
python data/make_starter_set.py --from UNPACKED --out DIR --stage second    of the one that goes on from it

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
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

from starter import glyphs, goods, renderings, things  # noqa: E402

Row = tuple[Path, str]


@dataclass(frozen=True)
class Mix:
    """How many pictures of what beside the photographs.

    signs by hands each; cifar: of each class of cifar10; collages and drawings of photographs; things by sights each,
    goods by shelves each.
    """

    signs: int
    hands: int
    cifar: int
    collages: int
    drawings: int
    things: int = 0
    sights: int = 0
    goods: int = 0
    shelves: int = 0


STAGES = {
    "first": Mix(signs=1500, hands=10, cifar=400, collages=3000, drawings=1600),
    "second": Mix(
        signs=1100, hands=4, cifar=100, collages=600, drawings=400, things=400, sights=6, goods=99, shelves=5
    ),
    "pilot": Mix(signs=200, hands=6, cifar=40, collages=200, drawings=300),
}
"""What was learned in the first stage is only kept awake in the second, by fewer pictures of it; networks are
compared on little of it (`tests/benchmarks/starter_candidates.py`)."""


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


def small_photographs(unpacked: Path, each: int) -> list[Row]:
    """The first pictures of each class of cifar10's train."""
    folders = sorted(folder for folder in (unpacked / "cifar10" / "train").iterdir() if folder.is_dir())
    return [(path, f"cifar10/{folder.name}") for folder in folders for path in sorted(folder.iterdir())[:each]]


def drawn_signs(out: Path, count: int, hands: int) -> Iterator[Row]:
    """Draw the signs: sign n by hand h always is the same picture."""
    for n in range(count):
        sign, folder = glyphs.invent(np.random.default_rng([1, n])), out / "signs" / f"{n:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        for hand in range(hands):
            path = folder / f"{hand:02d}.png"
            glyphs.write(sign, np.random.default_rng([2, n, hand])).save(path)
            yield path, f"signs/{n:04d}"


def drawn_things(out: Path, count: int, sights: int, first: int = 0) -> Iterator[Row]:
    """Draw the things, from number `first` on: picture s of thing n always is the same; what is there is kept."""
    for n in range(first, first + count):
        thing, folder = things.invent(np.random.default_rng([4, n])), out / "things" / f"{n:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        for sight in range(1, sights + 1):
            path = folder / f"{sight:02d}.jpg"
            if not path.is_file():
                path.write_bytes(things.show(thing, f"thing {n}", sight, np.random.default_rng([7, n, sight])))
            yield path, f"things/{n:04d}"


def drawn_goods(out: Path, count: int, shelves: int) -> Iterator[Row]:
    """Draw the goods: picture s of good n always is the same; what is there is kept."""
    every = goods.all_goods(count)
    for n, good in enumerate(every):
        folder = out / "goods" / f"{n:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        for shelf in range(1, shelves + 1):
            path, rng = folder / f"{shelf:02d}.jpg", np.random.default_rng([8, n, shelf])
            beside = every[int(rng.integers(count))]
            if not path.is_file():
                path.write_bytes(goods.show(good, beside, f"good {n}", shelf, rng))
            yield path, f"goods/{n:04d}"


def drawn_from(photos: list[Path], out: Path, collages: int, drawings: int) -> Iterator[Row]:
    """Collages and line drawings; they have no label."""
    (out / "made").mkdir(parents=True, exist_ok=True)
    for n in range(collages + drawings):
        rng = np.random.default_rng([3, n])
        chosen = [Image.open(photos[i]).convert("RGB") for i in rng.integers(0, len(photos), 4)]
        made = (
            renderings.collage(chosen, rng)
            if n < collages
            else renderings.LINES[n % len(renderings.LINES)](chosen[0], rng)
        )
        path = out / "made" / f"{n:05d}.jpg"
        made.save(path, quality=92)
        yield path, ""


def make(unpacked: Path, out: Path, mix: Mix, *, validating: bool = False) -> int:
    """Draw everything and write the table; returns how many pictures it has."""
    photos = photographs(unpacked, validating=validating)
    rows = [
        *photos,
        *small_photographs(unpacked, mix.cifar),
        *drawn_signs(out, mix.signs, mix.hands),
        *drawn_from([path for path, _ in photos], out, mix.collages, mix.drawings),
        *drawn_things(out, mix.things, mix.sights),
        *drawn_goods(out, mix.goods, mix.shelves),
    ]
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
    parser.add_argument("--stage", choices=sorted(STAGES), default="first", help="whose set (default: %(default)s)")
    parser.add_argument("--validating", action="store_true", help="leave out the classes that choose a recipe")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    count = make(given.unpacked, given.out, STAGES[given.stage], validating=given.validating)
    print(f"{count:,} pictures: {given.out / 'pictures.csv'}")


if __name__ == "__main__":
    main()
