"""The jobs of a gallery: one runs at a time, the others wait in order."""

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from retrieval.core.errors import BadValue, GalleryBusy, NoSuchPath, ReadOnly, RetrievalError, disk_full_is_said
from retrieval.core.files import sync_folder
from retrieval.workflows.jobs import process
from retrieval.workflows.jobs.folder import JobFolder, folders_in
from retrieval.workflows.jobs.job import Failure, Job, State
from retrieval.workflows.jobs.requests import JobRequest, request_from, with_absolute_paths
from retrieval.workflows.layout import Layout, finish_restore

KEPT = 100
"""So many jobs that are over are kept; older ones are deleted. Runs are not: they lie elsewhere."""

_PATIENCE = 90.0


class Jobs:
    """The jobs of one gallery; any number of these may be open, in any number of processes.

    Args:
        gallery: the gallery's folder; it need not exist yet.
        may_write: whether jobs may be started and stopped; otherwise they are only looked at.
    """

    def __init__(self, gallery: Path, *, may_write: bool = True) -> None:
        self._may_write = may_write
        self._gallery = gallery
        self._layout = Layout(gallery)

    # -- reading --------------------------------------------------------------------------------------------------

    def list(self) -> Sequence[Job]:
        """All jobs, the newest first. Where one has died, or the queue stands still, it is set going again."""
        jobs = [folder.job() for folder in folders_in(self._layout.jobs)]
        if self._stands_still(jobs):
            self.advance(wait=False)
            jobs = [folder.job() for folder in folders_in(self._layout.jobs)]
        return jobs[::-1]

    def get(self, job_id: int) -> Job:
        """One job. Raises NoSuchPath."""
        return self.folder(job_id).job()

    def folder(self, job_id: int) -> JobFolder:
        """A job's folder. Raises NoSuchPath: there is no such job."""
        folder = JobFolder(self._layout.jobs / str(job_id))
        if job_id < 1 or not folder.path.is_dir():
            raise NoSuchPath(f"There is no job {job_id}.", "`retrieval jobs` lists them.")
        return folder

    def running(self) -> Job | None:
        """The one that runs."""
        return next((job for job in self.list() if job.state is State.RUNNING), None)

    def events(self, job_id: int, after: int = 0) -> tuple[Sequence[Mapping[str, Any]], int]:
        """What a job said, and where to read on.

        Each event has ``event`` (its name), ``time`` (seconds since the epoch), and:

        =============  ===================================================================================
        ``say``        ``text``: one line about anything unusual
        ``estimated``  the fields of ``Estimate`` or ``SwitchEstimate``
        ``begin``      ``part``: a part of a training begins; its curves start anew
        ``progress``   the fields of ``training.hooks.Progress``: a point of the curves
        ``validated``  the fields of ``training.hooks.Validated``
        =============  ===================================================================================

        Args:
            job_id: the job.
            after: what the last call gave; 0 for all.

        Raises:
            NoSuchPath: there is no such job.
        """
        return self.folder(job_id).events_since(after)

    # -- asking ---------------------------------------------------------------------------------------------------

    def submit(self, request: JobRequest, *, resumes: int | None = None) -> Job:
        """Put a job at the end of the queue; it starts at once where nothing runs.

        Args:
            request: what to do; relative paths are those of this process.
            resumes: number of the job that it goes on with.

        Raises:
            BadValue: the request cannot be.
            DiskFull: no space is left.
            ReadOnly: jobs are only looked at.
        """
        self._refuse_to_write()
        request = with_absolute_paths(request_from(request.kind, request.to_dict()))
        finish_restore(self._gallery)
        with disk_full_is_said(str(self._layout.jobs), "ask once more"):
            self._layout.jobs.mkdir(parents=True, exist_ok=True)
            with self._alone():
                folder = self._new_folder(request, resumes)
                self._prune()
                self._advance()
        return folder.job()

    def cancel(self, job_id: int, *, at_once: bool = False) -> Job:
        """Ask a job to stop. One that runs ends after the batch or step at hand, or by force after half a minute.

        Args:
            job_id: the job; one that is over stays as it is.
            at_once: do not wait for it; what it committed is safe all the same.

        Raises:
            NoSuchPath: there is no such job.
            ReadOnly: jobs are only looked at.
        """
        self._refuse_to_write()
        folder = self.folder(job_id)
        if folder.job().state is State.QUEUED:
            with self._alone():
                # It may have been started meanwhile.
                if folder.job().state is State.QUEUED:
                    folder.change_state(state=State.CANCELLED, ended=time.time())
        if folder.job().state is State.RUNNING:
            folder.ask_to_cancel()
            if at_once:
                process.kill(folder)
                self.advance()
        return folder.job()

    def resume(self, job_id: int) -> Job:
        """Do again what a job did that did not end well; a new job, which goes on where the workflow can.

        Raises:
            NoSuchPath: there is no such job.
            BadValue: it is not over yet, has ended well, or cannot be read.
            ReadOnly: jobs are only looked at.
        """
        self._refuse_to_write()
        folder = self.folder(job_id)
        job = folder.job()
        if job.state not in (State.FAILED, State.CANCELLED, State.LOST):
            raise BadValue(f"Job {job_id} is {job.state.value}.", "Only one that did not end well can be resumed.")
        request = request_from(job.kind, job.request)
        if job.started is not None:
            request = request.to_continue(job_id, str(self._layout.runs))
        return self.submit(request, resumes=job_id)

    def advance(self, *, wait: bool = True) -> None:
        """Note which jobs have died, and start the next one where none runs.

        Args:
            wait: for another process that is doing just that.
        """
        if not self._may_write or not self._layout.jobs.is_dir():
            return
        with suppress(GalleryBusy, OSError), self._alone(_PATIENCE if wait else 0):
            self._advance()

    def _refuse_to_write(self) -> None:
        if not self._may_write:
            raise ReadOnly("Here one may look, and start or stop nothing.", "Ask whoever owns the gallery.")

    # -- within the lock ------------------------------------------------------------------------------------------

    @contextmanager
    def _alone(self, patience: float = _PATIENCE) -> Iterator[None]:
        lock = FileLock(self._layout.jobs / "queue.lock")
        try:
            lock.acquire(timeout=patience)
        except Timeout as error:
            raise GalleryBusy("Another process is changing the queue of jobs.", "Try once more.") from error
        try:
            yield
        finally:
            lock.release()

    def _new_folder(self, request: JobRequest, resumes: int | None) -> JobFolder:
        """Made beside and renamed: a job is there with all of its files, or not at all."""
        known = folders_in(self._layout.jobs)
        number = known[-1].id + 1 if known else 1
        beside = JobFolder(self._layout.jobs / f".new-{number}")
        shutil.rmtree(beside.path, ignore_errors=True)
        beside.path.mkdir()
        asked = {"kind": request.kind, "request": request.to_dict(), "created": time.time(), "resumes": resumes}
        beside.write("request.json", asked)
        beside.write("state.json", {"state": State.QUEUED.value})
        folder = JobFolder(self._layout.jobs / str(number))
        os.replace(beside.path, folder.path)
        sync_folder(self._layout.jobs)
        return folder

    def _advance(self) -> None:
        for folder in folders_in(self._layout.jobs):
            job = folder.job()
            if job.state is State.RUNNING:
                return
            if job.state in (State.LOST, State.CANCELLED):
                _note_the_end(folder, job)
        for folder in folders_in(self._layout.jobs):
            if folder.job().state is State.QUEUED and self._starts(folder):
                return

    def _starts(self, folder: JobFolder) -> bool:
        try:
            process.start(self._gallery, folder)
        except (RetrievalError, OSError) as error:
            said = asdict(Failure.of(error))
            folder.change_state(state=State.FAILED, started=time.time(), ended=time.time(), error=said)
            return False
        return True

    def _prune(self) -> None:
        # The newest stays whatever it is: the next number is counted from it.
        for folder in folders_in(self._layout.jobs)[: -KEPT - 1]:
            if folder.job().state.is_over:
                shutil.rmtree(folder.path, ignore_errors=True)

    @staticmethod
    def _stands_still(jobs: Sequence[Job]) -> bool:
        states = {job.state for job in jobs}
        # One that died is lost at every look; it is written down once.
        died = any(job.state in (State.LOST, State.CANCELLED) and job.ended is None for job in jobs)
        return died or (State.QUEUED in states and State.RUNNING not in states)


def _note_the_end(folder: JobFolder, job: Job) -> None:
    """Write down that a job's process has died: what is alive is then known without a look at its lock."""
    with suppress(OSError, ValueError):
        if folder.state().get("state") != State.RUNNING:
            return
        said = Failure(
            "interrupted" if job.state is State.CANCELLED else "lost",
            "Stopped by force; what was committed is kept."
            if job.state is State.CANCELLED
            else "The job's process ended without a word: it was killed, or the machine went down.",
            "It can go on from there." if job.goes_on else "It can be started anew.",
        )
        folder.change_state(state=job.state, ended=time.time(), error=asdict(said))
