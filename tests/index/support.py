"""What the index tests share: a vector source in memory, data, and an oracle that knows nothing of our code."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import numpy as np

from retrieval.core.types import NO_ID
from retrieval.index import FaissIndex, build

EXACT_KINDS = ("exact", "faiss-flat")
APPROXIMATE_KINDS = ("faiss-ivf-sq8", "faiss-ivf-pq")
KINDS = EXACT_KINDS + APPROXIMATE_KINDS


class MemorySource:
    """A ``VectorSource`` that keeps fp16, as the vector store does."""

    def __init__(self, dimension):
        self.dimension = dimension
        self.rows = {}
        self.reads = 0
        self.largest_read = 0

    def put(self, ids, vectors):
        """Store vectors and return them as they will be read: what has to be added to an index."""
        for key, row in zip(ids, np.asarray(vectors).astype(np.float16), strict=True):
            self.rows[int(key)] = row
        return self.read(ids)

    def read(self, ids):
        self.reads += len(ids)
        self.largest_read = max(self.largest_read, len(ids))
        if not len(ids):
            return np.empty((0, self.dimension), dtype=np.float32)
        return np.stack([self.rows[int(key)] for key in ids]).astype(np.float32)


class BigSource:
    """The same for many vectors: ids are row numbers times ``step``."""

    def __init__(self, vectors, step=1):
        self.vectors = vectors.astype(np.float16)
        self.step = step
        self.dimension = vectors.shape[1]

    def read(self, ids):
        ids = np.asarray(ids)
        if np.any(ids % self.step) or np.any(ids // self.step >= len(self.vectors)):
            raise KeyError("unknown id")
        return self.vectors[ids // self.step].astype(np.float32)

    def missing(self, ids):
        return ids[(ids % self.step != 0) | (ids // self.step >= len(self.vectors))]


def clustered(count, dimension, seed=0, clusters=60, inner=12):
    """[count, dimension] unit vectors of low intrinsic dimension, as embeddings are: a mixture, projected, noisy.

    All seeds draw from one and the same mixture, as the photos of one gallery do.
    """
    world, random = np.random.default_rng([dimension, clusters, inner]), np.random.default_rng(seed)
    centres, projection = world.standard_normal((clusters, inner)), world.standard_normal((inner, dimension))
    latent = centres[random.integers(clusters, size=count)] + 0.6 * random.standard_normal((count, inner))
    vectors = latent @ projection / inner**0.5
    vectors += 0.1 * random.standard_normal((count, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def empty_index(kind, dimension):
    """An empty index of ``kind`` with its source. Those that need training had other vectors before."""
    source = MemorySource(dimension)
    if kind in EXACT_KINDS:
        return build(np.empty(0, dtype=np.int64), source, kind=kind), source
    index = FaissIndex.load(_emptied(kind, dimension), source)
    # Filters go through FAISS here, too, and not only through the exact scan.
    index.scan_limit = 4
    return index, source


@functools.cache
def _emptied(kind, dimension):
    """A folder with an index of ``kind`` from which everything was removed; training one for each test takes long."""
    source, fillers = MemorySource(dimension), np.arange(10**6, 10**6 + 600)
    source.put(fillers, clustered(600, dimension, seed=99))
    index = build(fillers, source, kind=kind)
    assert index.remove(fillers) == 600
    folder = Path(tempfile.mkdtemp(prefix="retrieval-index-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    index.save(folder)
    return folder


def ranking(query, ids, vectors):
    """All (id, score), best first: float64 straight from the definition."""
    query, vectors = query.astype(np.float64), vectors.astype(np.float64)
    scores = vectors @ query / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(query))
    scores = np.clip(np.round(scores, 6), -1, 1) + 0.0
    order = np.lexsort((ids, -scores))
    return list(zip(np.asarray(ids)[order].tolist(), scores[order].tolist(), strict=True))


def check(index, source, queries, k, allowed=None, recall=0.0):
    """Search and compare with the oracle; returns the recall.

    For every engine: min(k, possible) matches, each with its exact score, best first, ties by id, filled with NO_ID.
    For the exact ones: the very matches of the oracle.
    """
    ids = index.ids()
    if allowed is not None:
        ids = ids[np.isin(ids, allowed)]
    matches = index.search(queries, k, allowed)
    assert matches.ids.shape == matches.scores.shape == (len(queries), k)
    assert matches.ids.dtype == np.int64
    assert matches.scores.dtype == np.float64
    vectors = source.read(ids)
    hits = 0
    for row, query in enumerate(queries):
        truth = ranking(query, ids, vectors)
        got = matches.row(row)
        wanted = min(k, len(ids))
        assert len(got) == wanted
        assert got == sorted(got, key=lambda match: (-match[1], match[0]))
        assert len({key for key, _ in got}) == wanted
        exact = dict(truth)
        assert all(exact[key] == score for key, score in got)
        assert np.all(matches.ids[row, wanted:] == NO_ID)
        assert np.all(np.isneginf(matches.scores[row, wanted:]))
        if index.kind in EXACT_KINDS:
            assert got == truth[:k]
        hits += len(set(got) & set(truth[:k]))
    possible = len(queries) * min(k, len(ids))
    reached = hits / possible if possible else 1.0
    assert reached >= recall
    return reached
