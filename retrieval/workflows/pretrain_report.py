"""The report page of a run without labels."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from retrieval.core.text import shown
from retrieval.evaluation.comparison import Comparison
from retrieval.evaluation.report import Report, write_report
from retrieval.training.loop import Fitted
from retrieval.workflows.alarm_notes import alarm_notes
from retrieval.workflows.recipes import ViewRecipe
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.run_report import training_charts
from retrieval.workflows.words import count, verb


def write_pretrain_report(
    run: RunFolder,
    said: Mapping[str, Any],
    recipe: ViewRecipe,
    classes: Sequence[str],
    comparison: Comparison | None,
    fitted: Fitted,
) -> None:
    """Write ``report.html``.

    Args:
        run: where to.
        said: the run's report as values.
        recipe: as it was resolved.
        classes: the label of each class number of the comparison.
        comparison: start against result on known labels, where there are any.
        fitted: the course of the training.
    """
    report = Report(
        title=f"{recipe.name} on {shown(said['dataset'])}, without labels",
        subtitle=recipe.summary,
        facts=_facts(said),
        notes=_notes(said, comparison),
        comparison=comparison,
        class_names=[shown(name) for name in classes],
        charts=training_charts("without labels", fitted),
        details=[("The recipe as it was resolved", json.dumps(recipe.to_dict(), indent=2, default=str))],
    )
    write_report(run.report, report)


def diagnostic_rows(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(name, before, after) of what can be said without labels, for people."""
    before, after = metrics["label_free"]["before"], metrics["label_free"]["after"]
    names = (
        ("Alignment of two views", "alignment"),
        ("Uniformity", "uniformity"),
        ("Effective rank", "effective_rank"),
    )
    rows = [(name, f"{before[key]:.3g}", f"{after[key]:.3g}") for name, key in names]
    for part in ("least", "median"):
        rows.append((f"Spread of a dimension, {part}", f"{before['std'][part]:.3g}", f"{after['std'][part]:.3g}"))
    return rows


def _facts(said: Mapping[str, Any]) -> dict[str, str]:
    free = said["metrics"]["label_free"]["after"]
    diagnostics = {name: f"{before} before, {after} after" for name, before, after in diagnostic_rows(said["metrics"])}
    return {
        "Start": str(said["start"]),
        "Recipe": f"{said['recipe']}, method {said['method']}",
        "Images": f"{said['images']:,}, of which {said['labelled']:,} have a label",
        "Training": f"{count(said['epochs'], 'epoch')}, {count(said['steps'], 'step')}",
        **diagnostics,
        "Diagnostics": f"of {free['sample']:,} images and embeddings of {free['dimension']:,} dimensions",
        "Result": f"{said['fingerprint'][:12]}, in the folder encoder",
        "Time": f"{said['seconds']:.0f} s",
    }


def _notes(said: Mapping[str, Any], comparison: Comparison | None) -> list[str]:
    notes = alarm_notes(said["metrics"]["alarms"])
    if comparison is not None:
        notes.append(
            "The labels were used neither for training nor for choosing, only for this comparison. The images "
            f"themselves were trained on: {said['metrics']['labelled']['way']}."
        )
    if said["unreadable"]:
        are = verb(said["unreadable"])
        notes.append(f"{count(said['unreadable'], 'image')} could not be read and {are} left out.")
    return notes
