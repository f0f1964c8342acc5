"""The search page's pieces as HTML: pure functions of what the workflows gave back. What is from outside is escaped."""

import os
import secrets
from collections.abc import Iterable, Sequence

from retrieval.core.text import shown
from retrieval.workflows.results import Neighbour, SearchResult, Timings
from retrieval.workflows.words import chance_in_words
from ui.addresses import Addresses
from ui.asking import Asked
from ui.icons import DRIVE, STACK
from ui.markup import escape, file_size, milliseconds, moment
from ui.notices import render_notice
from ui.refining import Shown, render_doubt, render_examples, render_over, render_pager, render_remarks, render_tools
from ui.words import Words

_CARD_PATH = 60
_CARD_LABELS = 3
_LONGEST = 4096


def render_samples(ids: Sequence[int], addresses: Addresses, words: Words) -> str:
    """The invitation: pictures of the gallery to search with. Folds into a strip once there are results."""
    said = words.search
    tiles = "".join(
        f'<li><button type="button" class="sample" data-similar="{n}"'
        f' aria-label="{escape(said.sample_search.format(n=place))}">'
        f'<img src="{addresses.picture(n, "thumbnail")}" alt="{escape(said.sample_picture.format(n=place))}"'
        f' decoding="async"></button></li>'
        for place, n in enumerate(ids, start=1)
    )
    return (
        f'<section class="samples" aria-label="{escape(said.samples)}"><div class="samples-words">'
        f"<h2>{escape(said.start_title)}</h2><p>{escape(said.start_text)}</p></div>"
        f'<p class="samples-again">{escape(said.from_gallery)}</p><ul class="sample-grid">{tiles}</ul>'
        f'<p class="samples-all"><button type="button" class="tool" data-do="browse" data-n="0">'
        f"{escape(words.refine.browse)}</button></p></section>"
    )


def render_samples_skeleton(number: int) -> str:
    """What stands where the samples will be until they are known."""
    tiles = '<li><span class="sample skeleton"></span></li>' * number
    return f'<section class="samples" aria-hidden="true"><ul class="sample-grid">{tiles}</ul></section>'


def render_empty_gallery(words: Words, *, may_add: bool = False) -> str:
    """What stands in the place of samples and results while nothing is indexed.

    Args:
        words: the reader's language.
        may_add: there is a page where the reader can add a folder; otherwise it says who can add one.
    """
    said = words.search
    if may_add:
        return (
            f'<section class="panel" role="status">{STACK}<h2>{escape(said.empty_title)}</h2>'
            f'<p><a class="lead" href="./library">{escape(words.library.empty_action)}</a></p>'
            f"<p>{escape(words.library.empty_stay)}</p></section>"
        )
    return (
        f'<section class="panel" role="status">{STACK}<h2>{escape(said.empty_title)}</h2>'
        f"<p>{escape(said.empty_how)}</p>"
        f"<p>{escape(said.empty_while)}</p>"
        f'<p><button type="button" class="quiet-button" data-action="reload">{escape(said.check_again)}</button></p>'
        "</section>"
    )


def render_searching(k: int, words: Words) -> str:
    """Placeholders for k cards."""
    card = '<li class="card skeleton-card"><span class="thumb skeleton"></span><span class="skeleton line"></span></li>'
    return (
        '<section class="results searching" aria-busy="true"><div class="results-head">'
        f'<h2><span role="status">{escape(words.search.searching)}</span></h2></div>'
        f'<ul class="grid" aria-hidden="true">{card * min(k, 12)}</ul></section>'
    )


def render_results(result: SearchResult, addresses: Addresses, words: Words, shown_with: Shown) -> str:
    """The neighbours of one query as a grid of cards.

    Args:
        result: at least one neighbour.
        addresses: of pictures.
        words: the reader's language.
        shown_with: the search, and what to say of it.
    """
    asked = shown_with.asked
    cards = "".join(_card(neighbour, asked, addresses, words) for neighbour in result.neighbours)
    return (
        f'<section class="results" data-search="{escape(secrets.token_hex(4))}">'
        f"{_results_head(result, addresses, words, shown_with)}{render_doubt(result, words)}"
        f'<ul class="grid" id="neighbours">{cards}</ul>{render_pager(asked.page, result.more, words)}</section>'
    )


def _results_head(result: SearchResult, addresses: Addresses, words: Words, shown_with: Shown) -> str:
    said, found, asked = words.search, len(result.neighbours), shown_with.asked
    titles = said.like_yours if asked.like[0].image_id is None else said.like_this
    title = (titles if asked.is_one_picture else words.refine.by_examples).of(found)
    ranks = f" · {escape(words.refine.ranks.format(first=f'{shown_with.first:,}'))}" if shown_with.first > 1 else ""
    return (
        f'<div class="results-head">{render_examples(asked, addresses, words)}'
        f'<div class="results-words"><h2 tabindex="-1"><span role="status">{escape(title)}</span></h2>'
        f'<p class="fine">{escape(said.out_of.of(result.searched))}{ranks} · {_timings(result.timings, words)}</p>'
        f"{render_remarks(shown_with, words)}</div>{render_tools(shown_with, addresses, words)}</div>"
    )


def _timings(timings: Timings, words: Words) -> str:
    said = words.search
    parts = [
        escape(f"{name} {milliseconds(seconds, words)}")
        for name, seconds in (
            (said.decode, timings.decode),
            (said.encode, timings.encode),
            (said.index, timings.index),
            (said.catalog, timings.catalog),
        )
        if seconds
    ]
    return (
        f'<span class="time" title="{" · ".join(parts)}">{milliseconds(timings.total, words)}</span>'
        f'<span class="parts"> ({" · ".join(parts)})</span>'
    )


def _card(neighbour: Neighbour, asked: Asked, addresses: Addresses, words: Words) -> str:
    copies = "".join(_copy(one, neighbour.id, addresses, words) for one in neighbour.copies)
    return f"<li>{_button(neighbour, addresses, words)}{render_over(neighbour, asked, words)}</li>{copies}"


def _copy(neighbour: Neighbour, of: int, addresses: Addresses, words: Words) -> str:
    """A near-duplicate: in its place behind the first of them, and hidden until it is asked for."""
    note = escape(words.refine.copy_of.format(rank=neighbour.rank))
    button = _button(neighbour, addresses, words)
    return f'<li class="copy" data-copy-of="{of}" title="{note}" hidden>{button}</li>'


def _button(neighbour: Neighbour, addresses: Addresses, words: Words) -> str:
    place = shown(neighbour.paths[0]) if neighbour.paths else words.search.no_file
    return (
        f'<button type="button" class="card" data-id="{neighbour.id}" aria-haspopup="dialog"'
        f' data-full="{addresses.picture(neighbour.id, "full")}"'
        f' aria-label="{escape(_spoken(neighbour, place, words), 300)}">'
        f"{_thumbnail(neighbour, addresses, words)}"
        f'<span class="card-line">{_labels(neighbour.labels)}{_figures(neighbour, words)}</span>'
        f"{_path(place)}</button>"
        f'<div class="facts" hidden>{_facts(neighbour, words)}</div>'
    )


def _spoken(neighbour: Neighbour, place: str, words: Words) -> str:
    said = words.search
    values = {
        "rank": neighbour.rank,
        "score": f"{neighbour.score:.3f}",
        "labels": words.writing.comma.join(neighbour.labels) or said.no_label,
        "name": os.path.basename(place),
    }
    if neighbour.probability is None:
        return said.spoken.format(**values)
    return said.spoken_chance.format(**values, chance=chance_in_words(neighbour.probability))


def _thumbnail(neighbour: Neighbour, addresses: Addresses, words: Words) -> str:
    missing = f'<span class="missing">{DRIVE}<span>{escape(words.search.offline)}</span></span>'
    if neighbour.offline:
        return f'<span class="thumb is-missing">{missing}</span>'
    address = addresses.picture(neighbour.id, "thumbnail")
    alt = escape(words.writing.comma.join(neighbour.labels) or words.search.picture, 120)
    return f'<span class="thumb"><img src="{address}" alt="{alt}" loading="lazy" decoding="async">{missing}</span>'


def _path(place: str) -> str:
    # Where there is little room the folder gives way first: the two ends of a path tell most.
    folder, separator, name = shown(place, _CARD_PATH).rpartition(os.sep)
    return (
        f'<span class="path" title="{escape(place, _LONGEST)}"><span class="folder">{escape(folder)}</span>'
        f'<span class="name">{escape(separator + name)}</span></span>'
    )


def _labels(labels: Sequence[str]) -> str:
    chips = "".join(f'<span class="label">{escape(label, 40)}</span>' for label in labels[:_CARD_LABELS])
    more = f'<span class="label more">+{len(labels) - _CARD_LABELS}</span>' if len(labels) > _CARD_LABELS else ""
    return f'<span class="labels">{chips}{more}</span>'


def _figures(neighbour: Neighbour, words: Words) -> str:
    """The score and, in a calibrated space, the chance that it stands for."""
    chance, said = "", words.search
    if neighbour.probability is not None:
        text = escape(said.same_label.format(chance=chance_in_words(neighbour.probability)))
        chance = f'<span class="chance" title="{escape(said.chance)}">{text}</span>'
    return f'<span class="figures"><span class="score">{neighbour.score:.3f}</span>{chance}</span>'


def _facts(neighbour: Neighbour, words: Words) -> str:
    said = words.search
    labels = "".join(f'<span class="label">{escape(label)}</span>' for label in neighbour.labels)
    pixels = said.pixels.format(width=f"{neighbour.width:,}", height=f"{neighbour.height:,}")
    taken = moment(neighbour.captured, words) if neighbour.captured else said.taken_unknown
    rows: list[tuple[str, str, bool]] = [
        (said.score, f"{neighbour.score:.3f} <small>{escape(said.cosine)}</small>", False),
        *_chance(neighbour, words),
        (said.rank, str(neighbour.rank), False),
        (said.labels, labels or escape(said.none), True),
        (said.size, escape(pixels), False),
        (said.file, f"{escape(neighbour.format)}{words.writing.comma}{file_size(neighbour.bytes, words)}", False),
        (said.taken, escape(taken), False),
        (said.image_id, str(neighbour.id), False),
        (said.place if len(neighbour.paths) == 1 else said.places, _paths(neighbour.paths, words), True),
    ]
    offline = f'<p class="offline-note">{escape(said.offline_note)}</p>'
    return (offline if neighbour.offline else "") + f"<dl>{''.join(_fact(*row) for row in rows)}</dl>"


def _chance(neighbour: Neighbour, words: Words) -> list[tuple[str, str, bool]]:
    """How likely it shows the same thing; nothing before a space is calibrated."""
    if neighbour.probability is None:
        return []
    chance, said = escape(chance_in_words(neighbour.probability)), words.search
    return [(said.same_label_fact, f"{chance} <small>{escape(said.likely)}</small>", False)]


def _fact(name: str, value: str, wide: bool) -> str:
    kind = ' class="wide"' if wide else ""
    return f"<div{kind}><dt>{escape(name)}</dt><dd>{value}</dd></div>"


def _paths(paths: Iterable[str], words: Words) -> str:
    listed = "".join(f'<span class="full-path">{escape(path, _LONGEST)}</span>' for path in paths)
    return listed or escape(words.search.none)


def render_no_match(
    result: SearchResult, restricts: bool, min_score: float | None, words: Words, link: str = ""
) -> str:
    """The filters are too narrow: what to widen. ``link`` is the search's, which the page's address then names."""
    said = words.search
    if not result.searched and restricts:
        text, hint = said.no_match_filters, said.no_match_filters_hint
    elif min_score is not None and result.searched:
        text = said.no_match_score.of(result.searched).format(score=f"{min_score:.2f}")
        hint = said.no_match_score_or_filters_hint if restricts else said.no_match_score_hint
    else:
        text, hint = said.no_match_alone, said.no_match_alone_hint
    named = f'<a hidden data-link href="./{escape(link, 8192)}"></a>' if link else ""
    return render_notice("info", said.no_match, text, hint) + named
