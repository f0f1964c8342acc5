"""From a score to the probability that both images carry the same label.

There are two monotone maps. The logistic curve is taken unless the steps have a clearly lower Brier score (by more than
one standard error) on classes that neither has seen:

- ``"platt"``: a logistic curve, p = 1 / (1 + exp(-(slope * score + intercept))) (Platt 1999; the fit is that of Lin,
  Lin and Weng, "A note on Platt's probabilistic outputs for support vector machines", Machine Learning 68, 2007). Two
  numbers, strictly monotone, sound already for a few dozen pairs; but cosines need not follow a logistic curve.
- ``"isotonic"``: the monotone steps nearest to the data (pool adjacent violators; Zadrozny and Elkan, KDD 2002), joined
  by straight lines between the steps' centres. It follows any monotone shape, but needs many pairs.

Neither ever says exactly 0 or 1 (Platt's smoothed targets; one pair of either kind added to every step), and neither
falls: where higher scores mean *less* likely in the data, the best curve that does not fall is constant.

The map holds for one embedding space and for a gallery like the one it was fitted on: the share of true matches among
the first k depends on how many images, and of how many labels, there are.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from retrieval.evaluation import reading
from retrieval.evaluation.margin import GREATEST

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Kind = Literal["platt", "isotonic"]

FOLDS = 5

MOST_GROWTH = 1.25
"""A threshold on margins holds for up to so many times the images that it was measured among. Each image that comes
near a match lowers its margin, but not the threshold: more and more of those who have a match would be told that there
is none. The cosine of a match stays what it is."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A monotone map from cosine to probability, and the scores below which nothing similar is there.

    Attributes:
        kind: which of the two maps.
        slope, intercept: of ``"platt"``, slope >= 0; both 0 for ``"isotonic"``.
        scores, probabilities: knots of ``"isotonic"``, scores ascending, probabilities not falling; empty for
            ``"platt"``. Constant beyond the first and the last.
        pairs, positives: how many pairs it was fitted on, and how many of them have the same label.
        threshold: a query whose best match has a lower cosine has no match here (``retrieval.evaluation.threshold``);
            None where that could not be measured.
        margin: a query whose first matches all have lower margins (``retrieval.evaluation.margin``) has no match here,
            by which that is told better; None where it was not measured, as in calibrations of before.
        margin_among: how many images were searched when that was measured. See ``by_margin``.
    """

    kind: Kind
    slope: float = 0.0
    intercept: float = 0.0
    scores: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()
    pairs: int = 0
    positives: int = 0
    threshold: float | None = None
    margin: float | None = None
    margin_among: int = 0

    def by_margin(self, images: int) -> bool:
        """Whether the margin decides where so many images are searched, not the cosine."""
        return self.margin is not None and images <= MOST_GROWTH * self.margin_among

    def probability(self, score: float) -> float:
        """Probability in [0, 1] that an image with this cosine to the query has its label. Raises ValueError on NaN."""
        return float(self.of(np.array([score]))[0])

    def of(self, scores: Floats) -> Floats:
        """``probability`` of an array of scores, of any shape. Raises ValueError on NaN."""
        if np.isnan(scores).any():
            raise ValueError("A score is not a number.")
        if self.kind == "isotonic":
            return np.asarray(np.interp(scores, self.scores, self.probabilities), dtype=np.float64)
        # A score of -inf stands beside an empty match; 0 * -inf must not become NaN.
        return _logistic(self.slope * np.clip(scores, -1e6, 1e6) + self.intercept)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        curve: dict[str, Any] = {"slope": self.slope, "intercept": self.intercept}
        if self.kind == "isotonic":
            curve = {"scores": list(self.scores), "probabilities": list(self.probabilities)}
        counts = {"pairs": self.pairs, "positives": self.positives}
        margin = {"margin": self.margin, "margin_among": self.margin_among}
        return {"kind": self.kind, **curve, **counts, "threshold": self.threshold, **margin}

    @classmethod
    def from_dict(cls, values: object) -> "Calibration":
        """What ``to_dict`` gave; further keys are ignored.

        Raises:
            RetrievalError: a value is missing or cannot be.
        """
        found = reading.document(values, "it")
        pairs, positives = reading.whole(found, "pairs"), reading.whole(found, "positives")
        if positives > pairs:
            reading.damaged("it has more matching pairs than pairs")
        threshold = None if found.get("threshold") is None else reading.number(found, "threshold")
        margin = None if found.get("margin") is None else reading.number(found, "margin", -GREATEST, GREATEST)
        among = 0 if margin is None else reading.whole(found, "margin_among")
        if found.get("kind") == "platt":
            slope, intercept = reading.number(found, "slope", low=0.0), reading.number(found, "intercept")
            return cls("platt", slope, intercept, (), (), pairs, positives, threshold, margin, among)
        if found.get("kind") != "isotonic":
            reading.damaged("its kind is neither “platt” nor “isotonic”")
        scores, probabilities = reading.numbers(found, "scores"), reading.numbers(found, "probabilities", 0.0, 1.0)
        if not scores or len(scores) != len(probabilities):
            reading.damaged("its scores and probabilities do not fit")
        if np.any(np.diff(scores) <= 0) or np.any(np.diff(probabilities) < 0):
            reading.damaged("its curve falls")
        return cls(
            "isotonic",
            scores=scores,
            probabilities=probabilities,
            pairs=pairs,
            positives=positives,
            threshold=threshold,
            margin=margin,
            margin_among=among,
        )

    def to_bytes(self) -> bytes:
        """The content of a ``calibration.json``."""
        return (json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Calibration":
        """What ``to_bytes`` gave. Raises RetrievalError as ``from_dict``, also where it is not JSON."""
        return cls.from_dict(reading.parse(content))


def fit_calibration(
    scores: Floats, same: Bools, *, classes: Ints | None = None, kind: Kind | Literal["auto"] = "auto", seed: int = 0
) -> Calibration:
    """Fit the map.

    Args:
        scores: [P] cosines of pairs, finite.
        same: [P] whether the pair has the same label. They should be the pairs that users see: the first matches of
            queries, as ``retrieval.evaluation.calibrate.neighbour_pairs`` takes them.
        classes: [P] class of each pair's query; folds of the choice are made of whole classes.
        kind: ``"auto"`` chooses in a cross-validation over classes; it takes ``"platt"`` where classes are not given
            and where there is one class only.
        seed: of the folds.

    Raises:
        ValueError: no pair, shapes do not fit, or a score is not finite.

    Degenerate data give constants: all pairs (or none) of the same label, or all scores equal.
    """
    _check(scores, same, classes)
    if kind == "auto":
        kind = "platt" if classes is None or len(np.unique(classes)) < 2 else _choose(scores, same, classes, seed)
    return _FITS[kind](scores, same)


def cross_validated(scores: Floats, same: Bools, classes: Ints, kind: Kind, seed: int = 0) -> Floats:
    """Probabilities of all pairs, each from a map that saw no pair of its query's class.

    Args:
        scores, same, classes: [P], as ``fit_calibration``.
        kind: the map.
        seed: of the folds: five, or one for each class where there are fewer classes.

    Returns:
        [P] in [0, 1].

    Raises:
        ValueError: shapes do not fit, a score is not finite, or there are fewer than two classes.
    """
    _check(scores, same, classes)
    names, member = np.unique(classes, return_inverse=True)
    if len(names) < 2:
        raise ValueError("Cross-validation over classes needs at least two of them.")
    fold_of_class = np.random.default_rng(seed).permutation(len(names)) % min(FOLDS, len(names))
    fold = fold_of_class[member]
    probabilities = np.empty(len(scores))
    for number in range(int(fold.max()) + 1):
        held = fold == number
        probabilities[held] = _FITS[kind](scores[~held], same[~held]).of(scores[held])
    return probabilities


def brier_score(probabilities: Floats, same: Bools) -> float:
    """Mean squared difference of probability and outcome (Brier 1950); 0 is best, 0.25 is what 0.5 always gets.

    >>> brier_score(np.array([0.8, 0.4]), np.array([True, False]))
    0.1
    """
    return round(float(np.mean((probabilities - same) ** 2)), 12)


def _check(scores: Floats, same: Bools, classes: Ints | None) -> None:
    if scores.ndim != 1 or same.shape != scores.shape or (classes is not None and classes.shape != scores.shape):
        raise ValueError("Scores, outcomes and classes do not fit.")
    if not len(scores):
        raise ValueError("There is no pair to calibrate on.")
    if not np.isfinite(scores).all():
        raise ValueError("A score is not finite.")


def _choose(scores: Floats, same: Bools, classes: Ints, seed: int) -> Kind:
    """Steps only where their Brier score is lower by more than a standard error; classes are the independent units."""
    losses = [(cross_validated(scores, same, classes, kind, seed) - same) ** 2 for kind in ("platt", "isotonic")]
    _, member = np.unique(classes, return_inverse=True)
    gains = np.bincount(member, weights=losses[0] - losses[1])
    return "isotonic" if gains.sum() > math.sqrt(len(gains)) * gains.std(ddof=1) else "platt"


def _logistic(logits: Floats) -> Floats:
    # tanh neither overflows nor loses the small end's sign.
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)), dtype=np.float64)


def _fit_platt(scores: Floats, same: Bools) -> Calibration:
    """Newton steps on the two parameters, halved until the loss falls; the loss is convex."""
    positives = int(same.sum())
    high, low = (positives + 1) / (positives + 2), 1 / (len(same) - positives + 2)
    targets = np.where(same, high, low)
    centre, spread = float(scores.mean()), float(scores.std())
    slope, intercept = 0.0, math.log(targets.mean() / (1 - targets.mean()))
    # Equal scores, up to the rounding of their mean, tell nothing about a slope.
    if spread > 1e-9:
        slope, intercept = _newton((scores - centre) / spread, targets, intercept)
        slope, intercept = slope / spread, intercept - slope * centre / spread
    if slope < 0:
        slope, intercept = 0.0, math.log(targets.mean() / (1 - targets.mean()))
    return Calibration("platt", slope, intercept, pairs=len(same), positives=positives)


def _newton(inputs: Floats, targets: Floats, start: float) -> tuple[float, float]:
    """(slope, intercept) that minimise the mean cross-entropy to ``targets``, each in (0, 1)."""
    design = np.stack([inputs, np.ones(len(inputs))])
    weights = np.array([0.0, start])

    def loss(weights: Floats) -> float:
        logits = weights @ design
        return float(np.mean(np.logaddexp(0, logits) - targets * logits))

    best = loss(weights)
    for _ in range(100):
        probabilities = _logistic(weights @ design)
        gradient = design @ (probabilities - targets) / len(inputs)
        curvature = (design * (probabilities * (1 - probabilities))) @ design.T / len(inputs)
        step = np.linalg.solve(curvature + 1e-12 * np.eye(2), gradient)
        size = 1.0
        while (reached := loss(weights - size * step)) > best and size > 1e-10:
            size /= 2
        if reached > best or float(np.abs(size * step).max()) < 1e-10:
            break
        weights, best = weights - size * step, reached
    return float(weights[0]), float(weights[1])


def _fit_isotonic(scores: Floats, same: Bools) -> Calibration:
    """Pool adjacent violators over the distinct scores; the knots are the blocks' mean scores."""
    values, member, counts = np.unique(scores, return_inverse=True, return_counts=True)
    hits = np.bincount(member, weights=same)
    found = zip(values.tolist(), counts.tolist(), hits.tolist(), strict=True)
    blocks = _pooled(_Block(count, hit, count, count * value) for value, count, hit in found)
    # Smoothing moves small blocks more than large ones, so that some may have to be pooled again.
    blocks = _pooled(_Block(one.weight + 2, one.hits + 1, one.pairs, one.total) for one in blocks)
    return Calibration(
        "isotonic",
        scores=tuple(one.total / one.pairs for one in blocks),
        probabilities=tuple(one.hits / one.weight for one in blocks),
        pairs=len(same),
        positives=int(same.sum()),
    )


@dataclass(frozen=True, slots=True)
class _Block:
    """Pairs that get one probability, ``hits / weight``; ``total`` is the sum of the scores of ``pairs``."""

    weight: float
    hits: float
    pairs: int
    total: float


def _pooled(blocks: Iterable[_Block]) -> list[_Block]:
    """Neighbours joined until probabilities rise strictly."""
    kept: list[_Block] = []
    for block in blocks:
        while kept and kept[-1].hits * block.weight >= block.hits * kept[-1].weight:
            last = kept.pop()
            block = _Block(
                last.weight + block.weight, last.hits + block.hits, last.pairs + block.pairs, last.total + block.total
            )
        kept.append(block)
    return kept


_FITS = {"platt": _fit_platt, "isotonic": _fit_isotonic}
