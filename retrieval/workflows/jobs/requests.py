"""What jobs are asked for: one small dataclass a kind, of values that JSON can hold, and the table of them.

Importing this is cheap: no torch, no database. What a kind does stands in ``work``.
"""

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, replace
from types import UnionType
from typing import Any, ClassVar, get_args, get_origin, get_type_hints

from retrieval.core.errors import BadValue

GALLERY = "gallery"
"""The word for a gallery's own images and labels, in the place of a dataset."""


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """Base of all requests.

    Attributes:
        PATHS: fields that hold paths; a relative one is made absolute where the job is asked for.
        GOES_ON: the workflow goes on where an earlier run stopped.
    """

    PATHS: ClassVar[tuple[str, ...]] = ()
    GOES_ON: ClassVar[bool] = False

    @property
    def kind(self) -> str:
        """Its key in ``KINDS``."""
        return next(kind for kind, known in KINDS.items() if known is type(self))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)

    def to_continue(self, job_id: int, runs: str) -> "JobRequest":
        """The request of a job that goes on with this one.

        Args:
            job_id: number of the job that had this request.
            runs: folder of the gallery's runs.
        """
        return self


@dataclass(frozen=True, kw_only=True)
class RunRequest(JobRequest):
    """Base of what leaves a run folder.

    Attributes:
        out: the run's folder; None gives it one in the gallery, named by the job's number.
        resume: go on with the run that is there.
    """

    GOES_ON: ClassVar[bool] = True

    out: str | None = None
    resume: bool = False

    def folder(self, job_id: int, runs: str) -> str:
        """Where the run goes."""
        return self.out or os.path.join(runs, f"{job_id}-{self.kind}")

    def to_continue(self, job_id: int, runs: str) -> "RunRequest":
        """The same, into the same folder."""
        return replace(self, out=self.folder(job_id, runs), resume=True)


@dataclass(frozen=True, kw_only=True)
class IndexJob(JobRequest):
    """See ``index_paths``; no paths means all folders that are known. A ``quiet`` one was started by no person."""

    PATHS: ClassVar[tuple[str, ...]] = ("paths",)
    GOES_ON: ClassVar[bool] = True

    paths: tuple[str, ...] = ()
    model: str | None = None
    workers: int | None = None
    quiet: bool = False


@dataclass(frozen=True, kw_only=True)
class RetryJob(JobRequest):
    """See ``retry_failures``."""

    GOES_ON: ClassVar[bool] = True

    workers: int | None = None


@dataclass(frozen=True, kw_only=True)
class TrainJob(RunRequest):
    """See ``training.Request``; ``recipe`` is a name, ``settings`` are keys of it."""

    PATHS: ClassVar[tuple[str, ...]] = ("dataset", "out")

    dataset: str = GALLERY
    recipe: str = "quick-head"
    settings: dict[str, Any] = field(default_factory=dict)
    model: str | None = None
    split: str = "auto"
    workers: int | None = None


@dataclass(frozen=True, kw_only=True)
class PretrainJob(RunRequest):
    """See ``PretrainRequest``; ``recipe`` is a name, ``settings`` are keys of it."""

    PATHS: ClassVar[tuple[str, ...]] = ("dataset", "out")

    dataset: str = GALLERY
    method: str | None = None
    recipe: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    model: str | None = None
    workers: int | None = None


@dataclass(frozen=True, kw_only=True)
class FinetuneJob(RunRequest):
    """See ``FinetuneRequest``."""

    PATHS: ClassVar[tuple[str, ...]] = ("run", "dataset", "out")

    run: str
    dataset: str = GALLERY
    recipe: str = "fine_tuning"
    settings: dict[str, Any] = field(default_factory=dict)
    fraction: float = 1.0
    split: str = "auto"
    workers: int | None = None


@dataclass(frozen=True, kw_only=True)
class DistilJob(RunRequest):
    """See ``DistilRequest``."""

    PATHS: ClassVar[tuple[str, ...]] = ("dataset", "labels", "out")

    teacher: str
    student: str
    dataset: str = GALLERY
    labels: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    split: str = "auto"
    workers: int | None = None


@dataclass(frozen=True, kw_only=True)
class SwitchJob(JobRequest):
    """See ``switch``; ``model`` is a run folder, an encoder, or the beginning of a space's fingerprint."""

    GOES_ON: ClassVar[bool] = True

    model: str
    force: bool = False
    workers: int | None = None


@dataclass(frozen=True, kw_only=True)
class DiagnoseJob(JobRequest):
    """See ``DiagnoseRequest``; without a model that of the gallery. Leaves ``page.html`` in the job's folder."""

    PATHS: ClassVar[tuple[str, ...]] = ("dataset",)

    dataset: str = GALLERY
    model: str | None = None
    against: str | None = None
    workers: int | None = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class TemperatureJob(JobRequest):
    """See ``TemperatureRequest``; no values means the usual ones. Leaves ``page.html`` in the job's folder."""

    PATHS: ClassVar[tuple[str, ...]] = ("dataset",)

    dataset: str = GALLERY
    model: str | None = None
    values: tuple[float, ...] = ()
    workers: int | None = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class ProbeJob(JobRequest):
    """See ``ProbeRequest``; without a model that of the gallery."""

    PATHS: ClassVar[tuple[str, ...]] = ("dataset",)

    dataset: str = GALLERY
    model: str | None = None
    workers: int | None = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class AutoLabelsJob(JobRequest):
    """See ``auto_label``; ``least`` is the confidence in [0, 1] below which nothing is said, None the usual one."""

    least: float | None = None


@dataclass(frozen=True, kw_only=True)
class CalibrateJob(JobRequest):
    """See ``calibrate_space``."""


@dataclass(frozen=True, kw_only=True)
class DuplicatesJob(JobRequest):
    """See ``find_duplicates``. Leaves ``duplicates.json`` in the job's folder: the groups."""

    workers: int | None = None


@dataclass(frozen=True, kw_only=True)
class LabelCheckJob(JobRequest):
    """See ``check_labels``. Leaves ``label_check.json`` in the job's folder: the doubts and the outliers."""


@dataclass(frozen=True, kw_only=True)
class MapJob(JobRequest):
    """See ``draw_map``."""


@dataclass(frozen=True, kw_only=True)
class BackupJob(JobRequest):
    """See ``backup``."""

    PATHS: ClassVar[tuple[str, ...]] = ("target",)

    target: str


@dataclass(frozen=True, kw_only=True)
class CheckJob(JobRequest):
    """See ``status``: reads and verifies everything; ``repair`` mends what the data allow."""

    repair: bool = False


KINDS: Mapping[str, type[JobRequest]] = {
    "index": IndexJob,
    "retry": RetryJob,
    "train": TrainJob,
    "pretrain": PretrainJob,
    "finetune": FinetuneJob,
    "distil": DistilJob,
    "switch": SwitchJob,
    "diagnose": DiagnoseJob,
    "temperature": TemperatureJob,
    "probe": ProbeJob,
    "auto-labels": AutoLabelsJob,
    "calibrate": CalibrateJob,
    "duplicates": DuplicatesJob,
    "label-check": LabelCheckJob,
    "map": MapJob,
    "backup": BackupJob,
    "check": CheckJob,
}
"""Every kind of job by its name, which stands in files."""


def request_from(kind: str, values: Mapping[str, Any]) -> JobRequest:
    """A request of a kind.

    Args:
        kind: a key of ``KINDS``.
        values: its fields, as JSON gives them.

    Raises:
        BadValue: an unknown kind or field (the nearest is named), or a value of another type.
    """
    if kind not in KINDS:
        raise BadValue(f"There is no kind of job {kind!r}.", _nearest(kind, list(KINDS)))
    known = KINDS[kind]
    names = [one.name for one in fields(known)]
    for name in values:
        if name not in names:
            raise BadValue(f"A job {kind!r} has no field {name!r}.", _nearest(name, names))
    types = get_type_hints(known)
    missing = [one.name for one in fields(known) if one.name not in values and _is_required(one)]
    if missing:
        raise BadValue(f"A job {kind!r} needs {missing[0]!r}.", "Give it.")
    return known(**{name: _checked(kind, name, value, types[name]) for name, value in values.items()})


def _is_required(one: Field[Any]) -> bool:
    return one.default is MISSING and one.default_factory is MISSING


def _checked(kind: str, name: str, value: Any, wanted: Any) -> Any:
    """``value`` where it is of the wanted type; lists are what JSON has for tuples. Raises BadValue."""
    if isinstance(value, list) and get_origin(wanted) is tuple:
        return tuple(_checked(kind, name, one, get_args(wanted)[0]) for one in value)
    if not _is_a(value, wanted):
        said = "a list" if get_origin(wanted) is tuple else str(getattr(wanted, "__name__", wanted))
        raise BadValue(f"The field {name!r} of a job {kind!r} cannot be {value!r}.", f"It is {said}.")
    return float(value) if wanted is float else value


def _is_a(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, UnionType):
        return any(_is_a(value, one) for one in get_args(wanted))
    if get_origin(wanted) is tuple:
        return isinstance(value, tuple) and all(_is_a(one, get_args(wanted)[0]) for one in value)
    if get_origin(wanted) is dict:
        return isinstance(value, dict) and all(isinstance(key, str) for key in value)
    if wanted in (int, float):
        # To Python, True is a number.
        numbers = (int, float) if wanted is float else (int,)
        return isinstance(value, numbers) and not isinstance(value, bool)
    return isinstance(value, wanted)


def with_absolute_paths(request: JobRequest) -> JobRequest:
    """The request with nothing in it that depends on the current folder: a job has another one."""
    changed: dict[str, Any] = {}
    for name in request.PATHS:
        value = getattr(request, name)
        if isinstance(value, tuple):
            changed[name] = tuple(map(_absolute, value))
        elif value and value != GALLERY:
            changed[name] = _absolute(value)
    # A model may be a name; it is a path only where there is one.
    for name in ("model", "against", "teacher", "student"):
        value = getattr(request, name, None)
        if isinstance(value, str) and os.path.exists(os.path.expanduser(value)):
            changed[name] = _absolute(value)
    return replace(request, **changed)


def _nearest(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(known)}."


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))
