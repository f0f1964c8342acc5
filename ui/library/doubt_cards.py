"""Labels in doubt and pictures like no other, as HTML. Pictures are named by their file alone, never by its place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from retrieval.core.text import shown
from retrieval.workflows.calibrating import LEAST
from retrieval.workflows.jobs import Job
from retrieval.workflows.label_check import Doubt, LabelCheck
from retrieval.workflows.labelling import Tile
from ui.addresses import Addresses
from ui.icons import DRIVE
from ui.library.account_cards import pager
from ui.library.controls import button
from ui.markup import clock, escape
from ui.words import Words

DOUBTS = 12
"""Doubts a page."""

OUTLIERS = 12
"""Outliers a page."""

_LABEL = 200


@dataclass(frozen=True, slots=True)
class Checked:
    """A check of the labels, as it stands now.

    Attributes:
        job: that made it.
        found: what it found.
        open: of its doubts, those that wait for an answer.
        tiles: what is known of the pictures, by id; those that are gone are not there.
    """

    job: Job
    found: LabelCheck
    open: Sequence[Doubt]
    tiles: Mapping[int, Tile]


@dataclass(frozen=True, slots=True)
class Turned:
    """Which pages are open: the place of the first doubt and of the first outlier, from 0."""

    doubts: int = 0
    outliers: int = 0

    @classmethod
    def read(cls, text: str) -> "Turned":
        """From ``"12|0"``, which comes from the browser; what is no number is 0."""
        first, _, second = text.partition("|")
        return cls(_place(first), _place(second))

    def __str__(self) -> str:
        return f"{self.doubts}|{self.outliers}"


def _place(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def render_doubts(
    checked: Checked | None,
    turned: Turned,
    addresses: Addresses,
    words: Words,
    *,
    may_write: bool,
    enough: bool = True,
    told: str = "",
) -> str:
    """The card.

    Args:
        checked: the newest check; None where none has ended well.
        turned: the pages to show; beyond the end the last one is shown.
        addresses: of pictures.
        words: the reader's language.
        may_write: whether labels can be checked and answers given from here; where not, and nobody has checked them,
            there is nothing to show.
        enough: whether there are labels enough to compare with each other.
        told: a box that says what came of the last answer.
    """
    said = words.doubts
    if checked is None and not may_write:
        return ""
    find = button(said.find, "doubts", style="strong") if may_write and enough else ""
    lack = _lack(words) if may_write and not enough else ""
    body = "" if checked is None else _found(checked, turned, addresses, words, may_write)
    return (
        f'<section class="lib-card lib-doubts" aria-label="{escape(said.title)}"><div class="lib-head"><div>'
        f'<h2 class="lib-title">{escape(said.title)}</h2><p class="lib-fine">{escape(said.text)}</p></div>'
        f'<div class="lib-actions">{find}</div></div>{lack}{told}{body}</section>'
    )


def _lack(words: Words) -> str:
    """What is missing, and where it can be given."""
    link = f'<a class="lib-plain" href="./labels">{escape(words.understand.to_labels)}</a>'
    return f'<p class="lib-result">{escape(words.doubts.too_few.format(least=LEAST))}</p>{link}'


def _found(checked: Checked, turned: Turned, addresses: Addresses, words: Words, may_write: bool) -> str:
    said, found = words.doubts, checked.found
    when = said.when.format(
        when=clock(checked.job.ended or 0.0, words), labelled=f"{found.labelled:,}", share=f"{found.accuracy:.0%}"
    )
    sample = said.sample.format(looked=f"{found.looked_at:,}", all=f"{found.images:,}")
    doubts = [one for one in checked.open if one.image_id in checked.tiles]
    lonely = [checked.tiles[one.image_id] for one in found.outliers if one.image_id in checked.tiles]
    here = Turned(_start(turned.doubts, len(doubts), DOUBTS), _start(turned.outliers, len(lonely), OUTLIERS))
    return (
        f'<p class="lib-result">{escape(when)}</p>'
        f"{_fine(sample) if found.looked_at < found.images else ''}"
        f"{_wrong(checked, doubts, here, addresses, words, may_write)}{_alone(lonely, here, addresses, words)}"
    )


def _start(first: int, total: int, step: int) -> int:
    return max(0, min(first, total - 1)) // step * step


def _fine(text: str) -> str:
    return f'<p class="lib-fine">{escape(text)}</p>'


def _wrong(
    checked: Checked, doubts: Sequence[Doubt], here: Turned, addresses: Addresses, words: Words, may_write: bool
) -> str:
    said = words.doubts
    head = f"<h3>{escape(said.wrong)}</h3>"
    more = max(0, checked.found.doubted - len(checked.found.doubts))
    beyond = _fine(said.more.of(more)) if more else ""
    if not doubts:
        return f"{head}<p>{escape(said.answered if checked.found.doubts else said.none)}</p>{beyond}"
    some = doubts[here.doubts : here.doubts + DOUBTS]
    rows = "".join(_doubt(one, checked, here, addresses, words, may_write) for one in some)
    turn = pager(here.doubts, len(some), len(doubts), DOUBTS, "doubts-page", f"|{here.outliers}", words)
    return f'{head}{_fine(said.found.of(len(doubts)))}<ol class="lib-doubt-list">{rows}</ol>{beyond}{turn}'


def _doubt(doubt: Doubt, checked: Checked, here: Turned, addresses: Addresses, words: Words, may_write: bool) -> str:
    said, tile = words.doubts, checked.tiles[doubt.image_id]
    label, instead = shown(doubt.label), shown(doubt.instead)
    alt = said.spoken.format(label=label, instead=instead)
    facts = (
        f"<dl><dt>{escape(said.has)}</dt><dd>{escape(label, _LABEL)}</dd>"
        f"<dt>{escape(said.neighbours)}</dt><dd>{escape(instead, _LABEL)} "
        f'<span class="lib-fine">{escape(said.sure.format(share=f"{doubt.confidence:.0%}"))}</span></dd></dl>'
    )
    value, answers = f"{checked.job.id}|{doubt.image_id}|{here}", ""
    if may_write:
        give = button(said.give.format(label=instead), "relabel", value, style="strong")
        right = button(said.right.format(label=label), "confirm", value)
        answers = f'<div class="lib-actions">{give}{right}</div>'
    return (
        f'<li>{_thumb(tile, alt, addresses, words)}<div class="lib-doubt-said">'
        f'<p class="lib-path">{escape(shown(tile.name), _LABEL)}</p>{facts}{answers}</div></li>'
    )


def _alone(lonely: Sequence[Tile], here: Turned, addresses: Addresses, words: Words) -> str:
    said = words.doubts
    head = f"<h3>{escape(said.alone)}</h3>"
    if not lonely:
        return f"{head}<p>{escape(said.alone_none)}</p>"
    some = lonely[here.outliers : here.outliers + OUTLIERS]
    # Its value begins with the place of the first outlier, as that of every pager does.
    turn = pager(here.outliers, len(some), len(lonely), OUTLIERS, "outliers-page", f"|{here.doubts}", words)
    rows = "".join(_lonely(tile, addresses, words) for tile in some)
    return f'{head}{_fine(said.alone_text)}<ul class="lib-lonely">{rows}</ul>{turn}'


def _lonely(tile: Tile, addresses: Addresses, words: Words) -> str:
    labels = "".join(f"<span>{escape(shown(label), _LABEL)}</span>" for label in tile.labels)
    return (
        f"<li>{_thumb(tile, words.doubts.alone_picture, addresses, words)}"
        f'<p class="lib-path">{escape(shown(tile.name), _LABEL)}</p><p class="lib-fine">{labels}</p></li>'
    )


def _thumb(tile: Tile, alt: str, addresses: Addresses, words: Words) -> str:
    missing = f'<span class="missing">{DRIVE}<span>{escape(words.search.offline)}</span></span>'
    if tile.offline:
        return f'<span class="thumb is-missing">{missing}</span>'
    source = addresses.picture(tile.id, "thumbnail")
    return (
        f'<span class="thumb"><img src="{source}" alt="{escape(alt)}" loading="lazy" decoding="async">{missing}</span>'
    )
