"""Jobs in processes of their own: queued, stopped, killed, and found again."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from retrieval.core.errors import BadValue, ReadOnly
from retrieval.workflows.jobs import Job, Jobs, State, process, queue
from retrieval.workflows.jobs.requests import IndexJob
from retrieval.workflows.layout import Layout
from tests.conftest import REPOSITORY
from tests.workflows.jobs.support import SECONDS, stubbed, until


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with stubbed(tmp_path / "gallery") as made:
        yield made


def ask(jobs: Jobs, behaviour: str) -> Job:
    return jobs.submit(IndexJob(model=behaviour))


def written(jobs: Jobs, number: int) -> object:
    """What the state's file says, without a look at anything else, which might set the queue going."""
    return json.loads((jobs.folder(number).path / "state.json").read_text())["state"]


def ended(jobs: Jobs, number: int) -> Job:
    until(lambda: written(jobs, number) not in ("queued", "running"))
    return jobs.get(number)


def pid(jobs: Jobs, number: int) -> int:
    return int(jobs.folder(number).state()["pid"])


def test_a_job_runs_and_leaves_its_report(jobs: Jobs) -> None:
    asked = ask(jobs, "quick")
    assert asked.id == 1
    job = ended(jobs, 1)
    assert (job.state, job.result, job.error) == (State.DONE, {"found": 3, "odd": None, "path": "/a"}, None)
    assert job.started is not None
    assert job.ended is not None
    assert job.created <= job.started <= job.ended
    assert [event["text"] for event in jobs.events(1)[0]] == ["doing quick"]
    until(lambda: "quick, said to nobody" in jobs.folder(1).output.read_text())


def test_an_error_keeps_its_kind_and_hint(jobs: Jobs) -> None:
    ask(jobs, "refused")
    job = ended(jobs, 1)
    assert job.state is State.FAILED
    assert job.error is not None
    assert (job.error.kind, job.error.message, job.error.hint) == ("bad_value", "It is wrong.", "Mend it.")
    ask(jobs, "bug")
    job = ended(jobs, 2)
    assert job.error is not None
    assert (job.state, job.error.kind) == (State.FAILED, "unexpected")
    assert "ZeroDivisionError" in jobs.folder(2).output.read_text()


def test_one_runs_and_the_others_wait_in_order_even_if_nobody_looks(jobs: Jobs) -> None:
    ask(jobs, "polite")
    assert [ask(jobs, "quick").state for _ in range(3)] == [State.QUEUED] * 3
    assert [job.state.value for job in jobs.list()] == ["queued", "queued", "queued", "running"]
    running = jobs.running()
    assert running is not None
    assert running.id == 1
    jobs.cancel(1)
    # Each job's process starts the next one.
    found = [ended(jobs, number) for number in (1, 2, 3, 4)]
    assert [job.state.value for job in found] == ["cancelled", "done", "done", "done"]
    for before, after in pairwise(found):
        assert before.ended is not None
        assert after.started is not None
        assert before.ended <= after.started


def test_a_job_steps_back_behind_searches(jobs: Jobs) -> None:
    ask(jobs, "polite")
    ask(jobs, "polite")
    first = psutil.Process(pid(jobs, 1))
    mine = os.nice(0)
    assert first.nice() == max(mine, 10)
    assert int(first.environ()["RETRIEVAL_THREADS"]) < max(2, psutil.cpu_count())
    jobs.cancel(1)
    until(lambda: written(jobs, 2) == "running")
    # One that another job has started is no more polite than that.
    assert psutil.Process(pid(jobs, 2)).nice() == max(mine, 10)


@pytest.mark.parametrize("behaviour", ["polite", "training"])
def test_a_job_that_is_asked_to_stop_does(jobs: Jobs, behaviour: str) -> None:
    ask(jobs, behaviour)
    until(lambda: jobs.get(1).progress)
    asked = jobs.cancel(1)
    assert asked.cancelling or asked.state is State.CANCELLED
    job = ended(jobs, 1)
    assert job.state is State.CANCELLED
    if behaviour == "polite":
        assert job.result is not None
        assert job.result["interrupted"] is True
    else:
        assert job.error is not None
        assert job.error.kind == "interrupted"
        assert {"begin", "progress"} <= {event["event"] for event in jobs.events(1)[0]}
    assert not jobs.get(1).cancelling
    # What is over stays as it is.
    assert jobs.cancel(1) == job


def test_a_job_that_does_not_stop_is_ended_by_force_and_the_next_one_begins(jobs: Jobs) -> None:
    ask(jobs, "stubborn")
    ask(jobs, "quick")
    jobs.cancel(1)
    job = ended(jobs, 1)
    assert job.state is State.CANCELLED
    assert job.error is not None
    assert "by force" in job.error.message
    assert ended(jobs, 2).state is State.DONE


def test_a_job_can_be_ended_at_once(jobs: Jobs) -> None:
    ask(jobs, "stubborn")
    ask(jobs, "quick")
    ask(jobs, "quick")
    number = pid(jobs, 1)
    assert jobs.cancel(2).state is State.CANCELLED
    assert jobs.cancel(1, at_once=True).state is State.CANCELLED
    until(lambda: not psutil.pid_exists(number))
    assert [ended(jobs, n).state.value for n in (1, 2, 3)] == ["cancelled", "cancelled", "done"]


def test_a_job_whose_process_was_killed_says_so_and_the_next_one_begins(jobs: Jobs) -> None:
    ask(jobs, "polite")
    ask(jobs, "quick")
    os.kill(pid(jobs, 1), signal.SIGKILL)
    until(lambda: jobs.get(1).state is State.LOST)
    # Nothing has set the queue going so far; a look at it does.
    assert written(jobs, 2) == "queued"
    jobs.list()
    assert ended(jobs, 2).state is State.DONE
    job = jobs.get(1)
    assert job.error is not None
    assert (job.error.kind, job.ended is not None) == ("lost", True)
    again = jobs.resume(1)
    assert (again.id, again.resumes, again.request) == (3, 1, job.request)


def test_a_job_that_the_system_ends_is_lost_and_not_cancelled(jobs: Jobs) -> None:
    ask(jobs, "polite")
    until(lambda: jobs.get(1).progress)
    os.kill(pid(jobs, 1), signal.SIGTERM)
    assert ended(jobs, 1).state is State.LOST


def test_only_what_did_not_end_well_is_resumed(jobs: Jobs) -> None:
    ask(jobs, "quick")
    ended(jobs, 1)
    with pytest.raises(BadValue, match="Job 1 is done"):
        jobs.resume(1)


def test_a_job_waits_for_another_process_that_writes(jobs: Jobs, tmp_path: Path) -> None:
    (tmp_path / "gallery").mkdir()
    (tmp_path / "gallery" / "busy").touch()
    ask(jobs, "busy")
    until(lambda: (found := jobs.get(1).progress) and found.part == "Waiting for another process")
    assert jobs.get(1).state is State.RUNNING
    (tmp_path / "gallery" / "busy").unlink()
    assert ended(jobs, 1).state is State.DONE


def test_a_job_that_waits_for_another_process_can_be_stopped(jobs: Jobs, tmp_path: Path) -> None:
    (tmp_path / "gallery").mkdir()
    (tmp_path / "gallery" / "busy").touch()
    ask(jobs, "busy")
    until(lambda: jobs.get(1).progress)
    jobs.cancel(1)
    assert ended(jobs, 1).state is State.CANCELLED


def test_a_process_that_does_not_start_fails_its_job_and_no_other(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(process, "_MODULE", "retrieval.no_such_module")
        assert ask(jobs, "quick").state is State.FAILED
    job = jobs.get(1)
    assert job.error is not None
    assert "ended at once" in job.error.message
    assert "no_such_module" in jobs.folder(1).output.read_text()
    ask(jobs, "quick")
    assert ended(jobs, 2).state is State.DONE


def test_a_process_that_leaves_without_a_word_is_lost(jobs: Jobs) -> None:
    ask(jobs, "deaf")
    until(lambda: jobs.get(1).state is State.LOST)


def test_a_job_whose_folder_is_taken_away_ends(jobs: Jobs, tmp_path: Path) -> None:
    ask(jobs, "polite")
    number = pid(jobs, 1)
    os.rename(tmp_path / "gallery", tmp_path / "elsewhere")
    until(lambda: not psutil.pid_exists(number))
    assert not (tmp_path / "gallery").exists()


def test_progress_of_a_real_process_never_falls(jobs: Jobs) -> None:
    ask(jobs, "polite")
    seen: list[int] = []

    def look() -> bool:
        progress = jobs.get(1).progress
        seen.extend([] if progress is None else [progress.done])
        return len(set(seen)) > 3

    until(look)
    assert seen == sorted(seen)


def test_old_jobs_are_deleted_and_numbers_only_rise(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "KEPT", 2)
    for number in range(1, 6):
        assert ask(jobs, "quick").id == number
        ended(jobs, number)
    assert [job.id for job in jobs.list()] == [5, 4, 3]


SERVER = """
import signal, sys, time
from pathlib import Path
from retrieval.workflows.jobs import Jobs, process
# As in a terminal: what runs the tests in the background may have both ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from retrieval.workflows.jobs.requests import IndexJob
process._MODULE = "tests.workflows.jobs.stub"
jobs = Jobs(Path(sys.argv[1]))
jobs.submit(IndexJob(model="polite"))
jobs.submit(IndexJob(model="quick"))
print("up", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("whole_group", [False, True], ids=["kill", "terminal"])
def test_a_job_goes_on_when_the_server_dies_and_a_new_one_finds_it(
    jobs: Jobs, tmp_path: Path, whole_group: bool
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path / "gallery")],
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"up\n"
        if whole_group:
            # As Ctrl-C does, and then a terminal that is closed.
            os.killpg(server.pid, signal.SIGINT)
            os.killpg(server.pid, signal.SIGHUP)
        else:
            server.kill()
        server.wait()
    later = Jobs(tmp_path / "gallery")
    job = later.running()
    assert job is not None
    assert job.id == 1
    later.cancel(1)
    assert ended(later, 1).state is State.CANCELLED
    assert ended(later, 2).state is State.DONE


def test_two_that_ask_at_once_get_two_numbers(jobs: Jobs, tmp_path: Path) -> None:
    script = SERVER.replace("time.sleep(600)", "")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", script, str(tmp_path / "gallery")]
    asking = [subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) for _ in range(3)]
    assert [one.wait(SECONDS) for one in asking] == [0, 0, 0]
    found = jobs.list()
    assert [job.id for job in found] == [6, 5, 4, 3, 2, 1]
    assert sum(job.state is State.RUNNING for job in found) == 1
    assert Layout(tmp_path / "gallery").jobs.is_dir()
    for job in found:
        jobs.cancel(job.id, at_once=True)


def test_who_may_only_look_starts_and_stops_nothing(jobs: Jobs, tmp_path: Path) -> None:
    looks = Jobs(tmp_path / "gallery", may_write=False)
    ask(jobs, "stubborn")
    ask(jobs, "quick")
    for attempt in (lambda: looks.submit(IndexJob()), lambda: looks.cancel(1), lambda: looks.resume(1)):
        with pytest.raises(ReadOnly):
            attempt()
    os.kill(pid(jobs, 1), signal.SIGKILL)
    until(lambda: looks.get(1).state is State.LOST)
    # The queue stands still, and is left so.
    assert [job.state for job in looks.list()] == [State.QUEUED, State.LOST]
    assert written(jobs, 2) == "queued"
