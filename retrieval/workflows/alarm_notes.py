"""The alarms of a run, for its metrics and its report page."""

from collections.abc import Mapping, Sequence
from typing import Any

from retrieval.training.alarms import ALARMS
from retrieval.training.loop import Fitted

_ADVICE = {alarm.name: alarm.advice for alarm in ALARMS}


def alarms_of(fitted: Fitted) -> list[dict[str, Any]]:
    """Name and step of each alarm that began in one part of the training, in their order; JSON-ready."""
    return [{"name": line["name"], "step": line["step"]} for line in fitted.history if line["kind"] == "alarm"]


def alarm_notes(alarms: Sequence[Mapping[str, Any]], part: str = "") -> list[str]:
    """A line for each alarm: the step, its name, and what to do; with ``part``, the part's title before it."""
    where = f"{part}: alarm" if part else "Alarm"
    return [f"{where} in step {one['step']}: {one['name']}. {_ADVICE.get(one['name'], '')}".strip() for one in alarms]
