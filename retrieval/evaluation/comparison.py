"""Two models on the same queries: is the second better, for which labels, for which images?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from retrieval.evaluation.retrieval import MAP_AT_R, RECALL_AT_1, RetrievalResult
from retrieval.functional.metrics import Interval, bootstrap_intervals

Verdict = Literal["better", "worse", "open"]

MARGIN = 0.01
"""How far the interval of recall@1's difference may reach below zero beside a proven gain in MAP@R: one query in a
hundred. Where first places are nearly all right already no number of labels proves a gain in them, and a better order
of all the others would never be let through; what must be shown then is that they do not get worse (a non-inferiority
margin, fixed beforehand)."""


def holds(metric: str, low: float) -> bool:
    """Whether a metric that decides shows what it has to, with the certainty of its interval.

    Args:
        metric: ``MAP_AT_R``, which has to be better, or ``RECALL_AT_1``, which may be worse by ``MARGIN`` at most.
        low: end of the 95 % interval of its difference.
    """
    return low > 0 if metric == MAP_AT_R else low >= -MARGIN


def judge(first: tuple[float, float], ranking: tuple[float, float]) -> Verdict:
    """``"better"`` if MAP@R is and recall@1 is not worse by more than ``MARGIN``, with the certainty of their
    intervals; ``"worse"`` if the interval of either lies below zero; else ``"open"``.

    Args:
        first, ranking: (low, high) of the 95 % intervals of the differences in recall@1 and in MAP@R.
    """
    if min(first[1], ranking[1]) < 0:
        return "worse"
    return "better" if holds(MAP_AT_R, ranking[0]) and holds(RECALL_AT_1, first[0]) else "open"


@dataclass(frozen=True, slots=True)
class Change:
    """One metric of two models.

    Attributes:
        before, after: each on its own.
        difference: after - before, paired query by query, with its interval.
    """

    before: Interval
    after: Interval
    difference: Interval

    @property
    def verdict(self) -> Verdict:
        """``"better"`` or ``"worse"`` where the interval of the difference excludes zero, else ``"open"``."""
        if self.difference.low > 0:
            return "better"
        return "worse" if self.difference.high < 0 else "open"


@dataclass(frozen=True, slots=True)
class ClassChange:
    """A metric's mean over the queries of one class, before and after."""

    number: int
    queries: int
    before: float
    after: float

    @property
    def difference(self) -> float:
        """What the class gained; negative where it lost."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class QueryChange:
    """A metric's value of one query, before and after; ``place`` is its row in both results."""

    place: int
    id: int
    number: int
    before: float
    after: float

    @property
    def difference(self) -> float:
        """What the query gained; negative where it lost."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two results on the same queries; made by ``compare``."""

    before: RetrievalResult
    after: RetrievalResult
    changes: Mapping[str, Change]

    @property
    def verdict(self) -> Verdict:
        """By both metrics that decide; see ``judge``."""
        first, ranking = (self.changes[name].difference for name in (RECALL_AT_1, MAP_AT_R))
        return judge((first.low, first.high), (ranking.low, ranking.high))

    def classes(self, metric: str = MAP_AT_R) -> list[ClassChange]:
        """Every class with a counted query: the greatest loss first, of equal ones the lowest number."""
        before, after = self.before.values[metric], self.after.values[metric]
        counted = ~np.isnan(before)
        names, member = np.unique(self.before.classes[counted], return_inverse=True)
        sizes = np.bincount(member)
        means = [np.bincount(member, weights=values[counted]) / sizes for values in (before, after)]
        rows = zip(names.tolist(), sizes.tolist(), means[0].tolist(), means[1].tolist(), strict=True)
        return sorted((ClassChange(*row) for row in rows), key=lambda change: (change.difference, change.number))

    def queries(self, metric: str = MAP_AT_R) -> list[QueryChange]:
        """Every counted query: the greatest loss first, of equal ones the lowest id."""
        before, after = self.before.values[metric], self.after.values[metric]
        found = [
            QueryChange(
                place, int(self.before.query_ids[place]), int(self.before.classes[place]),
                float(before[place]), float(after[place]),
            )
            for place in np.flatnonzero(~np.isnan(before)).tolist()
        ]  # fmt: skip
        return sorted(found, key=lambda change: (change.difference, change.id))

    def improved(self, count: int, metric: str = MAP_AT_R) -> list[QueryChange]:
        """The queries that gained most, at most ``count`` and none that gained nothing."""
        gained = [change for change in self.queries(metric) if change.difference > 0]
        return sorted(gained, key=lambda change: (-change.difference, change.id))[:count]

    def worsened(self, count: int, metric: str = MAP_AT_R) -> list[QueryChange]:
        """The queries that lost most, at most ``count`` and none that lost nothing."""
        return [change for change in self.queries(metric)[:count] if change.difference < 0]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: for each metric mean, low and high of the difference, and the two models' own intervals."""
        return {
            name: {**_bounds(change.difference), "before": _bounds(change.before), "after": _bounds(change.after)}
            for name, change in self.changes.items()
        }


def compare(before: RetrievalResult, after: RetrievalResult, seed: int = 0, resamples: int = 1000) -> Comparison:
    """Compare two models query by query.

    Args:
        before, after: measured on the same queries, in the same order, with the same metrics.
        seed, resamples: of the intervals of the differences, which are paired: the same draws for both models.

    Raises:
        ValueError: the two were not measured on the same queries, or have other metrics.
    """
    same = (
        np.array_equal(before.query_ids, after.query_ids)
        and np.array_equal(before.classes, after.classes)
        and np.array_equal(before.positives, after.positives)
    )
    if not same:
        raise ValueError("The two models were not measured on the same queries.")
    if list(before.values) != list(after.values):
        raise ValueError(f"Other metrics before ({', '.join(before.values)}) than after ({', '.join(after.values)}).")
    gains = np.stack([after.values[name] - before.values[name] for name in before.values])
    differences = bootstrap_intervals(gains, before.classes, seed, resamples)
    changes = {
        name: Change(before.intervals[name], after.intervals[name], difference)
        for name, difference in zip(before.values, differences, strict=True)
    }
    return Comparison(before, after, changes)


def _bounds(interval: Interval) -> dict[str, float]:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}
