"""The check-up and the comparison of temperatures as HTML."""

from collections.abc import Mapping, Sequence
from typing import Any

from retrieval.workflows.checkup import Finding, findings
from retrieval.workflows.jobs import Job
from ui.addresses import Addresses
from ui.markup import clock, duration, escape
from ui.understand.parts import button, lines, part, render_end, render_work
from ui.words import Words

_SHARES = frozenset({"first", "never_found", "detail", "mirror"})


def render_check(
    job: Job | None,
    done: Job | None,
    fingerprint: str,
    addresses: Addresses,
    words: Words,
    *,
    may_write: bool,
    shows_paths: bool,
    enough: bool = True,
) -> str:
    """The check-up.

    Args:
        job: the newest one.
        done: the newest that ended well.
        fingerprint: of the live model.
        addresses: of pictures.
        words: the reader's language.
        may_write: whether one may be started from here.
        shows_paths: whether an error may name one.
        enough: whether there are pictures enough that can be read now.
    """
    said = words.understand
    found = "" if done is None else _found(done, fingerprint, addresses, words)
    if job is not None and not job.state.is_over:
        work = render_work(job, words, may_write=may_write)
        return part("check", said.check_title, lines(said.check_lead) + work + found)
    ended = render_end(job, shows_paths, words)
    start = ""
    if not enough:
        start = lines(said.check_few)
    elif may_write:
        text = said.check_start if done is None else said.check_again
        start = button("check", text) + lines(said.check_cost, kind="fine")
    elif done is None:
        start = lines(said.ask_start, kind="fine")
    lead = f'{lines(said.check_lead)}{ended}<div class="und-start">{start}</div>'
    return part("check", said.check_title, lead + found)


def _found(done: Job, fingerprint: str, addresses: Addresses, words: Words) -> str:
    said, result = words.understand, done.result or {}
    looked, of = (_whole(result.get(name)) for name in ("images", "of"))
    made = said.check_made.format(looked=f"{looked:,}", of=f"{of:,}", moment=clock(done.ended or 0.0, words))
    old = said.check_old if result.get("fingerprint") != fingerprint else ""
    found = findings(result)
    bad = sum(one.verdict == "bad" for one in found)
    whole = said.check_attention.of(bad) if bad else said.check_well
    rows = "".join(_finding(one, words) for one in found)
    return (
        f'<div class="und-found"><p class="und-whole {"is-bad" if bad else "is-good"}"><strong>{escape(whole)}</strong>'
        f' <span class="fine">{escape(made)}</span></p>{lines(old, kind="und-old")}'
        f'<ul class="und-findings">{rows}</ul>{_hubs(result, addresses, words)}{_report(done, words)}</div>'
    )


def _finding(one: Finding, words: Words) -> str:
    said = words.understand
    checked = said.checked[one.key]
    verdict = {"good": said.verdict_good, "fair": said.verdict_fair, "bad": said.verdict_bad}[one.verdict]
    meaning = {"good": checked.good, "fair": checked.fair, "bad": checked.bad}[one.verdict]
    number = f"{100 * one.value:.0f}" if one.key in _SHARES else f"{one.value:.2f}"
    return (
        f'<li class="und-finding is-{one.verdict}"><div><h3>{escape(checked.name)}</h3>'
        f'<p class="fine">{escape(checked.value.format(n=number))}</p></div>'
        f'<p class="und-verdict">{escape(verdict)}</p><p class="und-meaning">{escape(meaning)}</p></li>'
    )


def _hubs(result: Mapping[str, Any], addresses: Addresses, words: Words) -> str:
    said = words.understand
    listed = result.get("hubs")
    hubs = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, Sequence) else []
    cards = "".join(_hub(_whole(one.get("id")), _whole(one.get("occurrence")), addresses, words) for one in hubs)
    if not cards:
        return ""
    return f'<h3>{escape(said.hubs_title)}</h3>{lines(said.hubs_text, kind="fine")}<ul class="und-hubs">{cards}</ul>'


def _hub(image_id: int, times: int, addresses: Addresses, words: Words) -> str:
    said = words.understand
    text, address = said.hub_times.of(times), addresses.picture(image_id, "thumbnail")
    label = f"{said.similar}{words.writing.comma}{text}"
    return (
        f'<li><a href="./?like={image_id}" aria-label="{escape(label)}">'
        f'<img src="{escape(address)}" alt="" loading="lazy">'
        f"<span>{escape(text)}</span></a></li>"
    )


def _report(done: Job, words: Words) -> str:
    said = words.understand
    return (
        f'<p class="und-report"><a class="und-button quiet" href="./understand/report/{done.id}" target="_blank"'
        f' rel="noopener">{escape(said.report)}</a> <span class="fine">{escape(said.report_help)}</span></p>'
    )


def render_strict(
    job: Job | None,
    done: Job | None,
    cost: tuple[float, float] | None,
    *,
    known: bool,
    words: Words,
    may_write: bool,
    shows_paths: bool,
) -> str:
    """The comparison of temperatures.

    Args:
        job: the newest one.
        done: the newest that ended well.
        cost: seconds at the least and at the most; None where there is too little to learn from.
        known: whether ``cost`` was looked at.
        words: the reader's language.
        may_write: whether one may be started from here.
        shows_paths: whether an error may name one, and the page of labels is there.
    """
    said = words.understand
    found = "" if done is None else _best(done, words)
    if job is not None and not job.state.is_over:
        work = render_work(job, words, may_write=may_write)
        return part("strict", said.strict_title, lines(said.strict_lead) + work + found)
    ended = render_end(job, shows_paths, words)
    start = ""
    if not may_write:
        start = lines(said.ask_start, kind="fine") if done is None else ""
    elif not known:
        start = lines(said.strict_cost_wait, kind="fine")
    elif cost is None:
        link = f'<a class="und-button quiet" href="./labels">{escape(said.to_labels)}</a>'
        start = lines(said.strict_lack) + (link if shows_paths else "")
    else:
        low, high = (duration(seconds, words) for seconds in cost)
        text = said.strict_start if done is None else said.strict_again
        start = button("strict", text) + lines(said.strict_cost.format(low=low, high=high), kind="fine")
    lead = f'{lines(said.strict_lead)}{ended}<div class="und-start">{start}</div>'
    return part("strict", said.strict_title, lead + found)


def _best(done: Job, words: Words) -> str:
    said = words.understand
    found = (done.result or {}).get("recommendation")
    if not isinstance(found, Mapping):
        return ""
    best = found.get("temperature")
    others = [f"{one:g}" for one in found.get("as_good", ()) if isinstance(one, int | float) and one != best]
    alike = said.strict_as_good.format(values=words.writing.comma.join(others)) if others else said.strict_only
    won = said.strict_liked.format(liked=_whole(found.get("liked")), seeds=_whole(found.get("seeds")))
    end = said.strict_end if found.get("at_end") else ""
    title = said.strict_best.format(value=f"{best:g}" if isinstance(best, int | float) else "")
    return (
        f'<div class="und-found"><h3>{escape(title)}</h3>{lines(" ".join(filter(None, (won, alike, end))))}'
        f"{lines(said.strict_use)}{_report(done, words)}</div>"
    )


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
