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

if TYPE_CHECKING:
    from retrieval.workflows.indexing import Estimate, Hooks, IndexReport

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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how much there is to do.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Index folders and files: incremental, safe to stop at any time, safe to repeat."""
    from retrieval.workflows.indexing import Hooks, estimate_index, index_paths

    folder = gallery_folder(gallery)
    if dry_run:
        estimate = estimate_index(folder, paths or [], model=model, workers=workers, hooks=Hooks(say=warn))
        _say_estimate(estimate)
        if as_json:
            print_json(_estimate_json(estimate))
        return
    with stopping() as stop, Bar().shown() as bar:
        hooks = Hooks(say=warn, estimated=_say_estimate, progress=bar.report, stop=stop.is_set)
        report = index_paths(folder, paths or [], model=model, workers=workers, hooks=hooks)
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
        note(f"{report.failed} files failed; `retrieval failures` says why.")
    if report.missing:
        note(f"{report.missing} files are gone from their folders; `retrieval prune` forgets them.")
    if report.offline:
        note(f"{report.offline} files are in folders that cannot be reached now; they stay searchable.")
    if report.interrupted:
        raise Interrupted(
            f"Stopped; {report.embedded} images were embedded in this run and are kept in {folder}.",
            "The same command goes on from here.",
        )


def _print_report(report: "IndexReport") -> None:
    rows = table("Files", ">")
    rows.add_row("found", str(report.found))
    for name in _ROWS:
        count = getattr(report, name)
        if count or name in ("new", "unchanged", "failed"):
            rows.add_row(f"  {name}", str(count))
    results.print(rows)
    rate = f", {report.images_per_second:.1f} images/s" if report.embedded else ""
    results.print(f"{report.embedded} image contents embedded in {report.seconds:.1f} s{rate}.")


def _say_estimate(estimate: "Estimate") -> None:
    plan = estimate.plan
    known = f"{plan.unchanged + plan.failed:,} known as they are, " if plan.unchanged + plan.failed else ""
    todo = f"{plan.to_read:,} to read ({size(plan.bytes_to_read)})" if plan.to_read else "nothing to read"
    cost = ""
    if estimate.seconds is not None:
        cost = f" About {duration(estimate.seconds)}, and {size(estimate.bytes)} more on disk."
    note(f"{plan.found:,} image files: {known}{todo}.{cost}")


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
    from retrieval.workflows.indexing import Hooks

    return Hooks(say=warn, estimated=_say_estimate, progress=bar.report, stop=stop.is_set)
