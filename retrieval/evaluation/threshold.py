"""When to say "nothing like this here": what a query's first matches should reach.

Fitted on the best scores of queries that have an image of their label in the gallery, and of the same queries with
their label held out of it. A query is told "nothing like this here" when its best score is below the threshold. The
score is the cosine of the best match, or the best margin of the first ones (``evaluation.margin``).

The cosine separates the two worse where labels are hard to tell apart: the best match of another label then scores
nearly as high. It is the safe one of the two, however: more images near a match leave its cosine as it is, and lower
its margin. What either reaches on test images is printed by ``python -m tests.benchmarks calibration``, and stands in
the README.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.evaluation import reading
from retrieval.functional.metrics import Interval, bootstrap_interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_FALSE_ALARMS = 0.05


@dataclass(frozen=True, slots=True)
class Threshold:
    """The threshold, and what it does.

    Attributes:
        value: scores below it mean "nothing like this here".
        true_alarms: share of the queries without a match that are told so.
        false_alarms: share of the queries with a match that are told so all the same.
    """

    value: float
    true_alarms: Interval
    false_alarms: Interval

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        rates = {"true_alarms": asdict(self.true_alarms), "false_alarms": asdict(self.false_alarms)}
        return {"value": self.value, **rates}

    @classmethod
    def from_dict(cls, values: object) -> "Threshold":
        """What ``to_dict`` gave. Raises RetrievalError where a value is missing or cannot be."""
        found = reading.document(values, "its threshold")
        alarms = reading.interval(found, "true_alarms"), reading.interval(found, "false_alarms")
        return cls(reading.number(found, "value"), *alarms)


def fit_threshold(
    present: Floats,
    absent: Floats,
    present_classes: Ints | None = None,
    absent_classes: Ints | None = None,
    *,
    most_false_alarms: float = MOST_FALSE_ALARMS,
    seed: int = 0,
    resamples: int = 1000,
) -> Threshold:
    """Choose the threshold with the greatest true alarm rate less false alarm rate (Youden's J).

    Only thresholds with at most ``most_false_alarms`` come into question: to hide what is there is worse than to show
    what is not. Candidates lie halfway between neighbouring scores; of equally good ones the one with fewer false
    alarms is taken, then the lower one.

    Args:
        present: [P] best scores of queries whose label is in the gallery.
        absent: [A] best scores of queries whose label is not.
        present_classes, absent_classes: [P], [A] class of each query, for the intervals; None: each its own class.
        most_false_alarms: greatest share of ``present`` below the threshold, in [0, 1].
        seed, resamples: of the intervals.

    Raises:
        ValueError: one of the two is empty, a score is not finite, shapes do not fit, or the share is outside [0, 1].
    """
    if not 0 <= most_false_alarms <= 1:
        raise ValueError(f"The share of false alarms is {most_false_alarms}, but must be in [0, 1].")
    _check(present, absent)
    pooled = np.unique(np.concatenate([present, absent]))
    candidates = np.concatenate([pooled[:1], (pooled[:-1] + pooled[1:]) / 2, [np.nextafter(pooled[-1], np.inf)]])
    false = _shares_below(present, candidates)
    true = _shares_below(absent, candidates)
    # The lowest candidate raises no alarm at all, so one is always allowed.
    gain = np.where(false <= most_false_alarms, true - false, -np.inf)
    chosen = np.lexsort((candidates, false, -np.round(gain, 12)))[0]
    value = float(candidates[chosen])
    return measure_threshold(value, present, absent, present_classes, absent_classes, seed=seed, resamples=resamples)


def measure_threshold(
    value: float,
    present: Floats,
    absent: Floats,
    present_classes: Ints | None = None,
    absent_classes: Ints | None = None,
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> Threshold:
    """What a threshold does to queries, for example to others than those it was fitted on.

    Args:
        value: the threshold.
        present, absent, present_classes, absent_classes, seed, resamples: as in ``fit_threshold``.

    Raises:
        ValueError: as ``fit_threshold``.
    """
    _check(present, absent)
    rates = [
        bootstrap_interval((scores < value).astype(np.float64), _own(classes, scores), seed, resamples)
        for scores, classes in ((absent, absent_classes), (present, present_classes))
    ]
    return Threshold(value, *rates)


def _check(present: Floats, absent: Floats) -> None:
    for scores, what in ((present, "with"), (absent, "without")):
        if scores.ndim != 1 or not len(scores):
            raise ValueError(f"There is no query {what} a match.")
        if not np.isfinite(scores).all():
            raise ValueError(f"The best score of a query {what} a match is not finite.")


def _own(classes: Ints | None, scores: Floats) -> Ints:
    return np.arange(len(scores), dtype=np.int64) if classes is None else classes


def _shares_below(scores: Floats, candidates: Floats) -> Floats:
    """[c] share of the scores that are strictly below each candidate."""
    return np.asarray(np.searchsorted(np.sort(scores), candidates, side="left") / len(scores), dtype=np.float64)
