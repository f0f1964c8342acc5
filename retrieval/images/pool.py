"""Decoding in processes that may crash, hang or be killed: each bad file costs that file and nothing else.

A slot is a thread of this process that owns at most one worker process. Slots take jobs from one queue; a slot is
added when a job would otherwise wait, so that an unused pool has no processes at all.
"""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeAlias, overload

from retrieval.core.errors import ImageError, Reason
from retrieval.core.settings import Limits
from retrieval.images import wire
from retrieval.images.decode import as_pixels
from retrieval.images.jobs import BytesResult, DecodeBytes, FileResult, Job, MakeView, ReadFile, Result, ViewResult
from retrieval.images.process import PoolError, StartFailed, WorkerProcess

_START_SECONDS = 60.0
_START_TRIES = 3
_MAX_VIEW_BYTES = 256 * 1024 * 1024
_MIMES = frozenset(("image/webp", "image/jpeg"))

_Queue: TypeAlias = "queue.SimpleQueue[tuple[Job, Future[Any]] | None]"


@dataclass(slots=True)
class _Slot:
    """Shared between the slot's thread and the watchdog, under ``lock``."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    worker: WorkerProcess | None = None
    deadline: float | None = None
    timed_out: bool = False
    used: bool = False  # the worker has had a job; only the slot's own thread looks at it


class DecodePool:
    """Worker processes that read, hash and decode images.

    Use it as a context manager, or call ``close``. All methods may be called from any thread.

    Args:
        workers: how many processes at most, at least 1.
        limits: what one job may cost; a job that takes longer than ``limits.seconds`` loses its worker.
        plugins: modules with further Pillow formats, imported by the workers.
        nice: added to the workers' scheduling priority (POSIX); higher is more polite to other programs.
    """

    def __init__(self, workers: int, limits: Limits, plugins: tuple[str, ...] = (), *, nice: int = 0) -> None:
        if workers < 1:
            raise ValueError(f"A pool needs at least 1 worker, not {workers}.")
        self._workers = workers
        self._limits = limits
        self._plugins = tuple(plugins)
        self._nice = nice
        self._jobs: _Queue = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._slots: list[_Slot] = []
        self._threads: list[threading.Thread] = []
        self._failed_starts = 0
        self._broken: Exception | None = None
        self._closed = threading.Event()

    def __enter__(self) -> "DecodePool":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @overload
    def submit(self, job: ReadFile) -> "Future[FileResult]": ...
    @overload
    def submit(self, job: DecodeBytes) -> "Future[BytesResult]": ...
    @overload
    def submit(self, job: MakeView) -> "Future[ViewResult]": ...
    def submit(self, job: Job) -> "Future[Any]":
        """Queue a job; never blocks, so whoever submits must bound how much waits.

        Returns:
            A future of the job's result. Problems of the image are in the result's ``error``; the future itself
            raises PoolError, BadValue (a plugin cannot be imported), or what ``ReadFile.known`` raised.

        Raises:
            PoolError: the pool is closed, or its workers cannot be started.
            BadValue: a plugin cannot be imported.
        """
        future: Future[Any] = Future()
        with self._lock:
            self._check()
            self._jobs.put((job, future))
            if not self._idle.acquire(blocking=False) and len(self._slots) < self._workers:
                self._add_slot()
        return future

    @overload
    def run(self, job: ReadFile) -> FileResult: ...
    @overload
    def run(self, job: DecodeBytes) -> BytesResult: ...
    @overload
    def run(self, job: MakeView) -> ViewResult: ...
    def run(self, job: Job) -> Result:
        """Submit a job and wait for its result. Raises what ``submit`` and its future raise."""
        result: Result = self.submit(job).result()
        return result

    def warm(self) -> None:
        """Start all processes now, without waiting for them: the first jobs then find them ready."""
        with self._lock:
            self._check()
            while len(self._slots) < self._workers:
                self._add_slot()

    def pids(self) -> list[int]:
        """Process ids of the workers that run at this moment."""
        with self._lock:
            slots = list(self._slots)
        workers = [slot.worker for slot in slots]
        return [worker.pid for worker in workers if worker is not None and worker.alive]

    def close(self) -> None:
        """Kill all workers at once; jobs that are not done fail with PoolError. Closing again does nothing."""
        with self._lock:
            self._closed.set()
            slots, threads = list(self._slots), list(self._threads)
        self._fail_waiting(_closed())
        for slot in slots:
            self._jobs.put(None)
            with slot.lock:
                if slot.worker:
                    slot.worker.kill()
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(timeout=30)

    # ------------------------------------------------------------------ slots

    def _check(self) -> None:
        if self._closed.is_set():
            raise _closed()
        if self._broken:
            raise self._broken

    def _add_slot(self) -> None:
        slot = _Slot()
        if not self._slots:
            self._start_thread(self._watch)
        self._slots.append(slot)
        self._start_thread(lambda: self._work(slot))

    def _start_thread(self, target: Callable[[], None]) -> None:
        # Daemons: a program that forgets to close the pool still ends, and its workers see their stdin end.
        thread = threading.Thread(target=target, name="retrieval-decode", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self, slot: _Slot) -> None:
        try:
            # The slot was added because a job waits, or to be warm.
            self._start(slot)
            while (item := self._jobs.get()) is not None:
                job, future = item
                if future.set_running_or_notify_cancel():
                    self._answer(slot, job, future)
                del item, job, future  # pixels are not kept until the next job
                self._idle.release()
        finally:
            self._retire(slot)

    def _answer(self, slot: _Slot, job: Job, future: "Future[Any]") -> None:
        try:
            result = self._perform(slot, job)
        except BaseException as error:
            self._retire(slot)  # whatever it was, the worker may be in the middle of a job
            future.set_exception(error)
        else:
            future.set_result(result)

    def _perform(self, slot: _Slot, job: Job) -> Result:
        while True:
            # A worker that had ended before it came to this job says nothing about it: a fresh one decides.
            result = self._attempt(slot, job)
            if result is not None:
                return result

    def _attempt(self, slot: _Slot, job: Job) -> Result | None:
        """One try; None if the worker may have been gone before the job reached it, which a fresh one never is."""
        worker = self._start(slot)
        if worker is None:
            raise self._broken or _closed()
        was_used, slot.used = slot.used, True
        exchange = _Exchange(worker, job)
        with slot.lock:
            slot.timed_out = False
            slot.deadline = time.monotonic() + self._limits.seconds
        try:
            return exchange.result()
        except (wire.ConnectionEnded, wire.BadFrame) as error:
            if self._closed.is_set():
                raise _closed() from None
            nonsense = isinstance(error, wire.BadFrame)
            ended = self._retire(slot)
            if slot.timed_out:
                return exchange.failed(_timed_out(self._limits.seconds))
            if was_used and not exchange.heard and not nonsense:
                return None
            return exchange.failed(_crashed("sent something unexpected" if nonsense else ended))
        finally:
            with slot.lock:
                slot.deadline = None

    def _start(self, slot: _Slot) -> WorkerProcess | None:
        """The slot's worker, started if there is none; None if the pool is closed or broken."""
        while not (self._closed.is_set() or self._broken):
            # A worker that was killed in the very moment its job was done is found dead here.
            if slot.worker and slot.worker.alive and not slot.timed_out:
                return slot.worker
            self._retire(slot)
            try:
                self._launch(slot)
                self._failed_starts = 0
            except StartFailed as error:
                self._note_failed_start(error)
            except Exception as error:
                self._break(error)
        return None

    def _launch(self, slot: _Slot) -> None:
        def started(worker: WorkerProcess) -> None:
            # From now on ``close`` finds it; if that was called meanwhile, it did not.
            with slot.lock:
                slot.worker, slot.timed_out, slot.used = worker, False, False
            if self._closed.is_set():
                worker.kill()

        try:
            WorkerProcess(self._limits, self._plugins, self._nice, _START_SECONDS, started)
        except BaseException:
            with slot.lock:
                slot.worker = None
            raise

    def _note_failed_start(self, error: StartFailed) -> None:
        with self._lock:
            self._failed_starts += 1
            tries = self._failed_starts
        if tries >= _START_TRIES:
            words = str(error).strip()
            self._break(
                PoolError(
                    f"The image decoders cannot be started; {tries} tries failed. The last one said: {words}",
                    "Check that the installation is complete (pip check), and that memory and processes are left.",
                )
            )
        else:
            self._closed.wait(0.1 * 4**tries)

    def _break(self, error: Exception) -> None:
        """No worker can be started: what waits and what comes fails with the reason, instead of waiting for ever."""
        with self._lock:
            if self._closed.is_set():
                return
            self._broken = error
        self._fail_waiting(error)

    def _fail_waiting(self, error: Exception) -> None:
        while True:
            try:
                item = self._jobs.get_nowait()
            except queue.Empty:
                return
            if item is None:
                self._jobs.put(None)  # meant for a slot that shall end; no job comes after it
                return
            if item[1].set_running_or_notify_cancel():
                item[1].set_exception(error)

    def _retire(self, slot: _Slot) -> str:
        with slot.lock:
            worker, slot.worker = slot.worker, None
        return worker.end() if worker else "was gone"

    # --------------------------------------------------------------- watchdog

    def _watch(self) -> None:
        """Kill the worker of each job whose time is over."""
        # No job that starts later can be due before this pause ends, so nobody needs to wake the watchdog.
        pause = self._limits.seconds
        while not self._closed.wait(pause):
            now = time.monotonic()
            pause = self._limits.seconds
            with self._lock:
                slots = list(self._slots)
            for slot in slots:
                with slot.lock:
                    if slot.deadline is None or slot.worker is None or slot.timed_out:
                        continue
                    if slot.deadline <= now:
                        slot.timed_out = True
                        slot.worker.kill()
                    else:
                        pause = min(pause, slot.deadline - now)


class _Exchange:
    """One job's frames, and what is known of the file so far; ``heard`` once the worker has answered anything."""

    def __init__(self, worker: WorkerProcess, job: Job) -> None:
        self._worker = worker
        self._job = job
        self._file = FileResult()
        self.heard = False

    def result(self) -> Result:
        """Send the job and wait for what comes back. Raises wire.ConnectionEnded, wire.BadFrame, PoolError."""
        if isinstance(self._job, ReadFile):
            return self._read_file(self._job)
        if isinstance(self._job, DecodeBytes):
            return self._decode_bytes(self._job)
        return self._make_view(self._job)

    def failed(self, error: ImageError) -> Result:
        """The job's result when its worker is gone."""
        if isinstance(self._job, ReadFile):
            seen = self._file
            return FileResult(seen.size, seen.mtime_ns, seen.digest, error=error)
        return BytesResult(error=error) if isinstance(self._job, DecodeBytes) else ViewResult(error=error)

    def _read_file(self, job: ReadFile) -> FileResult:
        ask = job.decode and job.known is not None
        region = wire.pack_region(job.region)
        header = {"job": "read_file", "spec": job.spec.to_dict(), "decode": job.decode, "ask": ask, "region": region}
        self._worker.send(header, job.path)
        answer, _ = self._receive(0)
        if "error" in answer:
            return FileResult(error=wire.unpack_error(answer["error"]))
        size, mtime_ns = wire.unpack_int(answer.get("size"), 0), wire.unpack_int(answer.get("mtime_ns"), -(2**63))
        digest = wire.unpack_digest(answer.get("digest"))
        self._file = FileResult(size, mtime_ns, digest)
        wanted = job.decode
        if ask:
            wanted = job.known is None or digest not in job.known
            self._worker.send({"decode": wanted})
        side = job.spec.input_size
        answer, payload = self._receive(side * side * 3)
        if "error" in answer:
            return FileResult(size, mtime_ns, digest, error=wire.unpack_error(answer["error"]))
        if not wanted:
            return self._file
        facts = wire.unpack_facts(answer.get("facts"))
        if facts.digest != digest:
            raise wire.BadFrame("facts of another file")
        return FileResult(size, mtime_ns, digest, facts, _pixels(payload, side))

    def _decode_bytes(self, job: DecodeBytes) -> BytesResult:
        region = wire.pack_region(job.region)
        header = {"job": "decode_bytes", "spec": job.spec.to_dict(), "name": job.name.hex(), "region": region}
        self._worker.send(header, job.data)
        side = job.spec.input_size
        answer, payload = self._receive(side * side * 3)
        if "error" in answer:
            return BytesResult(error=wire.unpack_error(answer["error"]))
        return BytesResult(wire.unpack_facts(answer.get("facts")), _pixels(payload, side))

    def _make_view(self, job: MakeView) -> ViewResult:
        header = {"job": "make_view", "side": job.side, "kind": job.kind, "file": job.path is not None}
        self._worker.send(header, job.data if job.path is None else job.path)
        answer, payload = self._receive(_MAX_VIEW_BYTES)
        if "error" in answer:
            return ViewResult(error=wire.unpack_error(answer["error"]))
        # The browser is told this type, so it is one of ours.
        mime = answer.get("mime")
        if mime not in _MIMES or not payload:
            raise wire.BadFrame("a view of an unknown type")
        return ViewResult(bytes(payload), mime)

    def _receive(self, max_payload: int) -> tuple[dict[str, Any], bytearray]:
        answer, payload = self._worker.receive(max_payload)
        self.heard = True
        if "bug" in answer:
            raise PoolError(
                f"A decoder has a bug: {answer['bug']}", "Please report it, with the file if you can share it."
            )
        return answer, payload


def _pixels(payload: bytearray, side: int) -> Any:
    if len(payload) != side * side * 3:
        raise wire.BadFrame("a picture of the wrong size")
    return as_pixels(payload, side)


def _closed() -> PoolError:
    return PoolError("The image decoders were closed before this was done.", "Start the same command again.")


def _timed_out(seconds: float) -> ImageError:
    return ImageError(
        Reason.TIMEOUT,
        f"Reading and decoding took longer than {seconds:g} seconds.",
        "Set RETRIEVAL_DECODE_SECONDS higher if the file is good and its drive slow.",
    )


def _crashed(ended: str) -> ImageError:
    return ImageError(
        Reason.CRASHED,
        f"The decoder {ended} on this file.",
        "The file is probably damaged: open it in another program and save it anew.",
    )
