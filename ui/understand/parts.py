"""What the parts of the page share: buttons, and a job that runs or did not end well."""

from retrieval.workflows.jobs import Job, State
from ui.markup import duration, escape, prose
from ui.shell.jobs_strip import told_failure
from ui.words import Words


def button(do: str, text: str, kind: str = "quiet", of: str = "") -> str:
    """A button that asks the page to do something.

    Args:
        do: what; see ``Understanding.act``.
        text: on it.
        kind: ``"main"`` or ``"quiet"``.
        of: with what.
    """
    return (
        f'<button type="button" class="und-button {kind}" data-do="{escape(do)}" data-of="{escape(of)}">'
        f"{escape(text)}</button>"
    )


def part(name: str, title: str, body: str) -> str:
    """One part of the page under its heading."""
    return (
        f'<section class="und-part" aria-labelledby="und-{name}-title"><h2 id="und-{name}-title">{escape(title)}</h2>'
        f"{body}</section>"
    )


def lines(*texts: str, kind: str = "") -> str:
    """Paragraphs; empty texts are left out."""
    named = f' class="{kind}"' if kind else ""
    return "".join(f"<p{named}>{escape(text)}</p>" for text in texts if text)


def render_work(job: Job, words: Words, *, may_write: bool) -> str:
    """A job that waits or runs, with a button that stops it."""
    said, progress = words.jobs, job.progress
    how = said.waits if job.state is State.QUEUED else said.starting if progress is None else said.part(progress.part)
    known = progress is not None and progress.total > 1
    value = f' max="{progress.total}" value="{min(progress.done, progress.total)}"' if progress and known else ""
    left = ""
    if progress is not None and progress.seconds_left is not None and progress.done < progress.total:
        left = said.left.format(time=duration(progress.seconds_left, words))
    stop = button("stop", words.understand.stop, of=str(job.id)) if may_write and not job.cancelling else ""
    stopping = lines(words.understand.stopping, kind="fine") if job.cancelling else ""
    return (
        f'<div class="und-work" data-work="{job.id}"><p><strong>{escape(said.name(job.kind))}</strong>'
        f' <span class="fine">{escape(how)}</span>'
        f' <span class="fine">{escape(left)}</span></p><progress aria-label="{escape(said.name(job.kind))}"{value}>'
        f"</progress>{stop}{stopping}</div>"
    )


def render_end(job: Job | None, shows_paths: bool, words: Words) -> str:
    """Why the last job did not end well; nothing where it did."""
    if job is None or job.state in (State.DONE, State.QUEUED, State.RUNNING):
        return ""
    said = words.understand
    if job.state is State.CANCELLED:
        return f'<p class="und-end" role="status">{escape(said.stopped)}</p>'
    text, hint, detail = told_failure(job, shows_paths, words)
    original = f' <span lang="en">{prose(detail)}</span>' if detail else ""
    return (
        f'<p class="und-end is-bad" role="alert"><strong>{escape(said.failed)}</strong> {prose(text)} {prose(hint)}'
        f"{original}</p>"
    )
