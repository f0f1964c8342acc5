"""Watching: what is kept, when a look is due, and that a job comes only where there is something to do."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from retrieval.core.errors import BadValue
from retrieval.workflows.jobs import Job, State
from retrieval.workflows.jobs.requests import IndexJob, JobRequest
from retrieval.workflows.watching import Watch, Watcher, has_changed, set_watch, watch_of

from .support import contents, index, save


@dataclass
class JobsTwin:
    """Notes what it was asked for; ``known`` is what it has."""

    known: list[Job] = field(default_factory=list)
    asked: list[JobRequest] = field(default_factory=list)

    def list(self) -> list[Job]:
        return self.known

    def submit(self, request: JobRequest) -> None:
        self.asked.append(request)


def test_what_is_wanted_is_kept_and_nothing_else_is_believed(tmp_path: Path) -> None:
    assert watch_of(tmp_path) == Watch()
    assert not Watch().on
    set_watch(tmp_path / "new", Watch(True, 60))
    assert watch_of(tmp_path / "new") == Watch(True, 60)
    with pytest.raises(BadValue, match="7 minutes"):
        set_watch(tmp_path, Watch(True, 7))
    for damaged in ("", "[]", '{"on": 1}', '{"on": true', "null"):
        (tmp_path / ".watch.json").write_text(damaged)
        assert watch_of(tmp_path) == Watch()
    (tmp_path / ".watch.json").write_text('{"on": true, "minutes": 99}')
    assert watch_of(tmp_path) == Watch(True, Watch().minutes)


def touch(path: Path) -> None:
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 10**9))


CHANGES: dict[str, Callable[[Path], Any]] = {
    "new": lambda folder: save(folder / "blue" / "new.png", 77),
    "changed": lambda folder: touch(folder / "red" / "0000.png"),
    "gone": lambda folder: (folder / "red" / "0001.png").unlink(),
    "renamed": lambda folder: (folder / "red" / "0001.png").rename(folder / "red" / "other.png"),
    "offline": lambda folder: folder.rename(folder.with_name("elsewhere")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen_until_it_is_indexed(gallery: Path, folder: Path, change: str) -> None:
    index(gallery, folder)
    assert not has_changed(gallery)
    CHANGES[change](folder)
    before = contents(gallery)
    assert has_changed(gallery)
    assert {k: v for k, v in contents(gallery).items() if "-shm" not in k and "-wal" not in k} == {
        k: v for k, v in before.items() if "-shm" not in k and "-wal" not in k
    }
    index(gallery)
    assert not has_changed(gallery)


def test_a_file_that_comes_back_is_a_change_and_one_that_is_no_picture_is_none(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    away = folder.parent / "away.png"
    (folder / "red" / "0001.png").rename(away)
    index(gallery)
    assert not has_changed(gallery)
    away.rename(folder / "red" / "0001.png")
    assert has_changed(gallery)
    index(gallery)
    (folder / "notes.txt").write_text("no picture")
    assert not has_changed(gallery)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watched(gallery: Path, folder: Path) -> tuple[Watcher, JobsTwin, Clock]:
    index(gallery, folder)
    set_watch(gallery, Watch(True, 15))
    jobs, clock = JobsTwin(), Clock()
    return Watcher(gallery, jobs, clock=clock), jobs, clock  # type: ignore[arg-type]


def test_a_job_comes_only_where_something_changed(watched: tuple[Watcher, JobsTwin, Clock], folder: Path) -> None:
    watcher, jobs, clock = watched
    assert not watcher.step()
    # Written in place: the folder's own time stays, so there is no hint; the period passes.
    touch(folder / "red" / "0000.png")
    assert not watcher.step()
    clock.now = 15 * 60
    assert watcher.step()
    assert jobs.asked == [IndexJob(quiet=True)]


def test_a_file_that_comes_makes_it_sooner(watched: tuple[Watcher, JobsTwin, Clock], folder: Path) -> None:
    watcher, jobs, _ = watched
    assert not watcher.step()
    save(folder / "blue" / "new.png", 77)
    assert watcher.step()
    assert len(jobs.asked) == 1


def test_nothing_is_asked_for_beside_a_job_nor_soon_after_a_failure_nor_while_it_is_off(
    watched: tuple[Watcher, JobsTwin, Clock], gallery: Path, folder: Path
) -> None:
    watcher, jobs, clock = watched
    save(folder / "new.png", 77)
    job = Job(1, "index", {}, State.RUNNING)
    jobs.known = [job]
    assert not watcher.step()
    jobs.known = [replace(job, state=State.DONE)]
    set_watch(gallery, Watch(False))
    assert not watcher.step()
    set_watch(gallery, Watch(True, 15))
    assert watcher.step()
    jobs.known = [replace(job, state=State.FAILED)]
    clock.now = 16 * 60
    assert not watcher.step()
    clock.now = 91 * 60
    assert watcher.step()


def test_it_ends_with_whoever_began_it_and_outlives_a_gallery_that_cannot_be_read(tmp_path: Path) -> None:
    set_watch(tmp_path, Watch(True))
    with Watcher(tmp_path, JobsTwin(), tick=0.001) as watcher:  # type: ignore[arg-type]
        assert not watcher.step()
    assert "watch" not in {thread.name for thread in threading.enumerate()}
