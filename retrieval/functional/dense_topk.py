"""Exact nearest neighbours of many queries at once, for large k: what an evaluation asks for.

The answer is that of ``retrieval.functional.topk.exact_topk``, digit by digit: the score of a pair is its cosine in
float64 rounded to 1e-6, equal scores stand in ascending order of id. Only the way there differs. ``TopK`` takes the
vectors as a stream and scores each pair by gathering both sides, which is cheap for the few matches of a search; with
k = 100 and 13,000 queries nearly all of its time goes into that. Here the vectors are at hand as a whole, so that each
query is compared with all of them in one go and its candidates are scored by one product of matrix and vector.

Rounding: such a product sums in another order than ``pair_scores``, and may differ from it by a few 1e-13. That
matters only where the cosine lies so close to the middle between two multiples of 1e-6 that it could be rounded
either way; those pairs (about one in a million) are scored once more, by ``pair_scores``.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from retrieval.core.types import NO_ID, Ids, Matches, Vectors
from retrieval.functional.topk import SCORE_STEP, best_per_row, coarse_error, pair_scores, unit_rows

Floats = NDArray[np.float64]

BLOCK_PAIRS = 1 << 24
"""Most query-vector pairs whose float32 scores are in memory at once (64 MiB)."""

BLOCK_VALUES = 1 << 20
"""Most float64 components of one query's candidates gathered at once (8 MiB, so that they stay in the cache)."""


def dense_topk(queries: Vectors, vectors: Vectors, ids: Ids, k: int) -> Matches:
    """The k nearest of each query by cosine; the same answer as ``exact_topk``, arguments and errors too."""
    found = Matches(np.full((len(queries), k), NO_ID, dtype=np.int64), np.full((len(queries), k), -np.inf))
    for part, matches in topk_blocks(queries, vectors, ids, k):
        found.ids[part], found.scores[part] = matches.ids, matches.scores
    return found


def topk_blocks(queries: Vectors, vectors: Vectors, ids: Ids, k: int) -> Iterator[tuple[slice, Matches]]:
    """``dense_topk`` block by block, for a k so large that [Q, k] matches would fill the memory.

    Args:
        queries: [Q, D]; need not be normalised.
        vectors: [N, D]; need not be normalised.
        ids: [N], each at most once, not negative.
        k: at least 1; rows are filled with ``NO_ID`` where N < k.

    Yields:
        Which queries, and their [q, k] matches; the blocks are in order and cover all queries.

    Raises:
        ValueError: shapes do not fit, k < 1, or a row is zero or not finite.
    """
    queries, vectors = np.asarray(queries, np.float32), np.asarray(vectors, np.float32)
    if queries.ndim != 2 or vectors.ndim != 2 or queries.shape[1] != vectors.shape[1] or ids.shape != vectors.shape[:1]:
        raise ValueError(f"Queries {queries.shape}, vectors {vectors.shape} and ids {ids.shape} do not fit.")
    if k < 1:
        raise ValueError(f"k is {k}, but must be at least 1.")
    gallery = _Gallery(vectors, np.asarray(ids, np.int64))
    norms = _norms(queries, "queries")
    step = max(1, BLOCK_PAIRS // max(1, len(vectors)))
    for start in range(0, len(queries), step):
        part = slice(start, min(start + step, len(queries)))
        yield part, gallery.nearest(queries[part], norms[part], k)


class _Gallery:
    """Vectors that stand still, and what every block of queries needs of them."""

    def __init__(self, vectors: Vectors, ids: Ids) -> None:
        self._vectors, self._ids = vectors, ids
        self._norms = _norms(vectors, "vectors")
        # Outside this range float32 products lose precision, overflow or vanish although the row itself is sound.
        ordinary = bool(np.all((self._norms > 1e-10) & (self._norms < 1e10)))
        self._directions = vectors if ordinary else unit_rows(vectors)
        self._lengths = (self._norms if ordinary else np.ones(len(vectors))).astype(np.float32)

    def nearest(self, queries: Vectors, norms: Floats, k: int) -> Matches:
        coarse = unit_rows(queries, "queries") @ self._directions.T
        coarse /= self._lengths
        rows, columns = np.nonzero(coarse >= _worth_a_look(coarse, k, queries.shape[1])[:, None])
        ends = np.cumsum(np.bincount(rows, minlength=len(queries)))
        cosines = np.empty(len(rows))
        for row, (start, end) in enumerate(zip(np.append(0, ends[:-1]), ends, strict=True)):
            cosines[start:end] = self._cosines(queries[row].astype(np.float64), norms[row], columns[start:end])
        scores = np.clip(np.round(cosines, 6), -1.0, 1.0) + 0.0  # adding 0.0 turns -0.0 into 0.0
        doubtful = np.flatnonzero(_could_round_either_way(cosines, queries.shape[1]))
        scores[doubtful] = pair_scores(queries, self._vectors, rows[doubtful], columns[doubtful])
        return best_per_row(rows, self._ids[columns], scores, len(queries), k)

    def _cosines(self, query: Floats, norm: float, columns: NDArray[np.intp]) -> Floats:
        """[c] unrounded cosines of one query and the vectors at ``columns``."""
        dots = np.empty(len(columns))
        step = max(1, BLOCK_VALUES // max(1, len(query)))
        for start in range(0, len(columns), step):
            part = columns[start : start + step]
            dots[start : start + step] = self._vectors[part].astype(np.float64) @ query
        cosines: Floats = dots / (norm * self._norms[columns])
        return cosines


def _norms(rows: Vectors, what: str) -> Floats:
    """[n] L2 norms in float64. Raises ValueError where a row is zero or not finite."""
    norms = np.empty(len(rows))
    step = max(1, BLOCK_VALUES // max(1, rows.shape[1]))
    for start in range(0, len(rows), step):
        wide = rows[start : start + step].astype(np.float64)
        norms[start : start + step] = np.sqrt(np.einsum("nd,nd->n", wide, wide))
    bad = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
    if len(bad):
        raise ValueError(f"Row {bad[0]} of the {what} is zero or not finite.")
    return norms


def _worth_a_look(coarse: NDArray[np.float32], k: int, dimension: int) -> NDArray[np.float32]:
    """[q] lowest float32 score with which a vector can still be among the k best, ties included."""
    count = coarse.shape[1]
    if count <= k:
        return np.full(len(coarse), -np.inf, np.float32)
    kth = np.partition(coarse, count - k, axis=1)[:, count - k].astype(np.float64)
    # k vectors truly reach kth - error; one that ties with the last of them may look 2 errors worse. Rounding the
    # bar to float32 must not raise it.
    bar = (kth - 2 * coarse_error(dimension) - SCORE_STEP).astype(np.float32)
    return np.nextafter(bar, np.float32(-np.inf))


def _could_round_either_way(cosines: Floats, dimension: int) -> NDArray[np.bool_]:
    """Whether another order of summation could round a cosine to another multiple of 1e-6."""
    # Two ways of summing D products and two norms: each within (D + few) 2^-53 of the truth.
    slack = (4 * dimension + 64) * 2.0**-53
    steps = cosines / SCORE_STEP
    return np.asarray(np.abs(steps - np.floor(steps) - 0.5) * SCORE_STEP <= slack, dtype=np.bool_)
