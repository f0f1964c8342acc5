"""A job's process as others see it: start it so that it outlives whoever asked, see when it is up, kill it."""

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

import retrieval
from retrieval.core.errors import RetrievalError
from retrieval.core.settings import available_cores
from retrieval.workflows.jobs.folder import JobFolder
from retrieval.workflows.jobs.job import State

_MODULE = "retrieval.workflows.jobs.worker"
_UP_SECONDS = 60.0
_GONE_SECONDS = 10.0
# Variables of the interpreter that would change what a job does or prints.
_UNWANTED = ("PYTHONINSPECT", "PYTHONSTARTUP", "PYTHONWARNINGS", "PYTHONDEVMODE", "PYTHONVERBOSE")


def start(gallery: Path, folder: JobFolder) -> None:
    """Start a job's process and wait until it lives. It is nobody's child in the sense that matters: what ends the one
    who asked, a Ctrl-C in its terminal included, does not end it.

    Args:
        gallery: the gallery's folder.
        folder: of a job that is queued.

    Raises:
        RetrievalError: it did not come to life; what it printed is in its folder.
    """
    options: dict[str, Any] = {}
    if os.name == "nt":
        options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW  # type: ignore[attr-defined,unused-ignore]
    else:
        options["start_new_session"] = True
    with open(folder.output, "ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", _MODULE, str(gallery.absolute()), str(folder.id)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(),
            cwd=folder.path,
            **options,
        )
    # Somebody has to take note of its end, or it stays in the table of processes.
    threading.Thread(target=process.wait, name=f"job {folder.id}", daemon=True).start()
    deadline = time.monotonic() + _UP_SECONDS
    while time.monotonic() < deadline:
        if _has_begun(folder):
            return
        if process.poll() is not None:
            # It may have begun and ended between two looks.
            if _has_begun(folder):
                return
            raise RetrievalError(
                f"The process of job {folder.id} ended at once, with exit status {process.returncode}.",
                f"What it printed is in {folder.output}.",
            )
        time.sleep(0.02)
    process.kill()
    raise RetrievalError(f"The process of job {folder.id} did not come to life.", "Try once more.")


def _has_begun(folder: JobFolder) -> bool:
    with suppress(OSError, ValueError, KeyError):
        return bool(folder.state()["state"] != State.QUEUED)
    return False


def kill(folder: JobFolder) -> None:
    """End a job's process and all that it started, at once. Nothing happens where it has ended."""
    try:
        found = folder.state()
        process = psutil.Process(int(found["pid"]))
        # A number is given to another process some time after its own has ended.
        if abs(process.create_time() - float(found["born"])) > 1:
            return
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return
    end_all([process, *_children(process)])


def end_all(processes: list[psutil.Process]) -> None:
    """Kill processes and wait until they are gone."""
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=_GONE_SECONDS)


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        found: list[psutil.Process] = process.children(recursive=True)
        return found
    return []


def _environment() -> dict[str, str]:
    """A job finds modules where this process does, and leaves a core to the searches where there are several."""
    root = str(Path(retrieval.__file__).resolve().parent.parent)
    places = [place for place in sys.path if place]
    if root not in places:
        places.insert(0, root)
    environment = {key: value for key, value in os.environ.items() if key not in _UNWANTED}
    environment["PYTHONPATH"] = os.pathsep.join(places)
    environment.setdefault("RETRIEVAL_THREADS", str(max(1, available_cores() - 1)))
    return environment
