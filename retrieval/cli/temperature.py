"""``retrieval temperature``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from retrieval.cli.index import stopping
from retrieval.cli.live import TrainingDisplay
from retrieval.cli.options import GalleryOption, JsonOption, ModelOption, WorkersOption, gallery_folder
from retrieval.cli.say import note, print_json, results, table, warn
from retrieval.cli.train import DatasetArgument
from retrieval.core.errors import BadValue
from retrieval.core.text import shown

if TYPE_CHECKING:
    from retrieval.workflows.temperature_study import TemperatureReport


def temperature(
    dataset: DatasetArgument,
    model: ModelOption = None,
    values: Annotated[
        str | None,
        typer.Option(
            "--values", metavar="T1,T2,...", help="The temperatures.", show_default="0.01 to 1, eight of them"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.html", help="Write a page with curves, in one file.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the first training and of the intervals.")] = 0,
    workers: WorkersOption = None,
    gallery: GalleryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Study the temperature of the contrastive loss: which one to take, why, and how sure that is.

    Projections are trained on frozen embeddings, seconds each, and measured on validation images.
    """
    from retrieval.workflows.hooks import Hooks
    from retrieval.workflows.temperature_study import VALUES, TemperatureRequest, study_temperature

    taus = VALUES if values is None else _values(values)
    request = TemperatureRequest(dataset, model, taus, out, gallery_folder(gallery), workers, seed)
    with stopping() as stop, TrainingDisplay().shown() as display:
        report = study_temperature(request, hooks=Hooks(warn, display.working, stop.is_set))
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report)


def _values(given: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in given.split(",") if part.strip())
    except ValueError as error:
        raise BadValue(f"{given!r} is no list of numbers.", "Write them as 0.05,0.1,0.2.") from error


def _print(report: "TemperatureReport") -> None:
    rows = table(
        ">temperature", ">MAP@R", "95 % interval", ">behind", "95 % interval", ">recall@1", ">uniformity",
        ">tolerance", ">negatives",
    )  # fmt: skip
    best = report.recommended.temperature
    for one in report.found:
        gap = one.behind
        taken = one.temperature == best
        rows.add_row(
            f"{one.temperature:g}",
            f"{one.precision.mean:.3f}",
            f"{one.precision.low:.3f} to {one.precision.high:.3f}",
            "" if taken else f"{gap.mean:+.3f}",
            "" if taken else f"{gap.low:+.3f} to {gap.high:+.3f}",
            f"{one.recall.mean:.3f}",
            f"{one.uniformity:.2f}",
            f"{one.tolerance:.3f}",
            f"{one.effective:.1f}",
            style="bold" if taken else None,
        )
    results.print(rows)
    said = f"{report.queries:,} validation queries, {report.recommended.seeds} seeds, {report.steps} steps each."
    results.print(f"{said} Negatives: the effective number that one image pushes away, after training.")
    results.print(f"[bold]Take {best:g}.[/] {report.recommended.reason} {report.recommended.uncertainty}")
    note(f"Train with it: --recipe quick-head --set supervised_contrastive.temperature={best:g}")
    if report.out is not None:
        results.print(f"Page: {escape(shown(str(report.out)))}")
    else:
        note("A page with curves: --out FILE.html")
