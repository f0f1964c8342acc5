"""A job's folder: what is in it, and how it is read while another process writes."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from retrieval.core.files import write_atomically
from retrieval.workflows.jobs.job import Failure, Job, JobProgress, State
from retrieval.workflows.jobs.plain import plain
from retrieval.workflows.jobs.requests import KINDS

_PATIENCE = 10.0
"""Seconds to wait for the lock of a job: others take it for a moment, to see whether it is free."""


@dataclass(frozen=True, slots=True)
class JobFolder:
    """Paths below a job's folder.

    ====================  =====================================================================================
    ``request.json``      what was asked for; never changes
    ``state.json``        where it stands: written by who queues it, and then by its own process
    ``progress.json``     how far it is; may be behind, or absent
    ``events.jsonl``      what it said, in order: lines, validations, points of the training's curves
    ``cancel``            it shall stop
    ``alive.lock``        locked by its process as long as that lives, however it ends
    ``output.txt``        what its process printed
    ``duplicates.json``   groups of near-duplicates
    ``label_check.json``  labels in doubt, and outliers
    ``page.html``         the page of a diagnosis or a study
    ====================  =====================================================================================
    """

    path: Path

    @property
    def id(self) -> int:
        """The job's number."""
        return int(self.path.name)

    @property
    def page(self) -> Path:
        """The page that some jobs leave."""
        return self.path / "page.html"

    @property
    def duplicates(self) -> Path:
        """The groups that a search for duplicates leaves."""
        return self.path / "duplicates.json"

    @property
    def label_check(self) -> Path:
        """What a check of the labels leaves."""
        return self.path / "label_check.json"

    @property
    def output(self) -> Path:
        """What its process printed."""
        return self.path / "output.txt"

    @property
    def events(self) -> Path:
        """What it said."""
        return self.path / "events.jsonl"

    # -- reading --------------------------------------------------------------------------------------------------

    def job(self) -> Job:
        """The job as it is now; never raises. One that cannot be read is ``BROKEN``."""
        try:
            request, state = self._read("request.json"), self._read("state.json")
            return self._job(request, state)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            said = f"The folder of job {self.path.name} cannot be read: {type(error).__name__}."
            created = 0.0
            with suppress(OSError):
                created = self.path.stat().st_mtime
            failure = Failure("gallery_damaged", said, "It can be deleted; nothing else depends on it.")
            return Job(self.id, "", {}, State.BROKEN, created=created, error=failure)

    def _job(self, request: Mapping[str, Any], found: Mapping[str, Any]) -> Job:
        state = State(found["state"])
        if state is State.RUNNING and not self.is_alive():
            # Its own last word may have come between the two looks.
            found = self._read("state.json")
            state = State(found["state"])
            if state is State.RUNNING:
                state = State.CANCELLED if self.is_cancelled() else State.LOST
        error, kind = found.get("error"), str(request["kind"])
        return Job(
            id=self.id,
            kind=kind,
            request=dict(request["request"]),
            state=state,
            progress=None if state is State.QUEUED else self._progress(),
            created=float(request["created"]),
            started=found.get("started"),
            ended=found.get("ended"),
            result=found.get("result"),
            error=Failure(**error) if error else None,
            cancelling=state is State.RUNNING and self.is_cancelled(),
            resumes=request.get("resumes"),
            goes_on=kind in KINDS and KINDS[kind].GOES_ON,
        )

    def _progress(self) -> JobProgress | None:
        try:
            return JobProgress(**self._read("progress.json"))
        except (OSError, ValueError, TypeError):
            return None

    def _read(self, name: str) -> Any:
        found = json.loads((self.path / name).read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError(name)
        return found

    def state(self) -> Mapping[str, Any]:
        """What ``state.json`` holds. Raises OSError, ValueError."""
        found: Mapping[str, Any] = self._read("state.json")
        return found

    def request(self) -> Mapping[str, Any]:
        """What ``request.json`` holds. Raises OSError, ValueError."""
        found: Mapping[str, Any] = self._read("request.json")
        return found

    def events_since(self, offset: int) -> tuple[list[dict[str, Any]], int]:
        """What was said since, and where to read on; lines that are being written, or damaged, are left out.

        Args:
            offset: bytes that were read before; 0 for all.
        """
        try:
            with open(self.events, "rb") as file:
                file.seek(max(0, offset))
                read = file.read()
        except OSError:
            return [], max(0, offset)
        whole = read[: read.rfind(b"\n") + 1]
        return list(_parsed(whole)), max(0, offset) + len(whole)

    def is_cancelled(self) -> bool:
        """Whether it was asked to stop."""
        return (self.path / "cancel").exists()

    def is_alive(self) -> bool:
        """Whether its process lives: the system gives the lock back when it dies, however it dies."""
        if not (self.path / "alive.lock").exists():
            return False
        lock = FileLock(self.path / "alive.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        except OSError:
            return False
        lock.release()
        return False

    # -- writing --------------------------------------------------------------------------------------------------

    def write(self, name: str, values: Mapping[str, Any]) -> None:
        """Write a JSON file: all of it or nothing. Raises OSError."""
        write_atomically(self.path / name, json.dumps(plain(values), allow_nan=False, indent=1).encode())

    def change_state(self, **values: Any) -> None:
        """Set fields of ``state.json``, keeping the others. Raises OSError."""
        try:
            before = dict(self.state())
        except (OSError, ValueError):
            before = {}
        self.write("state.json", {**before, **values})

    def ask_to_cancel(self) -> None:
        """Raises OSError."""
        (self.path / "cancel").touch()

    @contextmanager
    def living(self) -> Iterator[None]:
        """Be its process. Raises Timeout: it has one already."""
        lock = FileLock(self.path / "alive.lock")
        lock.acquire(timeout=_PATIENCE)
        try:
            yield
        finally:
            lock.release()


def _parsed(lines: bytes) -> Iterator[dict[str, Any]]:
    for line in lines.splitlines():
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                yield found


def folders_in(jobs: Path) -> list[JobFolder]:
    """The folders of all jobs, oldest first."""
    try:
        names = [name for name in os.listdir(jobs) if name.isdecimal() and name.isascii() and len(name) < 16]
    except OSError:
        return []
    return [JobFolder(jobs / name) for name in sorted(names, key=int) if (jobs / name).is_dir()]
