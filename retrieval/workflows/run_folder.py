"""What a training run leaves on disk, and the lock that keeps two of them apart."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from retrieval.core.errors import BadValue, NoSuchPath, disk_full_is_said
from retrieval.core.files import write_atomically
from retrieval.training.config import FREE_TO_CHANGE

RECIPE = "recipe.json"

METHOD = "method.safetensors"
"""What a method has learned beside the encoder, in the folder of a run without labels."""

CONTENTS = "contents.bin"
LABELLED = "labelled.bin"
"""Contents (SHA-256, 32 bytes each, ascending) of the images of such a run, in its folder."""

WITHOUT_LABELS = "pretraining"
"""What ``metrics.json`` of such a run calls itself under ``kind``."""

AGAIN = "run the same command with --resume"
"""How a run goes on that was stopped, for messages."""


_UNSAID = {"normalise": True, "centre_rate": 0.5, "mine_positives": "nearest"}
"""What recipes did before they had keys for it, of keys that have an effect without being set."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths below a run's folder.

    ======================  ==================================================================
    ``encoder/``            the result: an encoder folder
    ``recipe.json``         the recipe as it was resolved, the dataset, the start encoder
    ``split.json``          which images trained, chose and proved, by path and content
    ``metrics.json``        before and after with intervals, the comparison, the split's leaks
    ``calibration.json``    from score to probability, and the threshold for "nothing like this"
    ``report.html``         the same for people
    ``queries.json``        what the queries that changed most found before and after
    ``method.safetensors``  without labels: what the method has learned beside the encoder
    ``contents.bin``        without labels: which images it has learned from
    ``labelled.bin``        and of which it has learned the labels all the same, where a term of the method does
    ``time.json``           how long it has taken so far
    ``log.jsonl``           a line every few steps
    ``last.ckpt``           to go on from
    ======================  ==================================================================
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

    @contextmanager
    def going(self, resume: bool, say: Callable[[str], None]) -> Iterator[None]:
        """Hold the folder for a run, new or resumed.

        Args:
            resume: go on with the run in it, if there is one.
            say: told where there is none.

        Raises:
            BadValue: the folder is in use, or holds something that is not to be resumed.
            DiskFull: no space is left within the block.
        """
        if not resume:
            self.refuse_if_used()
        elif not (self.folder / RECIPE).exists():
            say(f"There is no run in {self.folder} to go on with: a new one begins.")
        with disk_full_is_said(str(self.folder), AGAIN), self.writing():
            yield

    def remember(self, said: Mapping[str, Any], resume: bool) -> None:
        """Write what this run is to ``recipe.json``, or see that the run that is resumed is the same.

        Args:
            said: JSON-ready values; those of ``"recipe"`` are compared one by one, without what decides about no
                weight.
            resume: whether there may be a run to go on with.

        Raises:
            BadValue: the run in the folder was started with something else; it is named.
        """
        # Through JSON and back: tuples come back as lists.
        said = json.loads(json.dumps(said))
        if resume and (self.folder / RECIPE).exists():
            before = self.read(RECIPE)
            changed = [key for key in said if key != "recipe" and before.get(key) != said[key]]
            then, now = (_deciding(recipe) for recipe in (before["recipe"], said["recipe"]))
            # A key that an older version did not know has its effect only where it is set.
            changed += [key for key in now if then.get(key) != now[key] and (key in then or now[key])]
            if changed:
                raise BadValue(
                    f"The run in {self.folder} was started with another {', '.join(changed)}.",
                    "Resume with the same values, or start a new run in another folder.",
                )
        self.write(RECIPE, said)

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


def _deciding(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Everything of a stored recipe that decides about weights, flat.

    The precision is not compared here but in the checkpoint, which knows what ``"auto"`` stood for: who goes on with
    the run on another machine has to name it.
    """
    own = {key: value for key, value in recipe.items() if key not in ("summary", "cost", "expected", "loop")}
    return (
        _UNSAID
        | own
        | {key: value for key, value in recipe["loop"].items() if key not in (*FREE_TO_CHANGE, "precision")}
    )
