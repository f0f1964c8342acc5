"""The strip below the header: the job that runs, and the last one that ended."""

import time
from collections.abc import Collection, Sequence

from retrieval.core.hiding import without_paths
from retrieval.workflows.jobs import Failure, Job, JobProgress, State
from ui.hints import for_pages
from ui.markup import escape, prose
from ui.shell.site import Site
from ui.words import Words

SEEN_COOKIE = "job"
"""Remembers which job that ended was closed: its number and when it was asked for, and nothing else."""

_DAY = 24 * 3600.0
_PAGES = {
    **dict.fromkeys(("index", "retry", "duplicates", "label-check", "backup", "check"), "library"),
    **dict.fromkeys(("auto-labels",), "labels"),
    **dict.fromkeys(("train", "pretrain", "finetune", "distil", "switch", "calibrate"), "teach"),
    **dict.fromkeys(("map", "diagnose", "temperature", "probe"), "understand"),
}
"""Addresses of the pages on which a kind of job is asked for."""


def render_jobs(site: Site, words: Words, seen: str = "", addresses: Collection[str] = ()) -> str:
    """The strip; empty where there is nothing to tell. Looking at the jobs also sets a queue going that stands still.

    Args:
        site: the gallery.
        words: the reader's language.
        seen: the ``key`` of an ended job that is not to be shown again.
        addresses: of the pages that there are.
    """
    if site.jobs is None:
        return _strip([], words, [])
    jobs = list(site.jobs.list())
    busy = [job for job in jobs if not job.state.is_over]
    running = next((job for job in busy if job.state is State.RUNNING), busy[-1] if busy else None)
    ended = next((job for job in jobs if job.state.is_over), None)
    rows, about = [], []
    if running is not None:
        rows.append(_running(running, len(busy) - 1, site, words, addresses))
        about.append(running)
    if ended is not None and _is_news(ended, seen):
        rows.append(_ended(ended, site, words, addresses))
        about.append(ended)
    return _strip(rows, words, about)


def key(job: Job) -> str:
    """Names a job also beside those of other galleries."""
    return f"{job.id}-{int(job.created)}"


def _is_news(job: Job, seen: str) -> bool:
    # What went well is old a day later; what did not stays until somebody has closed it.
    return key(job) != seen and (job.state is not State.DONE or time.time() - (job.ended or 0) < _DAY)


def _strip(rows: Sequence[str], words: Words, about: Sequence[Job]) -> str:
    # What is read out, a line a job; whoever listens hears those that are new.
    said = "|".join(filter(None, (_said(job, words) for job in reversed(about))))
    busy = ' data-busy="1"' if any(not job.state.is_over for job in about) else ""
    strip = f'<section class="jobs" aria-label="{escape(words.jobs.strip)}">{"".join(rows)}</section>' if rows else ""
    # Changes whenever the strip has other parts, not when numbers in it do.
    keys = " ".join(f"{key(job)} {job.state.value}{'!' * job.cancelling}" for job in about)
    return f'<div class="jobs-now" data-key="{escape(keys)}" data-said="{escape(said)}"{busy}>{strip}</div>'


def _said(job: Job, words: Words) -> str:
    said, name = words.jobs, words.jobs.name(job.kind)
    if job.state.is_over:
        return said.said_over.format(name=name, how=ended_how(job, words))
    return said.said_running.format(name=name) if job.state is State.RUNNING else ""


# -- one that runs ------------------------------------------------------------------------------------------------


def _running(job: Job, waiting: int, site: Site, words: Words, addresses: Collection[str]) -> str:
    said, name = words.jobs, words.jobs.name(job.kind)
    more = f'<span class="job-more" data-slot="more">{escape(said.waiting.of(waiting)) if waiting else ""}</span>'
    return (
        f'<div class="job is-running"><p class="job-words"><strong>{escape(name)}</strong>'
        f'<span class="job-part" data-slot="part">{escape(part_of(job, words))}</span>{more}</p>'
        f"{bar_of(job.progress, name)}"
        f'<span class="job-left" data-slot="left">{escape(left_of(job.progress, words))}</span>'
        f'<span class="job-buttons">{_link(job, words, addresses)}{stop_button(job, site, words)}</span></div>'
    )


def part_of(job: Job, words: Words) -> str:
    """What a job that waits or runs is at."""
    said, progress = words.jobs, job.progress
    if job.state is State.QUEUED:
        return said.waits
    if progress is None:
        return said.starting
    part = said.part(progress.part)
    if progress.epoch and progress.epochs:
        return f"{part}{words.writing.comma}{said.epoch.format(epoch=progress.epoch, epochs=progress.epochs)}"
    if progress.total > 1:
        return (
            f"{part}{words.writing.comma}{said.counted.format(done=f'{progress.done:,}', total=f'{progress.total:,}')}"
        )
    return part


def bar_of(progress: JobProgress | None, name: str) -> str:
    """How far it is, as a bar; one that moves where that is not known."""
    known = progress is not None and progress.total > 1
    value = f' value="{min(progress.done, progress.total)}" max="{progress.total}"' if progress and known else ""
    return f'<progress data-slot="bar" aria-label="{escape(name)}"{value}></progress>'


def left_of(progress: JobProgress | None, words: Words) -> str:
    """How long it will take, where that is known."""
    if progress is None or progress.seconds_left is None:
        return ""
    return words.jobs.left.format(time=_duration(progress.seconds_left, words))


def _duration(seconds: float, words: Words) -> str:
    """Rounded, so that it does not change at every look."""
    writing = words.writing
    if seconds < 55:
        return writing.seconds.format(n=max(5, 5 * round(seconds / 5)))
    if seconds < 3570:
        return writing.minutes.format(n=max(1, round(seconds / 60)))
    return writing.hours.format(n=f"{seconds / 3600:.1f}")


def _link(job: Job, words: Words, addresses: Collection[str]) -> str:
    # Every page shows the job that its address names: where a kind's own page is not there, the first one does.
    page = next((one for one in (_PAGES.get(job.kind, ""), "") if one in addresses), None)
    if page is None:
        return ""
    label = f"{words.jobs.show}: {words.jobs.name(job.kind)}"
    return (
        f'<a class="job-button" href="./{page}?job={job.id}" aria-label="{escape(label)}">{escape(words.jobs.show)}</a>'
    )


def stop_button(job: Job, site: Site, words: Words) -> str:
    """Stops a job, for those who may."""
    said = words.jobs
    if not site.may_write:
        return ""
    if job.cancelling:
        return f'<span class="job-more">{escape(said.stopping)}</span>'
    label = f"{said.stop}: {said.name(job.kind)}"
    return (
        f'<button type="button" class="job-button" data-job-cancel="{job.id}" aria-label="{escape(label)}">'
        f"{escape(said.stop)}</button>"
    )


# -- one that ended -----------------------------------------------------------------------------------------------


def _ended(job: Job, site: Site, words: Words, addresses: Collection[str]) -> str:
    said, name = words.jobs, words.jobs.name(job.kind)
    bad = job.state in (State.FAILED, State.LOST, State.BROKEN)
    label = f"{said.close}: {name}"
    return (
        f'<div class="job {"is-bad" if bad else "is-over"}"><p class="job-words"><strong>{escape(name)}</strong>'
        f'<span class="job-part">{escape(ended_how(job, words))}</span></p>{_why(job, site, words)}'
        f'<span class="job-buttons">{_link(job, words, addresses)}'
        f'<button type="button" class="job-button" data-job-seen="{escape(key(job))}" aria-label="{escape(label)}">'
        f"{escape(said.close)}</button></span></div>"
    )


def ended_how(job: Job, words: Words) -> str:
    """How a job that is over has ended."""
    said = words.jobs
    how = {State.FAILED: said.failed, State.CANCELLED: said.cancelled, State.LOST: said.lost, State.BROKEN: said.broken}
    return how.get(job.state, said.done)


def _why(job: Job, site: Site, words: Words) -> str:
    if job.state is State.DONE:
        return ""
    if job.state is State.CANCELLED:
        return f'<p class="job-why">{escape(words.jobs.kept)}</p>'
    text, hint, detail = told_failure(job, site.shows_paths, words)
    original = f'<span class="job-detail" lang="en">{prose(detail)}</span>' if detail else ""
    return f'<p class="job-why">{prose(text)} {prose(hint)}{original}</p>'


def told_failure(job: Job, shows_paths: bool, words: Words) -> tuple[str, str, str]:
    """(what is wrong, what to do next, the same in English) of a job that did not end well, in a language."""
    said = words.jobs
    if job.state is State.BROKEN:
        return said.broken_text, said.broken_hint, ""
    failure = job.error or Failure("lost", "")
    own = said.own_errors().get("lost" if job.state is State.LOST else failure.kind)
    if own is not None:
        return own.text, own.hint, ""
    message, hint = failure.message, failure.hint
    if not shows_paths:
        message, hint = without_paths(message), without_paths(hint)
    return for_pages(failure.kind, message, hint, words)
