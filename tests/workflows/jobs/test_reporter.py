"""What a job writes about itself: in order, never falling, and never in the way of the work."""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.training.hooks import Progress, Validated
from retrieval.workflows.index_report import Progress as Indexed
from retrieval.workflows.jobs.folder import JobFolder
from retrieval.workflows.jobs.job import JobProgress
from retrieval.workflows.jobs.plain import plain
from retrieval.workflows.jobs.reporter import Reporter


class Clock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    (tmp_path / "7").mkdir()
    return JobFolder(tmp_path / "7")


def written(folder: JobFolder) -> JobProgress:
    return JobProgress(**json.loads((folder.path / "progress.json").read_text()))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 50), st.floats(0, 2)), max_size=30))
def test_progress_never_falls_within_a_part_and_parts_only_rise(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, int, float]]
) -> None:
    folder, clock = JobFolder(tmp_path_factory.mktemp("jobs")), Clock()
    reporter = Reporter(folder, clock)
    seen: list[JobProgress] = []
    for part, done, seconds in said:
        clock.now += seconds
        reporter.working(part, done, 50)
        seen.append(written(folder))
    reporter.close()
    if said:
        seen.append(written(folder))
        assert seen[-1].part == said[-1][0]
    for before, after in pairwise(seen):
        assert after.parts >= before.parts
        if after.parts == before.parts:
            assert (after.part, after.total) == (before.part, before.total)
            assert after.done >= before.done


def test_progress_is_written_now_and_then_and_at_every_end(folder: JobFolder) -> None:
    clock = Clock()
    reporter = Reporter(folder, clock)
    reporter.working("Embedding", 1, 100)
    clock.now += 0.1
    reporter.working("Embedding", 2, 100)
    assert written(folder).done == 1
    clock.now += 0.3
    reporter.working("Embedding", 3, 100)
    assert written(folder).done == 3
    reporter.working("Embedding", 100, 100)
    assert written(folder).done == 100
    reporter.working("Drawing", 0, 1)
    assert (written(folder).part, written(folder).parts) == ("Drawing", 2)
    reporter.close()


def test_rate_and_time_left(folder: JobFolder) -> None:
    clock = Clock()
    reporter = Reporter(folder, clock)
    reporter.working("Embedding", 0, 100)
    clock.now += 5
    reporter.working("Embedding", 20, 100)
    assert (written(folder).rate, written(folder).seconds_left) == (4.0, 20.0)
    # What the workflow measured itself is better.
    reporter.indexed("Indexing")(Indexed(3, 10, 1, 2.5, None))
    assert written(folder) == JobProgress("Indexing", 3, 10, "image", 1, 2.5, None, parts=2)
    reporter.close()


def test_curves_are_the_events_of_the_training(folder: JobFolder) -> None:
    reporter = Reporter(folder)
    reporter.begin("The head")
    found = Progress(2, 9, 30, 90, 0.5, None, float("nan"), -1.5, 7.0, 64, 0.1, 200.0, 12.0)
    reporter.trained(found)
    reporter.validated(Validated(2, 0.4, 0.5, 1))
    reporter.say("caf\udce9\nline")
    reporter.close()
    events, end = folder.events_since(0)
    assert [event["event"] for event in events] == ["begin", "progress", "validated", "say"]
    assert (events[1]["loss"], events[1]["alignment"], events[1]["step"]) == (0.5, None, 30)
    assert events[2]["best_epoch"] == 1
    assert events[3]["text"] == "caf\\xe9\\nline"
    assert all(event["time"] > 1e9 for event in events)
    assert folder.events_since(end) == ([], end)
    shown = written(folder)
    assert (shown.epoch, shown.epochs, shown.done, shown.total, shown.seconds_left) == (2, 9, 30, 90, 12.0)


def test_it_stops_when_asked_and_when_its_folder_is_gone(folder: JobFolder) -> None:
    clock = Clock()
    reporter = Reporter(folder, clock)
    assert not reporter.stop()
    folder.ask_to_cancel()
    clock.now += 1
    assert reporter.stop()
    other = Reporter(JobFolder(folder.path / "none"), clock)
    assert other.stop()
    ended = Reporter(folder, lambda: 0.0)
    ended.ended.set()
    assert ended.stop()


def test_a_folder_that_is_gone_ends_nothing(folder: JobFolder) -> None:
    reporter = Reporter(folder)
    shutil.rmtree(folder.path)
    reporter.say("text")
    reporter.working("Embedding", 1, 2)
    reporter.close()
    # Nor is half a job made anew.
    assert not folder.path.exists()


def test_plain_values_are_json() -> None:
    import numpy as np

    odd = {"a": float("inf"), 3: (1, {2}), "p": Path("/x"), "b": b"caf\xe9", "n": np.float32(0.5), "v": np.arange(2)}
    same = {"a": None, "3": [1, [2]], "p": "/x", "b": "caf\udce9", "n": 0.5, "v": [0, 1]}
    assert plain(odd) == same
    assert json.loads(json.dumps(plain(odd), allow_nan=False)) == same
    assert plain(JobProgress("a"))["part"] == "a"
