"""Exact nearest neighbours by cosine, streamed in blocks: the one definition of a score that every engine shares.

A score is ``dot(q, v) / (|q| |v|)`` in float64, rounded to 1e-6. It is summed for each pair on its own, never by a
matrix product, so that it does not depend on which other vectors stood in the same block. A float32 matrix product
only decides which pairs are worth that care; its rounding error is bounded, so no neighbour is lost by it.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from retrieval.core.types import NO_ID, Ids, Matches, Vectors

Floats = NDArray[np.float64]

BLOCK_PAIRS = 1 << 22
"""Most query-vector pairs whose float32 scores are in memory at once (16 MiB)."""

BLOCK_VALUES = 1 << 22
"""Most float64 vector components gathered at once while pairs are scored (32 MiB a side)."""

BLOCK_ROWS = 8192
"""Vectors taken at once from the stream."""

SCORE_STEP = 1e-6
"""Scores are multiples of this."""


def coarse_error(dimension: int) -> float:
    """Bound on |float32 dot of two normalised vectors - their cosine|, for any order of summation.

    Args:
        dimension: D, at least 1.
    """
    # D products and sums, each off by at most 2^-24 relative, and the two normalisations before them.
    return (dimension + 16) * 2.0**-24


def unit_rows(vectors: Vectors, what: str = "vectors") -> Vectors:
    """The rows of [n, D] ``vectors`` scaled to L2 norm 1, as a new float32 array.

    Raises:
        ValueError: a row is zero or not finite; the message calls the array ``what``.
    """
    rows, norms = _with_norms(vectors, what)
    return np.asarray(rows / norms[:, None], dtype=np.float32)


def _with_norms(vectors: Vectors, what: str = "vectors") -> tuple[Vectors, NDArray[np.float32]]:
    """[n, D] rows in the direction of ``vectors``, and their [n] norms; no copy is made of ordinary vectors."""
    squares = np.einsum("nd,nd->n", vectors, vectors)
    # Outside this range float32 squares lose precision, overflow or vanish although the row itself is sound.
    if bool(np.all((squares > 1e-20) & (squares < 1e20))):
        return vectors, np.asarray(np.sqrt(squares), dtype=np.float32)
    wide = vectors.astype(np.float64)
    norms = np.sqrt(np.einsum("nd,nd->n", wide, wide))
    bad = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
    if len(bad):
        raise ValueError(f"Row {bad[0]} of the {what} is zero or not finite.")
    return np.asarray(wide / norms[:, None], dtype=np.float32), np.ones(len(vectors), dtype=np.float32)


def pair_scores(queries: Vectors, vectors: Vectors, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Floats:
    """Scores of the pairs (queries[rows[i]], vectors[columns[i]]).

    Args:
        queries: [Q, D].
        vectors: [N, D].
        rows, columns: [P] positions.

    Returns:
        [P] cosine in [-1, 1], rounded to 1e-6, never -0.0. Each depends on its own two vectors alone.

    Raises:
        ValueError: a row of a pair is zero or not finite.
    """
    scores = np.empty(len(rows), dtype=np.float64)
    step = max(1, BLOCK_VALUES // max(1, queries.shape[1]))
    for start in range(0, len(rows), step):
        left = queries[rows[start : start + step]].astype(np.float64)
        right = vectors[columns[start : start + step]].astype(np.float64)
        # einsum without "optimize" sums along D pair by pair; a BLAS product would round differently by position.
        norms = np.sqrt(np.einsum("pd,pd->p", left, left)) * np.sqrt(np.einsum("pd,pd->p", right, right))
        if not bool(np.all((norms > 0) & (norms < np.inf))):
            raise ValueError("A query or a vector is zero or not finite.")
        scores[start : start + step] = np.einsum("pd,pd->p", left, right) / norms
    # Adding 0.0 turns -0.0 into 0.0.
    return np.clip(np.round(scores, 6), -1.0, 1.0) + 0.0


class TopK:
    """The k best of a stream of vectors, for each of Q queries.

    Args:
        queries: [Q, D] float32, no row zero or not finite.
        k: at least 1.

    Raises:
        ValueError: shapes do not fit, k < 1, or a query is zero or not finite.
    """

    def __init__(self, queries: Vectors, k: int) -> None:
        self._queries = _matrix(queries, "queries")
        if k < 1:
            raise ValueError(f"k is {k}, but must be at least 1.")
        self._units = unit_rows(self._queries, "queries")
        self._k = k
        count = len(self._queries)
        self._ids: Ids = np.full((count, k), NO_ID, dtype=np.int64)
        self._scores: Floats = np.full((count, k), -np.inf)

    def update(self, ids: Ids, vectors: Vectors) -> None:
        """Offer n more vectors.

        Args:
            ids: [n], not negative, not offered before.
            vectors: [n, D] float32, no row zero or not finite.

        Raises:
            ValueError: shapes do not fit, or a vector is zero or not finite.
        """
        vectors = _matrix(vectors, "vectors")
        if vectors.shape != (len(ids), self._queries.shape[1]):
            raise ValueError(f"{len(ids)} ids and D = {self._queries.shape[1]} do not fit vectors of {vectors.shape}.")
        for start in range(0, len(ids), BLOCK_ROWS):
            self._update_block(ids[start : start + BLOCK_ROWS], vectors[start : start + BLOCK_ROWS])

    def _update_block(self, ids: Ids, vectors: Vectors) -> None:
        directions, norms = _with_norms(vectors)
        step = max(1, BLOCK_PAIRS // len(ids))
        for start in range(0, len(self._queries), step):
            part = slice(start, start + step)
            coarse = self._units[part] @ directions.T
            coarse /= norms
            rows, columns = np.nonzero(coarse >= self._worth_a_look(coarse, self._scores[part])[:, None])
            scores = pair_scores(self._queries[part], vectors, rows, columns)
            self._merge(part, rows, ids[columns], scores)

    def _worth_a_look(self, coarse: NDArray[np.float32], best: Floats) -> NDArray[np.float32]:
        """[q] lowest coarse score with which a vector can still be among the k best, ties included."""
        error = coarse_error(self._queries.shape[1])
        least = best[:, -1] - error - SCORE_STEP
        if coarse.shape[1] > self._k:
            kth = np.partition(coarse, coarse.shape[1] - self._k, axis=1)[:, coarse.shape[1] - self._k]
            # k vectors of this block truly reach kth - error; one that ties with them may look 2 errors worse.
            least = np.maximum(least, kth.astype(np.float64) - 2 * error - SCORE_STEP)
        # Rounding to float32 must not raise the bar.
        return np.nextafter(least.astype(np.float32), np.float32(-np.inf))

    def _merge(self, part: slice, rows: NDArray[np.intp], ids: Ids, scores: Floats) -> None:
        if not len(rows):
            return
        kept_rows, kept_columns = np.nonzero(self._ids[part] != NO_ID)
        rows = np.concatenate([kept_rows, rows])
        ids = np.concatenate([self._ids[part][kept_rows, kept_columns], ids])
        scores = np.concatenate([self._scores[part][kept_rows, kept_columns], scores])
        matches = best_per_row(rows, ids, scores, len(self._ids[part]), self._k)
        self._ids[part] = matches.ids
        self._scores[part] = matches.scores

    def matches(self) -> Matches:
        """The k best of everything offered so far; [Q, k]."""
        return Matches(ids=self._ids.copy(), scores=self._scores.copy())


def best_per_row(rows: NDArray[np.intp], ids: Ids, scores: Floats, count: int, k: int) -> Matches:
    """The k best pairs of each row: score descending, then id ascending, filled with ``NO_ID`` and -inf.

    Args:
        rows: [P] row of each pair, below ``count``.
        ids, scores: [P].
        count: rows of the result.
        k: columns of the result.
    """
    order = np.lexsort((ids, -scores, rows))
    rows, ids, scores = rows[order], ids[order], scores[order]
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    keep = rank < k
    best = Matches(np.full((count, k), NO_ID, dtype=np.int64), np.full((count, k), -np.inf))
    best.ids[rows[keep], rank[keep]] = ids[keep]
    best.scores[rows[keep], rank[keep]] = scores[keep]
    return best


def exact_topk(queries: Vectors, vectors: Vectors, ids: Ids, k: int) -> Matches:
    """The k nearest of each query by cosine, exactly; never a Q x N matrix beyond ``BLOCK_PAIRS``.

    Of equal scores the lowest ids are kept, in ascending order, also where the k-th and the next are equal.

    Args:
        queries: [Q, D]; need not be normalised.
        vectors: [N, D]; need not be normalised.
        ids: [N], each at most once, not negative.
        k: at least 1; rows are filled with ``NO_ID`` where N < k.

    Raises:
        ValueError: shapes do not fit, k < 1, or a row is zero or not finite.

    >>> exact_topk(np.eye(2), np.array([[1.0, 1.0], [0.0, 2.0], [3.0, 3.0]]), np.array([7, 8, 4]), 2).ids.tolist()
    [[4, 7], [8, 4]]
    """
    best = TopK(queries, k)
    best.update(np.asarray(ids, dtype=np.int64), vectors)
    return best.matches()


def rerank(queries: Vectors, candidate_ids: Ids, fetch: Callable[[Ids], Vectors], k: int) -> Matches:
    """The k best among each query's own candidates, scored exactly.

    Args:
        queries: [Q, D]; need not be normalised.
        candidate_ids: [Q, C]; ``NO_ID`` fills rows with fewer candidates, repeated ids count once.
        fetch: gives the [n, D] float32 vectors of [n] ascending ids; called with bounded batches.
        k: at least 1.

    Raises:
        ValueError: shapes do not fit, k < 1, a query or a fetched vector is zero or not finite.
    """
    if k < 1:
        raise ValueError(f"k is {k}, but must be at least 1.")
    ascending = np.sort(candidate_ids, axis=-1)
    ascending[:, 1:][ascending[:, 1:] == ascending[:, :-1]] = NO_ID
    return best_columns(ascending, candidate_scores(queries, ascending, fetch), k)


def candidate_scores(queries: Vectors, candidate_ids: Ids, fetch: Callable[[Ids], Vectors]) -> Floats:
    """[Q, C] exact scores of the [Q, C] candidates, -inf beside ``NO_ID``. Arguments and errors as ``rerank``."""
    queries = _matrix(queries, "queries")
    if candidate_ids.ndim != 2 or len(candidate_ids) != len(queries):
        raise ValueError(f"Candidates of {candidate_ids.shape} do not fit {len(queries)} queries.")
    scores = np.full(candidate_ids.shape, -np.inf)
    flat = scores.reshape(-1)
    # All places of one id stand together in this order, so that each vector is fetched once.
    order = np.argsort(candidate_ids, axis=None, kind="stable")
    order = order[np.searchsorted(candidate_ids.reshape(-1)[order], 0) :]
    wanted, column = np.unique(candidate_ids.reshape(-1)[order], return_inverse=True)
    for start in range(0, len(wanted), BLOCK_ROWS):
        low, high = np.searchsorted(column, [start, start + BLOCK_ROWS])
        vectors = _matrix(fetch(wanted[start : start + BLOCK_ROWS]), "vectors")
        places = order[low:high]
        flat[places] = pair_scores(queries, vectors, places // candidate_ids.shape[1], column[low:high] - start)
    return scores


def best_columns(ids: Ids, scores: Floats, k: int) -> Matches:
    """The k best of each row of [Q, C] ids and scores: score descending, then id ascending, filled to [Q, k]."""
    order = np.lexsort((ids, -scores))[:, :k]
    best = Matches(np.full((len(ids), k), NO_ID, dtype=np.int64), np.full((len(ids), k), -np.inf))
    best.ids[:, : order.shape[1]] = np.take_along_axis(ids, order, axis=1)
    best.scores[:, : order.shape[1]] = np.take_along_axis(scores, order, axis=1)
    return best


def _matrix(rows: Vectors, what: str) -> Vectors:
    rows = np.asarray(rows, dtype=np.float32)
    if rows.ndim != 2:
        raise ValueError(f"The {what} have {rows.ndim} axes, but must be rows and columns.")
    return rows
