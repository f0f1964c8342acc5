"""Calibration of a space on a set of labels: pairs, map, its reliability, and the threshold, in one call."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.core.errors import RetrievalError
from retrieval.core.types import NO_ID
from retrieval.evaluation import reading
from retrieval.evaluation.calibration import Calibration, cross_validated, fit_calibration
from retrieval.evaluation.reliability import Reliability, reliability
from retrieval.evaluation.retrieval import RetrievalResult
from retrieval.evaluation.threshold import Threshold, fit_threshold, measure_threshold

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

SHOWN = 10


@dataclass(frozen=True, slots=True)
class NeighbourPairs:
    """Pairs of a query and one of its first matches.

    Attributes:
        scores: [P] cosine.
        same: [P] whether the two have the same label.
        queries: [P] the query, by its place.
        classes: [P] the query's class.
    """

    scores: Floats
    same: Bools
    queries: Ints
    classes: Ints


@dataclass(frozen=True, slots=True)
class Measured:
    """A calibration with the proof of what it is worth.

    Attributes:
        calibration: the map and the threshold.
        reliability: of the map, on classes it was not fitted on.
        threshold: the threshold with its true and false alarms; None where no query could be without a match.
        margin: the same of the threshold on margins; None also where margins were not measured.
    """

    calibration: Calibration
    reliability: Reliability
    threshold: Threshold | None
    margin: Threshold | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the calibration's own keys, ``"reliability"``, and ``"alarms"`` and ``"margin_alarms"`` for the
        thresholds' rates."""
        both = {"alarms": self.threshold, "margin_alarms": self.margin}
        alarms = {key: None if one is None else one.to_dict() for key, one in both.items()}
        return {**self.calibration.to_dict(), "reliability": self.reliability.to_dict(), **alarms}

    @classmethod
    def from_dict(cls, values: object) -> "Measured":
        """What ``to_dict`` gave. Raises RetrievalError where a value is missing or cannot be."""
        found = reading.document(values, "it")
        alarms = [found.get(key) for key in ("alarms", "margin_alarms")]
        threshold, margin = (None if one is None else Threshold.from_dict(one) for one in alarms)
        return cls(Calibration.from_dict(found), Reliability.from_dict(found.get("reliability")), threshold, margin)


def neighbour_pairs(result: RetrievalResult, k: int = SHOWN) -> NeighbourPairs:
    """The pairs that a user would see: each query with its first k matches, as often as they occur there.

    Random pairs would be nearly all negative and far apart; a map fitted on them is about pairs that no search ever
    shows. Queries without any image of their label take part: in a real gallery they exist, too.

    Args:
        result: leave-one-out or other queries, with at least k matches kept.
        k: matches a query, at least 1.

    Raises:
        ValueError: fewer than k matches were kept.
    """
    if not 1 <= k <= result.matches.ids.shape[1]:
        raise ValueError(f"k is {k}, but {result.matches.ids.shape[1]} matches of each query were kept.")
    queries, ranks = np.nonzero(result.matches.ids[:, :k] != NO_ID)
    return NeighbourPairs(
        scores=result.matches.scores[queries, ranks],
        same=result.relevant[queries, ranks],
        queries=np.asarray(queries, dtype=np.int64),
        classes=result.classes[queries],
    )


def calibrate(result: RetrievalResult, *, k: int = SHOWN, seed: int = 0) -> Measured:
    """Fit map and threshold on a search among validation images, and measure both.

    The reliability comes from a cross-validation over classes: each probability is given by a map of the same kind
    that saw no query of that class. The map that is returned was fitted on all pairs. The threshold is one number
    fitted on all queries, and its rates are theirs; ``confirm`` measures both on other images.

    Args:
        result: of validation images, of at least two classes. Where it has margins a threshold on these is fitted, too.
        k: how many first matches of each query make the pairs.
        seed: of folds and intervals.

    Raises:
        RetrievalError: fewer than two labels.
        ValueError: fewer than k matches were kept.
    """
    pairs = neighbour_pairs(result, k)
    if len(np.unique(pairs.classes)) < 2:
        raise RetrievalError("Scores cannot be calibrated on one label alone.", "Keep two labels or more to validate.")
    calibration = fit_calibration(pairs.scores, pairs.same, classes=pairs.classes, seed=seed)
    unseen = cross_validated(pairs.scores, pairs.same, pairs.classes, calibration.kind, seed)
    found = reliability(unseen, pairs.same, pairs.queries, pairs.classes, seed=seed)
    threshold = _fitted(best_scores(result), seed)
    margin = None if result.margin is None else _fitted(best_scores(result, by_margin=True), seed)
    if threshold is not None:
        calibration = replace(calibration, threshold=threshold.value)
    if margin is not None:
        calibration = replace(calibration, margin=margin.value, margin_among=result.database)
    return Measured(calibration, found, threshold, margin)


def _fitted(groups: tuple[Floats, Floats, Ints, Ints], seed: int) -> Threshold | None:
    return fit_threshold(*groups, seed=seed) if len(groups[0]) and len(groups[1]) else None


def confirm(calibration: Calibration, result: RetrievalResult, *, k: int = SHOWN, seed: int = 0) -> Measured:
    """Measure a calibration on images it was not fitted on, for example the test part.

    Args:
        calibration: fitted elsewhere, in the same space.
        result: a search among other images.
        k, seed: as in ``calibrate``.

    Raises:
        ValueError: fewer than k matches were kept, or it has a threshold on margins, and none were measured.
    """
    pairs = neighbour_pairs(result, k)
    found = reliability(calibration.of(pairs.scores), pairs.same, pairs.queries, pairs.classes, seed=seed)
    threshold = _measured(calibration.threshold, result, seed, by_margin=False)
    return Measured(calibration, found, threshold, _measured(calibration.margin, result, seed, by_margin=True))


def _measured(value: float | None, result: RetrievalResult, seed: int, *, by_margin: bool) -> Threshold | None:
    if value is None:
        return None
    groups = best_scores(result, by_margin=by_margin)
    return measure_threshold(value, *groups, seed=seed) if len(groups[0]) and len(groups[1]) else None


def best_scores(result: RetrievalResult, *, by_margin: bool = False) -> tuple[Floats, Floats, Ints, Ints]:
    """What matches are worth with and without one of the own label, and the classes of these queries: the arguments of
    ``fit_threshold``.

    With: queries that have an image of their label in the database. Without: every query, its own label held out; the
    best match of another label is exactly what it would find then.

    Raises:
        ValueError: margins are asked for, and were not measured.
    """
    best, other = (result.margin, result.margin_other) if by_margin else (result.best, result.best_other)
    if best is None or other is None:
        raise ValueError("The search did not measure margins, which a threshold is about.")
    present = result.positives > 0
    absent = ~np.isnan(result.best_other)
    return best[present], other[absent], result.classes[present], result.classes[absent]
