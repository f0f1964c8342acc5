"""How long a run has taken, with all the times that it was resumed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from time import monotonic

from retrieval.core.errors import DiskFull
from retrieval.training.hooks import Progress
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.train_request import TrainingHooks

FILE = "time.json"

EVERY = 10.0
"""Seconds between two notes: as much is lost when a run is killed."""


@dataclass
class RunTime:
    """The clock of a run; it keeps what it shows in the run's folder, from when a part of the training begins.

    Attributes:
        run: its folder.
        resume: whether there may be an earlier leg.
    """

    run: RunFolder
    resume: bool
    earlier: float = field(init=False)
    started: float = field(init=False, default_factory=lambda: monotonic())
    noted: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.earlier = self._kept() if self.resume else 0.0

    def seconds(self) -> float:
        """Of all legs, this one included, in hundredths."""
        return round(self.earlier + monotonic() - self.started, 2)

    @contextmanager
    def ticking(self, hooks: TrainingHooks) -> Iterator[TrainingHooks]:
        """The hooks of the run, with which it notes the time as it goes on, and when the block ends in any way."""

        def begin(part: str) -> None:
            self._note()
            hooks.begin(part)

        def progress(where: Progress) -> None:
            if self.noted is None or monotonic() - self.noted >= EVERY:
                self._note()
            hooks.progress(where)

        try:
            yield replace(hooks, begin=begin, progress=progress)
        finally:
            # A run that was refused, or failed before it began, has taken no time.
            if self.noted is not None:
                self._note()

    def _note(self) -> None:
        self.noted = monotonic()
        with suppress(DiskFull, OSError):
            self.run.write(FILE, {"seconds": self.seconds()})

    def _kept(self) -> float:
        try:
            return max(0.0, float(json.loads((self.run.folder / FILE).read_text(encoding="utf-8"))["seconds"]))
        except (OSError, ValueError, KeyError, TypeError):
            return 0.0
