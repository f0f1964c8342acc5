"""What a training run shows while it runs: bars for the work around it, one line for the training itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING

from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as RichProgress

from retrieval.cli.say import duration, messages, note, on_a_terminal, warn
from retrieval.workflows.words import count

if TYPE_CHECKING:
    from retrieval.training.hooks import Progress, Validated
    from retrieval.workflows.train_request import TrainingHooks


class TrainingDisplay:
    """Live progress on stderr."""

    def __init__(self) -> None:
        self._progress = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TextColumn("{task.fields[said]}"),
            console=messages,
            transient=True,
        )
        self._task: TaskID | None = None
        self._title = ""

    def working(self, what: str, done: int, total: int) -> None:
        """Something beside the training: embedding, preparing pictures, validating."""
        self._show(what, done, total, "")

    def begin(self, part: str) -> None:
        """A part of the training begins."""
        self._title = part
        note(f"{part}:")

    def progress(self, progress: "Progress") -> None:
        """Every few steps."""
        said = [f"loss {progress.loss:.4f}"]
        values = (
            ("active", progress.active),
            ("alignment", progress.alignment),
            ("uniformity", progress.uniformity),
            ("rank", progress.effective_rank),
        )
        said += [f"{name} {value:.3g}" for name, value in values if value is not None]
        said.append(f"{progress.images_per_second:,.0f} images/s")
        said.append(f"{duration(progress.eta_seconds)} left")
        title = f"Epoch {progress.epoch} of {progress.epochs}"
        self._show(title, progress.step, progress.steps, "  ".join(said))

    def validated(self, found: "Validated") -> None:
        """After each validation."""
        best = " (best)" if found.epoch == found.best_epoch else f" (best: {found.best:.4f} after {found.best_epoch})"
        note(f"  after {count(found.epoch, 'epoch')}: validation MAP@R {found.value:.4f}{best}")

    def _show(self, what: str, done: int, total: int, said: str) -> None:
        if self._task is None:
            self._task = self._progress.add_task(what, total=total, said=said)
        self._progress.update(self._task, description=what, completed=done, total=max(1, total), said=said)

    def hooks(self, stop: Event) -> "TrainingHooks":
        """What a training run tells this display, and is asked by ``stop``."""
        from retrieval.workflows.train_request import TrainingHooks

        return TrainingHooks(
            say=warn,
            working=self.working,
            begin=self.begin,
            progress=self.progress,
            validated=self.validated,
            stop=stop.is_set,
        )

    @contextmanager
    def shown(self) -> Iterator["TrainingDisplay"]:
        """Show it while the block runs."""
        with on_a_terminal(self._progress):
            yield self
