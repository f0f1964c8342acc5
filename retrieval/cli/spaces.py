"""``retrieval spaces``, ``retrieval switch`` and ``retrieval rollback``."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from retrieval.cli.index import stopping
from retrieval.cli.options import GalleryOption, JsonOption, WorkersOption, YesOption, gallery_folder
from retrieval.cli.say import ask, duration, messages, note, on_a_terminal, print_json, results, size, table, warn
from retrieval.core.errors import BadValue, Interrupted
from retrieval.core.text import shown
from retrieval.workflows.words import count

if TYPE_CHECKING:
    from retrieval.workflows.index_report import Progress
    from retrieval.workflows.spaces import SpaceInfo
    from retrieval.workflows.switch_estimate import SwitchEstimate
    from retrieval.workflows.switching import SwitchReport

_SHORT = 16
_SKIPPED_SHOWN = 10


def spaces(
    gallery: GalleryOption = None,
    drop: Annotated[
        str | None, typer.Option("--drop", metavar="FINGERPRINT", help="Remove a space that is not live.")
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure, on the gallery's labels, what scores of the live space mean.")
    ] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the embedding spaces of the gallery; drop one, or calibrate the live one."""
    from retrieval.workflows import spaces as workflow

    folder = gallery_folder(gallery)
    if drop is not None and calibrate:
        raise BadValue("--drop and --calibrate exclude each other.", "Choose one.")
    if calibrate:
        _calibrate(folder, as_json)
        return
    if drop is not None:
        _drop(folder, drop, yes, as_json)
        return
    listed = workflow.spaces(folder)
    if as_json:
        print_json([space.to_dict() for space in listed])
        return
    rows = table("space", "model", "state", ">covers", ">disk", "probabilities")
    for space in listed:
        state = "[green]live[/]" if space.live else "a rollback leads here" if space.back else "not live"
        trained = "" if space.trained else " [yellow](untrained)[/]"
        covers = f"{space.covered:,} of {space.total:,}"
        known = "yes" if space.calibrated else "not calibrated"
        model = escape(shown(space.model)) + trained
        rows.add_row(space.fingerprint[:_SHORT], model, state, covers, size(space.bytes), known)
    results.print(rows)
    for space in listed:
        for why in space.forced:
            warn(f"The live space was forced: {why}")


def _drop(folder: Path, fingerprint: str, yes: bool, as_json: bool) -> None:
    from retrieval.workflows import spaces as workflow

    listed = [space for space in workflow.spaces(folder) if space.fingerprint.startswith(fingerprint.strip().lower())]
    if len(listed) == 1 and not listed[0].live:
        ask(_drop_question(listed[0]), yes)
    dropped = workflow.drop_space(folder, fingerprint)
    if as_json:
        print_json(dropped.to_dict())
    else:
        freed = size(dropped.bytes)
        results.print(f"Dropped {dropped.fingerprint[:_SHORT]} ({escape(shown(dropped.model))}); {freed} freed.")


def _drop_question(space: "SpaceInfo") -> str:
    back = " A rollback would lead there; it will not any more." if space.back else ""
    embedded = count(space.covered, "embedding")
    return f"Drop the space {space.fingerprint[:_SHORT]} ({shown(space.model)}) with its {embedded}?{back}"


def _calibrate(folder: Path, as_json: bool) -> None:
    from retrieval.evaluation.calibration import MOST_GROWTH
    from retrieval.evaluation.margin import FIRST, NEAR_COPY, NEIGHBOURS
    from retrieval.workflows.calibrating import calibrate_space

    found = calibrate_space(folder, say=warn)
    if as_json:
        print_json(found)
        return
    pairs = f"{found['positives']:,} of {count(found['pairs'], 'pair')} of neighbours have the same label"
    results.print(f"Scores are probabilities now: {pairs}; the curve is {found['kind']}.")
    if found["threshold"] is not None:
        results.print(f'A best score below {found["threshold"]:.4f} means "nothing like this here".')
    if found["margin"] is not None:
        most = count(int(MOST_GROWTH * found["margin_among"]), "image")
        results.print(
            f"Up to {most}, the margin decides instead: of each of the first {FIRST} matches, its score less its own "
            f"mean cosine to the {NEIGHBOURS} nearest to it. If all are below {found['margin']:+.4f}, nothing like the "
            f"query is here; a score of {NEAR_COPY} or more is a match anyway."
        )


def switch(
    model: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL", help="A run folder, what --model takes, or the beginning of a space's fingerprint."
        ),
    ],
    gallery: GalleryOption = None,
    force: Annotated[bool, typer.Option("--force", help="Switch whatever the gate says.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would cost.")] = False,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Embed the gallery with another encoder beside the live one, look at the proof, and change over at once."""
    from retrieval.workflows.switching import SwitchHooks, SwitchRefused
    from retrieval.workflows.switching import switch as run

    folder = gallery_folder(gallery)
    with stopping() as stop, _bar() as progress:
        hooks = SwitchHooks(say=warn, estimated=_say_estimate, progress=progress, stop=stop.is_set)
        try:
            report = run(folder, model, force=force, estimate_only=dry_run, workers=workers, hooks=hooks)
        except SwitchRefused as refused:
            _say_skipped(refused.report)
            if as_json:
                print_json(refused.report.to_dict())
            raise
    if as_json:
        print_json(report.to_dict())
    _say_skipped(report)
    if report.interrupted:
        raise Interrupted(
            f"Stopped; {count(report.covered, 'embedding')} of the new space are kept, the old space is live.",
            "The same command goes on from here.",
        )
    if not as_json:
        _print_report(report)


def _print_report(report: "SwitchReport") -> None:
    covers = f"{report.covered:,} of {count(report.total, 'image')}"
    name = f"{escape(shown(report.model))} ({report.fingerprint[:_SHORT]})"
    for why in report.refusals:
        warn(f"{'Forced' if report.forced else 'The gate would refuse'}: {why}")
    if not report.switched:
        outcome = "would be switched to"
        if report.refusals and not report.forced:
            outcome = "would be refused"
        elif report.to_measure:
            outcome += f" if it is better on {count(report.to_measure, 'labelled image')}"
        results.print(f"{name} {outcome}; {covers} are embedded by now.")
        return
    results.print(f"{name} is live; it covers {covers}, {report.embedded:,} of them embedded in this run.")
    note("`retrieval rollback` goes back; `retrieval spaces --drop` frees the old space when it is not needed.")


def _say_estimate(costs: "SwitchEstimate") -> None:
    todo = f"{count(costs.images, 'image')}, {costs.to_embed:,} to embed."
    time = f" About {duration(costs.seconds)}." if costs.seconds is not None else ""
    note(f"{todo}{time} About {size(costs.bytes)} more on disk; {size(costs.free)} are free.")


def _say_skipped(report: "SwitchReport") -> None:
    for entry in report.skipped[:_SKIPPED_SHOWN]:
        note(f"  skipped: image {entry.image_id}, {entry.path}: {entry.message}")
    if len(report.skipped) > _SKIPPED_SHOWN:
        note(f"  and {len(report.skipped) - _SKIPPED_SHOWN:,} more; --json lists all")


def rollback(gallery: GalleryOption = None, as_json: JsonOption = False) -> None:
    """Go back to the space that was live before the last switch. Nothing is embedded."""
    from retrieval.workflows.spaces import rollback as run

    report = run(gallery_folder(gallery))
    if as_json:
        print_json(report.to_dict())
    else:
        name = f"{escape(shown(report.model))} ({report.fingerprint[:_SHORT]})"
        results.print(f"{name} is live again; {report.was[:_SHORT]} is kept.")
    if report.lacking:
        warn(f"{count(report.lacking, 'image')} came since and cannot be found in it; `retrieval index` embeds them.")


@contextmanager
def _bar() -> Iterator[Any]:
    """A bar for the embedding; shows nothing until the first report."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as RichProgress

    bar = RichProgress(
        TextColumn("Embedding"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[said]}"),
        console=messages,
        transient=True,
    )
    task = bar.add_task("", total=None, said="", visible=False)

    def report(progress: "Progress") -> None:
        left = "" if progress.seconds_left is None else f"{duration(progress.seconds_left)} left"
        failed = f"[red]{progress.failed:,} skipped[/]" if progress.failed else ""
        said = f"{progress.images_per_second:.1f}/s  {left}  {failed}"
        bar.update(task, visible=True, completed=progress.done, total=progress.total, said=said)

    with on_a_terminal(bar):
        yield report
