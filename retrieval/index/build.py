"""Building an index from the vector source: read in blocks, train on a bounded sample, measure what it can do."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from retrieval.core.protocols import VectorIndex, VectorSource
from retrieval.core.types import NO_ID, Ids, Matches, Vectors
from retrieval.functional.topk import TopK
from retrieval.index.arguments import checked_new_ids
from retrieval.index.blocks import blocks
from retrieval.index.choose import choose
from retrieval.index.exact import EXACT, ExactIndex
from retrieval.index.faiss_engine import PQ_GROUP, TUNED_K, FaissIndex, fed, fed_dimension
from retrieval.index.idset import ascending
from retrieval.index.library import faiss
from retrieval.index.parameters import FLAT, IVF_PQ, IVF_SQ8, KINDS, Parameters

Progress = Callable[[str, int, int], None]
"""Called with the stage (``"train"``, ``"add"``, ``"measure"``), what is done, and of how much."""

LEAST_TO_TRAIN = 256
"""Fewer vectors than this cannot train an approximate index."""

MOST_LISTS = 4096
"""Adding a vector compares it with every list's centre, so their number is bounded."""

SAMPLE_PER_LIST = 40
SAMPLE_MOST = 100_000
SAMPLE_BYTES = 256 * 1024 * 1024
"""The training sample: so many vectors a list, so many in all, so many bytes as float32."""

ROUNDS = 10
"""Rounds of k-means."""

MEASURED_QUERIES = 200
WANTED_RECALL = 0.99
"""Recall@10 against exact search, over 200 stored vectors, that nprobe is raised to."""

FIRST_NPROBE = 4
NPROBE_MARGIN = 2
"""The nprobe that reaches it is doubled: new photos lie less snugly among the centres than stored ones do."""

OVERFETCH = {IVF_SQ8: (4,), IVF_PQ: (16, 32)}
"""Candidates per wanted match: tried in this order while the lists are not what limits recall."""


def build(
    ids: Ids, source: VectorSource, *, kind: str | None = None, seed: int = 0, progress: Progress | None = None
) -> VectorIndex:
    """An index of the vectors ``source`` has for ``ids``; the same for the same arguments and thread count.

    Args:
        ids: [n], each once, in any order.
        source: the exact vectors; read twice in blocks, and kept for re-ranking.
        kind: ``"exact"`` or one of ``parameters.KINDS``; None lets ``choose`` decide.
        seed: of the training sample, of k-means and of the queries that recall is measured with.
        progress: told about each block.

    Raises:
        ValueError: an unknown kind, an id that is negative or repeated, a vector that is zero or not finite, or too
            few vectors for an approximate kind that was asked for by name.
        KeyError: the source lacks an id.
    """
    ids = ascending(checked_new_ids(ids))
    choice = choose(len(ids), source.dimension)
    told = progress or _nothing
    reason = choice.reason if kind in (None, choice.kind) else f"{len(ids):,} vectors; this kind was asked for by name."
    kind = kind or choice.kind
    if kind == EXACT:
        index: ExactIndex | FaissIndex = ExactIndex(source.dimension)
    elif kind == FLAT:
        index = FaissIndex(source, Parameters(FLAT, reason, len(ids)))
    elif kind in KINDS:
        return _build_lists(ids, source, kind, reason, seed, told)
    else:
        raise ValueError(f"Unknown kind of index {kind!r}; known are {', '.join((EXACT, *KINDS))}.")
    for part, vectors in blocks(ids, source):
        index.add(part, vectors)
        told("add", len(index), len(ids))
    return index


def _nothing(stage: str, done: int, total: int) -> None:
    pass


def list_count(count: int, dimension: int) -> int:
    """Inverted lists for ``count`` vectors: about 4 sqrt(count), and at least 16 training vectors for each."""
    return max(1, min(_wanted_lists(count), sample_count(count, dimension) // 16))


def sample_count(count: int, dimension: int) -> int:
    """Vectors in the training sample: bounded by the lists, by ``SAMPLE_MOST`` and by ``SAMPLE_BYTES``."""
    by_lists = SAMPLE_PER_LIST * _wanted_lists(count)
    return min(count, by_lists, SAMPLE_MOST, SAMPLE_BYTES // (4 * dimension))


def _wanted_lists(count: int) -> int:
    return min(4 * math.isqrt(count), MOST_LISTS)


def _build_lists(ids: Ids, source: VectorSource, kind: str, reason: str, seed: int, told: Progress) -> FaissIndex:
    if len(ids) < LEAST_TO_TRAIN:
        raise ValueError(f"{len(ids)} vectors: an index of kind {kind} needs at least {LEAST_TO_TRAIN}.")
    random = np.random.default_rng(seed)
    lists = list_count(len(ids), source.dimension)
    told("train", 0, 1)
    # Sorted, so that a vector store on disk is read forwards.
    trainers = np.sort(random.choice(ids, size=sample_count(len(ids), source.dimension), replace=False))
    structure = _trained(_read_fed(trainers, source, kind), kind, lists, seed)
    told("train", 1, 1)
    parameters = Parameters(kind, reason, len(ids), lists, nprobe=1, overfetch=OVERFETCH[kind][0])
    index = FaissIndex(source, parameters, structure)
    # Vectors that the centres were not made from tell more, where there are enough of them.
    others = np.setdiff1d(ids, trainers, assume_unique=True)
    others = others if len(others) >= MEASURED_QUERIES else ids
    query_ids = np.sort(random.choice(others, size=min(MEASURED_QUERIES, len(others)), replace=False))
    queries = source.read(query_ids)
    # The truth is gathered while the vectors pass by, so that they are read only once more.
    truth = TopK(queries, TUNED_K + 1)
    for part, vectors in blocks(ids, source):
        index.add(part, vectors)
        truth.update(part, vectors)
        told("add", len(index), len(ids))
    _tune(index, query_ids, queries, truth.matches(), told)
    return index


def _read_fed(ids: Ids, source: VectorSource, kind: str) -> Vectors:
    sample = np.empty((len(ids), fed_dimension(source.dimension, kind)), dtype=np.float32)
    done = 0
    for part, vectors in blocks(ids, source):
        sample[done : done + len(part)] = fed(vectors, sample.shape[1])
        done += len(part)
    return sample


def _trained(sample: Vectors, kind: str, lists: int, seed: int) -> Any:
    quantizer = _trained_centres(sample, lists, seed)
    dimension = sample.shape[1]
    if kind == IVF_SQ8:
        structure = faiss.IndexIVFScalarQuantizer(
            quantizer, dimension, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        )
    else:
        structure = faiss.IndexIVFPQFastScan(
            quantizer, dimension, lists, dimension // PQ_GROUP, 4, faiss.METRIC_INNER_PRODUCT
        )
        structure.by_residual = True
        structure.pq.cp.seed = seed
        structure.pq.cp.min_points_per_centroid = 1
    # Hundreds of tiny k-means follow; several threads only get in each other's way (12 times slower on a busy machine).
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        structure.train(sample)
    finally:
        faiss.omp_set_num_threads(threads)
    return structure


def _trained_centres(sample: Vectors, lists: int, seed: int) -> Any:
    settings = faiss.ClusteringParameters()
    settings.seed = seed
    settings.niter = ROUNDS
    # Centres of unit vectors are unit vectors: inner product then orders lists as cosine does.
    settings.spherical = True
    # The sample is already bounded; FAISS need neither thin it out nor warn that it is small.
    settings.min_points_per_centroid = 1
    settings.max_points_per_centroid = len(sample)
    quantizer = faiss.IndexFlatIP(sample.shape[1])
    faiss.Clustering(sample.shape[1], lists, settings).train(sample, quantizer)
    return quantizer


def _tune(index: FaissIndex, query_ids: Ids, queries: Vectors, truth: Matches, told: Progress) -> None:
    """Raise nprobe, and for product quantisation the over-fetch, until the wanted recall is measured."""
    lists = index.parameters.lists

    def measured(nprobe: int, overfetch: int) -> float:
        index.parameters = replace(index.parameters, nprobe=min(nprobe, lists), overfetch=overfetch)
        recall = measure_recall(index, query_ids, queries, truth)
        index.parameters = replace(index.parameters, recall=round(recall, 4))
        return recall

    nprobe = FIRST_NPROBE
    while not any(measured(nprobe, overfetch) >= WANTED_RECALL for overfetch in OVERFETCH[index.kind]):
        told("measure", min(nprobe, lists), lists)
        if nprobe >= lists:
            break
        nprobe *= 2
    measured(NPROBE_MARGIN * nprobe, index.parameters.overfetch)
    told("measure", lists, lists)


def measure_recall(index: VectorIndex, query_ids: Ids, queries: Vectors, truth: Matches) -> float:
    """Recall@k of stored vectors as queries, themselves excluded, against the exact answer.

    Args:
        index: searched with k + 1, as the query itself is found too.
        query_ids: [Q].
        queries: [Q, D] their vectors.
        truth: [Q, k + 1] the exact matches, the query itself among them.

    Returns:
        The share of the true neighbours' places that are filled by matches at least as near as the k-th true one
        (so that swapped ties count as found), in [0, 1]; 1 when there are no neighbours.
    """
    k = truth.ids.shape[1] - 1
    true = _others(truth, query_ids, k)
    found = _others(index.search(queries, k + 1), query_ids, k)
    wanted = np.isfinite(true)
    least = np.min(true, axis=1, where=wanted, initial=np.inf)
    hits = np.minimum((found >= least[:, None]).sum(axis=1), wanted.sum(axis=1))
    return float(hits.sum() / wanted.sum()) if wanted.any() else 1.0


def _others(matches: Matches, query_ids: Ids, k: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """[Q, k] scores of the best k matches that are not the query itself, -inf where there are fewer."""
    own = (matches.ids == query_ids[:, None]) | (matches.ids == NO_ID)
    return -np.sort(-np.where(own, -np.inf, matches.scores), axis=1)[:, :k]
