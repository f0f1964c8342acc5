"""Job folders that are damaged, half written, or not ours."""

import json
from pathlib import Path

import pytest

from retrieval.core.errors import BadValue, NoSuchPath
from retrieval.workflows.jobs import Jobs, State
from retrieval.workflows.jobs.folder import JobFolder
from retrieval.workflows.layout import Layout

GOOD = {
    "request.json": {"kind": "index", "request": {"paths": ["/a"]}, "created": 5.0, "resumes": None},
    "state.json": {"state": "done", "started": 6.0, "ended": 7.0, "result": {"found": 1}},
    "progress.json": {"part": "Indexing", "done": 1, "total": 1},
}


def make(gallery: Path, number: object, **changed: str | None) -> JobFolder:
    folder = JobFolder(Layout(gallery).jobs / str(number))
    folder.path.mkdir(parents=True)
    for name, values in GOOD.items():
        text = changed.get(name.partition(".")[0], json.dumps(values))
        if text is not None:
            (folder.path / name).write_text(text)
    return folder


def test_a_good_one(tmp_path: Path) -> None:
    make(tmp_path, 1)
    (job,) = Jobs(tmp_path).list()
    assert (job.id, job.kind, job.state, job.created, job.started, job.ended) == (1, "index", State.DONE, 5, 6, 7)
    assert job.result == {"found": 1}
    assert job.goes_on
    assert job.progress is not None
    assert job.to_dict()["state"] == "done"


@pytest.mark.parametrize("name", ["request", "state"])
@pytest.mark.parametrize("text", [None, "", "{", "[]", "null", "{}", '{"state": "odd"}', '{"kind": 1}', "\0" * 9])
def test_a_broken_one_is_listed_as_broken_and_stops_nothing(tmp_path: Path, name: str, text: str | None) -> None:
    make(tmp_path, 1)
    make(tmp_path, 2, **{name: text})
    make(tmp_path, 10)
    jobs = Jobs(tmp_path)
    assert [(job.id, job.state) for job in jobs.list()] == [(10, "done"), (2, "broken"), (1, "done")]
    broken = jobs.get(2)
    assert broken.error is not None
    assert "job 2" in broken.error.message
    assert json.dumps(broken.to_dict())
    assert jobs.cancel(2).state is State.BROKEN
    with pytest.raises(BadValue, match="Job 2 is broken"):
        jobs.resume(2)


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"odd": 1}'])
def test_progress_that_cannot_be_read_is_none(tmp_path: Path, text: str | None) -> None:
    make(tmp_path, 1, progress=text)
    (job,) = Jobs(tmp_path).list()
    assert (job.state, job.progress) == (State.DONE, None)


def test_what_is_not_a_job_is_not_looked_at(tmp_path: Path) -> None:
    make(tmp_path, 3)
    jobs = Layout(tmp_path).jobs
    (jobs / ".new-4").mkdir()
    (jobs / "photos").mkdir()
    (jobs / "²").mkdir()
    (jobs / "5").write_text("a file")
    assert [job.id for job in Jobs(tmp_path).list()] == [3]


def test_a_gallery_without_jobs_stays_untouched(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path / "gallery")
    assert list(jobs.list()) == []
    assert jobs.running() is None
    jobs.advance()
    assert not (tmp_path / "gallery").exists()
    for number in (1, 0, -1):
        with pytest.raises(NoSuchPath, match="There is no job"):
            jobs.get(number)


def test_events_are_read_line_by_line_while_they_are_written(tmp_path: Path) -> None:
    folder = make(tmp_path, 1)
    assert folder.events_since(0) == ([], 0)
    folder.events.write_bytes(b'{"event": "a"}\nbroken\n[]\n{"event": "b"}\n{"event": "c')
    events, end = folder.events_since(0)
    assert [event["event"] for event in events] == ["a", "b"]
    with open(folder.events, "ab") as file:
        file.write(b'"}\n')
    more, end = folder.events_since(end)
    assert [event["event"] for event in more] == ["c"]
    assert folder.events_since(end) == ([], end)
    assert Jobs(tmp_path).events(1, -5)[0] == [*events, *more]
