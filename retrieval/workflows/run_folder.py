"""What a training run leaves on disk, and the lock that keeps two of them apart."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from retrieval.core.errors import BadValue, NoSuchPath, disk_full_is_said
from retrieval.core.files import write_atomically

AGAIN = "run the same command with --resume"
"""How a run goes on that was stopped, for messages."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths below a run's folder.

    ====================  ==================================================================
    ``encoder/``          the result: an encoder folder
    ``recipe.json``       the recipe as it was resolved, the dataset, the start encoder
    ``split.json``        which images trained, chose and proved, by path
    ``metrics.json``      before and after with intervals, the comparison, the split's leaks
    ``calibration.json``  from score to probability, and the threshold for "nothing like this"
    ``report.html``       the same for people
    ``log.jsonl``         a line every few steps
    ``last.ckpt``         to go on from
    ====================  ==================================================================
    """

    folder: Path

    @property
    def encoder(self) -> Path:
        """The result."""
        return self.folder / "encoder"

    @property
    def metrics(self) -> Path:
        """Before and after."""
        return self.folder / "metrics.json"

    @property
    def calibration(self) -> Path:
        """Scores to probabilities."""
        return self.folder / "calibration.json"

    @property
    def report(self) -> Path:
        """For people."""
        return self.folder / "report.html"

    def read(self, name: str) -> Any:
        """The values of a JSON file in the folder.

        Raises:
            NoSuchPath: it is not there.
            BadValue: it is damaged.
        """
        path = self.folder / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise NoSuchPath(f"{self.folder} is no run folder: {name} is missing.", "Check the path.") from error
        except (OSError, ValueError) as error:
            raise BadValue(f"{path} is damaged: {error}", "Train again, into another folder.") from error

    def write(self, name: str, values: Any) -> None:
        """Write a JSON file: all of it or nothing."""
        self.write_bytes(name, (json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n").encode())

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write a file: all of it or nothing. Raises DiskFull."""
        path = self.folder / name
        with disk_full_is_said(str(path), AGAIN):
            write_atomically(path, content)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder's lock; the system releases it when the process dies.

        Raises:
            BadValue: another process trains into it.
        """
        with disk_full_is_said(str(self.folder)):
            self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "writing.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise BadValue(f"Another process trains into {self.folder}.", "Give another folder to --out.") from error
        try:
            yield
        except BaseException:
            self._leave_nothing()
            raise
        finally:
            lock.release()

    def _leave_nothing(self) -> None:
        """A run that failed before it wrote anything leaves no folder behind."""
        if [path.name for path in self.folder.iterdir()] == ["writing.lock"]:
            with suppress(OSError):
                (self.folder / "writing.lock").unlink()
                self.folder.rmdir()

    def refuse_if_used(self) -> None:
        """Raises BadValue where the folder holds anything: a run never overwrites another one."""
        there = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        if self.folder.exists() and not self.folder.is_dir():
            raise BadValue(f"{self.folder} is a file.", "Give a new folder to --out.")
        if any(name != "writing.lock" for name in there):
            raise BadValue(
                f"{self.folder} holds a run already, or other things.",
                "Give a new folder to --out, or add --resume to go on with the run in it.",
            )
