"""``retrieval diagnose``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from retrieval.cli.index import stopping
from retrieval.cli.live import TrainingDisplay
from retrieval.cli.options import GalleryOption, JsonOption, WorkersOption, gallery_folder
from retrieval.cli.say import note, print_json, results, table, warn
from retrieval.core.text import shown

if TYPE_CHECKING:
    from retrieval.evaluation.diagnosis_figures import Measured
    from retrieval.functional.metrics import Interval
    from retrieval.workflows.diagnosing import DiagnoseReport


def diagnose(
    dataset: Annotated[
        str,
        typer.Argument(metavar="FOLDER", help="Images, with class folders or without; a CSV; or the word gallery."),
    ],
    model: Annotated[
        str, typer.Option("--model", metavar="M", help="An encoder folder, a run's folder, or a timm name.")
    ],
    against: Annotated[
        str | None, typer.Option("--against", metavar="M2", help="Put this encoder beside it, with differences.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.html", help="Write a page with pictures, in one file.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the intervals and of draws.")] = 0,
    workers: WorkersOption = None,
    gallery: GalleryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Diagnose an encoder's embedding of your pictures: collapse, spread, hubs, invariance, granularity, and alarms.

    Works with labels and without. A sample of the pictures is also turned, mirrored, cropped and recoloured.
    """
    from retrieval.workflows.diagnosing import DiagnoseRequest, diagnose_model
    from retrieval.workflows.hooks import Hooks

    request = DiagnoseRequest(dataset, model, against, out, gallery_folder(gallery), workers, seed)
    with stopping() as stop, TrainingDisplay().shown() as display:
        report = diagnose_model(request, hooks=Hooks(warn, display.working, stop.is_set))
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report)


def _print(report: "DiagnoseReport") -> None:
    _print_figures(report)
    _print_changes(report)
    ringing = [one for one in report.alarms if one.rings]
    for one in ringing:
        results.print(f"[bold red]Alarm:[/] {escape(one.alarm.name)} ({one.value:.3f}). {escape(one.alarm.advice)}")
    if not ringing:
        results.print(f"[bold green]No alarm[/] of {len(report.alarms)} rings.")
    if report.out is not None:
        results.print(f"Page: {escape(shown(str(report.out)))}")
    else:
        note("A page with pictures: --out FILE.html")


def _print_figures(report: "DiagnoseReport") -> None:
    if report.against is None:
        rows = table("", f">{shown(report.model)}", "95 % interval", "meaning")
        for one in report.figures:
            rows.add_row(one.figure.name, _number(one.after), _range(one.after), one.figure.meaning)
    else:
        rows = table("", f">{shown(report.against)}", f">{shown(report.model)}", ">difference", "95 % interval")
        for one in report.figures:
            before = "–" if one.before is None else _number(one.before)
            rows.add_row(one.figure.name, before, _number(one.after), *_difference(one))
    results.print(rows)


def _print_changes(report: "DiagnoseReport") -> None:
    if not report.found.invariance:
        return
    rows = table("changed picture", ">cosine", "95 % interval", ">found again", "95 % interval")
    for one in report.found.invariance:
        rows.add_row(one.look.name, _number(one.cosine), _range(one.cosine), _number(one.recall), _range(one.recall))
    results.print(rows)


def _number(value: "float | Interval") -> str:
    from retrieval.evaluation.diagnosis_figures import mean

    return f"{mean(value):.3f}"


def _range(value: "float | Interval | None") -> str:
    return "" if value is None or isinstance(value, float) else f"{value.low:.3f} to {value.high:.3f}"


def _difference(one: "Measured") -> tuple[str, str]:
    if one.difference is None:
        return "–", ""
    if isinstance(one.difference, float):
        return f"{one.difference:+.3f}", ""
    return f"{one.difference.mean:+.3f}", f"{one.difference.low:+.3f} to {one.difference.high:+.3f}"
