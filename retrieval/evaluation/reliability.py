"""Are the probabilities true? Of the pairs that were given 0.7, do 70 % have the same label?

The expected calibration error (Naeini, Cooper and Hauskrecht, AAAI 2015) is the mean distance between the two, over
bins of pairs. The bins hold equally many pairs each, not equal ranges: probabilities crowd at the ends.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.evaluation import reading
from retrieval.evaluation.calibration import brier_score
from retrieval.functional.metrics import Interval, resampled

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Pairs with nearly the same probability.

    Attributes:
        predicted: their mean probability.
        observed: the share of them that have the same label.
        low, high: 95 % interval of that share.
        pairs: how many.
    """

    predicted: float
    observed: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far probabilities can be trusted.

    Attributes:
        brier: Brier score, lower is better.
        base: what always saying the share of matching pairs would get; a useful map is below it.
        ece: expected calibration error in [0, 1] with its interval. Resampling adds noise of its own, so the interval
            leans towards larger errors; it is widened to hold the error itself.
        curve: the bins, by rising probability.
    """

    brier: float
    base: float
    ece: Interval
    curve: tuple[Bin, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "brier": self.brier,
            "base": self.base,
            "ece": asdict(self.ece),
            "curve": [asdict(one) for one in self.curve],
        }

    @classmethod
    def from_dict(cls, values: object) -> "Reliability":
        """What ``to_dict`` gave. Raises RetrievalError where a value is missing or cannot be."""
        found = reading.document(values, "its reliability")
        curve = found.get("curve")
        if not isinstance(curve, list):
            reading.damaged("its curve is not a list")
        return cls(
            brier=reading.number(found, "brier", 0.0, 1.0),
            base=reading.number(found, "base", 0.0, 1.0),
            ece=reading.interval(found, "ece"),
            curve=tuple(_bin(one) for one in curve),
        )


def reliability(
    probabilities: Floats,
    same: Bools,
    queries: Ints,
    classes: Ints,
    *,
    bins: int = BINS,
    seed: int = 0,
    resamples: int = 1000,
) -> Reliability:
    """Compare probabilities with what came true.

    Args:
        probabilities: [P] in [0, 1], of pairs that the map was not fitted on.
        same: [P] whether each pair has the same label.
        queries: [P] the query each pair belongs to; the pairs of one query stay together when resampled.
        classes: [P] the class of that query; classes are resampled first.
        bins: at most so many; fewer where probabilities are equal.
        seed, resamples: of the intervals.

    Raises:
        ValueError: no pair, shapes do not fit, a probability is outside [0, 1], or a query has two classes.
    """
    if not len(probabilities) or not probabilities.shape == same.shape == queries.shape == classes.shape:
        raise ValueError("There is no pair, or probabilities, outcomes, queries and classes do not fit.")
    if not bool(np.all((probabilities >= 0) & (probabilities <= 1))):
        raise ValueError("A probability is outside [0, 1].")
    member = _bins(probabilities, bins)
    count = int(member.max()) + 1
    names, query = np.unique(queries, return_inverse=True)
    of_query = np.empty(len(names), dtype=np.int64)
    of_query[query] = classes
    if np.any(of_query[query] != classes):
        raise ValueError("A query has two classes.")
    # [queries, bins, (pairs, sum of probabilities, matches)]: all that a resample needs.
    sums = np.zeros((len(names), count, 3))
    np.add.at(sums, (query, member), np.stack([np.ones(len(same)), probabilities, same], axis=1))
    drawn = np.stack([sums[picks].sum(axis=0) for picks in resampled(of_query, seed, resamples)])
    whole = sums.sum(axis=0)
    error = float(_error(whole))
    low, high = np.quantile(_error(drawn), [0.025, 0.975]).tolist()
    interval = Interval(error, min(low, error), max(high, error), len(names), len(np.unique(of_query)))
    base = float(same.mean())
    return Reliability(brier_score(probabilities, same), round(base * (1 - base), 12), interval, _curve(whole, drawn))


def _bins(probabilities: Floats, bins: int) -> Ints:
    """[P] number of each pair's bin, without gaps; equal probabilities share one."""
    edges = np.quantile(probabilities, np.arange(1, bins) / bins)
    # Raw numbers of the bins have gaps where many probabilities are equal.
    _, member = np.unique(np.searchsorted(edges, probabilities, side="left"), return_inverse=True)
    return np.asarray(member, dtype=np.int64)


def _error(sums: Floats) -> Floats:
    """ECE of [..., bins, 3] sums: the bins' |sum of probabilities - matches|, over all pairs."""
    return np.asarray(np.abs(sums[..., 1] - sums[..., 2]).sum(axis=-1) / sums[..., 0].sum(axis=-1), dtype=np.float64)


def _curve(whole: Floats, drawn: Floats) -> tuple[Bin, ...]:
    curve = []
    for number, (pairs, predicted, matches) in enumerate(whole.tolist()):
        # A resample may draw no query that has a pair in this bin.
        kept = drawn[drawn[:, number, 0] > 0, number]
        observed = matches / pairs
        low, high = np.quantile(kept[:, 2] / kept[:, 0], [0.025, 0.975]).tolist() if len(kept) else (0.0, 1.0)
        curve.append(Bin(predicted / pairs, observed, min(low, observed), max(high, observed), int(pairs)))
    return tuple(curve)


def _bin(value: object) -> Bin:
    found = reading.document(value, "a bin")
    predicted, observed, low, high = (
        reading.number(found, key, 0.0, 1.0) for key in ("predicted", "observed", "low", "high")
    )
    return Bin(predicted, observed, low, high, reading.whole(found, "pairs"))
