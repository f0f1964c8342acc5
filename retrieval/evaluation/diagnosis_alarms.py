"""Named alarms of a finished embedding. Thresholds were fixed beforehand and are part of the definition."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from retrieval.evaluation.diagnosis import Diagnosis

COLLAPSED = 0.01
"""Standard deviation of the dimensions, relative to 1 / √D, below which all embeddings are one point; the same as that
of the training's alarm."""

RANK_SHARE = 0.05
"""Effective rank, over the most that it could be, below which few of the dimensions are used."""

CONE = 0.8
"""Mean cosine of all pairs above which all embeddings lie in one narrow cone."""

HUBNESS = 2.0
"""Skewness of the k-occurrences above which a few images crowd the results."""

ANTI_HUBS = 0.3
"""Share of images that are nobody's neighbour above which much of the gallery is hardly ever found."""

STRANGERS = 0.5
"""Share of labelled images whose first match has their label below which neighbours mean little."""

MIRRORED = 0.5
"""Share of pictures found again when mirrored left-right below which the direction of a picture outweighs what it
shows."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One kind of alarm.

    Attributes:
        name: as people know it.
        advice: what it means and what to try.
        threshold: the constant.
        below: whether values below it ring, else those above it.
        value: of a diagnosis; None where it was not measured.
    """

    name: str
    advice: str
    threshold: float
    below: bool
    value: Callable[[Diagnosis], float | None]


@dataclass(frozen=True, slots=True)
class Reading:
    """An alarm at a diagnosis.

    Attributes:
        alarm: which.
        value: that was measured; None where it was not.
    """

    alarm: Alarm
    value: float | None

    @property
    def rings(self) -> bool:
        """Whether it does; what was not measured rings nothing."""
        if self.value is None:
            return False
        return self.value < self.alarm.threshold if self.alarm.below else self.value > self.alarm.threshold

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "name": self.alarm.name,
            "rings": self.rings,
            "value": self.value,
            "threshold": self.alarm.threshold,
            "rings_if": "below" if self.alarm.below else "above",
            "advice": self.alarm.advice,
        }


def _first(found: Diagnosis) -> float | None:
    return None if found.granularity is None else found.granularity.classes.first.mean


def _mirrored(found: Diagnosis) -> float | None:
    change = found.change("flip", 1)
    return None if change is None else change.recall.mean


ALARMS: tuple[Alarm, ...] = (
    Alarm(
        "complete collapse",
        "All embeddings are one point: every search returns anything. Take another encoder, or train again with a "
        "lower learning rate.",
        COLLAPSED,
        True,
        lambda found: found.spread.relative_std,
    ),
    Alarm(
        "dimensional collapse",
        "The embeddings fill a small part of their dimensions: finer differences have no room. A trained head may do "
        "with fewer dimensions; an encoder that was not taught your labels is not made for such pictures.",
        RANK_SHARE,
        True,
        lambda found: found.spread.rank_share,
    ),
    Alarm(
        "narrow cone",
        "All pictures look alike to the encoder: scores differ in the last digits only. Order stays right, thresholds "
        "on scores mean little; a trained head spreads them.",
        CONE,
        False,
        lambda found: found.spread.mean_cosine,
    ),
    Alarm(
        "hubness",
        "A few images stand in the results of very many searches. Look at the hubs: blank, blurred or overlaid "
        "pictures are best removed; a trained head lowers it as well.",
        HUBNESS,
        False,
        lambda found: found.hubness.skewness,
    ),
    Alarm(
        "anti-hubs",
        "Much of the gallery is in nobody's results. Ask for more matches, or train a head.",
        ANTI_HUBS,
        False,
        lambda found: found.hubness.anti_hub_share,
    ),
    Alarm(
        "strangers first",
        "For most labelled images the first match has another label: the encoder was never shown such differences. "
        "Train a head on your labels with `retrieval train`.",
        STRANGERS,
        True,
        _first,
    ),
    Alarm(
        "mirror",
        "Most pictures are not found again when mirrored. Where left and right mean nothing, train with an "
        "augmentation that flips.",
        MIRRORED,
        True,
        _mirrored,
    ),
)


def read_alarms(found: Diagnosis) -> list[Reading]:
    """Every alarm with its value, in the order of the table."""
    return [Reading(alarm, alarm.value(found)) for alarm in ALARMS]
