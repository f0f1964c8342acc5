"""``retrieval jobs``: long work that was started in the page or by a program, seen from the terminal."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from retrieval.cli.options import GalleryOption, JsonOption, gallery_folder
from retrieval.cli.say import duration, note, print_json, results, table
from retrieval.core.errors import BadValue
from retrieval.core.text import shown

if TYPE_CHECKING:
    from retrieval.workflows.jobs import Job, JobProgress

_COLOURS = {"running": "cyan", "done": "green", "failed": "red", "lost": "red", "broken": "red"}


def jobs(
    gallery: GalleryOption = None,
    cancel: Annotated[
        int | None, typer.Option("--cancel", metavar="ID", help="Stop a job; what it committed is kept.")
    ] = None,
    at_once: Annotated[bool, typer.Option("--now", help="With --cancel: do not wait for it to end by itself.")] = False,
    resume: Annotated[
        int | None, typer.Option("--resume", metavar="ID", help="Do again what did not end well; it goes on if it can.")
    ] = None,
    log: Annotated[int | None, typer.Option("--log", metavar="ID", help="What a job said.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the jobs of the gallery: what runs, waits, and has ended."""
    from retrieval.workflows.jobs import Jobs

    if sum(option is not None for option in (cancel, resume, log)) > 1:
        raise BadValue("--cancel, --resume and --log exclude each other.", "Choose one.")
    queue = Jobs(gallery_folder(gallery))
    if log is not None:
        events, _ = queue.events(log)
        if as_json:
            print_json(list(events))
        for event in [] if as_json else events:
            if event["event"] == "say":
                results.print(f"{_clock(event['time'])}  {escape(shown(str(event['text'])))}")
        return
    if cancel is not None:
        found = [queue.cancel(cancel, at_once=at_once)]
    elif resume is not None:
        found = [queue.resume(resume)]
    else:
        found = list(queue.list())
    if as_json:
        print_json([job.to_dict() for job in found])
        return
    if not found:
        note("There are no jobs.")
        return
    _print(found)


def _print(found: "list[Job]") -> None:
    rows = table(">job", "what", "state", "began", "how far")
    for job in found:
        state = "stopping" if job.cancelling else job.state.value
        began = _clock(job.started or job.created)
        colour = _COLOURS.get(job.state.value, "")
        rows.add_row(str(job.id), escape(job.kind), f"[{colour}]{state}[/]" if colour else state, began, _said(job))
    results.print(rows)


def _said(job: "Job") -> str:
    if job.error is not None:
        return escape(shown(f"{job.error.message} {job.error.hint}".strip()))
    return _how_far(job.progress) if job.progress is not None and not job.state.is_over else ""


def _how_far(progress: "JobProgress") -> str:
    part = f"epoch {progress.epoch} of {progress.epochs}" if progress.epoch else progress.part
    counted = f" {progress.done:,} of {progress.total:,}" if progress.total else ""
    left = "" if progress.seconds_left is None else f", {duration(progress.seconds_left)} left"
    return escape(shown(f"{part}{counted}{left}"))


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
