"""Pages of pictures to select, and the bar that labels what is selected."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.core.text import shown
from retrieval.workflows.labelling import Tile
from ui.addresses import Addresses
from ui.icons import DRIVE
from ui.labels.asked import Look
from ui.labels.head import render_keys, render_tabs
from ui.markup import escape
from ui.notices import render_notice
from ui.words import Words

_LONGEST = 4096
_LABELS_SHOWN = 2


@dataclass(frozen=True, slots=True)
class Sheet:
    """What the grid shows.

    Attributes:
        look: what was asked for, with the page that is shown.
        tiles: on this page.
        pages: how many there are.
        total: images on all pages.
        choices: (label as shown, images) to choose from.
    """

    look: Look
    tiles: Sequence[Tile]
    pages: int
    total: int
    choices: Sequence[tuple[str, int]]


def render_grid(sheet: Sheet, addresses: Addresses, words: Words, stamp: str = "", *, may_write: bool = True) -> str:
    """The tab where pictures are picked, or, by those who may label none, looked at."""
    said = words.labels
    if sheet.tiles:
        tiles = "".join(render_tile(tile, addresses, words, stop=n == 0) for n, tile in enumerate(sheet.tiles))
        name = said.tiles if may_write else said.tiles_look
        body = (
            f'<ul class="tiles" role="listbox" aria-multiselectable="true" aria-label="{escape(name)}">{tiles}</ul>'
            f"{_pager(sheet, words)}{_dock(words) if may_write else ''}"
        )
    else:
        body = _nothing(sheet.look, words)
    return (
        f"{open_view(sheet.look, stamp)}{render_tabs('pick', words, may_write=may_write)}"
        f'<div class="labels-bar-row">{_filters(sheet, words)}{_counted(sheet, words)}</div>'
        f"{_near(sheet.look, addresses, words)}{body}{render_keys(keys(words, may_write=may_write), words)}"
        "</section>"
    )


def open_view(look: Look, stamp: str) -> str:
    """The opening of a tab; the script reads from it what is shown."""
    state = escape(json.dumps(look.as_json(), ensure_ascii=False))
    return f'<section class="labels-page" data-tab="{look.tab}" data-look="{state}" data-stamp="{escape(stamp)}">'


def keys(words: Words, *, may_write: bool = True) -> list[tuple[str, str]]:
    """The keys of this tab."""
    said = words.labels
    if not may_write:
        looks = [("s", said.key_near), ("[ ]", said.key_pages), ("?", said.key_keys)]
        return [("← ↑ → ↓", said.key_move), *looks]
    return [
        ("← ↑ → ↓", said.key_move),
        ("Space", said.key_select),
        ("Shift+↔", said.key_range),
        ("a", said.key_all),
        ("Esc", said.key_none),
        ("l Enter", said.key_label),
        ("1 … 9", said.key_recent),
        ("x", said.key_take),
        ("s", said.key_near),
        ("[ ]", said.key_pages),
        ("u", said.key_undo),
        ("?", said.key_keys),
    ]


def _filters(sheet: Sheet, words: Words) -> str:
    said, look = words.labels, sheet.look
    fixed = {"unlabelled": said.show_unlabelled, "all": said.show_all, "automatic": said.show_automatic}
    options = "".join(
        f'<option value="{value}"{" selected" if look.show == value else ""}>{escape(name)}</option>'
        for value, name in fixed.items()
    )
    known = [label for label, _ in sheet.choices]
    choices = list(sheet.choices)
    if look.show == "label" and look.label not in known:
        choices.insert(0, (look.label, 0))
    chosen = "".join(
        f'<option value="label:{escape(label, _LONGEST)}"'
        f"{' selected' if look.show == 'label' and look.label == label else ''}>"
        f"{escape(label, 60)} ({images:,})</option>"
        for label, images in choices
    )
    group = f'<optgroup label="{escape(said.show_label)}">{chosen}</optgroup>' if chosen else ""
    return (
        f'<form class="labels-filters"><label><span>{escape(said.show)}</span>'
        f'<select name="show" autocomplete="off">{options}{group}</select></label>'
        f"<label><span>{escape(words.search.in_folder)}</span>"
        f'<input name="under" value="{escape(look.under, _LONGEST)}" autocomplete="off" spellcheck="false"'
        f' placeholder="{escape(words.search.folder_example)}"></label></form>'
    )


def _near(look: Look, addresses: Addresses, words: Words) -> str:
    if not look.near:
        return ""
    said = words.labels
    return (
        f'<p class="labels-near"><img src="{addresses.picture(look.near, "thumbnail")}"'
        f' alt="{escape(said.this_picture)}">'
        f"<span>{escape(said.near)}</span>"
        f'<button type="button" class="quiet" data-near="0">{escape(said.near_off)}</button></p>'
    )


def _counted(sheet: Sheet, words: Words) -> str:
    return f'<p class="labels-total" role="status">{escape(words.labels.pictures.of(sheet.total))}</p>'


def render_tile(tile: Tile, addresses: Addresses, words: Words, *, selected: bool = False, stop: bool = False) -> str:
    """A picture that can be selected.

    Args:
        tile: what it shows.
        addresses: of pictures.
        words: the reader's language.
        selected: from the beginning.
        stop: whether the keyboard comes in here.
    """
    said = words.labels
    spoken = [shown(label) for label in tile.labels]
    if tile.automatic is not None:
        spoken.append(said.automatic_spoken.format(label=shown(tile.automatic[0])))
    name = words.writing.comma.join([*(spoken or [words.search.no_label]), tile.name])
    missing = f'<span class="missing">{DRIVE}<span>{escape(words.search.offline)}</span></span>'
    picture = (
        missing
        if tile.offline
        else f'<img src="{addresses.picture(tile.id, "thumbnail")}" alt="" decoding="async" draggable="false">{missing}'
    )
    return (
        f'<li class="tile" role="option" aria-selected="{"true" if selected else "false"}"'
        f' tabindex="{0 if stop else -1}" data-id="{tile.id}"'
        f' aria-label="{escape(name, 300)}" title="{escape(tile.name, 200)}">'
        f'<span class="thumb{" is-missing" if tile.offline else ""}">{picture}<span class="tick"></span></span>'
        f'<span class="tile-labels">{_chips(tile, words)}</span></li>'
    )


def _chips(tile: Tile, words: Words) -> str:
    chips = "".join(f'<span class="label">{escape(label, 28)}</span>' for label in tile.labels[:_LABELS_SHOWN])
    if len(tile.labels) > _LABELS_SHOWN:
        chips += f'<span class="label more">+{len(tile.labels) - _LABELS_SHOWN}</span>'
    if tile.automatic is not None:
        label, confidence = tile.automatic
        title = escape(words.labels.automatic_title.format(chance=f"{confidence:.0%}"))
        chips += f'<span class="label automatic" title="{title}">{escape(label, 28)}?</span>'
    return chips


def _pager(sheet: Sheet, words: Words) -> str:
    if sheet.pages < 2:
        return ""
    said, page = words.labels, sheet.look.page
    first, last = page <= 1, page >= sheet.pages
    text = said.page_of.format(page=f"{page:,}", pages=f"{sheet.pages:,}")
    return (
        f'<nav class="labels-pager" aria-label="{escape(said.pages)}">'
        f'<button type="button" class="quiet" data-page="{page - 1}"{" disabled" if first else ""}>'
        f"{escape(said.previous)}</button><span>{escape(text)}</span>"
        f'<button type="button" class="quiet" data-page="{page + 1}"{" disabled" if last else ""}>'
        f"{escape(said.next)}</button></nav>"
    )


def _dock(words: Words) -> str:
    said = words.labels
    return (
        f'<div class="labels-dock" role="group" aria-label="{escape(said.dock)}">'
        f'<p class="dock-count" aria-live="polite" data-none="{escape(said.selected_none)}"'
        f' data-one="{escape(said.selected.one)}" data-many="{escape_braces(said.selected.many)}">'
        f"{escape(said.selected_none)}</p>"
        f'<div class="dock-pick"><button type="button" class="quiet" data-do="all">{escape(said.select_page)}</button>'
        f'<button type="button" class="quiet" data-do="none">{escape(said.select_none)}</button>'
        f'<button type="button" class="quiet" data-do="take">{escape(said.take_away)}</button></div>'
        f'<form class="dock-form" data-do="label"><input name="label" list="label-names" autocomplete="off" required'
        f' maxlength="200" aria-label="{escape(said.label)}" placeholder="{escape(said.label_here)}">'
        f'<button type="submit" class="main">{escape(said.give)}</button></form>'
        f'<div class="dock-recent" aria-label="{escape(said.recent)}" role="group"></div>'
        f'<button type="button" class="quiet dock-keys" data-do="keys" aria-label="{escape(said.keys)}">?'
        f"</button></div>"
    )


def escape_braces(text: str) -> str:
    """For a text with a place for a number that the script fills: Gradio must not see the braces."""
    return escape(text.replace("{n}", "#"))


def _nothing(look: Look, words: Words) -> str:
    said = words.labels
    if look.show == "unlabelled" and not look.under:
        return render_notice("info", said.all_labelled, said.all_labelled_text)
    return render_notice("info", said.nothing_here, said.nothing_here_text)


def render_busy(look: Look, words: Words, text: str, *, may_write: bool = True) -> str:
    """What stands there while something takes its time."""
    tile = '<li class="tile"><span class="thumb skeleton"></span></li>'
    return (
        f"{open_view(look, '')}{render_tabs(look.tab, words, may_write=may_write)}"
        f'<p class="labels-busy" role="status">{escape(text)}</p>'
        f'<ul class="tiles" aria-hidden="true">{tile * 12}</ul></section>'
    )
