"""Jobs as HTML: what is at work, and how the last work of this page ended."""

from retrieval.core.errors import RetrievalError
from retrieval.workflows.jobs import Failure, Job, State
from ui.markup import duration, escape
from ui.notices import render_notice, told
from ui.words import Words

WAITS = "Waiting for another process"
"""The part of a job that waits for the write lock; see ``jobs.worker``."""


def render_running(job: Job, words: Words) -> str:
    """A job that runs or waits."""
    said = words.library
    kind = words.jobs.kinds.get(job.kind, said.working)
    return (
        f'<section class="lib-work" data-work="{job.id}" aria-label="{escape(said.working)}">'
        f'<h2 class="lib-title">{escape(kind)}</h2>'
        f"{_bar(job)}<p>{escape(_how_far(job, words))}</p></section>"
    )


def _bar(job: Job) -> str:
    progress = job.progress
    if progress is None or not progress.total:
        return '<progress class="lib-bar"></progress>'
    return f'<progress class="lib-bar" max="{progress.total}" value="{min(progress.done, progress.total)}"></progress>'


def _how_far(job: Job, words: Words) -> str:
    said, progress = words.library, job.progress
    if job.state is State.QUEUED:
        return said.waiting
    if job.cancelling:
        return said.stopping
    if progress is None:
        return said.started
    if progress.part == WAITS:
        return said.waiting_writer
    parts = [said.of_files.format(done=f"{progress.done:,}", total=f"{progress.total:,}")] if progress.total else []
    parts += [said.failed_so_far.of(progress.failed)] if progress.failed else []
    if progress.seconds_left is not None and progress.done < progress.total:
        parts.append(said.time_left.format(time=duration(progress.seconds_left, words)))
    return " · ".join(parts) or said.started


def render_failed(error: Failure | None, words: Words) -> str:
    """Why a job failed."""
    said = words.errors
    if error is None or error.kind == "unexpected":
        return render_notice("error", said.unexpected, said.unexpected_text, said.unexpected_hint)
    if error.kind == "lost":
        return render_notice("error", said.failed, words.library.lost)
    return render_notice("error", said.failed, *told(_Said(error), words))


class _Said(RetrievalError):
    """A job's failure as the error that it was, so that it is told like one."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message, failure.hint)
        self._kind = failure.kind

    @property
    def kind(self) -> str:
        return self._kind


def render_over(job: Job, findable: int, words: Words) -> str:
    """How a job of this page ended; nothing where there is nothing to say."""
    said = words.library
    if job.state in (State.FAILED, State.BROKEN):
        return render_failed(job.error, words)
    if job.state is State.LOST:
        return render_notice("warning", said.stopped, said.lost)
    if job.state is State.CANCELLED:
        return render_notice("info", said.stopped, said.stopped_text)
    if job.kind not in ("index", "retry"):
        return ""
    result = job.result or {}
    changed = any(result.get(name) for name in ("new", "changed", "moved", "copied", "missing"))
    text = said.findable.of(findable) if changed else said.nothing_new
    link = f'<a class="lib-link" href="./">{escape(said.to_search)}</a>' if findable else ""
    return (
        f'<section class="lib-work done" role="status"><h2 class="lib-title">{escape(said.done)}</h2>'
        f"<p>{escape(text)}</p>{link}</section>"
    )
