"""How a job's process says how far it is, and hears that it shall stop."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from typing import IO, TYPE_CHECKING, Any

from retrieval.core.text import shown
from retrieval.workflows.jobs.folder import JobFolder
from retrieval.workflows.jobs.job import JobProgress
from retrieval.workflows.jobs.plain import plain

if TYPE_CHECKING:
    from retrieval.training.hooks import Progress as Trained
    from retrieval.training.hooks import Validated
    from retrieval.workflows.index_report import Progress as Indexed

_WRITE_EVERY = 0.25
_LOOK_EVERY = 0.2


class Reporter:
    """Writes progress and events into a job's folder, and never raises: a full disk must not end the work.

    Args:
        folder: the job's.
        clock: seconds that only rise.

    Attributes:
        ended: set by signals; it shall stop.
    """

    def __init__(self, folder: JobFolder, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._progress: JobProgress | None = None
        self._began = clock()
        self._written = self._looked = -1e9
        self._stop = False
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None
        self.ended = threading.Event()

    # -- hooks of the workflows -----------------------------------------------------------------------------------

    def stop(self) -> bool:
        """Whether to stop: somebody asked for it, or the job's folder is gone."""
        if not self._stop and self._clock() - self._looked >= _LOOK_EVERY:
            self._looked = self._clock()
            self._stop = self._folder.is_cancelled() or not self._folder.path.exists()
        return self._stop or self.ended.is_set()

    def say(self, text: str) -> None:
        """One line about anything unusual."""
        self._event("say", text=shown(text))

    def estimated(self, estimate: object) -> None:
        """The costs, before anything is done."""
        values = plain(estimate)
        # A plan lists the files that a rate is measured with.
        values.pop("plan", None) if isinstance(values, dict) else None
        self._event("estimated", **values)

    def begin(self, part: str) -> None:
        """A part of a training begins."""
        self._event("begin", part=part)

    def working(self, what: str, done: int, total: int) -> None:
        """Work beside a training, or a study."""
        self._show(JobProgress(what, done, total))

    def indexed(self, part: str) -> Callable[["Indexed"], None]:
        """A hook for embedding images: how far that is."""

        def report(found: "Indexed") -> None:
            self._show(
                JobProgress(
                    part,
                    found.done,
                    found.total,
                    unit="image",
                    failed=found.failed,
                    rate=found.images_per_second,
                    seconds_left=found.seconds_left,
                )
            )

        return report

    def trained(self, found: "Trained") -> None:
        """Every few steps of a training."""
        self._event("progress", **asdict(found))
        self._show(
            JobProgress(
                "Training",
                found.step,
                found.steps,
                unit="step",
                rate=found.images_per_second,
                seconds_left=found.eta_seconds,
                epoch=found.epoch,
                epochs=found.epochs,
            )
        )

    def validated(self, found: "Validated") -> None:
        """After each validation."""
        self._event("validated", **asdict(found))

    # -- writing --------------------------------------------------------------------------------------------------

    def _show(self, new: JobProgress) -> None:
        with self._lock:
            old = self._progress
            if old is None or (old.part, old.total) != (new.part, new.total):
                self._began = self._clock()
                shown = replace(new, parts=1 if old is None else old.parts + 1)
            else:
                # Reports of several threads may overtake each other.
                shown = replace(new, done=max(old.done, new.done), parts=old.parts)
            if shown.rate is None:
                shown = self._with_rate(shown)
            self._progress = shown
            is_new = old is None or old.parts != shown.parts or shown.done >= shown.total > 0
            if not is_new and self._clock() - self._written < _WRITE_EVERY:
                return
            self._written = self._clock()
            content = json.dumps(plain(shown)).encode()
            beside = self._folder.path / ".progress.tmp"
            # Not synced: after a crash nobody needs it.
            with suppress(OSError):
                beside.write_bytes(content)
                beside.replace(self._folder.path / "progress.json")

    def _with_rate(self, progress: JobProgress) -> JobProgress:
        seconds = self._clock() - self._began
        if seconds < 1 or not progress.done > 0:
            return progress
        rate = progress.done / seconds
        return replace(progress, rate=rate, seconds_left=max(0, progress.total - progress.done) / rate)

    def _event(self, name: str, **values: Any) -> None:
        line = json.dumps({"event": name, "time": time.time(), **plain(values)}, allow_nan=False).encode() + b"\n"
        with self._lock, suppress(OSError):
            if self._file is None:
                self._file = open(self._folder.events, "ab", buffering=0)  # noqa: SIM115 - open for the job's life
            self._file.write(line)

    def close(self) -> None:
        """Write what was held back."""
        with self._lock:
            if self._progress is not None:
                with suppress(OSError):
                    (self._folder.path / "progress.json").write_text(json.dumps(plain(self._progress)))
            if self._file is not None:
                self._file.close()
                self._file = None
