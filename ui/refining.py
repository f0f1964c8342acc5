"""What refines a search, as HTML: its examples, thumbs, copies, pages, and the gallery's pictures to choose from."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from retrieval.workflows.exporting import MOST_PICTURES, MOST_ROWS
from retrieval.workflows.results import Browsed, Neighbour, SearchResult
from ui.addresses import Addresses
from ui.asking import NO, YES, Asked, Picture
from ui.icons import CAMERA, THUMB_DOWN, THUMB_UP
from ui.markup import escape
from ui.notices import render_notice
from ui.words import Words

_HISTORY_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Shown:
    """What results are shown with.

    Attributes:
        asked: the search.
        first: rank of the first result.
        may_judge: whether judgements are kept; they always order what is shown.
        refused: why the last one could not be kept, in the reader's language; empty where it was.
        link: to this search, from its question mark on; empty where there can be none.
    """

    asked: Asked
    first: int = 1
    may_judge: bool = False
    refused: str = ""
    link: str = ""


def picture_address(picture: Picture, addresses: Addresses, *, large: bool = False) -> str:
    """Where a browser finds a picture that is searched with; what it cannot show of an upload it says itself."""
    if picture.image_id is not None:
        return addresses.picture(picture.image_id, "full" if large else "thumbnail")
    if picture.file is None:
        return f"queries/{quote(picture.key or '')}"
    return f"gradio_api/file={quote(picture.file or '')}"


def render_examples(asked: Asked, addresses: Addresses, words: Words) -> str:
    """The pictures that are searched with; one that is alone stands without a way to take it away."""
    alone = asked.is_one_picture
    items = [_example(one, place, "like", alone, addresses, words) for place, one in enumerate(asked.like)]
    items += [_example(one, place, "unlike", alone, addresses, words) for place, one in enumerate(asked.unlike)]
    return f'<ul class="examples" aria-label="{escape(words.refine.examples)}">{"".join(items)}</ul>'


def _example(one: Picture, place: int, side: str, alone: bool, addresses: Addresses, words: Words) -> str:
    said = words.refine
    name = said.example.format(n=place + 1) if one.file is None else said.upload
    alt = escape(words.search.query_picture if alone else f"{said.like if side == 'like' else said.unlike}: {name}")
    marked = ""
    if one.region is not None:
        region = one.region
        inset = (region.top, 1 - region.right, 1 - region.bottom, region.left)
        marked = f'<span class="marked" style="inset: {" ".join(f"{100 * side:.2f}%" for side in inset)}"></span>'
    drop = (
        ""
        if alone
        else f'<button type="button" class="drop" data-do="drop" data-side="{side}" data-n="{place}"'
        f' aria-label="{escape(said.take_away)}: {alt}" title="{escape(said.take_away)}">×</button>'
    )
    sign = "" if alone else f'<span class="sign" aria-hidden="true">{"+" if side == "like" else "−"}</span>'
    source = escape(picture_address(one, addresses), 4096)
    return (
        f'<li class="example {side}"><span class="frame"><img class="query" alt="{alt}" src="{source}">'
        f'<span class="no-picture">{CAMERA}</span>{marked}</span>'
        f"{sign}{drop}</li>"
    )


def render_tools(shown: Shown, addresses: Addresses, words: Words) -> str:
    """What can be done with the whole search."""
    asked, said = shown.asked, words.refine
    first, parts = asked.like[0], []
    if asked.is_one_picture:
        address = escape(picture_address(first, addresses, large=True), 4096)
        parts.append(f'<button type="button" class="tool" data-crop="{address}">{escape(said.mark)}</button>')
        if first.region is not None:
            parts.append(f'<button type="button" class="tool" data-do="whole">{escape(said.whole)}</button>')
    if asked.judged:
        parts.append(f'<button type="button" class="tool" data-do="forget">{escape(said.forget)}</button>')
    if shown.link:
        link = escape(shown.link, 8192)
        copied = escape(said.link_copied)
        parts.append(f'<a class="tool" href="./{link}" data-link data-copied="{copied}">{escape(said.link)}</a>')
        parts.append(_download("export.csv", link, said.as_table, said.at_most.format(count=f"{MOST_ROWS:,}")))
        parts.append(_download("export.zip", link, said.as_copies, said.at_most.format(count=f"{MOST_PICTURES:,}")))
    return f'<div class="tools">{"".join(parts)}</div>' if parts else ""


def _download(name: str, link: str, text: str, reach: str) -> str:
    return f'<a class="tool" href="{name}{link}" title="{escape(reach)}" download>{escape(text)}</a>'


def render_history(keys: Sequence[str], words: Words) -> str:
    """Photos that were searched with, the latest first; nothing where there is none."""
    if not keys:
        return ""
    said = words.refine
    tiles = "".join(
        f'<li><button type="button" class="sample" data-do="kept" data-key="{escape(key)}"'
        f' aria-label="{escape(said.history_pick.format(n=place))}"><img src="queries/{escape(key)}"'
        f' alt="{escape(said.history_pick.format(n=place))}" loading="lazy" decoding="async"></button></li>'
        for place, key in enumerate(keys[:_HISTORY_SHOWN], 1)
    )
    clear = f'<button type="button" class="tool" data-do="history-clear">{escape(said.history_clear)}</button>'
    return (
        f'<section class="history" aria-label="{escape(said.history)}"><p class="samples-again">{escape(said.history)}'
        f'</p><ul class="history-strip">{tiles}</ul>{clear}</section>'
    )


def render_remarks(shown: Shown, words: Words) -> str:
    """What must be known to read the results."""
    asked, said, lines = shown.asked, words.refine, []
    if asked.is_one_picture and asked.like[0].region is not None:
        lines.append(escape(said.marked))
    if asked.judged:
        kept = said.judged_kept if shown.may_judge and asked.is_one_picture else said.judged_here
        if shown.refused:
            kept = said.judged_not_kept.format(reason=shown.refused)
        lines.append(f"{escape(said.judged.of(len(asked.judged)))} {escape(kept)}")
    return "".join(f'<p class="fine">{line}</p>' for line in lines)


def render_doubt(result: SearchResult, words: Words) -> str:
    """Said before the results where even the best is no match."""
    if not result.nothing_like_this:
        return ""
    return f'<div class="doubt">{render_notice("info", words.refine.nothing_title, words.refine.nothing_text)}</div>'


def render_over(neighbour: Neighbour, asked: Asked, words: Words) -> str:
    """What lies over a card's picture: thumbs, and the number of its copies."""
    judged = dict(asked.judged).get(neighbour.id)
    said = words.refine
    thumbs = (
        _thumb(neighbour.id, YES, THUMB_UP, said.yes, judged is True)
        + _thumb(neighbour.id, NO, THUMB_DOWN, said.no, judged is False)
    )  # fmt: skip
    copies = ""
    if neighbour.copies:
        copies = (
            f'<button type="button" class="copies" data-copies="{neighbour.id}" aria-expanded="false">'
            f"{escape(said.copies.of(len(neighbour.copies)))}</button>"
        )
    return f'<div class="over">{copies}<span class="thumbs">{thumbs}</span></div>'


def _thumb(image_id: int, value: str, icon: str, name: str, pressed: bool) -> str:
    return (
        f'<button type="button" class="thumb-button" data-do="judge" data-id="{image_id}" data-value="{value}"'
        f' aria-pressed="{str(pressed).lower()}" aria-label="{escape(name)}" title="{escape(name)}">{icon}</button>'
    )


def render_pager(page: int, more: bool, words: Words, do: str = "page") -> str:
    """Previous and next; nothing where there is one page only."""
    if not page and not more:
        return ""
    said = words.refine
    before, after = _step(do, page - 1, said.previous, page > 0), _step(do, page + 1, said.next, more)
    here = f'<span class="here" aria-current="page">{escape(said.page.format(n=page + 1))}</span>'
    return f'<nav class="pager" aria-label="{escape(said.pages)}">{before}{here}{after}</nav>'


def _step(do: str, page: int, name: str, possible: bool) -> str:
    off = "" if possible else " disabled"
    return f'<button type="button" class="tool" data-do="{do}" data-n="{max(page, 0)}"{off}>{escape(name)}</button>'


def render_browsed(found: Browsed, page: int, per_page: int, addresses: Addresses, words: Words) -> str:
    """A page of the gallery's pictures; each starts a search."""
    said, first = words.refine, page * per_page
    tiles = "".join(_tile(image_id, first + place, addresses, words) for place, image_id in enumerate(found.ids, 1))
    last = first + len(found.ids)
    about = escape(said.browse_range.format(first=f"{first + 1:,}", last=f"{last:,}")) if found.ids else ""
    return (
        '<section class="browse"><div class="browse-head">'
        f'<div><h2 tabindex="-1">{escape(said.browse_title.of(found.total))}</h2><p class="fine">{about}</p></div>'
        f'<button type="button" class="tool" data-do="browse-close">{escape(said.browse_close)}</button></div>'
        f'<ul class="browse-grid">{tiles}</ul>{render_pager(page, last < found.total, words, "browse")}</section>'
    )


def _tile(image_id: int, number: int, addresses: Addresses, words: Words) -> str:
    label = escape(words.refine.browse_pick.format(n=number))
    return (
        f'<li><button type="button" class="sample" data-similar="{image_id}" aria-label="{label}">'
        f'<img src="{addresses.picture(image_id, "thumbnail")}" alt="{label}" loading="lazy" decoding="async">'
        "</button></li>"
    )
