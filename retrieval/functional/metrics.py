"""Retrieval metrics from ranked relevance, and intervals for them.

All metrics take ``relevant`` [Q, K] bool (is the match at this rank a positive of the query?) and ``positives`` [Q]
(how many positives the gallery holds for the query). The query itself is left out by id beforehand, from both
(``leave_one_out`` and ``relevance`` do that). A query without positives - a singleton - has no defined value: it is
NaN in ``QueryScores.values``, is left out of the mean, and is counted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.core.types import NO_ID, Ids, Matches

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class QueryScores:
    """One metric, query by query.

    Attributes:
        values: [Q] in [0, 1]; NaN for a query without positives.
    """

    values: Floats

    @property
    def counted(self) -> int:
        """Queries that have at least one positive."""
        return int(np.count_nonzero(~np.isnan(self.values)))

    @property
    def excluded(self) -> int:
        """Singletons: queries without any positive."""
        return len(self.values) - self.counted

    @property
    def mean(self) -> float:
        """Mean over the counted queries; NaN when there is none."""
        return float(np.nanmean(self.values)) if self.counted else float("nan")


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % bootstrap interval.

    Attributes:
        mean: over the queries themselves.
        low, high: the 2.5 % and 97.5 % quantiles of the resampled means.
        queries: how many queries were counted.
        classes: how many classes they come from.
    """

    mean: float
    low: float
    high: float
    queries: int
    classes: int


def leave_one_out(ids: Ids, query_ids: Ids) -> Ids:
    """Remove each query from its own matches, by id and not by rank.

    Args:
        ids: [Q, K + 1] ranked matches.
        query_ids: [Q].

    Returns:
        [Q, K]: a row without its query; where the query was not among the matches, the last match goes.

    >>> leave_one_out(np.array([[5, 1, 9], [7, 8, 9]]), np.array([1, 3])).tolist()
    [[5, 9], [7, 8]]
    """
    rest: Ids = ids[_others(ids, query_ids)].reshape(len(ids), ids.shape[1] - 1)
    return rest


def matches_without_query(matches: Matches, query_ids: Ids) -> Matches:
    """``leave_one_out`` with the scores: [Q, K + 1] matches become [Q, K]. Raises ValueError as it does."""
    kept, shape = _others(matches.ids, query_ids), (len(matches.ids), matches.ids.shape[1] - 1)
    return Matches(matches.ids[kept].reshape(shape), matches.scores[kept].reshape(shape))


def relevance(
    matches: Ids, query_labels: Ints, gallery_ids: Ids, gallery_labels: Ints, query_ids: Ids | None = None
) -> tuple[Bools, Ints]:
    """Which ranked matches carry the query's label, and how many such images there are.

    Args:
        matches: [Q, K] ranked ids, the query itself already left out; ``NO_ID`` is never relevant.
        query_labels: [Q].
        gallery_ids: [N], each once.
        gallery_labels: [N].
        query_ids: [Q] when queries may stand in the gallery: they then do not count as their own positive.

    Returns:
        ``relevant`` [Q, K] and ``positives`` [Q].

    Raises:
        ValueError: a match is not in the gallery, or a query stands in its own matches.
    """
    order = np.argsort(gallery_ids)
    ids, labels = gallery_ids[order], gallery_labels[order]
    found = matches != NO_ID
    if query_ids is not None and np.any(matches == query_ids[:, None]):
        raise ValueError("A query stands in its own matches; use leave_one_out first.")
    if np.any(found) and not len(ids):
        raise ValueError("A match is not in the gallery.")
    place = np.minimum(np.searchsorted(ids, matches), max(0, len(ids) - 1))
    if np.any(found & (ids[place] != matches) if len(ids) else found):
        raise ValueError("A match is not in the gallery.")
    relevant = found & (labels[place] == query_labels[:, None]) if len(ids) else np.zeros_like(found)
    names, counts = np.unique(gallery_labels, return_counts=True)
    positives = _look_up(names, counts, query_labels)
    if query_ids is not None and len(ids):
        own = np.minimum(np.searchsorted(ids, query_ids), len(ids) - 1)
        positives = positives - ((ids[own] == query_ids) & (labels[own] == query_labels))
    return relevant, positives.astype(np.int64)


def recall_at_k(relevant: Bools, positives: Ints, k: int) -> QueryScores:
    """Recall@k in the metric-learning sense: 1 if any of the first k matches is a positive, else 0.

    Args:
        relevant: [Q, K] with K >= k.
        positives: [Q].
        k: at least 1.

    Raises:
        ValueError: shapes do not fit or K < k.

    >>> recall_at_k(np.array([[False, True], [False, False]]), np.array([1, 3]), 2).values.tolist()
    [1.0, 0.0]
    """
    _check(relevant, positives)
    if not 1 <= k <= relevant.shape[1]:
        raise ValueError(f"Recall@{k} needs 1 <= k <= {relevant.shape[1]}, the number of ranks given.")
    return _defined(relevant[:, :k].any(axis=1).astype(np.float64), positives)


def precision_at_1(relevant: Bools, positives: Ints) -> QueryScores:
    """1 if the first match is a positive; the same number as recall@1. Raises ValueError as ``recall_at_k``."""
    return recall_at_k(relevant, positives, 1)


def r_precision(relevant: Bools, positives: Ints) -> QueryScores:
    """R-precision: the share of positives among the first R matches, R being the query's number of positives.

    Args:
        relevant: [Q, K] with K >= every R.
        positives: [Q], the R of each query.

    Raises:
        ValueError: shapes do not fit or K < R (a truncated ranking would silently give another number).

    >>> r_precision(np.array([[True, False, True]]), np.array([2])).values.tolist()
    [0.5]
    """
    within = _first_r(relevant, positives)
    return _defined((relevant & within).sum(axis=1) / np.maximum(positives, 1), positives)


def map_at_r(relevant: Bools, positives: Ints) -> QueryScores:
    """MAP@R (Musgrave, Belongie and Lim 2020, "A Metric Learning Reality Check", section 3.2).

    For one query with R positives::

        MAP@R = 1/R * sum over i = 1..R of P(i),   P(i) = precision at i if match i is a positive, else 0

    Args:
        relevant: [Q, K] with K >= every R.
        positives: [Q], the R of each query.

    Raises:
        ValueError: shapes do not fit or K < R.

    >>> map_at_r(np.array([[True, False, True, True]]), np.array([3])).values.round(4).tolist()  # (1 + 0 + 2/3) / 3
    [0.5556]
    """
    hits = relevant & _first_r(relevant, positives)
    precision = np.cumsum(hits, axis=1) / np.arange(1, relevant.shape[1] + 1)
    return _defined((precision * hits).sum(axis=1) / np.maximum(positives, 1), positives)


def map_at_k(relevant: Bools, positives: Ints, k: int) -> QueryScores:
    """mAP@k, the mean over queries of the average precision of the first k matches.

    For one query with R positives::

        AP@k = 1/min(R, k) * sum over i = 1..k of P(i),   P(i) = precision at i if match i is a positive, else 0

    The denominator min(R, k) makes 1 reachable for every query, also where R > k; others divide by R, or by the
    number of positives found, and get another number under the same name. For k = R it is MAP@R.

    Args:
        relevant: [Q, K] with K >= k.
        positives: [Q], the R of each query; may be larger than k.
        k: at least 1.

    Raises:
        ValueError: shapes do not fit or K < k.

    >>> map_at_k(np.array([[True, False, True, True]]), np.array([3]), 4).values.round(4).tolist()  # (1 + 2/3 + 3/4)/3
    [0.8056]
    """
    _check(relevant, positives)
    if not 1 <= k <= relevant.shape[1]:
        raise ValueError(f"mAP@{k} needs 1 <= k <= {relevant.shape[1]}, the number of ranks given.")
    hits = relevant[:, :k]
    precision = np.cumsum(hits, axis=1) / np.arange(1, k + 1)
    return _defined((precision * hits).sum(axis=1) / np.clip(positives, 1, k), positives)


def bootstrap_interval(values_per_query: Floats, classes: Ints, seed: int, resamples: int = 1000) -> Interval:
    """95 % interval of the mean over queries: classes are resampled, then the queries within each drawn class.

    Queries of one class are alike, so resampling queries alone would give intervals that are too narrow.

    Args:
        values_per_query: [Q]; NaN (a singleton) is left out.
        classes: [Q], the class of each query.
        seed: of the resampling.
        resamples: at least 1.

    Raises:
        ValueError: shapes do not fit, or no query is left.
    """
    return bootstrap_intervals(values_per_query[None], classes, seed, resamples)[0]


def bootstrap_intervals(values: Floats, classes: Ints, seed: int, resamples: int = 1000) -> list[Interval]:
    """``bootstrap_interval`` of M metrics of the same queries, from the same draws.

    Args:
        values: [M, Q]; NaN (a singleton) in all metrics or in none.
        classes, seed, resamples: as in ``bootstrap_interval``.

    Returns:
        M intervals, each the one that ``bootstrap_interval`` gives for its row.

    Raises:
        ValueError: shapes do not fit, the metrics leave out different queries, or no query is left.
    """
    if values.ndim != 2 or values.shape[1:] != classes.shape or resamples < 1:
        raise ValueError(f"Values {values.shape}, classes {classes.shape}, {resamples} resamples do not fit.")
    missing = np.isnan(values)
    if np.any(missing != missing[:1]):
        raise ValueError("The metrics were not measured on the same queries.")
    counted = ~missing.all(axis=0)
    if not counted.any():
        raise ValueError("No query has a positive: there is nothing to average.")
    values, classes = values[:, counted], classes[counted]
    means = np.array([[row[picks].mean() for row in values] for picks in resampled(classes, seed, resamples)])
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    size, names = values.shape[1], len(np.unique(classes))
    return [Interval(float(row.mean()), float(low[i]), float(high[i]), size, names) for i, row in enumerate(values)]


def resampled(classes: Ints, seed: int, resamples: int) -> Iterator[Ints]:
    """Bootstrap draws in two stages: as many classes as there are, then as many members of each as it has.

    Args:
        classes: [Q], the class of each query; at least one.
        seed: the same seed and classes give the same draws.
        resamples: how many draws.

    Yields:
        Places in ``classes``, about Q of them, with repetitions.
    """
    names, member = np.unique(classes, return_inverse=True)
    order = np.argsort(member, kind="stable")
    sizes = np.bincount(member)
    starts = np.cumsum(sizes) - sizes
    random = np.random.default_rng(seed)
    for _ in range(resamples):
        drawn = random.integers(len(names), size=len(names))
        drawn_sizes = sizes[drawn]
        # A uniform number scaled by its class's size picks a member of that class.
        picks = random.random(int(drawn_sizes.sum())) * np.repeat(drawn_sizes, drawn_sizes)
        yield order[np.repeat(starts[drawn], drawn_sizes) + picks.astype(np.int64)]


def bootstrap_difference(before: Floats, after: Floats, classes: Ints, seed: int, resamples: int = 1000) -> Interval:
    """95 % interval of mean(after) - mean(before) for two models on the same queries, paired query by query.

    Args:
        before, after: [Q] one metric of the two models; NaN at the same places (the same singletons).
        classes, seed, resamples: as in ``bootstrap_interval``.

    Raises:
        ValueError: shapes do not fit, the two leave out different queries, or no query is left.
    """
    if before.shape != after.shape or np.any(np.isnan(before) != np.isnan(after)):
        raise ValueError("The two models were not measured on the same queries.")
    return bootstrap_interval(after - before, classes, seed, resamples)


def _others(ids: Ids, query_ids: Ids) -> Bools:
    """[Q, K + 1] True for K matches of each row: not the query, or, where it is not among them, not the last."""
    own = ids == query_ids[:, None]
    own[~own.any(axis=1), -1] = True
    if np.any(own.sum(axis=1) != 1):
        raise ValueError("A query stands more than once in its own matches.")
    return np.asarray(~own, dtype=np.bool_)


def _look_up(names: Ints, counts: NDArray[np.intp], wanted: Ints) -> Ints:
    if not len(names):
        return np.zeros(len(wanted), dtype=np.int64)
    place = np.minimum(np.searchsorted(names, wanted), len(names) - 1)
    return np.where(names[place] == wanted, counts[place], 0).astype(np.int64)


def _check(relevant: Bools, positives: Ints) -> None:
    if relevant.ndim != 2 or relevant.dtype != np.bool_ or positives.shape != relevant.shape[:1]:
        raise ValueError(f"relevant {relevant.dtype} {relevant.shape} and positives {positives.shape} do not fit.")
    if np.any(relevant.sum(axis=1) > positives):
        raise ValueError("A query has more relevant matches than positives.")


def _first_r(relevant: Bools, positives: Ints) -> Bools:
    _check(relevant, positives)
    most = int(positives.max(initial=0))
    if relevant.shape[1] < most:
        raise ValueError(f"A query has {most} positives, but only {relevant.shape[1]} ranks are given.")
    return np.asarray(np.arange(relevant.shape[1]) < positives[:, None], dtype=np.bool_)


def _defined(values: Any, positives: Ints) -> QueryScores:
    return QueryScores(np.where(positives > 0, values, np.nan))
