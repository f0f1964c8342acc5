"""What a training run on a gallery's labels has brought, ready to be shown: figures, labels, queries with their ids."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from retrieval.core.errors import BadValue, RetrievalError
from retrieval.core.settings import Settings
from retrieval.evaluation.comparison import Verdict, judge
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.gate import evidence_against
from retrieval.workflows.jobs.job import Job
from retrieval.workflows.jobs.requests import RunRequest, request_from
from retrieval.workflows.layout import Layout
from retrieval.workflows.query_changes import FILE as QUERIES
from retrieval.workflows.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class Range:
    """A mean, and the 95 % interval around it."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Gain:
    """One metric, before and after, and their paired difference."""

    before: Range
    after: Range
    difference: Range


@dataclass(frozen=True, slots=True)
class ClassGain:
    """Mean MAP@R of the queries of one label, before and after."""

    label: str
    queries: int
    before: float
    after: float

    @property
    def difference(self) -> float:
        """What the label gained; negative where it lost."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Shown:
    """An image of the gallery.

    Attributes:
        id: its number; None where the gallery does not hold it any more.
        label: as the training knew it.
        right: it has the query's label.
    """

    id: int | None
    label: str
    right: bool = True


@dataclass(frozen=True, slots=True)
class QueryRow:
    """One query, and what was found for it first, before and after."""

    query: Shown
    before: tuple[Shown, ...]
    after: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a run has proven.

    Attributes:
        recipe: its name.
        start, result: fingerprints of the encoders before and after.
        queries: held-out images that searched.
        recall, map_at_r: first match right; share of all matches that are ranked first.
        verdict: ``"better"``, ``"worse"`` or ``"open"``, by the rule of today, whatever the run was told when it ended.
        perfect: both metrics were 1 before and after: nothing could be proven.
        leaks: groups of near-duplicates on two sides of the split.
        refusals: what the gate says against it, in English; none where it is proven better.
        classes: per label, greatest gain first.
        better, worse: the queries that changed most; none from a run of an older version.
        live: the result's space is live.
        outdated: the live space is neither the start nor the result: the comparison is with another encoder.
        known: the gallery holds a space of the result.
        report: the run has its page.
    """

    recipe: str
    start: str
    result: str
    queries: int
    recall: Gain
    map_at_r: Gain
    verdict: Verdict
    perfect: bool
    leaks: int
    refusals: tuple[str, ...]
    classes: tuple[ClassGain, ...]
    better: tuple[QueryRow, ...]
    worse: tuple[QueryRow, ...]
    live: bool
    outdated: bool
    known: bool
    report: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


def run_of(folder: Path, job: Job) -> Path | None:
    """The folder of the run that a job makes; None for a job that makes none.

    Args:
        folder: the gallery's.
        job: one of its jobs.
    """
    try:
        request = request_from(job.kind, job.request)
    except BadValue:
        return None
    return Path(request.folder(job.id, str(Layout(folder).runs))) if isinstance(request, RunRequest) else None


def read_lesson(folder: Path, run: Path, settings: Settings | None = None) -> Lesson:
    """What a finished run has proven, as the gallery stands now.

    Args:
        folder: the gallery's.
        run: the run's folder.
        settings: from the environment by default.

    Raises:
        NoSuchPath: there is no run, or it did not end.
        BadValue: its files are damaged.
        EmptyGallery: nothing is indexed.
    """
    kept = RunFolder(run)
    metrics = kept.read(kept.metrics.name)
    rows = _rows(kept)
    with Gallery(folder, settings) as gallery:
        live = gallery.live_space().fingerprint
        spaces = {space.fingerprint for space in gallery.catalog.spaces.all()}
        contents = sorted({bytes.fromhex(one["content"]) for one in _images(rows) if one.get("content")})
        ids = gallery.catalog.images.by_content(contents)
    try:
        return _lesson(kept, metrics, rows, ids, live, spaces)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadValue(f"The run {run} cannot be read: {type(error).__name__}.", "Train again.") from error


def _lesson(
    run: RunFolder,
    metrics: Mapping[str, Any],
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    ids: Mapping[bytes, int],
    live: str,
    spaces: set[str],
) -> Lesson:
    recall, map_at_r = (_gain(metrics["comparison"][name]) for name in ("recall_at_1", "map_at_r"))
    start, result = metrics["start"]["fingerprint"], metrics["result"]["fingerprint"]
    classes = [ClassGain(c["label"], c["queries"], c["before"], c["after"]) for c in metrics["classes"]]
    better, worse = (tuple(_row(row, ids) for row in rows.get(side, ())) for side in ("better", "worse"))
    return Lesson(
        recipe=str(run.read("recipe.json")["recipe"]["name"]),
        start=start,
        result=result,
        queries=metrics["after"]["queries"],
        recall=recall,
        map_at_r=map_at_r,
        verdict=judge(_ends(recall), _ends(map_at_r)),
        perfect=all(gain.before.mean == 1.0 == gain.after.mean for gain in (recall, map_at_r)),
        leaks=int(metrics["split"]["leaks"]),
        refusals=tuple(refusal.why for refusal in evidence_against(run, None if live == result else live)),
        classes=tuple(sorted(classes, key=lambda one: -one.difference)),
        better=better,
        worse=worse,
        live=result == live,
        outdated=live not in (start, result),
        known=result in spaces,
        report=run.report.is_file(),
    )


def _rows(run: RunFolder) -> Mapping[str, Any]:
    """An older version wrote none; they are extras, and no reason not to show the figures."""
    try:
        found = run.read(QUERIES)
    except RetrievalError:
        return {}
    return found if isinstance(found, Mapping) else {}


def _images(rows: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        image
        for side in ("better", "worse")
        for row in rows.get(side, ())
        for image in (row["query"], *row["before"], *row["after"])
    ]


def _row(row: Mapping[str, Any], ids: Mapping[bytes, int]) -> QueryRow:
    def shown(image: Mapping[str, Any]) -> Shown:
        content = image.get("content")
        known = ids.get(bytes.fromhex(content)) if content else None
        return Shown(known, image["label"], bool(image.get("right", True)))

    return QueryRow(shown(row["query"]), tuple(map(shown, row["before"])), tuple(map(shown, row["after"])))


def _gain(found: Mapping[str, Any]) -> Gain:
    return Gain(_range(found["before"]), _range(found["after"]), _range(found))


def _ends(gain: Gain) -> tuple[float, float]:
    return gain.difference.low, gain.difference.high


def _range(found: Mapping[str, Any]) -> Range:
    return Range(float(found["mean"]), float(found["low"]), float(found["high"]))
