"""One worker process as the pool sees it: start it, exchange frames with it, kill it."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import retrieval
from retrieval.core.errors import BadValue, RetrievalError
from retrieval.core.settings import Limits
from retrieval.images import wire

_MODULE = "retrieval.images.worker"
_TAIL = 2000  # characters of a failed start's last words that are shown
_PATIENCE = 10.0  # seconds that a killed process may take to go
_PIPE_BYTES = 1024 * 1024  # so that a picture goes through without stopping half-way

# Variables of the interpreter that would change what a worker does or prints.
_UNWANTED = (
    "PYTHONINSPECT",
    "PYTHONSTARTUP",
    "PYTHONWARNINGS",
    "PYTHONDEVMODE",
    "PYTHONVERBOSE",
    "PYTHONPROFILEIMPORTTIME",
)
_KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "67108864"}
"""glibc gives pixels back to the system after each picture otherwise, and the next one pays for fresh pages."""

# The decoders use one thread each; numpy would start one per core and never use them.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class PoolError(RetrievalError):
    """The decoders themselves fail: they cannot be started, were closed, or have a bug. No file is to blame."""


class StartFailed(Exception):
    """A worker was started and did not become ready; another try may help."""


class WorkerProcess:
    """A running worker. Frames are exchanged by one thread; ``kill`` may be called from any other.

    Args:
        limits: what one job may cost.
        plugins: modules that the worker imports.
        nice: added to the worker's scheduling priority (POSIX); higher is more polite.
        seconds: how long it may take to become ready.
        started: called with the worker as soon as there is something to kill.

    Raises:
        StartFailed: it did not become ready.
        BadValue: a plugin cannot be imported.
    """

    def __init__(
        self,
        limits: Limits,
        plugins: tuple[str, ...],
        nice: int,
        seconds: float,
        started: Callable[["WorkerProcess"], None] | None = None,
    ) -> None:
        self._lock = threading.Lock()
        with tempfile.TemporaryFile() as last_words:
            try:
                self._process = _spawn(last_words)
            except OSError as error:
                raise StartFailed(f"{sys.executable}: {error.strerror or error}") from error
            overdue = threading.Timer(seconds, self.kill)
            overdue.daemon = True
            overdue.start()
            try:
                if started:
                    started(self)
                self._set_up(limits, plugins, nice)
            except (wire.ConnectionEnded, wire.BadFrame) as error:
                ended = self.end()
                last_words.seek(0)
                words = last_words.read().decode(errors="replace").strip()[-_TAIL:]
                raise StartFailed(words or f"the process {ended}") from error
            except BaseException:
                self.end()
                raise
            finally:
                overdue.cancel()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process has not ended yet."""
        return self._poll() is None

    def send(self, header: wire.Header, payload: Any = b"") -> None:
        """Send a frame. Raises wire.ConnectionEnded."""
        wire.write_frame(_required(self._process.stdin), header, payload)

    def receive(self, max_payload: int) -> tuple[dict[str, Any], bytearray]:
        """Receive a frame. Raises wire.ConnectionEnded or wire.BadFrame."""
        return wire.read_frame(_required(self._process.stdout), max_payload)

    def kill(self) -> None:
        """End the process and whatever it has started, now; does not wait for it."""
        with self._lock:
            if self._process.poll() is not None:
                return
            with suppress(OSError):
                if os.name == "posix":
                    os.killpg(self._process.pid, signal.SIGKILL)
                else:
                    self._process.kill()

    def end(self) -> str:
        """Wait for a process that has ended by itself, kill one that has not; returns how it ended, in words."""
        # One that died closes its pipes a moment before its status can be had.
        if self._wait(0.2) is None:
            self.kill()
        # Not even SIGKILL ends a process that waits for a drive which never answers; it is then left behind.
        code = self._wait(_PATIENCE)
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                _required(pipe).close()
        return _how_it_ended(code)

    def _poll(self) -> int | None:
        # A process may be reaped only while nobody is about to signal it: its number could then be another's.
        with self._lock:
            return self._process.poll()

    def _wait(self, seconds: float) -> int | None:
        give_up = time.monotonic() + seconds
        while (code := self._poll()) is None and time.monotonic() < give_up:
            time.sleep(0.002)
        return code

    def _set_up(self, limits: Limits, plugins: tuple[str, ...], nice: int) -> None:
        setup = {
            "max_pixels": limits.max_pixels,
            "max_bytes": limits.max_bytes,
            "seconds": limits.seconds,
            "plugins": plugins,
            "nice": nice,
        }
        self.send(setup)
        answer, _ = self.receive(0)
        if "failed" in answer:
            raise BadValue(
                f"A decoder plugin cannot be imported: {answer['failed']}.",
                "Install it into this environment, or take it out of RETRIEVAL_PLUGINS.",
            )
        if answer.get("ready") is not True:
            raise wire.BadFrame("no greeting")


def _spawn(last_words: IO[bytes]) -> "subprocess.Popen[bytes]":
    if not sys.executable:
        raise OSError("this Python does not know its own executable, so no decoder can be started")
    options: dict[str, Any] = {}
    if os.name == "nt":
        options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW  # type: ignore[attr-defined,unused-ignore]
    else:
        # Ctrl-C in the terminal goes to a whole group: the workers shall finish or be killed by us.
        options["start_new_session"] = True
    # Not multiprocessing: its children would import the caller's main module, torch and all.
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", _MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=last_words,
        bufsize=0,
        env=_environment(),
        **options,
    )
    _widen(process)
    return process


def _environment() -> dict[str, str]:
    """The worker finds modules exactly where this process does, however this process came to know of them."""
    root = str(Path(retrieval.__file__).resolve().parent.parent)
    # An empty entry is the current folder, where anything may lie; our own package may be there too.
    places = [place for place in sys.path if place]
    if root not in places:
        places.insert(0, root)
    environment = {key: value for key, value in os.environ.items() if key not in _UNWANTED}
    environment.update({"PYTHONPATH": os.pathsep.join(places)}, **dict.fromkeys(_ONE_THREAD, "1"))
    for name, value in _KEPT_MEMORY.items():
        environment.setdefault(name, value)
    return environment


def _widen(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        for pipe in (process.stdin, process.stdout):
            fcntl.fcntl(_required(pipe), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return "does not end"
    if code >= 0:
        return f"ended with exit status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _required(pipe: IO[bytes] | None) -> Any:
    assert pipe is not None
    return pipe
