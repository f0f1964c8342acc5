"""What the tests of the workflows and of the command line share."""

import csv
import hashlib
import io
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from retrieval.core.errors import NotProven
from retrieval.models.folder import load_encoder
from retrieval.workflows import labels as workflow
from retrieval.workflows.embedded_dataset import Embedding
from retrieval.workflows.embedding_sets import EmbeddedSet
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.index_report import IndexReport
from retrieval.workflows.indexing import index_paths
from retrieval.workflows.live_index import LiveIndex
from retrieval.workflows.switching import SwitchRefused, SwitchReport, switch

DIMENSION = 256
"""Of the encoder that these tests use."""

PLUGINS = Path(__file__).parent / "plugins"

REPORT_KEYS = ["found", "new", "changed", "moved", "copied", "unchanged", "failed", "skipped", "missing", "offline"]
REPORT_KEYS += ["embedded", "seconds", "images_per_second", "space"]
"""The report of an index run, as the issue lists it."""


def picture(seed: int, size: tuple[int, int] = (48, 36)) -> Image.Image:
    """Coloured rectangles; every seed gives another picture, the same one every time."""
    random = np.random.default_rng([7, seed])
    width, height = size
    pixels = np.full((height, width, 3), random.integers(0, 256, 3), np.uint8)
    for _ in range(6):
        left, top = random.integers(0, width - 6), random.integers(0, height - 6)
        right, bottom = left + random.integers(6, width), top + random.integers(6, height)
        pixels[top:bottom, left:right] = random.integers(0, 256, 3)
    return Image.fromarray(pixels)


def save(path: Path | bytes, seed: int, size: tuple[int, int] = (48, 36), format: str = "PNG") -> Path:
    """Write ``picture(seed)`` to ``path``, whatever the name is like."""
    raw = os.fsencode(path)
    os.makedirs(os.path.dirname(raw), exist_ok=True)
    with open(raw, "wb") as file:
        picture(seed, size).save(file, format)
    return Path(os.fsdecode(raw))


def fill(folder: Path, seeds: range) -> Path:
    """``folder`` with one picture a seed."""
    for seed in seeds:
        save(folder / f"{seed:04d}.png", seed)
    return folder


def index(gallery: Path, *paths: Path, **options: object) -> IndexReport:
    """An index run; whatever it does, every file it found must be accounted for."""
    report = index_paths(gallery, list(paths), **{"workers": 1, **options})  # type: ignore[arg-type]
    assert_accounted(report)
    return report


def assert_accounted(report: IndexReport) -> None:
    """The identity that holds for every run."""
    parts = (report.new, report.changed, report.moved, report.copied, report.unchanged, report.failed)
    assert report.found == sum(parts)
    assert min(parts) >= 0


def counts(report: IndexReport) -> dict[str, int]:
    """The counts that are not zero: equal to what is expected, nothing else may have happened."""
    values = asdict(report)
    for name in ("seconds", "images_per_second", "space", "interrupted"):
        del values[name]
    return {name: value for name, value in values.items() if value}


def searchable(gallery: Path) -> set[str]:
    """Every path that a search can return, found by searching with k larger than the gallery."""
    with Gallery(gallery) as opened:
        space = opened.live_space()
        query = np.random.default_rng(0).standard_normal((1, space.dimension)).astype(np.float32)
        matches = LiveIndex(opened, space).search(query, 10_000)
        records = opened.catalog.images.records([i for i, _ in matches.row(0)])
        return {path for record in records.values() for path in record.paths}


def names(paths: set[str]) -> set[str]:
    """The last parts of paths."""
    return {os.path.basename(path) for path in paths}


def contents(folder: Path) -> dict[str, tuple[str, int] | None]:
    """Every file below a folder with its checksum and time of change, every folder with None."""
    if not folder.exists():
        return {}
    found: dict[str, tuple[str, int] | None] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_file():
            found[name] = (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        else:
            found[name] = None
    return found


def flip(path: Path, offset: int, bit: int = 0) -> None:
    """Turn one bit of a file over. A negative offset counts from the end."""
    content = bytearray(path.read_bytes())
    content[offset] ^= 1 << bit
    path.write_bytes(content)


def copy_gallery(source: Path, target: Path) -> Path:
    """An own copy of a gallery that nobody has open."""
    shutil.copytree(source, target)
    return target


def keep_embeddings(patch: pytest.MonkeyPatch) -> dict[str, EmbeddedSet]:
    """Let each dataset be embedded once, and give what was made by the datasets' names.

    How images share a batch changes the last digits of their embeddings, and these may change an order.
    """
    made: dict[str, EmbeddedSet] = {}
    embed = Embedding.dataset

    def once(self, name, encoder, card, **how):  # type: ignore[no-untyped-def]
        if name not in made:
            made[name] = embed(self, name, encoder, card, **how)
        return made[name]

    patch.setattr(Embedding, "dataset", once)
    return made


def environment(**more: str) -> dict[str, str]:
    """Of a subprocess: this one's, and few threads, since tests share their machine."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error::ResourceWarning", **more}


PYTHON = sys.executable


BETTER = {
    "comparison": {
        "recall_at_1": {"mean": 0.1, "low": 0.05, "high": 0.15},
        "map_at_r": {"mean": 0.2, "low": 0.1, "high": 0.3},
    },
    "split": {"leaks": 0},
}
"""Metrics of a run that the gate lets pass."""

PLATT = {"kind": "platt", "slope": 12.0, "intercept": -6.0, "pairs": 100, "positives": 40, "threshold": 0.9}


def switch_to(gallery: Path, model: Path | str, **options: Any) -> SwitchReport:
    """A switch; every image must be accounted for."""
    report = switch(gallery, str(model), **{"workers": 1, **options})
    if not report.interrupted and not options.get("estimate_only"):
        assert report.covered + len(report.skipped) == report.total
    return report


def live_fingerprint(gallery: Path) -> str:
    with Gallery(gallery) as opened:
        return opened.live_space().fingerprint


def an_image(gallery: Path) -> int:
    """The number of some image."""
    with Gallery(gallery) as opened:
        return int(opened.catalog.spaces.findable(opened.live_space().id)[0][0])


def refusal(gallery: Path, model: Path | str, **options: Any) -> SwitchRefused:
    before = live_fingerprint(gallery)
    with pytest.raises(SwitchRefused) as caught:
        switch_to(gallery, model, **options)
    assert live_fingerprint(gallery) == before
    assert caught.value.exit_code == NotProven.exit_code
    assert "--force" in caught.value.hint
    assert not caught.value.report.switched
    return caught.value


def vectors_by_name(gallery: Path, model: Path) -> dict[str, np.ndarray]:
    """What the live space stores, by file name."""
    with Gallery(gallery) as opened:
        space = opened.live_space()
        assert space.fingerprint == load_encoder(model)[1].fingerprint
        ids, _ = opened.catalog.spaces.embedded_rows(space.id)
        stored = opened.store(space).read(ids)
        records = opened.catalog.images.records(ids.tolist())
        return {os.path.basename(records[i].paths[0]): vector for i, vector in zip(ids.tolist(), stored, strict=True)}


class StopAfter:
    """Asks to stop once so many images are done."""

    def __init__(self, images: int) -> None:
        self.left = images
        self.done = 0

    def progress(self, progress: Any) -> None:
        self.done = progress.done

    def stop(self) -> bool:
        return self.done >= self.left


def carried(gallery: Path) -> dict[str, tuple[str, ...]]:
    """The labels of every image by file name; those without any are left out."""
    with Gallery(gallery) as opened:
        ids = {event.image_id for event in opened.catalog.labels.standing()}
        records = opened.catalog.images.records(sorted(ids))
        return {os.path.basename(record.paths[0]): record.labels for record in records.values() if record.paths}


def id_of(gallery: Path, path: Path) -> int:
    with Gallery(gallery) as opened:
        return workflow.image_ids(opened.catalog, [os.fsencode(path)])[os.fsencode(path)]


def table(path: Path, *rows: tuple[str, ...], columns: str = "path,label") -> Path:
    """A CSV as a spreadsheet writes it."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows([tuple(columns.split(",")), *rows])
    path.write_bytes(out.getvalue().encode("utf-8", "surrogateescape"))
    return path
