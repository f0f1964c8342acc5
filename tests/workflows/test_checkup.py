"""What a diagnosis means: the alarms' own words, from a real report and from odd ones."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from retrieval.evaluation.diagnosis_alarms import ALARMS
from retrieval.workflows.checkup import LIMITS, findings
from retrieval.workflows.diagnosing import DiagnoseRequest, diagnose_model
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.readiness import Readiness
from retrieval.workflows.study_cost import study_cost

from .support import fill, index


def report(**values: float | None) -> dict[str, Any]:
    return {"alarms": [{"name": name, "value": value} for name, value in values.items()]}


@pytest.mark.parametrize("key", LIMITS)
def test_where_an_alarm_rings_the_finding_is_bad(key: str) -> None:
    name, bad, good = LIMITS[key]
    (alarm,) = (one for one in ALARMS if one.name == name)
    assert alarm.threshold == bad
    assert alarm.below == (good > bad)
    beyond = bad - 1e-6 if alarm.below else bad + 1e-6
    for value, verdict in ((beyond, "bad"), (bad, "fair"), ((bad + good) / 2, "fair"), (good, "good")):
        (found,) = findings(report(**{name: value}))
        assert (found.key, found.value, found.verdict) == (key, value, verdict)


@pytest.mark.parametrize("result", [{}, {"alarms": None}, {"alarms": ["x", {"name": "mirror", "value": True}]}])
def test_what_was_not_measured_is_left_out(result: dict[str, Any]) -> None:
    assert findings(result) == ()
    assert findings(report(mirror=None)) == ()


def test_a_diagnosis_of_a_gallery_names_its_hubs_by_id(gallery: Path, tmp_path: Path, tiny_model: Path) -> None:
    index(gallery, fill(tmp_path / "photos", range(14)))
    found = diagnose_model(DiagnoseRequest("gallery", str(tiny_model), gallery=gallery, workers=1))
    result = found.to_dict()
    with Gallery(gallery) as opened:
        assert result["fingerprint"] == opened.live_space().fingerprint
        records = opened.catalog.images.records([hub["id"] for hub in result["hubs"]])
    paths = [records[hub["id"]].paths[0] for hub in result["hubs"]]
    assert paths == [hub["image"] for hub in result["hubness"]["hubs"]]
    assert [hub["occurrence"] for hub in result["hubs"]] == [hub["occurrence"] for hub in result["hubness"]["hubs"]]
    keys = [one.key for one in findings(result)]
    assert keys == ["collapse", "never_found", "crowded", "room", "detail", "mirror"]
    # Of other pictures than a gallery's there is no id.
    other = diagnose_model(DiagnoseRequest(str(tmp_path / "photos"), str(tiny_model), workers=1))
    assert other.to_dict()["hubs"] == []


def test_the_cost_of_a_study_is_a_range_of_all_its_steps(
    gallery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index(gallery, fill(tmp_path / "photos", range(3)))
    assert study_cost(gallery) is None
    monkeypatch.setattr("retrieval.workflows.lesson_cost._timed", lambda work, _: (work() and None) or 0.01)
    ready = Readiness(90, 90, 6, 0, train=60, choose=15, prove=15, train_pairs=4, choose_classes=2, choose_pairs=2)
    # Where a study would be refused there is nothing to cost.
    for lacking in ({"train_pairs": 1}, {"choose_classes": 1}, {"choose_pairs": 0}, {"lack": "more"}):
        assert study_cost(gallery, ready=replace(ready, **lacking)) is None  # type: ignore[arg-type]
    cost = study_cost(gallery, ready=ready)
    assert cost is not None
    # Eight temperatures, three seeds, 300 steps of a hundredth of a second.
    assert 72 <= cost[0] - 4 < 80
    assert 144 <= cost[1] - 20 < 160
