"""Draws the labelled sample pictures in `data/samples`; see `data/README.md`.

python data/make_samples.py               draw them all
python data/make_samples.py --check       redraw and compare with the committed ones
python data/make_samples.py --histogram   how far colour alone finds the class
python data/make_samples.py --sheet FILE  one picture of all of them, for looking at
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

# Matrices here are three wide: threads of their own only get in one another's way. Read when NumPy is first imported.
for setting in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(setting, "1")

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:  # the script is also loaded by path, from tests
    sys.path.insert(0, str(HERE))

from drawing import catalogue, photo  # noqa: E402
from drawing.mesh import Floats, array  # noqa: E402

SAMPLES = HERE / "samples"
PER_CLASS = 14
TOLERANCE = 2.0  # mean absolute difference of a picture, 0..255: another Pillow's JPEG, not another drawing


def names() -> list[str]:
    """The classes, in alphabetical order."""
    return sorted(catalogue.THINGS)


def path_of(folder: Path, name: str, number: int) -> Path:
    """Where a picture lies."""
    return folder / name / f"{name}_{number:02d}.jpg"


def seed(name: str, number: int) -> list[int]:
    """What a picture's random numbers start from; the same on every machine."""
    return [zlib.crc32(name.encode("ascii")), number]


def draw(name: str, number: int) -> bytes:
    """One picture as a JPEG file."""
    rng = np.random.default_rng(seed(name, number))
    return photo.take(catalogue.light_of(name, number, rng), rng)


def _draw_to(job: tuple[str, str, int]) -> int:
    folder, name, number = job
    target = path_of(Path(folder), name, number)
    target.parent.mkdir(parents=True, exist_ok=True)
    content = draw(name, number)
    target.write_bytes(content)
    return len(content)


def draw_all(folder: Path, wanted: Sequence[str], numbers: Sequence[int], jobs: int) -> int:
    """Draw pictures into a folder; returns their bytes together."""
    work = [(str(folder), name, number) for name in wanted for number in numbers]
    if jobs <= 1:
        return sum(map(_draw_to, work))
    with ProcessPoolExecutor(jobs) as pool:
        return sum(pool.map(_draw_to, work, chunksize=2))


def pixels(path: Path) -> Floats:
    """A picture's values (H, W, 3), 0..255."""
    with Image.open(path) as picture:
        return array(np.asarray(picture.convert("RGB")))


# ---------------------------------------------------------------- check


def first_difference(made: Path, kept: Path, wanted: Sequence[str], numbers: Sequence[int]) -> str | None:
    """What is wrong with the first picture of `kept` that differs from `made`; None if none does."""
    for name in wanted:
        for number in numbers:
            mine, theirs = path_of(made, name, number), path_of(kept, name, number)
            label = f"{name}/{theirs.name}"
            if not theirs.is_file():
                return f"{label}: missing"
            a, b = pixels(mine), pixels(theirs)
            if a.shape != b.shape:
                return f"{label}: {b.shape[1]}x{b.shape[0]} pixels instead of {a.shape[1]}x{a.shape[0]}"
            difference = float(np.abs(a - b).mean())
            if difference >= TOLERANCE:
                return f"{label}: mean difference {difference:.2f} of 255, {TOLERANCE} allowed"
    expected = {path_of(kept, name, number) for name in wanted for number in numbers}
    extra = sorted(set(kept.glob("*/*")) - expected)
    return f"{extra[0].relative_to(kept)}: not a picture of this set" if extra else None


# ---------------------------------------------------------------- histogram


def histogram(values: Floats) -> Floats:
    """The 8 x 8 x 8 RGB histogram (512,) of a picture (H, W, 3) of values 0..255, summing to 1."""
    bins = values.reshape(-1, 3).astype(np.int64) // 32
    counts = np.bincount(bins[:, 0] * 64 + bins[:, 1] * 8 + bins[:, 2], minlength=512)
    return array(counts / counts.sum())


def intersections(histograms: Floats) -> Floats:
    """Histogram intersection of every two rows of (N, B): (N, N), 1 for equal ones."""
    return array([np.minimum(histograms, row).sum(axis=1) for row in histograms])


def cosines(histograms: Floats) -> Floats:
    """Cosine of every two rows of (N, B): (N, N)."""
    unit = histograms / np.linalg.norm(histograms, axis=1, keepdims=True)
    return array(unit @ unit.T)


def recall_at_1(likeness: Floats, labels: Sequence[str]) -> float:
    """Share of rows of (N, N) whose most alike other row has the same label."""
    others = likeness.copy()
    np.fill_diagonal(others, -np.inf)
    best = others.argmax(axis=1)
    return float(np.mean([labels[i] == labels[int(j)] for i, j in enumerate(best)]))


def histogram_recall(folder: Path) -> tuple[float, float]:
    """Leave-one-out recall@1 of the colour histogram over a folder: by intersection, and by cosine."""
    paths = sorted(folder.glob("*/*.jpg"))
    labels = [p.parent.name for p in paths]
    rows = np.stack([histogram(pixels(p)) for p in paths])
    return recall_at_1(intersections(rows), labels), recall_at_1(cosines(rows), labels)


# ---------------------------------------------------------------- contact sheet


def write_sheet(folder: Path, target: Path, wanted: Sequence[str], numbers: Sequence[int], cell: int = 128) -> None:
    """All pictures as one PNG, a class a row."""
    board = Image.new("RGB", (cell * len(numbers), cell * len(wanted)), "white")
    for row, name in enumerate(wanted):
        for column, number in enumerate(numbers):
            with Image.open(path_of(folder, name, number)) as picture:
                small = picture.resize((cell, cell), Image.Resampling.LANCZOS)
            board.paste(small, (column * cell, row * cell))
    board.save(target, "PNG")


# ---------------------------------------------------------------- command line


def main(arguments: Sequence[str] | None = None, say: Callable[[str], None] = print) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(description="Draw the labelled sample pictures.")
    parser.add_argument("--out", type=Path, default=SAMPLES, help="folder to draw into (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="redraw elsewhere and compare; exit 1 on a difference")
    parser.add_argument("--histogram", action="store_true", help="print the colour histogram's recall@1")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="write one PNG showing all pictures")
    parser.add_argument("--only", nargs="+", metavar="CLASS", choices=names(), help="only these classes")
    parser.add_argument("--numbers", nargs="+", type=int, metavar="N", help="only these numbers within a class")
    parser.add_argument(
        "--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes (default: %(default)s)"
    )
    given = parser.parse_args(arguments)
    wanted, numbers = given.only or names(), given.numbers or list(range(1, PER_CLASS + 1))
    if given.check:
        with tempfile.TemporaryDirectory() as made:
            draw_all(Path(made), wanted, numbers, given.jobs)
            # A partial check cannot know which other pictures belong there.
            whole = not given.only and not given.numbers
            problem = first_difference(Path(made), given.out, wanted, numbers)
            if problem and (whole or not problem.endswith("not a picture of this set")):
                say(problem)
                return 1
        say(f"{len(wanted) * len(numbers)} pictures are as drawn")
        return 0
    if given.histogram:
        by_intersection, by_cosine = histogram_recall(given.out)
        say(f"colour histogram, leave-one-out recall@1: intersection {by_intersection:.3f}, cosine {by_cosine:.3f}")
    if given.sheet:
        write_sheet(given.out, given.sheet, wanted, numbers)
        say(f"wrote {given.sheet}")
    if not given.histogram and not given.sheet:
        size = draw_all(given.out, wanted, numbers, given.jobs)
        say(f"drew {len(wanted) * len(numbers)} pictures, {size / 1e6:.2f} MB, into {given.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
