"""``retrieval probe``."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from retrieval.cli.index import stopping
from retrieval.cli.live import TrainingDisplay
from retrieval.cli.options import GalleryOption, JsonOption, WorkersOption, gallery_folder
from retrieval.cli.say import print_json, results, table, warn
from retrieval.core.text import shown

if TYPE_CHECKING:
    from retrieval.functional.metrics import Interval
    from retrieval.workflows.probing import ProbeReport


def probe(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET",
            help="A folder of class folders (or with train/ and test/), a CSV with path,label[,split], "
            "or the word gallery: its labels.",
        ),
    ],
    model: Annotated[
        str, typer.Option("--model", metavar="M", help="An encoder folder, a run's encoder, or a timm name.")
    ],
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the draws of few labels and of the intervals.")] = 0,
    workers: WorkersOption = None,
    gallery: GalleryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Probe an encoder's frozen embeddings: kNN accuracy, and a linear probe with all, 10 % and 1 % of the labels.

    The parts that the dataset names are taken; without any, a split is drawn once and kept.

    Draws of few labels take equally many of each label, and each is reported apart.
    """
    from retrieval.workflows.hooks import Hooks
    from retrieval.workflows.probing import ProbeRequest
    from retrieval.workflows.probing import probe as run

    request = ProbeRequest(dataset, model, gallery_folder(gallery), workers, seed)
    with stopping() as stop, TrainingDisplay().shown() as display:
        report = run(request, hooks=Hooks(warn, display.working, stop.is_set))
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report)


def _print(report: "ProbeReport") -> None:
    rows = table("", ">labels", f">{shown(report.model)}", "95 % interval")
    for k, found in report.knn.items():
        rows.add_row(f"kNN accuracy, k = {k}", f"{report.train:,}", *_figures(found.accuracy))
    rows.add_row("linear probe, all labels", f"{report.train:,}", *_figures(report.linear.classified.accuracy))
    for one in report.few:
        name = f"linear probe, {one.share:.0%} of the labels, {one.per_class} each"
        # At least one of each label is drawn: that can be more than was asked for.
        rows.add_row(name, f"{one.labels:,} ({one.labels / one.of:.1%})", *_figures(one.accuracy))
        for draw in one.draws:
            rows.add_row(f"  draw {draw.seed}", "", *_figures(draw.probe.classified.accuracy))
    results.print(rows)
    left_out = f"; {report.excluded:,} of labels that are not learned are left out" if report.excluded else ""
    measured = report.test - report.excluded
    results.print(
        escape(f"{measured:,} test images of {report.classes:,} labels, {report.kind} split{left_out}. ")
        + "kNN votes weigh exp(cosine / 0.07)."
    )


def _figures(found: "Interval") -> tuple[str, str]:
    return f"{found.mean:.3f}", f"{found.low:.3f} to {found.high:.3f}"
