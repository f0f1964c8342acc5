"""``retrieval index``."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.cli.options import GalleryOption, JsonOption, ModelOption, WorkersOption, gallery_folder
from retrieval.cli.say import Bar, duration, note, print_json, results, size, table, warn
from retrieval.core.errors import Interrupted
from retrieval.workflows.words import count, verb

if TYPE_CHECKING:
    from retrieval.workflows.index_report import Estimate, Hooks, IndexReport

_ROWS = ("new", "changed", "moved", "copied", "unchanged", "failed", "skipped", "missing", "offline")


def index(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH...", help="Folders (recursively) and image files.", show_default="all known folders"
        ),
    ] = None,
    gallery: GalleryOption = None,
    model: ModelOption = None,
    workers: WorkersOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only scan the folders, and say how much there is to do.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Index folders and files: incremental, safe to stop at any time, safe to repeat."""
    from retrieval.workflows.index_report import Hooks
    from retrieval.workflows.indexing import estimate_index, index_paths

    folder = gallery_folder(gallery)
    if dry_run:
        estimate = estimate_index(folder, paths or [], model=model, workers=workers, hooks=Hooks(say=warn))
        _say_estimate(estimate)
        if as_json:
            print_json(_estimate_json(estimate))
        return
    with stopping() as stop, Bar().shown() as bar:
        report = index_paths(folder, paths or [], model=model, workers=workers, hooks=quiet_hooks(bar, stop))
    show_report(report, folder, as_json)


def show_report(report: "IndexReport", folder: Path, as_json: bool) -> None:
    """Print a report; an interrupted run ends with exit code 130."""
    if as_json:
        values = report.to_dict()
        if not report.interrupted:
            del values["interrupted"]
        print_json(values)
    else:
        _print_report(report)
    if report.failed:
        note(f"{count(report.failed, 'file')} failed; `retrieval failures` says why.")
    if report.missing:
        gone = verb(report.missing, "is gone from its folder", "are gone from their folders")
        note(f"{count(report.missing, 'file')} {gone}; `retrieval prune` forgets {verb(report.missing, 'it', 'them')}.")
    if report.offline:
        lie = verb(report.offline, "is in a folder", "are in folders")
        note(f"{count(report.offline, 'file')} {lie} that cannot be reached now; images stay searchable.")
        _say_what_was_left_behind(folder)
    if report.interrupted:
        raise Interrupted(
            f"Stopped; what this run has embedded is kept in {folder}: {count(report.embedded, 'image')}.",
            "The same command goes on from here.",
        )


def _say_what_was_left_behind(folder: Path) -> None:
    from retrieval.workflows.upkeep import left_behind

    for root in left_behind(folder):
        note(f"All images of {root.path} have moved elsewhere; `retrieval prune` forgets what is left of it.")


def _print_report(report: "IndexReport") -> None:
    rows = table("Files", ">")
    rows.add_row("found", f"{report.found:,}")
    for name in _ROWS:
        files = getattr(report, name)
        if files or name in ("new", "unchanged", "failed"):
            rows.add_row(f"  {name}", f"{files:,}")
    results.print(rows)
    # The rate is that of reading and embedding; the time is that of everything, loading the encoder included.
    rate = f", {report.images_per_second:.1f} a second" if report.embedded else ""
    results.print(f"{count(report.embedded, 'image content')} embedded{rate}; {report.seconds:.1f} s in all.")


def _say_estimate(estimate: "Estimate") -> None:
    plan = estimate.plan
    if not plan.found:
        others = f"; {count(plan.skipped, 'other file')} skipped" if plan.skipped else ""
        note(f"No image file was found{others}.")
        return
    known = f"{plan.unchanged + plan.failed:,} known as they are, " if plan.unchanged + plan.failed else ""
    todo = f"{plan.to_read:,} to read ({size(plan.bytes_to_read)})" if plan.to_read else "nothing to read"
    cost = ""
    if estimate.seconds is not None:
        cost = f" About {duration(estimate.seconds)}, and {size(estimate.bytes)} more on disk."
    note(f"{count(plan.found, 'image file')}: {known}{todo}.{cost}")


def _estimate_json(estimate: "Estimate") -> dict[str, Any]:
    plan = estimate.plan
    return {
        "dry_run": True,
        "found": plan.found,
        "to_read": plan.to_read,
        "unchanged": plan.unchanged,
        "failed": plan.failed,
        "skipped": plan.skipped,
        "offline": estimate.offline,
        "estimated_seconds": None if estimate.seconds is None else round(estimate.seconds, 1),
        "estimated_bytes": estimate.bytes,
    }


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """The first Ctrl-C asks for a clean end; a second one ends at once (what was committed is safe either way)."""
    stop = threading.Event()

    def ask(_number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        note("Stopping after the batch at hand; press Ctrl-C again to stop at once.")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def quiet_hooks(bar: Bar, stop: threading.Event) -> "Hooks":
    """Hooks for a run with a bar."""
    from retrieval.workflows.index_report import Hooks

    return Hooks(say=warn, estimated=_say_estimate, progress=bar.report, stop=stop.is_set)
