"""The clock of a run: all its legs together, whatever ended them."""

from contextlib import suppress
from pathlib import Path

import pytest

from retrieval.training.hooks import Progress
from retrieval.workflows import run_time
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.run_time import EVERY, FILE, RunTime
from retrieval.workflows.train_request import TrainingHooks

SOMEWHERE = Progress(1, 1, 1, 1, 0.0, None, None, None, None, 0, 0.0, 0.0, 0.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock shows, to be set by hand."""
    shows = [100.0]
    monkeypatch.setattr(run_time, "monotonic", lambda: shows[0])
    return shows


def kept(folder: Path) -> float:
    return RunTime(RunFolder(folder), resume=True).earlier


def test_legs_add_up_and_a_new_run_begins_at_nothing(tmp_path: Path, clock: list[float]) -> None:
    for ends, total in ((107.0, 7.0), (110.5, 10.5), (111.0, 11.0)):
        time = RunTime(RunFolder(tmp_path), resume=True)
        with suppress(KeyboardInterrupt), time.ticking(TrainingHooks()) as hooks:
            hooks.begin("a part")
            clock[0] = ends
            raise KeyboardInterrupt
        assert time.seconds() == kept(tmp_path) == total
    assert RunTime(RunFolder(tmp_path), resume=False).seconds() == 0


def test_a_run_that_is_killed_loses_no_more_than_the_time_since_the_last_note(
    tmp_path: Path, clock: list[float]
) -> None:
    seen: list[str] = []
    told = TrainingHooks(begin=seen.append, progress=lambda _: seen.append("step"))
    with RunTime(RunFolder(tmp_path), resume=False).ticking(told) as hooks:
        clock[0] += 3
        hooks.begin("a part")
        assert kept(tmp_path) == 3
        clock[0] += EVERY - 1
        hooks.progress(SOMEWHERE)
        assert kept(tmp_path) == 3
        clock[0] += 1
        hooks.progress(SOMEWHERE)
        assert kept(tmp_path) == 3 + EVERY
    assert seen == ["a part", "step", "step"]


def test_a_run_that_is_refused_takes_no_time_and_leaves_no_file(tmp_path: Path, clock: list[float]) -> None:
    with suppress(ValueError), RunTime(RunFolder(tmp_path), resume=False).ticking(TrainingHooks()):
        clock[0] += 5
        raise ValueError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"seconds": "x"}', '{"seconds": null}'])
def test_a_damaged_note_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    assert kept(tmp_path) == 0
