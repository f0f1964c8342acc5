"""The automatic labelling as a job: while it waits or runs, and how it ended."""

from dataclasses import dataclass

from retrieval.workflows.jobs import Job, State
from ui.markup import escape
from ui.notices import render_notice
from ui.shell.jobs_strip import told_failure
from ui.words import Words

KIND = "auto-labels"


@dataclass
class Visit:
    """What one open page follows; lives as long as it.

    Attributes:
        job: number of the automatic labelling that was seen to run, or was asked for; 0 for none.
        is_over: whether its end was shown.
        shown: HTML of it as the browser has it.
    """

    job: int = 0
    is_over: bool = True
    shown: str = ""


def render_work(job: Job, words: Words, *, may_write: bool, shows_paths: bool) -> str:
    """Where the job stands.

    Args:
        job: of this kind.
        words: the reader's language.
        may_write: whether it may be stopped from here.
        shows_paths: whether an error may name one.
    """
    if not job.state.is_over:
        return _running(job, words, may_write=may_write)
    if job.state is State.DONE:
        return _done(job, words)
    said = words.jobs
    if job.state is State.CANCELLED:
        return render_notice("info", f"{said.name(KIND)}{words.writing.comma}{said.cancelled}", said.kept)
    text, hint, detail = told_failure(job, shows_paths, words)
    return render_notice("error", f"{said.name(KIND)}{words.writing.comma}{said.failed}", text, hint, detail)


def _running(job: Job, words: Words, *, may_write: bool) -> str:
    said, progress = words.jobs, job.progress
    how = said.waits if job.state is State.QUEUED else said.starting if progress is None else said.part(progress.part)
    known = progress is not None and progress.total > 1
    value = f' max="{progress.total}" value="{min(progress.done, progress.total)}"' if progress and known else ""
    stop = ""
    if job.cancelling:
        stop = f'<p class="fine">{escape(said.stopping)}</p>'
    elif may_write:
        stop = f'<button type="button" class="quiet" data-job-stop="{job.id}">{escape(said.stop)}</button>'
    name = escape(said.name(KIND))
    return (
        f'<section class="labels-work" data-work="{job.id}" aria-label="{name}"><p><strong>{name}</strong>'
        f' <span class="fine">{escape(how)}</span></p><progress class="labels-bar" aria-label="{name}"{value}>'
        f"</progress>{stop}</section>"
    )


def _done(job: Job, words: Words) -> str:
    said, result = words.labels, job.result or {}
    proposed = result.get("proposed")
    if not isinstance(proposed, int) or not proposed:
        return render_notice("info", said.auto_none)
    # What can be undone: the script counts it among what it may bring back.
    changed = f' data-changed="{job.id}"' if isinstance(result.get("operation"), int) else ""
    text = render_notice("info", said.auto_done.of(proposed), said.auto_done_text)
    return f"<div{changed}>{text}</div>"
