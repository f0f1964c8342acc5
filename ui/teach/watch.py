"""A lesson while it runs: where it stands, its curves as drawings, its warnings in plain words."""

from collections.abc import Mapping, Sequence
from typing import Any

from retrieval.core.text import shown
from retrieval.workflows.jobs import Job, State
from ui.markup import escape
from ui.notices import render_notice
from ui.shell.jobs_strip import told_failure
from ui.teach.parts import button, buttons, duration, lines, panel
from ui.words import Words

Events = Sequence[Mapping[str, Any]]

_WIDTH, _HEIGHT, _EDGE = 320, 120, 6
_POINTS = 300
_LOG = 200


def render_watch(job: Job | None, words: Words, *, may_write: bool = True) -> str:
    """Where the newest job stands, and what those who may can do about it; changes with its state only."""
    said = words.teach
    if job is None:
        return panel(3, said.watch_title, lines(said.none_yet))
    title = {"switch": said.switch_job, "calibrate": said.calibrate_job}.get(job.kind, said.watch_title)
    work = "" if job.state.is_over else f' data-work="{job.id}"'
    state = f'<p role="status" class="teach-state {job.state.value}"{work}>{escape(_state(job, words))}</p>'
    return panel(3, title, state + _failure(job, words) + (_controls(job, words) if may_write else ""))


def _state(job: Job, words: Words) -> str:
    said, teaches = words.teach, job.kind == "train"
    return {
        State.QUEUED: said.queued,
        State.RUNNING: (said.stopping if teaches else said.ends) if job.cancelling else said.running,
        State.DONE: said.done,
        State.FAILED: said.failed,
        State.CANCELLED: said.cancelled if teaches else said.cancelled_other,
        State.LOST: said.lost if teaches else said.lost_other,
        State.BROKEN: said.broken,
    }[job.state]


def _failure(job: Job, words: Words) -> str:
    if job.state is not State.FAILED or job.error is None:
        return ""
    # Where paths are hidden there is no such page.
    return render_notice("error", *told_failure(job, True, words))


def _controls(job: Job, words: Words) -> str:
    said, number = words.teach, str(job.id)
    if not job.state.is_over:
        return "" if job.cancelling else buttons(button("stop", said.stop, of=number))
    if job.state not in (State.FAILED, State.CANCELLED, State.LOST):
        return ""
    goes_on, text = (lines(said.goes_on), said.resume) if job.goes_on else ("", said.again)
    return goes_on + buttons(button("resume", text, "primary", number, focus=True))


def render_live(job: Job | None, events: Events, words: Words) -> str:
    """Progress, warnings and curves; changes all the while."""
    if job is None or job.started is None:
        return ""
    return f'<div class="teach-live">{_progress(job, words)}{_alarms(events, words)}{_curves(job, events, words)}</div>'


def _progress(job: Job, words: Words) -> str:
    found, said = job.progress, words.teach
    if found is None or job.state is not State.RUNNING:
        return ""
    facts = [said.parts.get(found.part, said.working)]
    if found.epoch is not None and found.epochs:
        facts.append(said.epoch.format(n=found.epoch, total=found.epochs))
    if found.total:
        facts.append(said.of_total.format(done=f"{found.done:,}", total=f"{found.total:,}"))
    if found.seconds_left is not None and found.total:
        facts.append(said.left.format(time=duration(found.seconds_left, words)))
    amount = f' value="{min(found.done, found.total)}" max="{found.total}"' if found.total else ""
    return (
        f'<progress class="teach-progress"{amount} aria-label="{escape(facts[0])}"></progress>'
        f'<p class="teach-fine">{escape(" · ".join(facts))}</p>'
    )


def _alarms(events: Events, words: Words) -> str:
    texts = [str(event.get("text", "")) for event in events if event.get("event") == "say"]
    rung = {name for text in texts if text.startswith("Alarm in step") for name in words.teach.alarms if name in text}
    told = words.teach.alarms
    return "".join(render_notice("warning", words.teach.alarm, told[name]) for name in told if name in rung)


def _curves(job: Job, events: Events, words: Words) -> str:
    if job.kind != "train":
        return ""
    said = words.teach
    begins = [place for place, event in enumerate(events) if event.get("event") == "begin"]
    newest = events[begins[-1] :] if begins else []
    if not newest:
        return lines(said.curve_waits, kind="teach-fine") if job.state is State.RUNNING else ""
    is_whole = str(newest[0].get("part", "")) == "The whole encoder"
    title = said.whole if is_whole else said.try_number.format(n=len(begins))
    values = [(float(one["epoch"]), float(one["value"])) for one in newest if _has(one, "validated", "value")]
    losses = [(float(one["step"]), float(one["loss"])) for one in newest if _has(one, "progress", "loss")]
    drawn = _curve(said.curve_validation, values, max, words) + _curve(said.curve_loss, losses, min, words)
    waits = lines(said.curve_waits, kind="teach-fine")
    return f'<h3>{escape(title)}</h3><div class="teach-curves">{drawn}</div>' if drawn else waits


def _has(event: Mapping[str, Any], name: str, value: str) -> bool:
    return event.get("event") == name and isinstance(event.get(value), int | float)


def _curve(name: str, points: Sequence[tuple[float, float]], best: Any, words: Words) -> str:
    """One curve as SVG; nothing where there is no line to draw."""
    if len(points) < 2:
        return ""
    points = points[:: max(1, len(points) // _POINTS)]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    wide, high = max(xs) - min(xs) or 1.0, max(ys) - min(ys) or 1.0
    places = " ".join(
        f"{_EDGE + (x - min(xs)) / wide * (_WIDTH - 2 * _EDGE):.1f},"
        f"{_HEIGHT - _EDGE - (y - min(ys)) / high * (_HEIGHT - 2 * _EDGE):.1f}"
        for x, y in points
    )
    spoken = words.teach.curve_spoken.format(
        name=name, first=_number(ys[0]), last=_number(ys[-1]), best=_number(best(ys))
    )
    ends = f"{_number(ys[0])} → {_number(ys[-1])}"
    return (
        f'<figure class="teach-curve"><figcaption>{escape(name)}<strong>{ends}</strong></figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(spoken)}" preserveAspectRatio="none">'
        f'<line x1="0" y1="{_HEIGHT - 1}" x2="{_WIDTH}" y2="{_HEIGHT - 1}"></line>'
        f'<polyline points="{places}"></polyline></svg></figure>'
    )


def _number(value: float) -> str:
    return f"{value:.3g}"


def render_log(events: Events, words: Words) -> str:
    """The messages, as the program says them."""
    texts = [shown(str(event["text"])) for event in events if event.get("event") == "say" and "text" in event]
    if not texts:
        return lines(words.teach.log_empty)
    return f'<ol class="teach-log" lang="en">{"".join(f"<li>{escape(text)}</li>" for text in texts[-_LOG:])}</ol>'
