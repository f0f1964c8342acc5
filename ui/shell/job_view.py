"""One job above the content of any page, where the address names it (``?job=N``): how it stands, what came of it."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from retrieval.core.errors import RetrievalError
from retrieval.core.hiding import hide_paths
from retrieval.core.text import shown
from retrieval.workflows.jobs import Job, State
from retrieval.workflows.lessons import run_of
from ui.markup import clock, escape
from ui.notices import render_notice
from ui.shell.jobs_strip import bar_of, ended_how, left_of, part_of, stop_button, told_failure
from ui.shell.site import Site
from ui.words import Words

_LINES = 200
_FIGURES = 16
_LONGEST = 20_000


def render_job_view(site: Site, words: Words, job_id: int | None, addresses: Collection[str] = ()) -> str:
    """What is known of a job; empty where none is named.

    Args:
        site: the gallery.
        words: the reader's language.
        job_id: from the address; there may be no such job.
        addresses: of the pages that there are.
    """
    if job_id is None or site.jobs is None:
        return ""
    try:
        job = site.jobs.get(job_id)
        events = site.jobs.events(job_id)[0]
    except RetrievalError:
        notice = render_notice("info", words.jobs.gone, words.jobs.gone_text)
        return f'<section class="job-view" data-key="gone">{notice}{_hide(words)}</section>'
    name = words.jobs.name(job.kind)
    # Changes whenever there are other parts, not when numbers in them do.
    key = f"{job.id} {job.state.value}{'!' * job.cancelling}"
    return (
        f'<section class="job-view" data-key="{escape(key)}" data-n="{job.id}" '
        f'data-failed="{escape(words.errors.failed)}" aria-label="{escape(name)}">'
        f'{_head(job, name, site, words)}<p class="job-view-told" data-told role="alert"></p>'
        f"{_work(job, name, words)}{_failure(job, site, words)}"
        f"{_result(job, site, words, addresses)}{_log(events, site, words)}</section>"
    )


def number_in(query: str) -> int | None:
    """The job that an address names, from what stands after its question mark; it may be anything."""
    found = [value for name, _, value in (one.partition("=") for one in query.split("&")) if name == "job"]
    text = found[0] if found else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def _head(job: Job, name: str, site: Site, words: Words) -> str:
    said = words.jobs
    dates = [said.created.format(when=clock(job.created, words))] if job.created else []
    dates += [said.ended.format(when=clock(job.ended, words))] if job.ended else []
    again = ""
    if site.may_write and job.state in (State.FAILED, State.CANCELLED, State.LOST):
        text = words.teach.resume if job.goes_on else words.teach.again
        label = f"{text}: {name}"
        again = (
            f'<button type="button" class="job-button" data-job-resume="{job.id}" aria-label="{escape(label)}">'
            f"{escape(text)}</button>"
        )
    stop = "" if job.state.is_over else stop_button(job, site, words)
    goes_on = f'<p class="job-more">{escape(words.teach.goes_on)}</p>' if again and job.goes_on else ""
    return (
        f'<div class="job-view-head"><div><h2>{escape(name)}</h2><p class="job-more">'
        f"{escape(said.number.format(n=job.id))} · <strong>{escape(_state(job, words))}</strong>"
        f"{''.join(f' · {escape(date)}' for date in dates)}</p>{goes_on}</div>"
        f'<span class="job-buttons">{again}{stop}{_hide(words)}</span></div>'
    )


def _state(job: Job, words: Words) -> str:
    if job.state is State.QUEUED:
        return words.jobs.waits
    return words.jobs.runs if job.state is State.RUNNING else ended_how(job, words)


def _hide(words: Words) -> str:
    return f'<button type="button" class="job-button" data-job-hide>{escape(words.jobs.close)}</button>'


def _work(job: Job, name: str, words: Words) -> str:
    if job.state is not State.RUNNING:
        return ""
    return (
        f'<div class="job-view-work"><span class="job-part" data-slot="part">{escape(part_of(job, words))}</span>'
        f"{bar_of(job.progress, name)}"
        f'<span class="job-left" data-slot="left">{escape(left_of(job.progress, words))}</span></div>'
    )


def _failure(job: Job, site: Site, words: Words) -> str:
    if not job.state.is_over or job.state is State.DONE:
        return ""
    if job.state is State.CANCELLED:
        return render_notice("info", words.jobs.kept)
    return render_notice("error", words.errors.failed, *told_failure(job, site.shows_paths, words))


# -- what came of it ----------------------------------------------------------------------------------------------


def _result(job: Job, site: Site, words: Words, addresses: Collection[str]) -> str:
    if job.state is not State.DONE:
        return ""
    said = words.jobs
    result: Mapping[str, Any] = job.result or {}
    if not site.shows_paths:
        result = hide_paths(result)
    plain = [(name, value) for name, value in result.items() if isinstance(value, str | int | float) and value != ""]
    rows = "".join(
        f"<div><dt>{escape(name.replace('_', ' '), 60)}</dt><dd>{escape(_figure(value), 300)}</dd></div>"
        for name, value in plain[:_FIGURES]
    )
    whole = json.dumps(result, ensure_ascii=False, indent=1, default=str)
    return (
        f'<h3>{escape(said.result)}</h3><dl class="job-view-figures" lang="en">{rows}</dl>'
        f"{_report(job, site, words, addresses)}{_details('result', said.whole_result, whole)}"
    )


def _figure(value: str | int | float) -> str:
    if isinstance(value, bool | str):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _report(job: Job, site: Site, words: Words, addresses: Collection[str]) -> str:
    """The way to the page that the work has drawn, where it has drawn one and the reader may see it."""
    address = ""
    if job.kind in ("diagnose", "temperature"):
        # Of the gallery's own pictures: see the route.
        of_gallery = job.request.get("dataset") == "gallery" and "understand" in addresses
        address = f"./understand/report/{job.id}" if of_gallery else ""
    elif site.leads_on and site.gallery is not None:
        run = run_of(site.gallery, job)
        address = f"./teach/report/{job.id}" if run is not None and (run / "report.html").is_file() else ""
    if not address:
        return ""
    text = escape(words.understand.report)
    return f'<p><a class="job-button" href="{address}" target="_blank" rel="noopener">{text}</a></p>'


def _log(events: Sequence[Mapping[str, Any]], site: Site, words: Words) -> str:
    texts = [str(event["text"]) for event in events if event.get("event") == "say" and "text" in event][-_LINES:]
    if not site.shows_paths:
        texts = [str(hide_paths(text)) for text in texts]
    return _details("log", words.teach.log, "\n".join(map(shown, texts))) if texts else ""


def _details(name: str, title: str, text: str) -> str:
    # Line by line: what is escaped is one line.
    lines = "\n".join(escape(line) for line in text[:_LONGEST].split("\n"))
    return (
        f'<details data-part="{name}"><summary>{escape(title)}</summary>'
        f'<pre lang="en" tabindex="0" data-slot="{name}">{lines}</pre></details>'
    )
