"""The page's pieces as HTML: pure functions of what the workflows gave back. Everything from outside is escaped."""

import os
from collections.abc import Iterable, Sequence

from retrieval.core.text import shown
from retrieval.workflows.results import Neighbour, SearchResult, Summary, Timings
from retrieval.workflows.words import chance_in_words, count
from ui.addresses import Addresses
from ui.icons import ALERT, DRIVE, LOGO, STACK
from ui.markup import escape, file_size, milliseconds, moment, prose

_CARD_PATH = 60
_CARD_LABELS = 3
_LONGEST = 4096
_CHANCE = "How likely this picture carries the label of the one searched with, going by its score"


def render_masthead(title: str, summary: Summary | None) -> str:
    """The head of the page: the product's name and what the gallery holds. ``None`` is "not known yet"."""
    state = _gallery_state(summary) if summary is not None else '<p class="state" aria-hidden="true"></p>'
    return (
        f'<header class="masthead"><div class="brand">{LOGO}<div><h1>{escape(title)}</h1>'
        f'<p class="tagline">Find the pictures that look like yours.</p></div></div>{state}</header>'
        f"{_untrained(summary)}"
    )


def _gallery_state(summary: Summary) -> str:
    if not summary.images:
        return '<p class="state" role="status"><strong>Empty gallery</strong></p>'
    return (
        f'<p class="state" role="status"><strong>{count(summary.images, "image")}</strong>'
        f'<span title="Model (encoder)">{escape(summary.model, 60)}</span>'
        f'<span title="Kind of index">{escape(summary.index, 40)}</span></p>'
    )


def _untrained(summary: Summary | None) -> str:
    if summary is None or summary.trained or not summary.images:
        return ""
    return render_notice(
        "warning",
        "This gallery uses an UNTRAINED encoder: neighbours mean little.",
        "It serves to try the program out. Index with a pretrained model to get neighbours that look alike.",
    )


def render_samples(ids: Sequence[int], addresses: Addresses) -> str:
    """The invitation: pictures of the gallery to search with. Folds into a strip once there are results."""
    tiles = "".join(
        f'<li><button type="button" class="sample" data-similar="{n}" aria-label="Search with sample {place}">'
        f'<img src="{addresses.picture(n, "thumbnail")}" alt="Sample {place} of the gallery" decoding="async">'
        f"</button></li>"
        for place, n in enumerate(ids, start=1)
    )
    return (
        '<section class="samples" aria-label="Samples of the gallery"><div class="samples-words">'
        "<h2>Start with a photo</h2>"
        "<p>Drop one, paste it, or take one with the camera. Or begin with a picture of the gallery:</p></div>"
        f'<p class="samples-again">From the gallery</p><ul class="sample-grid">{tiles}</ul></section>'
    )


def render_samples_skeleton(number: int) -> str:
    """What stands where the samples will be until they are known."""
    tiles = '<li><span class="sample skeleton"></span></li>' * number
    return f'<section class="samples" aria-hidden="true"><ul class="sample-grid">{tiles}</ul></section>'


def render_empty_gallery() -> str:
    """What stands in the place of samples and results while nothing is indexed."""
    return (
        f'<section class="panel" role="status">{STACK}<h2>Nothing is indexed yet</h2>'
        "<p>Choose a folder of pictures and run this in a terminal:</p>"
        '<p class="command"><code>retrieval index FOLDER</code></p>'
        "<p>It can run while this page is open; the originals stay where they are.</p>"
        '<p><button type="button" class="quiet-button" data-action="reload">Check again</button></p></section>'
    )


def render_searching(k: int) -> str:
    """Placeholders for k cards."""
    card = '<li class="card skeleton-card"><span class="thumb skeleton"></span><span class="skeleton line"></span></li>'
    return (
        '<section class="results searching" aria-busy="true"><div class="results-head">'
        '<h2 role="status">Searching …</h2></div>'
        f'<ul class="grid" aria-hidden="true">{card * min(k, 12)}</ul></section>'
    )


def render_results(result: SearchResult, addresses: Addresses, query_id: int | None = None) -> str:
    """The neighbours of one query as a grid of cards.

    Args:
        result: at least one neighbour.
        addresses: of pictures.
        query_id: the indexed image that was searched with; None for an upload.
    """
    cards = "".join(_card(neighbour, addresses) for neighbour in result.neighbours)
    return (
        f'<section class="results">{_results_head(result, addresses, query_id)}'
        f'<ul class="grid" id="neighbours">{cards}</ul></section>'
    )


def _results_head(result: SearchResult, addresses: Addresses, query_id: int | None) -> str:
    found = len(result.neighbours)
    if query_id is None:
        words = f"{count(found, 'picture')} most like yours"
        picture = ""
    else:
        words = f"{count(found, 'picture')} most like this one"
        picture = (
            f'<img class="query" src="{addresses.picture(query_id, "thumbnail")}" alt="The picture searched with">'
        )
    return (
        f'<div class="results-head">{picture}<div><h2 tabindex="-1" role="status">{words}</h2>'
        f'<p class="fine">out of {count(result.searched, "image")} · {_timings(result.timings)}</p>'
        f"{_doubt(result)}</div></div>"
    )


def _doubt(result: SearchResult) -> str:
    if not result.nothing_like_this:
        return ""
    return '<p class="fine">Probably nothing like this is here: not even the nearest reaches the usual score.</p>'


def _timings(timings: Timings) -> str:
    parts = [
        f"{name} {milliseconds(seconds)}"
        for name, seconds in (
            ("decode", timings.decode),
            ("encode", timings.encode),
            ("index", timings.index),
            ("catalog", timings.catalog),
        )
        if seconds
    ]
    return (
        f'<span class="time" title="{" · ".join(parts)}">{milliseconds(timings.total)}</span>'
        f'<span class="parts"> ({" · ".join(parts)})</span>'
    )


def _card(neighbour: Neighbour, addresses: Addresses) -> str:
    place = shown(neighbour.paths[0]) if neighbour.paths else "(no file)"
    return (
        f'<li><button type="button" class="card" data-id="{neighbour.id}" aria-haspopup="dialog"'
        f' data-full="{addresses.picture(neighbour.id, "full")}" aria-label="{escape(_spoken(neighbour, place), 300)}">'
        f"{_thumbnail(neighbour, addresses)}"
        f'<span class="card-line">{_labels(neighbour.labels)}{_figures(neighbour)}</span>'
        f"{_path(place)}</button>"
        f'<div class="facts" hidden>{_facts(neighbour)}</div></li>'
    )


def _spoken(neighbour: Neighbour, place: str) -> str:
    score = f"score {neighbour.score:.3f}"
    if neighbour.probability is not None:
        score += f", {chance_in_words(neighbour.probability)} likely the same label"
    labels = ", ".join(neighbour.labels) or "No label"
    return f"Rank {neighbour.rank}, {score}. {labels}. {os.path.basename(place)}"


def _thumbnail(neighbour: Neighbour, addresses: Addresses) -> str:
    missing = f'<span class="missing">{DRIVE}<span>drive offline</span></span>'
    if neighbour.offline:
        return f'<span class="thumb is-missing">{missing}</span>'
    address, alt = addresses.picture(neighbour.id, "thumbnail"), escape(", ".join(neighbour.labels) or "Picture", 120)
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


def _figures(neighbour: Neighbour) -> str:
    """The score and, in a calibrated space, the chance that it stands for."""
    chance = ""
    if neighbour.probability is not None:
        words = escape(chance_in_words(neighbour.probability))
        chance = f'<span class="chance" title="{_CHANCE}">{words} same label</span>'
    return f'<span class="figures"><span class="score">{neighbour.score:.3f}</span>{chance}</span>'


def _facts(neighbour: Neighbour) -> str:
    labels = "".join(f'<span class="label">{escape(label)}</span>' for label in neighbour.labels)
    rows: list[tuple[str, str, bool]] = [
        ("Score", f"{neighbour.score:.3f} <small>cosine</small>", False),
        *_chance(neighbour),
        ("Rank", str(neighbour.rank), False),
        ("Labels", labels or "none", True),
        ("Size", f"{neighbour.width:,} × {neighbour.height:,} pixels", False),
        ("File", f"{escape(neighbour.format)}, {file_size(neighbour.bytes)}", False),
        ("Taken", moment(neighbour.captured) if neighbour.captured else "unknown", False),
        ("Image id", str(neighbour.id), False),
        ("Place" if len(neighbour.paths) == 1 else "Places", _paths(neighbour.paths), True),
    ]
    offline = '<p class="offline-note">drive offline: the original cannot be reached now</p>'
    return (offline if neighbour.offline else "") + f"<dl>{''.join(_fact(*row) for row in rows)}</dl>"


def _chance(neighbour: Neighbour) -> list[tuple[str, str, bool]]:
    """How likely it shows the same thing; nothing before a space is calibrated."""
    if neighbour.probability is None:
        return []
    return [("Same label", f"{escape(chance_in_words(neighbour.probability))} <small>likely</small>", False)]


def _fact(name: str, value: str, wide: bool) -> str:
    kind = ' class="wide"' if wide else ""
    return f"<div{kind}><dt>{name}</dt><dd>{value}</dd></div>"


def _paths(paths: Iterable[str]) -> str:
    return "".join(f'<span class="full-path">{escape(path, _LONGEST)}</span>' for path in paths) or "none"


def render_no_match(result: SearchResult, restricts: bool, min_score: float | None) -> str:
    """The filters are too narrow: what to widen."""
    if not result.searched and restricts:
        text = "No image passes the filters: no picture has these labels and lies in this folder."
        hint = "Take a label away, or clear the folder."
    elif min_score is not None and result.searched:
        text = f"None of {count(result.searched, 'image')} reaches a score of {min_score:.2f}."
        hint = "Lower the minimum score" + (", or widen the other filters." if restricts else ".")
    else:
        text, hint = "There is no other image to compare with.", "Index more pictures: `retrieval index FOLDER`."
    return render_notice("info", "No match", text, hint)


def render_notice(kind: str, title: str, text: str = "", hint: str = "") -> str:
    """A box that says what is so and what to do next.

    Args:
        kind: ``"info"``, ``"warning"`` or ``"error"``.
        title, text, hint: our sentences; `commands` may stand between backticks.
    """
    role = "alert" if kind == "error" else "status"
    lines = "".join(f'<p class="{name}">{prose(line)}</p>' for name, line in (("text", text), ("hint", hint)) if line)
    return (
        f'<section class="notice {kind}" role="{role}">{ALERT}<div>'
        f'<p class="notice-title">{prose(title)}</p>{lines}</div></section>'
    )
