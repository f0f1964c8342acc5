"""``retrieval jobs``."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from retrieval.cli.app import app
from retrieval.core.errors import BadValue, NoSuchPath
from retrieval.workflows.jobs import Jobs, State
from retrieval.workflows.jobs.requests import IndexJob
from tests.workflows.jobs.support import stubbed


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with stubbed(tmp_path / "gallery") as made:
        yield made


def run(tmp_path: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["jobs", "--gallery", str(tmp_path / "gallery"), *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_a_gallery_without_jobs(tmp_path: Path) -> None:
    assert json.loads(run(tmp_path, "--json")) == []
    with pytest.raises(NoSuchPath):
        run(tmp_path, "--cancel", "3")


def test_jobs_are_listed_cancelled_resumed_and_heard(tmp_path: Path, jobs: Jobs) -> None:
    jobs.submit(IndexJob(model="polite"))
    jobs.submit(IndexJob(model="quick"))
    listed = run(tmp_path)
    assert "running" in listed
    assert "queued" in listed
    assert [job["id"] for job in json.loads(run(tmp_path, "--json"))] == [2, 1]
    assert "cancelled" in run(tmp_path, "--cancel", "2")
    assert "cancelled" in run(tmp_path, "--cancel", "1", "--now")
    assert "doing polite" in run(tmp_path, "--log", "1")
    assert json.loads(run(tmp_path, "--log", "1", "--json"))[0]["event"] == "say"
    (again,) = json.loads(run(tmp_path, "--resume", "1", "--json"))
    assert (again["id"], again["resumes"]) == (3, 1)
    assert jobs.get(3).state is State.RUNNING


def test_one_thing_at_a_time(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="exclude each other"):
        run(tmp_path, "--cancel", "1", "--resume", "1")
