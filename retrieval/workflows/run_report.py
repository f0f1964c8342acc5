"""The report page of a training run."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from retrieval.core.labelled import Labelled, LabelledImage
from retrieval.core.settings import Settings, available_cores
from retrieval.core.text import shown
from retrieval.evaluation.comparison import Comparison
from retrieval.evaluation.pictures import Picture, QuerySection
from retrieval.evaluation.report import Report, query_rows, write_report
from retrieval.evaluation.svg import Chart, Series
from retrieval.images.jobs import MakeView
from retrieval.images.pool import DecodePool
from retrieval.training.loop import Fitted
from retrieval.workflows.alarm_notes import alarm_notes, alarms_of
from retrieval.workflows.proof import Proof
from retrieval.workflows.recipes import Recipe, ViewRecipe
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.words import count, verb

ROWS = 6
SIDE = 112
MATCHES = 6

Pictures = Callable[[list[bytes]], dict[bytes, bytes]]
"""From paths to small JPEGs; a path that cannot be shown is left out."""


def write_run_report(
    run: RunFolder,
    said: Mapping[str, Any],
    recipe: Recipe | ViewRecipe,
    labelled: Labelled,
    proof: Proof,
    fitted: Sequence[tuple[str, Fitted]],
    pictures: Pictures,
    facts: Mapping[str, str],
) -> None:
    """Write ``report.html``.

    Args:
        run: where to.
        said: the run's report as values.
        recipe: as it was resolved.
        labelled: the dataset; ids in the proof are places in it.
        proof: start against result.
        fitted: title and course of each part of the training.
        pictures: gives the pictures of the rows.
        facts: further lines: term and value.
    """
    calibration = proof.confirmed
    report = Report(
        title=f"{recipe.name} on {shown(said['dataset'])}",
        subtitle=recipe.summary,
        facts=_facts(said, proof) | dict(facts),
        notes=[note for title, one in fitted for note in alarm_notes(alarms_of(one), title)] + _notes(said),
        comparison=proof.comparison,
        class_names=[shown(name) for name in labelled.classes],
        charts=[chart for title, one in fitted for chart in training_charts(title, one)],
        reliability=None if calibration is None else calibration.reliability,
        threshold=None if calibration is None else calibration.threshold,
        queries=query_sections(labelled, proof.comparison, pictures),
        details=[("The recipe as it was resolved", json.dumps(recipe.to_dict(), indent=2, default=str))],
    )
    write_report(run.report, report)


def training_charts(title: str, fitted: Fitted) -> list[Chart]:
    """Loss, validation and diagnostics over the steps of one part of the training."""
    steps = [line for line in fitted.history if line.get("kind") == "step"]
    checks = [line for line in fitted.history if line.get("kind") == "validation"]
    series = [
        ("loss", "Loss", [(line["step"], line["loss"]) for line in steps]),
        ("validation", "Validation MAP@R", [(line["step"], line["value"]) for line in checks]),
        ("active", "Share of active pairs", _points(steps, "active")),
        ("alignment", "Alignment", _points(steps, "alignment")),
        ("uniformity", "Uniformity", _points(steps, "uniformity")),
        ("rank", "Effective rank", _points(steps, "effective_rank")),
    ]
    return [
        Chart(f"{name}: {title.lower()}", "step", name, [Series(key, [x for x, _ in points], [y for _, y in points])])
        for key, name, points in series
        if len(points) > 1
    ]


def _points(lines: Sequence[Mapping[str, Any]], key: str) -> list[tuple[float, float]]:
    return [(line["step"], line[key]) for line in lines if line.get(key) is not None]


def small_pictures(
    paths: Sequence[bytes], settings: Settings, workers: int | None, side: int = 2 * SIDE
) -> dict[bytes, bytes]:
    """Small JPEGs of image files, made in killable processes; what cannot be shown is left out."""
    found: dict[bytes, bytes] = {}
    with DecodePool(workers or available_cores(), settings.limits, settings.plugins) as pool:
        futures = {path: pool.submit(MakeView(path=path, side=side, kind="full")) for path in dict.fromkeys(paths)}
        for path, future in futures.items():
            view = future.result()
            if view.error is None and view.content is not None:
                found[path] = view.content
    return found


def _facts(said: Mapping[str, Any], proof: Proof) -> dict[str, str]:
    parts = said["parts"]
    return {
        "Start": str(said["start"]),
        "Recipe": str(said["recipe"]),
        "Images": f"{said['images']:,} of {said['classes']:,} classes",
        "Split": f"{said['split']}: {parts['train']:,} train, {parts['val']:,} choose, {parts['test']:,} prove",
        "Queries": f"the images that prove search {proof.way}",
        "Result": f"{said['fingerprint'][:12]}, in the folder encoder",
        "Time": f"{said['seconds']:.0f} s",
    }


def _notes(said: Mapping[str, Any]) -> list[str]:
    notes = []
    leaking = said["metrics"]["split"]["leaks"]
    if leaking:
        stand = verb(leaking, "stands", "stand")
        notes.append(f"{count(leaking, 'group')} of equal or nearly equal images {stand} on two sides of the split.")
    if said["left_out"]:
        left, are = count(said["left_out"], "image"), verb(said["left_out"])
        notes.append(f"{left} {are} in no part, because a near-duplicate stands on another side.")
    if said["unreadable"]:
        notes.append(f"{count(said['unreadable'], 'image')} could not be read.")
    return notes


def query_sections(labelled: Labelled, comparison: Comparison, pictures: Pictures) -> list[QuerySection]:
    """Rows of pictures: queries that gained, that lost, and that are still the worst.

    Args:
        labelled: ids of the comparison are places in it.
        comparison: start against result.
        pictures: gives the pictures.
    """
    chosen = {
        ("Queries that gained most", "The same query with the start encoder and with the trained one."): [
            change.place for change in comparison.improved(ROWS)
        ],
        ("Queries that lost most", "Where the trained encoder is worse than the start."): [
            change.place for change in comparison.worsened(ROWS)
        ],
        ("The worst queries of all", "What the trained encoder still gets wrong."): comparison.after.worst(ROWS),
    }
    results = {"Before": comparison.before, "After": comparison.after}
    places = sorted({place for some in chosen.values() for place in some})
    ids = {int(comparison.after.query_ids[place]) for place in places}
    for result in results.values():
        ids |= {int(i) for i in result.matches.ids[places, :MATCHES].ravel() if i >= 0} if places else set()
    small = pictures([labelled.images[i].path for i in sorted(ids)])

    def picture(number: int) -> Picture:
        return picture_of(labelled.images[number], small)

    return [
        QuerySection(title, explanation, query_rows(some, results, picture, shown=MATCHES))
        for (title, explanation), some in chosen.items()
        if some
    ]


def picture_of(image: LabelledImage, small: Mapping[bytes, bytes]) -> Picture:
    """An image for a row; ``small`` holds JPEGs by path."""
    return Picture(small.get(image.path), shown(image.label), shown(os.path.basename(os.fsdecode(image.path))))
