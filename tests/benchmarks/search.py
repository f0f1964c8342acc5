"""Search, from image bytes to records, at 1 thousand, 100 thousand and 1 million vectors.

The galleries are filled through the catalog and the vector store with synthetic vectors of low intrinsic dimension
(a mixture of Gaussians in 32 dimensions, turned into the encoder's space, with some noise); queries are real photos,
decoded and encoded by the real encoder, and, for the recall, vectors of the same mixture.
"""

import hashlib
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from retrieval.catalog import Indexed
from retrieval.core.types import ImageFacts, Vectors
from retrieval.functional.topk import exact_topk
from retrieval.workflows.encoders import ensure_space
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.live_index import LiveIndex
from retrieval.workflows.searching import Searcher
from tests.benchmarks.support import CACHE, fresh, mobilenet, show, spread, unpacked

SIZES = (1_000, 100_000, 1_000_000)
QUERIES = 200
DIMENSION = 384
"""Of a linear head on the backbone: what a small transformer gives, and a million of them fit into a laptop."""
RECALL_QUERIES = 200
_BLOCK = 2_000


def run(quick: bool = False) -> None:
    """Print the table."""
    rows = []
    for size in (1_000, 100_000) if quick else SIZES:
        rows.append(_measure(filled(size), size))
    header = ["vectors", "index", "p50", "p95", "decode", "encode", "index", "catalog", "recall@10", "open"]
    show(
        f"Search from image bytes to records, {DIMENSION} dimensions, k = 10 (milliseconds; parts are medians)",
        header,
        rows,
    )


class Mixture:
    """Vectors of low intrinsic dimension."""

    def __init__(self, dimension: int, clusters: int = 500, intrinsic: int = 32) -> None:
        generator = np.random.default_rng(0)
        self._centres = generator.normal(size=(clusters, intrinsic)).astype(np.float32)
        self._turn = np.linalg.qr(generator.normal(size=(dimension, intrinsic)))[0].T.astype(np.float32)

    def draw(self, count: int, seed: int) -> Vectors:
        """[count, D] unit vectors."""
        generator = np.random.default_rng(seed)
        low = self._centres[generator.integers(0, len(self._centres), count)]
        low = low + 0.5 * generator.normal(size=low.shape).astype(np.float32)
        high: NDArray[np.float32] = low @ self._turn
        high += 0.02 * generator.normal(size=high.shape).astype(np.float32)
        return high / np.linalg.norm(high, axis=1, keepdims=True)


def filled(size: int) -> Path:
    """A gallery of ``size`` synthetic images, kept in the cache."""
    folder = CACHE / f"search-{size}"
    if (folder / "ready").exists():
        return folder
    fresh(folder.name)
    with Gallery(folder, create=True) as gallery, gallery.layout.writing():
        space = ensure_space(gallery, str(mobilenet(DIMENSION)), print)
        root = gallery.catalog.roots.ensure(b"/synthetic", whole=True)
        store, mixture = gallery.store(space), Mixture(space.dimension)
        operation = gallery.catalog.ingest.start()
        for start in range(0, size, _BLOCK):
            vectors = mixture.draw(min(_BLOCK, size - start), seed=start + 1)
            batch = [_fake(root.id, start + n, vector) for n, vector in enumerate(vectors)]
            counts = gallery.catalog.ingest.commit(space.id, batch, store.append, operation)
            store.refresh(store.rows + counts.embedded)
        start_time = perf_counter()
        LiveIndex(gallery, gallery.live_space()).publish()
        print(f"{size:,} vectors: index built and published in {perf_counter() - start_time:.1f} s", file=sys.stderr)
    (folder / "ready").touch()
    return folder


def _fake(root_id: int, number: int, vector: Vectors) -> Indexed:
    digest = hashlib.sha256(str(number).encode()).digest()
    facts = ImageFacts(digest, 1000, 640, 480, "JPEG", None, number)
    relpath = f"folder{number % 100}/{number}.jpg".encode()
    return Indexed(root_id, relpath, 1000, 1, digest, facts, vector)


def _measure(folder: Path, size: int) -> list[str]:
    photos = [path.read_bytes() for path in spread(unpacked("grocery") / "test", QUERIES)]
    with Gallery(folder) as gallery, Searcher(gallery, print) as searcher:
        start = perf_counter()
        searcher.warm()
        opened = perf_counter() - start
        for photo in photos[:10]:
            searcher.by_image(photo)
        times = [searcher.by_image(photo).timings for photo in photos]
        totals = [1e3 * t.total for t in times]
        parts = [
            f"{1e3 * float(np.median([getattr(t, part) for t in times])):.2f}"
            for part in ("decode", "encode", "index", "catalog")
        ]
        return [
            f"{size:,}",
            searcher.index.kind,
            f"{np.percentile(totals, 50):.1f}",
            f"{np.percentile(totals, 95):.1f}",
            *parts,
            f"{_recall(searcher, size):.4f}",
            f"{opened:.1f} s",
        ]


def _recall(searcher: Searcher, size: int) -> float:
    """Share of the exact 10 nearest that the index finds, for queries from the same mixture."""
    store = searcher.index.store
    queries = Mixture(store.dimension).draw(RECALL_QUERIES, seed=0)
    found = searcher.index.search(queries, 10).ids
    ids, _ = searcher.gallery.catalog.spaces.findable(searcher.space.id)
    best_ids = np.full((RECALL_QUERIES, 0), -1, np.int64)
    best_scores = np.empty((RECALL_QUERIES, 0))
    for start in range(0, len(ids), 50_000):
        some = ids[start : start + 50_000]
        block = exact_topk(queries, store.read(some), some, 10)
        best_ids = np.concatenate([best_ids, block.ids], axis=1)
        best_scores = np.concatenate([best_scores, block.scores], axis=1)
        order = np.argsort(-best_scores, axis=1, kind="stable")[:, :10]
        best_ids = np.take_along_axis(best_ids, order, 1)
        best_scores = np.take_along_axis(best_scores, order, 1)
    return float(np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(found, best_ids, strict=True)]))
