"""What a diagnosis means to somebody who has never heard of embeddings: a few findings, each good, fair or bad.

Where an alarm of ``evaluation.diagnosis_alarms`` rings, the finding is bad; how far above that it has to be to be good
stands here, fixed beforehand like the alarms.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from retrieval.evaluation.diagnosis_alarms import (
    ANTI_HUBS,
    COLLAPSED,
    CONE,
    HUBNESS,
    MIRRORED,
    RANK_SHARE,
    STRANGERS,
)

Verdict = Literal["good", "fair", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        key: see ``LIMITS``.
        value: that was measured.
        verdict: what it means.
    """

    key: str
    value: float
    verdict: Verdict


LIMITS: Mapping[str, tuple[str, float, float]] = {
    "collapse": ("complete collapse", COLLAPSED, 0.2),
    "first": ("strangers first", STRANGERS, 0.8),
    "never_found": ("anti-hubs", ANTI_HUBS, 0.1),
    "crowded": ("hubness", HUBNESS, 1.0),
    "room": ("narrow cone", CONE, 0.5),
    "detail": ("dimensional collapse", RANK_SHARE, 0.15),
    "mirror": ("mirror", MIRRORED, 0.8),
}
"""By key: the alarm, the value from which it rings, and the value from which all is well."""


def findings(result: Mapping[str, Any]) -> tuple[Finding, ...]:
    """What was measured, in the order of ``LIMITS``; what was not measured is left out.

    Args:
        result: the values of a ``DiagnoseReport``; what cannot be read in them is left out.
    """
    alarms = result.get("alarms")
    values = {one.get("name"): one.get("value") for one in alarms if isinstance(one, Mapping)} if alarms else {}
    found = []
    for key, (alarm, bad, good) in LIMITS.items():
        value = values.get(alarm)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.append(Finding(key, float(value), _verdict(float(value), bad, good)))
    return tuple(found)


def _verdict(value: float, bad: float, good: float) -> Verdict:
    # The higher the better where what is good lies above what is bad.
    sign = 1 if good > bad else -1
    if sign * value < sign * bad:
        return "bad"
    return "good" if sign * value >= sign * good else "fair"
