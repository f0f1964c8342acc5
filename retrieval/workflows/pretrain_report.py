"""The report page of a run without labels."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retrieval.core.labelled import Labelled
from retrieval.core.text import shown
from retrieval.core.types import NO_ID, Vectors
from retrieval.evaluation.comparison import Comparison
from retrieval.evaluation.neighbourhood import neighbours
from retrieval.evaluation.pictures import QueryRow, QuerySection, Ranking
from retrieval.evaluation.report import Report, write_report
from retrieval.functional.diagnostics import sample
from retrieval.training.loop import Fitted
from retrieval.workflows.alarm_notes import alarm_notes
from retrieval.workflows.recipes import ViewRecipe
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.run_report import MATCHES, ROWS, Pictures, picture_of, query_sections, training_charts
from retrieval.workflows.words import count, verb


@dataclass(frozen=True)
class Embedded:
    """What start and result make of the images that were looked at.

    Attributes:
        images: n of them; ids of a comparison are places among them.
        before, after: [n, D] their embeddings, unit norm.
    """

    images: Labelled
    before: Vectors
    after: Vectors


def write_pretrain_report(
    run: RunFolder,
    said: Mapping[str, Any],
    recipe: ViewRecipe,
    both: Embedded,
    comparison: Comparison | None,
    fitted: Fitted,
    pictures: Pictures,
) -> None:
    """Write ``report.html``.

    Args:
        run: where to.
        said: the run's report as values.
        recipe: as it was resolved.
        both: the images with their embeddings, for the rows of pictures.
        comparison: start against result on known labels, where there are any.
        fitted: the course of the training.
        pictures: gives the pictures of the rows.
    """
    report = Report(
        title=f"{recipe.name} on {shown(said['dataset'])}, without labels",
        subtitle=recipe.summary,
        facts=_facts(said),
        notes=_notes(said, comparison),
        comparison=comparison,
        label_free=[
            (name, before.replace("-", "−"), after.replace("-", "−"), _MEANINGS[name])
            for name, before, after in diagnostic_rows(said["metrics"])
        ],
        class_names=[shown(name) for name in both.images.classes],
        charts=training_charts("without labels", fitted),
        queries=[neighbours_section(both, pictures)]
        if comparison is None
        else query_sections(both.images, comparison, pictures),
        details=[("The recipe as it was resolved", json.dumps(recipe.to_dict(), indent=2, default=str))],
    )
    write_report(run.report, report)


def neighbours_section(both: Embedded, pictures: Pictures) -> QuerySection:
    """Rows of pictures where no label says which neighbour is right: some images, always the same, and the nearest ones
    of each before and after."""
    images, count = both.images.images, len(both.images)
    asked = sample(count, ROWS).tolist()
    rankings = {name: neighbours(v, MATCHES)[asked] for name, v in (("Before", both.before), ("After", both.after))}
    shown_ones = {*asked, *(int(i) for found in rankings.values() for i in found.ravel() if i != NO_ID)}
    small = pictures([images[i].path for i in sorted(shown_ones)])
    rows = [
        QueryRow(
            picture_of(images[place], small),
            [
                Ranking(name, "", math.nan, [picture_of(images[i], small) for i in found[row].tolist() if i != NO_ID])
                for name, found in rankings.items()
            ],
        )
        for row, place in enumerate(asked)
    ]
    said = f"Some pictures, drawn without choosing, and the nearest ones of each among {count:,}. Judge for yourself."
    return QuerySection("Neighbours before and after", said, rows)


_ALIGNMENT, _UNIFORMITY, _RANK = "Alignment of two views", "Uniformity", "Effective rank"
_LEAST, _MEDIAN = "Spread of a dimension, least", "Spread of a dimension, median"

_MEANINGS = {
    _ALIGNMENT: "mean squared distance of two views of a picture, 0 to 4; low is good, unless all pictures are alike",
    _UNIFORMITY: "−8 to 0, the lower the more evenly the pictures are spread over the sphere",
    _RANK: "directions in use (RankMe), at most as many as images or dimensions",
    _LEAST: "standard deviation × √D: 1 evenly spread, 0 a dead dimension",
    _MEDIAN: "the same of the middle one",
}


def diagnostic_rows(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(name, before, after) of what can be said without labels, for people."""
    before, after = metrics["label_free"]["before"], metrics["label_free"]["after"]
    names = ((_ALIGNMENT, "alignment"), (_UNIFORMITY, "uniformity"), (_RANK, "effective_rank"))
    rows = [(name, f"{before[key]:.3g}", f"{after[key]:.3g}") for name, key in names]
    for name, part in ((_LEAST, "least"), (_MEDIAN, "median")):
        rows.append((name, f"{before['std'][part]:.3g}", f"{after['std'][part]:.3g}"))
    return rows


def _facts(said: Mapping[str, Any]) -> dict[str, str]:
    free = said["metrics"]["label_free"]["after"]
    return {
        "Start": str(said["start"]),
        "Recipe": f"{said['recipe']}, method {said['method']}",
        "Images": f"{said['images']:,}, of which {said['labelled']:,} have a label",
        "Training": f"{count(said['epochs'], 'epoch')}, {count(said['steps'], 'step')}",
        "Diagnostics": f"of {free['sample']:,} images and embeddings of {free['dimension']:,} dimensions",
        "Result": f"{said['fingerprint'][:12]}, in the folder encoder",
        "Time": f"{said['seconds']:.0f} s",
    }


def _notes(said: Mapping[str, Any], comparison: Comparison | None) -> list[str]:
    notes = alarm_notes(said["metrics"]["alarms"])
    if comparison is not None:
        notes.append(
            "The labels were used neither for training nor for choosing, only for this comparison: the images search "
            f"{said['metrics']['labelled']['way']}."
        )
    if said["unreadable"]:
        are = verb(said["unreadable"])
        notes.append(f"{count(said['unreadable'], 'image')} could not be read and {are} left out.")
    return notes
