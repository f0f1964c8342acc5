"""Alarms on the report pages: which began, where, and what to do."""

from pathlib import Path

from retrieval.training.alarms import ALARMS
from retrieval.training.loop import Fitted
from retrieval.workflows.alarm_notes import alarm_notes, alarms_of


def fitted(*lines: dict[str, object]) -> Fitted:
    return Fitted("done", 1, 40, None, None, None, list(lines), Path("last.ckpt"))


def test_alarms_are_read_from_the_log_in_their_order() -> None:
    log = fitted(
        {"kind": "alarm", "name": "dead queue", "step": 20, "epoch": 1},
        {"kind": "step", "step": 30, "loss": 1.0},
        {"kind": "alarm", "name": "loss = chance", "step": 33, "epoch": 1},
    )
    assert alarms_of(log) == [{"name": "dead queue", "step": 20}, {"name": "loss = chance", "step": 33}]
    assert alarms_of(fitted()) == []


def test_a_note_says_the_step_the_name_and_what_to_do() -> None:
    for alarm in ALARMS:
        (note,) = alarm_notes([{"name": alarm.name, "step": 7}])
        assert note == f"Alarm in step 7: {alarm.name}. {alarm.advice}"
        (note,) = alarm_notes([{"name": alarm.name, "step": 7}], "The whole encoder")
        assert note == f"The whole encoder: alarm in step 7: {alarm.name}. {alarm.advice}"


def test_an_alarm_of_another_version_is_named_all_the_same() -> None:
    assert alarm_notes([{"name": "loud", "step": 7}]) == ["Alarm in step 7: loud."]
