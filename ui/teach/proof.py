"""What a lesson has brought: figures in words, labels, and searches as rows of pictures."""

from collections.abc import Sequence

from retrieval.workflows.lessons import ClassGain, Gain, Lesson, QueryRow, Shown
from ui.addresses import Addresses
from ui.icons import DRIVE
from ui.markup import escape
from ui.notices import render_notice
from ui.teach.parts import lines, of_hundred, panel, signed
from ui.words import Words

_CLASSES = 6
_ROWS = 4


def render_no_proof(words: Words) -> str:
    """Before the first lesson has ended."""
    return panel(4, words.teach.proof_title, lines(words.teach.proof_none))


def render_proof(lesson: Lesson, number: int, addresses: Addresses, words: Words) -> str:
    """Before and after.

    Args:
        lesson: what the run has proven.
        number: of the job, for the address of its report.
        addresses: of pictures.
        words: the reader's language.
    """
    said = words.teach
    verdict = {"better": said.better, "worse": said.worse}.get(lesson.verdict, said.open)
    old = render_notice("warning", said.outdated) if lesson.outdated else ""
    link = f'<p><a href="./teach/report/{number}" target="_blank" rel="noopener">{escape(said.report)}</a></p>'
    return panel(
        4,
        said.proof_title,
        f'{old}<p class="teach-verdict {escape(lesson.verdict)}">{escape(verdict)}</p>'
        + _figures(lesson, words)
        + _classes(lesson.classes, words)
        + _rows(said.rows_better, lesson.better, addresses, words)
        + _rows(said.rows_worse, lesson.worse, addresses, words)
        + (link if lesson.report else ""),
    )


def _figures(lesson: Lesson, words: Words) -> str:
    said = words.teach
    both = (
        (lesson.recall, said.first_right, said.first_sure),
        (lesson.map_at_r, said.all_right, said.all_sure),
    )
    figures = "".join(_figure(gain, sentence, sure, words) for gain, sentence, sure in both)
    asked = lines(said.asked.of(lesson.queries), kind="teach-fine")
    return f'<div class="teach-figures">{figures}</div>{asked}'


def _figure(gain: Gain, sentence: str, sure: str, words: Words) -> str:
    before, after, change = gain.before, gain.after, gain.difference
    bounds = {"low": of_hundred(after.low), "high": of_hundred(after.high)}
    bounds |= {"dlow": signed(change.low), "dhigh": signed(change.high)}
    return (
        '<div class="teach-figure">'
        f"<p>{escape(sentence.format(before=of_hundred(before.mean), after=of_hundred(after.mean)))}</p>"
        f"{_bar(words.teach.before, before.mean, 'before')}{_bar(words.teach.after, after.mean, 'after')}"
        f'<p class="teach-fine">{escape(sure.format(**bounds))}</p></div>'
    )


def _bar(name: str, share: float, kind: str) -> str:
    width = max(0.0, min(100.0, 100 * share))
    return (
        f'<p class="teach-bar {kind}"><span>{escape(name)}</span>'
        f'<span class="track" aria-hidden="true"><span style="width:{width:.1f}%"></span></span>'
        f"<strong>{of_hundred(share)}</strong></p>"
    )


def _classes(classes: Sequence[ClassGain], words: Words) -> str:
    said = words.teach
    gained = [one for one in classes if one.difference > 0][:_CLASSES]
    lost = [one for one in reversed(classes) if one.difference < 0][:_CLASSES]
    return (
        f'<div class="teach-pair"><div><h3>{escape(said.gains)}</h3>{_class_list(gained, said.no_gains, words)}</div>'
        f"<div><h3>{escape(said.losses)}</h3>{_class_list(lost, said.no_losses, words)}</div></div>"
    )


def _class_list(classes: Sequence[ClassGain], nothing: str, words: Words) -> str:
    if not classes:
        return lines(nothing, kind="teach-fine")
    said = words.teach.class_line
    rows = "".join(
        f'<li><span class="label">{escape(one.label, 40)}</span><span>'
        f"{escape(said.format(before=of_hundred(one.before), after=of_hundred(one.after)))}</span></li>"
        for one in classes
    )
    return f'<ul class="teach-classes">{rows}</ul>'


def _rows(title: str, rows: Sequence[QueryRow], addresses: Addresses, words: Words) -> str:
    if not rows:
        return ""
    listed = "".join(_row(row, addresses, words) for row in rows[:_ROWS])
    return (
        f'<h3>{escape(title)}</h3><p class="teach-fine">{escape(words.teach.rows_hint)}</p>'
        f'<ul class="teach-rows">{listed}</ul>'
    )


def _row(row: QueryRow, addresses: Addresses, words: Words) -> str:
    said = words.teach
    query = _picture(row.query, said.query.format(label=row.query.label), addresses, words)
    found = "".join(
        f'<div class="teach-found"><span>{escape(name)}</span><ol>{_matches(matches, addresses, words)}</ol></div>'
        for name, matches in ((said.before, row.before), (said.after, row.after))
    )
    return (
        f'<li><div class="teach-query">{query}<span class="label">{escape(row.query.label, 40)}</span></div>'
        f'<div class="teach-both">{found}</div></li>'
    )


def _matches(matches: Sequence[Shown], addresses: Addresses, words: Words) -> str:
    said = words.teach
    return "".join(
        f'<li class="{"right" if match.right else "wrong"}">'
        + _picture(
            match,
            (said.match_right if match.right else said.match_wrong).format(n=place, label=match.label),
            addresses,
            words,
        )
        + "</li>"
        for place, match in enumerate(matches, start=1)
    )


def _picture(image: Shown, spoken: str, addresses: Addresses, words: Words) -> str:
    if image.id is None:
        return f'<span class="teach-gone" title="{escape(words.teach.no_picture)}">{DRIVE}</span>'
    address = addresses.picture(image.id, "thumbnail")
    text = escape(spoken, 120)
    return f'<img src="{address}" alt="{text}" title="{text}" loading="lazy" decoding="async">'
