"""Retrieval measured on labels: every query's matches, and what they are worth.

The matches are exact (``retrieval.functional.dense_topk``, ties by score and id) and come block by block, so that no
query x gallery matrix is ever held. A query that stands in the database is left out of its own matches by id. A query
without a positive there - a singleton - has no value in any metric and is counted apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.core.errors import RetrievalError
from retrieval.core.types import NO_ID, Ids, Matches, Vectors
from retrieval.evaluation.margin import FIRST, labelled_margins
from retrieval.evaluation.vectors import LabelledVectors, places
from retrieval.functional.dense_topk import topk_blocks
from retrieval.functional.metrics import (
    Interval,
    QueryScores,
    bootstrap_intervals,
    map_at_k,
    map_at_r,
    matches_without_query,
    precision_at_1,
    r_precision,
    recall_at_k,
    relevance,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

RECALL_AT = (1, 2, 4, 8, 10)
AVERAGE_AT = 10
KEEP = 10
RECALL_AT_1 = "recall_at_1"
MAP_AT_R = "map_at_r"


@dataclass(frozen=True, slots=True)
class RetrievalResult:
    """What a set of queries found in a database.

    Attributes:
        query_ids: [Q].
        classes: [Q] class number of each query.
        positives: [Q] how many positives the database holds for each (its R); 0 for a singleton.
        values: for each metric ([Q] in [0, 1], NaN for a singleton): ``recall_at_K`` for the K asked for,
            ``precision_at_1``, ``r_precision``, ``map_at_r`` and ``map_at_K``.
        intervals: mean and 95 % interval of each metric (classes resampled, then queries).
        matches: [Q, keep] the first matches of each query, itself left out.
        relevant: [Q, keep] whether each of them carries the query's label.
        best: [Q] score of the first match; NaN where there is none.
        best_other: [Q] score of the best match of another label: the best score the query would have if its own label
            were not in the database. NaN where the database holds no other label.
        margin, margin_other: [Q] the same of the best margin (``evaluation.margin``); None where nobody asked for it.
        database: how many images were searched.
        depth: how many ranks were looked at.
        seed: of the intervals.
    """

    query_ids: Ids
    classes: Ints
    positives: Ints
    values: Mapping[str, Floats]
    intervals: Mapping[str, Interval]
    matches: Matches
    relevant: Bools
    best: Floats
    best_other: Floats
    database: int
    depth: int
    seed: int
    margin: Floats | None = None
    margin_other: Floats | None = None

    @property
    def counted(self) -> int:
        """Queries with at least one positive."""
        return int(np.count_nonzero(self.positives))

    @property
    def singletons(self) -> int:
        """Queries without a positive, left out of every metric."""
        return len(self.positives) - self.counted

    def worst(self, count: int, metric: str = MAP_AT_R) -> list[int]:
        """Places of the ``count`` queries with the lowest values; of equal ones the lowest ids first."""
        values = self.values[metric]
        order = np.lexsort((self.query_ids, values))  # NaN, a singleton, sorts last
        return [int(place) for place in order[: min(count, self.counted)]]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready summary: means and intervals of all metrics, and on how much they rest."""
        return {
            "metrics": {
                name: {"mean": found.mean, "low": found.low, "high": found.high}
                for name, found in self.intervals.items()
            },
            "queries": self.counted,
            "singletons": self.singletons,
            "classes": len(np.unique(self.classes[self.positives > 0])),
            "database": self.database,
            "depth": self.depth,
            "seed": self.seed,
        }


def retrieve(
    vectors: Vectors,
    numbers: Ints,
    ids: Ids | None = None,
    queries: LabelledVectors | None = None,
    *,
    recall_at: Sequence[int] = RECALL_AT,
    average_at: int = AVERAGE_AT,
    depth: int | None = None,
    keep: int = KEEP,
    margins: bool = False,
    seed: int = 0,
    resamples: int = 1000,
) -> RetrievalResult:
    """Search a database with labelled queries and measure what comes back.

    Args:
        vectors: [N, D] of the database; need not be normalised.
        numbers: [N] class numbers, not negative.
        ids: [N] ids, each once; None numbers the images by their places.
        queries: who asks; their class numbers mean the same labels. Queries with ids that stand in the database are
            left out of their own matches; queries without ids stand nowhere in it. None: every image of the database
            asks for the others (leave one out).
        recall_at: the k of recall@k.
        average_at: the k of mAP@k; its definition is in ``retrieval.functional.metrics.map_at_k``.
        depth: ranks to look at; None takes as many as the metrics need.
        keep: first matches kept in the result.
        margins: measure margins too; it takes a second search, with the first matches.
        seed, resamples: of the intervals.

    Raises:
        RetrievalError: no query has a positive in the database.
        ValueError: shapes do not fit, a row is zero or not finite, or ``depth`` is too small for the metrics: a
            truncated ranking would silently give other values of R-precision and MAP@R.
    """
    base = LabelledVectors(vectors, numbers, places(numbers) if ids is None else ids)
    asked = base if queries is None else queries
    needed = _needed_depth(base, asked, recall_at, average_at, keep, FIRST if margins else 1)
    if depth is not None and depth < needed:
        raise ValueError(f"The metrics need {needed} ranks, but only {depth} were asked for.")
    depth = depth or needed
    parts = _measure(base, asked, depth, recall_at, average_at, keep)
    values = {name: np.concatenate([part.values[name] for part in parts]) for name in parts[0].values}
    positives = np.concatenate([part.positives for part in parts])
    if not positives.any():
        raise RetrievalError(
            "No query has an image of its own label in the database: there is nothing to measure.",
            "Give at least one label two images.",
        )
    intervals = bootstrap_intervals(np.stack(list(values.values())), asked.numbers, seed, resamples)
    return RetrievalResult(
        query_ids=places(asked.numbers) if asked.ids is None else asked.ids,
        classes=asked.numbers,
        positives=positives,
        values=values,
        intervals=dict(zip(values, intervals, strict=True)),
        matches=Matches(
            np.concatenate([part.matches.ids for part in parts]),
            np.concatenate([part.matches.scores for part in parts]),
        ),
        relevant=np.concatenate([part.relevant for part in parts]),
        best=_best([part.first for part in parts]),
        best_other=_best([part.first_other for part in parts]),
        database=len(base),
        depth=depth,
        seed=seed,
        margin=_margins(base, asked, [part.first for part in parts], held_out=False) if margins else None,
        margin_other=_margins(base, asked, [part.first_other for part in parts], held_out=True) if margins else None,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """The fields of ``RetrievalResult`` for some of the queries."""

    positives: Ints
    values: dict[str, Floats]
    matches: Matches
    relevant: Bools
    first: Matches
    first_other: Matches


def _needed_depth(
    base: LabelledVectors, asked: LabelledVectors, recall_at: Sequence[int], average_at: int, keep: int, others: int
) -> int:
    if not len(base) or not len(asked):
        raise RetrievalError("There is no image to measure with.", "Check the folder and the split.")
    if min((*recall_at, average_at, keep), default=1) < 1:
        raise ValueError("The k of a metric must be at least 1.")
    names, counts = np.unique(base.numbers, return_counts=True)
    most = int(counts[np.isin(names, asked.numbers)].max(initial=0))
    # So many ranks more than the most positives there are show the first matches of other labels, too.
    return max(*recall_at, average_at, keep, most + others)


def _measure(
    base: LabelledVectors,
    asked: LabelledVectors,
    depth: int,
    recall_at: Sequence[int],
    average_at: int,
    keep: int,
) -> list[_Part]:
    assert base.ids is not None
    parts = []
    # A query that is found itself takes one rank.
    for part, found in topk_blocks(asked.vectors, base.vectors, base.ids, depth + (asked.ids is not None)):
        own = None if asked.ids is None else asked.ids[part]
        matches = found if own is None else matches_without_query(found, own)
        relevant, positives = relevance(matches.ids, asked.numbers[part], base.ids, base.numbers, own)
        scores: dict[str, QueryScores] = {f"recall_at_{k}": recall_at_k(relevant, positives, k) for k in recall_at}
        scores["precision_at_1"] = precision_at_1(relevant, positives)
        scores["r_precision"] = r_precision(relevant, positives)
        scores[MAP_AT_R] = map_at_r(relevant, positives)
        scores[f"map_at_{average_at}"] = map_at_k(relevant, positives, average_at)
        parts.append(
            _Part(
                positives=positives,
                values={name: score.values for name, score in scores.items()},
                matches=Matches(matches.ids[:, :keep].copy(), matches.scores[:, :keep].copy()),
                relevant=relevant[:, :keep].copy(),
                first=_first(matches, matches.ids != NO_ID),
                first_other=_first(matches, (matches.ids != NO_ID) & ~relevant),
            )
        )
    return parts


def _first(matches: Matches, wanted: Bools) -> Matches:
    """[q, FIRST] the first wanted matches of each row, filled as ``Matches`` are."""
    order = np.argsort(~wanted, axis=1, kind="stable")[:, :FIRST]
    there = np.take_along_axis(wanted, order, axis=1)
    ids, scores = (np.take_along_axis(values, order, axis=1) for values in (matches.ids, matches.scores))
    return Matches(np.where(there, ids, NO_ID), np.where(there, scores, -np.inf))


def _best(parts: Sequence[Matches]) -> Floats:
    """[Q] score of the first match; NaN where there is none."""
    scores = np.concatenate([part.scores[:, 0] for part in parts])
    return np.where(np.isneginf(scores), np.nan, scores)


def _margins(base: LabelledVectors, asked: LabelledVectors, parts: Sequence[Matches], *, held_out: bool) -> Floats:
    firsts = Matches(np.concatenate([part.ids for part in parts]), np.concatenate([part.scores for part in parts]))
    return labelled_margins(base, asked, firsts, held_out=held_out)
