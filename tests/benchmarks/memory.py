"""Is it flat? Peak memory over the number of images, and time an image over the number of files already known."""

import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.benchmarks.support import flat_copy, fresh, retrieval, show, tiny, unpacked

SIZES = (1_000, 10_000)
KNOWN = (10_000, 200_000)
NEW = 2_000


def run(quick: bool = False) -> None:
    """Print the table of memory."""
    _memory(_photos(), (200, 1_000) if quick else SIZES)


def run_known(quick: bool = False) -> None:
    """Print the table of time a file."""
    _time(_photos(), (1_000, 5_000) if quick else KNOWN)


def _photos() -> list[Path]:
    return sorted((unpacked("cifar10") / "train").rglob("*.jpg")) + sorted(
        (unpacked("cifar10") / "test").rglob("*.jpg")
    )


def _memory(photos: list[Path], sizes: tuple[int, ...]) -> None:
    rows = []
    first = 0.0
    for size in sizes:
        folder = flat_copy(f"flat{size}", photos[:size])
        peak = _peak_megabytes(folder)
        first = first or peak
        rows.append([f"{size:,}", f"{peak:.0f} MB", f"{peak / first:.2f}"])
    show("Peak memory while indexing (the process and its decoders, resident)", ["images", "peak", "ratio"], rows)


def _peak_megabytes(folder: Path) -> float:
    gallery = fresh("bench-memory")
    command = [
        sys.executable,
        "-m",
        "retrieval",
        "index",
        str(folder),
        "--model",
        str(tiny()),
        "--gallery",
        str(gallery),
    ]
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            used = 0
            for part in [root, *_children(root)]:
                try:
                    used += part.memory_info().rss
                except psutil.Error:
                    continue
            peak = max(peak, used)
            time.sleep(0.05)
    return peak / 1e6


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


def _time(photos: list[Path], known: tuple[int, ...]) -> None:
    new, rest = photos[:NEW], photos[NEW:]
    fresh_folder = flat_copy(f"new{NEW}", new)
    rows = []
    first: tuple[float, float] | None = None
    for count in known:
        # Fifty-eight thousand contents, the rest copies of them: what counts here is files.
        folder = flat_copy(f"known{count}", [rest[i % len(rest)] for i in range(count)])
        gallery = fresh("bench-known")
        retrieval("index", str(folder), "--model", str(tiny()), "--gallery", str(gallery))
        again = retrieval("index", str(folder), "--gallery", str(gallery))
        added = retrieval("index", str(fresh_folder), "--gallery", str(gallery))
        assert again["unchanged"] == count
        assert added["new"] == NEW
        a_known = 1e6 * again["seconds"] / count
        a_new = 1e3 / added["images_per_second"]
        first = first or (a_known, a_new)
        rows.append(
            [
                f"{count:,}",
                f"{a_known:.0f} µs",
                f"{a_known / first[0]:.2f}",
                f"{a_new:.2f} ms",
                f"{a_new / first[1]:.2f}",
            ]
        )
    header = ["files known", "a known file, looked at again", "ratio", "a new image", "ratio"]
    show(
        f"Time a file over the size of the gallery ({NEW:,} new images, an encoder that costs next to nothing)",
        header,
        rows,
    )
