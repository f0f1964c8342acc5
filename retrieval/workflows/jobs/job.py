"""What is known of a job."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from retrieval.core.errors import RetrievalError


class State(StrEnum):
    """Where a job stands; the values stand in files."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    """Its process ended without a word: it was killed, or the machine went down."""
    BROKEN = "broken"
    """Its folder cannot be read."""

    @property
    def is_over(self) -> bool:
        """Whether nothing will happen any more."""
        return self not in (State.QUEUED, State.RUNNING)


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is.

    Within a part ``done`` never falls.

    Attributes:
        part: what is being done, in English, e.g. ``"Embedding"``.
        done, total: how much of that; a total of 0 is not known.
        unit: of what; ``"image"``, ``"step"`` or empty.
        failed: so many could not be done.
        rate: a second; None where it is not known yet. While training, images a second.
        seconds_left: to the end of the part; None where it is not known.
        epoch, epochs: while training.
        parts: how many parts were begun, this one included.
    """

    part: str
    done: int = 0
    total: int = 0
    unit: str = ""
    failed: int = 0
    rate: float | None = None
    seconds_left: float | None = None
    epoch: int | None = None
    epochs: int | None = None
    parts: int = 1


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed.

    Attributes:
        kind: see ``RetrievalError.kind``; ``"unexpected"`` for an error that nobody foresaw.
        message, hint: for the user, in English.
    """

    kind: str
    message: str
    hint: str = ""

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """What is told of an error."""
        if isinstance(error, RetrievalError):
            return cls(error.kind, error.message, error.hint)
        said = str(error).strip().splitlines()
        message = f"Something went wrong in the program: {type(error).__name__}{': ' + said[0] if said else ''}"
        return cls("unexpected", message, "The job's output says more; try once more.")


@dataclass(frozen=True, slots=True)
class Job:
    """One job, as it is now.

    Attributes:
        id: a number of its own in the gallery; later jobs have higher ones.
        kind: a key of ``KINDS``; empty where the folder is broken.
        request: JSON-ready values of its request.
        state: where it stands.
        progress: None before anything was said.
        created, started, ended: seconds since the epoch.
        result: JSON-ready values of the workflow's report.
        error: why it failed.
        cancelling: it was asked to stop and has not yet.
        resumes: number of the job that it goes on with.
        goes_on: ``resume`` continues where it stopped; otherwise it begins anew.
    """

    id: int
    kind: str
    request: Mapping[str, Any]
    state: State
    progress: JobProgress | None = None
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    result: Mapping[str, Any] | None = None
    error: Failure | None = None
    cancelling: bool = False
    resumes: int | None = None
    goes_on: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {**asdict(self), "state": self.state.value}
