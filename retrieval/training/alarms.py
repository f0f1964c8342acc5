"""Named alarms: signs that a run has failed although it goes on. One line of the table each.

Thresholds were fixed beforehand and are part of the definition. A NaN is no alarm: it ends the run (``loop``).
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

WINDOW = 20
"""Steps in a row that a sign has to last."""

NEAR = 0.005
"""A loss within this share of a constant stands at it."""

COLLAPSED = 0.01
"""Standard deviation of the dimensions, relative to 1 / √D, below which all embeddings are one point."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one step shows.

    Attributes:
        step: from 1.
        logs: the step's scalars by name: ``"loss"``, and the value of each term under its name.
        spread: mean standard deviation of the normalised embeddings' dimensions, times √D: about 1 when they are
            spread evenly, 0 when they are one point; None where there is one example only.
        constants: the value at which each term stands still when it has collapsed, by the term's name.
    """

    step: int
    logs: Mapping[str, float]
    spread: float | None
    constants: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Alarm:
    """One kind of alarm.

    Attributes:
        name: as people know it.
        advice: what it means and what to try.
        rings: whether the last ``WINDOW`` readings, oldest first, show it.
    """

    name: str
    advice: str
    rings: Callable[[list[Reading]], bool]


def _at_constant(readings: list[Reading]) -> bool:
    """Whether one term stood at its constant in all readings."""
    return any(
        all(abs(reading.logs.get(name, math.inf) - constant) <= NEAR * abs(constant) for reading in readings)
        for name, constant in readings[-1].constants.items()
        if constant != 0
    )


def _one_point(readings: list[Reading]) -> bool:
    return all(reading.spread is not None and reading.spread < COLLAPSED for reading in readings)


ALARMS: tuple[Alarm, ...] = (
    Alarm(
        "loss = margin",
        "The loss stands at the value it has when all embeddings are alike (the margin; ln 2 in the soft form). "
        "Use an easier miner (semihard), a lower learning rate, or a longer warm-up.",
        _at_constant,
    ),
    Alarm(
        "complete collapse",
        "All embeddings have become one point: every search would return anything. Use a lower learning rate.",
        _one_point,
    ),
)


@dataclass
class Watch:
    """Reads every step and says when an alarm begins; each alarm is raised once until its sign has gone."""

    readings: deque[Reading] = field(default_factory=lambda: deque(maxlen=WINDOW))
    ringing: set[str] = field(default_factory=set)

    def read(self, reading: Reading) -> list[Alarm]:
        """The alarms that begin with this reading."""
        self.readings.append(reading)
        if len(self.readings) < WINDOW:
            return []
        now = {alarm.name: alarm for alarm in ALARMS if alarm.rings(list(self.readings))}
        new = [alarm for name, alarm in now.items() if name not in self.ringing]
        self.ringing = set(now)
        return new

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        readings = [[r.step, dict(r.logs), r.spread, dict(r.constants)] for r in self.readings]
        return {"readings": readings, "ringing": sorted(self.ringing)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of ``state_dict``."""
        self.readings = deque((Reading(*values) for values in state["readings"]), maxlen=WINDOW)
        self.ringing = set(state["ringing"])
