"""``retrieval evaluate``."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from retrieval.cli.index import stopping
from retrieval.cli.live import TrainingDisplay
from retrieval.cli.options import GalleryOption, JsonOption, WorkersOption, gallery_folder
from retrieval.cli.say import print_json, results, table, warn
from retrieval.cli.train import metric_name
from retrieval.core.text import shown

if TYPE_CHECKING:
    from retrieval.workflows.evaluating import EvaluateReport

_Model = Annotated[str, typer.Option("--model", metavar="M", help="An encoder folder, a run's folder, or a timm name.")]


def evaluate(
    model: _Model,
    dataset: Annotated[
        str | None,
        typer.Argument(metavar="[DATASET]", help="A folder of class folders, a CSV, or the word gallery."),
    ] = None,
    against: Annotated[
        str | None, typer.Option("--against", metavar="M2", help="Compare with this encoder, query by query.")
    ] = None,
    queries: Annotated[str | None, typer.Option("--queries", metavar="DIR", help="Labelled queries ...")] = None,
    database: Annotated[
        str | None, typer.Option("--database", metavar="DIR", help="... and the labelled images they search.")
    ] = None,
    split: Annotated[
        str, typer.Option("--split", metavar="S", help="all, or the part train, val or test of the stored split.")
    ] = "all",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the intervals.")] = 0,
    workers: WorkersOption = None,
    gallery: GalleryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure an encoder on labelled images: recall, MAP@R and more, with 95 % intervals."""
    from retrieval.workflows.evaluating import EvaluateRequest
    from retrieval.workflows.evaluating import evaluate as run
    from retrieval.workflows.hooks import Hooks

    request = EvaluateRequest(dataset, model, against, queries, database, split, gallery_folder(gallery), workers, seed)
    with stopping() as stop, TrainingDisplay().shown() as display:
        report = run(request, hooks=Hooks(warn, display.working, stop.is_set))
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report)


def _print(report: "EvaluateReport") -> None:
    if report.comparison is None:
        rows = table("", f">{shown(report.model)}", "95 % interval")
        for name, found in report.result.intervals.items():
            rows.add_row(metric_name(name), f"{found.mean:.3f}", f"{found.low:.3f} to {found.high:.3f}")
    else:
        rows = table("", f">{shown(report.against or '')}", f">{shown(report.model)}", ">difference", "95 % interval")
        for name, change in report.comparison.changes.items():
            gap = change.difference
            rows.add_row(
                metric_name(name),
                f"{change.before.mean:.3f}",
                f"{change.after.mean:.3f}",
                f"{gap.mean:+.3f}",
                f"{gap.low:+.3f} to {gap.high:+.3f}",
            )
    results.print(rows)
    singletons = (
        f"; {report.result.singletons:,} without an image of their label are left out"
        if report.result.singletons
        else ""
    )
    results.print(escape(f"{report.result.counted:,} queries: {report.way}{singletons}."))
