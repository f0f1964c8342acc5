"""The process of one job: ``python -m retrieval.workflows.jobs.worker GALLERY NUMBER``.

It does the work, writes how it ended, and starts the next job in the queue.
"""

import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path

import psutil

from retrieval.core.errors import GalleryBusy, Interrupted, RetrievalError
from retrieval.workflows.jobs.folder import JobFolder
from retrieval.workflows.jobs.job import Failure, State
from retrieval.workflows.jobs.process import end_all
from retrieval.workflows.jobs.queue import Jobs
from retrieval.workflows.jobs.reporter import Reporter
from retrieval.workflows.jobs.requests import request_from
from retrieval.workflows.jobs.work import Place, do

GRACE_SECONDS = 30.0
"""A job that was asked to stop has so long to end on its own; what it committed is safe either way."""

_NICE = 10
_LOOK_SECONDS = 0.25
_AGAIN_SECONDS = 1.0


def main() -> None:
    """Do the job that the command line names."""
    gallery, folder = Path(sys.argv[1]), JobFolder(Path(os.getcwd()))
    _step_back()
    reporter = Reporter(folder)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: reporter.ended.set())
    with folder.living():
        me = psutil.Process()
        folder.change_state(state=State.RUNNING, pid=me.pid, born=me.create_time(), started=time.time())
        over = threading.Lock()
        threading.Thread(target=_watch, args=(gallery, folder, reporter, over), daemon=True).start()
        state, result, error = _outcome(gallery, folder, reporter)
        # Held from now on: whoever has it says how the job ended.
        over.acquire()
        reporter.close()
        _end(folder, state, result, error)
    with suppress(Exception):
        Jobs(gallery).advance()


def _outcome(
    gallery: Path, folder: JobFolder, reporter: Reporter
) -> tuple[State, dict[str, object] | None, Failure | None]:
    try:
        asked = folder.request()
        result = _patiently(asked["kind"], asked["request"], Place(gallery, folder, reporter))
    except Interrupted as error:
        return _stopped(folder), None, Failure.of(error)
    except RetrievalError as error:
        return State.FAILED, None, Failure.of(error)
    except MemoryError:
        said = Failure("unexpected", "There was not enough memory.", "Close other programs, and try once more.")
        return State.FAILED, None, said
    except Exception as error:
        traceback.print_exc()
        return State.FAILED, None, Failure.of(error)
    # Some workflows report that they were stopped, others raise it.
    return _stopped(folder) if result.get("interrupted") else State.DONE, result, None


def _patiently(kind: str, values: dict[str, object], place: Place) -> dict[str, object]:
    """Do the work; where another process writes to the gallery, wait for it."""
    waited = False
    while True:
        try:
            return do(request_from(kind, values), place)
        except GalleryBusy as error:
            if not waited:
                place.report.say(f"{error.message} The job goes on when that has finished.")
                place.report.working("Waiting for another process", 0, 0)
            waited = True
            if place.report.stop():
                raise Interrupted("Stopped while another process was writing to the gallery.") from error
            time.sleep(_AGAIN_SECONDS)


def _stopped(folder: JobFolder) -> State:
    """By somebody who asked for it, or by the system."""
    return State.CANCELLED if folder.is_cancelled() else State.LOST


def _end(
    folder: JobFolder, state: State, result: dict[str, object] | None = None, error: Failure | None = None
) -> None:
    said = None if error is None else {"kind": error.kind, "message": error.message, "hint": error.hint}
    # A folder that is gone, or a full disk: then the job is lost, which its lock will tell.
    with suppress(OSError):
        folder.change_state(state=state, ended=time.time(), result=result, error=said)


def _watch(gallery: Path, folder: JobFolder, reporter: Reporter, over: threading.Lock) -> None:
    """Ends the process where it does not end by itself after it was asked to."""
    while not reporter.stop():
        time.sleep(_LOOK_SECONDS)
    time.sleep(GRACE_SECONDS)
    if not over.acquire(blocking=False):
        return
    end_all(psutil.Process().children(recursive=True))
    said = Failure("interrupted", "Stopped by force; what was committed is kept.", "It can go on from there.")
    _end(folder, _stopped(folder), None, said)
    with suppress(Exception):
        Jobs(gallery).advance()
    os._exit(1)


def _step_back() -> None:
    """Searches come first: the processor goes to whoever is less patient."""
    if os.name == "posix":
        with suppress(OSError):
            # One that was started by the job before it has stepped back already.
            os.nice(max(0, _NICE - os.nice(0)))
    else:
        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)


if __name__ == "__main__":
    main()
