"""The map as HTML: what there is to say of it, and the scaffold that its script fills."""

import json

from retrieval.workflows.jobs import Job
from retrieval.workflows.mapping import LEAST, MapState
from ui.addresses import Addresses
from ui.icons import ALERT
from ui.markup import clock, escape
from ui.notices import render_notice
from ui.understand.parts import button, lines, part, render_end, render_work
from ui.words import Words

COLOURS = 10
"""Labels that have a colour of their own; see ``understand.css``."""


def render_status(state: MapState, job: Job | None, words: Words, *, may_write: bool, shows_paths: bool) -> str:
    """The heading, how old the map is, and the button that draws it.

    Args:
        state: of the map.
        job: the newest that draws one.
        words: the reader's language.
        may_write: whether it may be drawn from here.
        shows_paths: whether an error may name one.
    """
    said = words.understand
    lead = lines(said.map_lead)
    if state.images < LEAST:
        return part("map", said.map_title, lead + render_notice("info", said.map_few, said.map_few_text))
    ended = render_end(job, shows_paths, words)
    if job is not None and not job.state.is_over:
        return part("map", said.map_title, lead + render_work(job, words, may_write=may_write))
    if state.drawn is None:
        draw = button("map", said.draw, "main") if may_write else lines(said.ask_owner, kind="fine")
        text = f"<h3>{escape(said.map_none)}</h3>{lines(said.map_none_text)}"
        return part("map", said.map_title, f'{lead}{ended}<div class="und-empty">{text}{draw}</div>')
    drawn = said.map_drawn.of(state.mapped).format(moment=clock(state.drawn, words))
    again = button("map", said.redraw, "main" if state.fresh else "quiet") if may_write else ""
    if state.fresh:
        stale = f"<strong>{escape(said.map_stale.of(state.fresh))}</strong>"
        return part("map", said.map_title, f'{lead}{ended}<div class="und-stale">{ALERT}<p>{stale} '
                    f'<span class="fine">{escape(drawn)}</span></p>{again}</div>')  # fmt: skip
    return part("map", said.map_title, f'{lead}{ended}<div class="und-drawn">{lines(drawn, kind="fine")}{again}</div>')


def render_waiting(words: Words) -> str:
    """What stands there until it is known how old the map is."""
    said = words.understand
    return part("map", said.map_title, lines(said.map_lead))


def render_map(state: MapState, addresses: Addresses, words: Words, *, may_write: bool) -> str:
    """The scaffold; empty where there is no map. The script draws into it, and sets what it says as text.

    Args:
        state: of the map.
        addresses: of pictures.
        words: the reader's language.
        may_write: whether labels may be given.
    """
    if state.drawn is None or not state.mapped:
        return ""
    said = words.understand
    label = escape(said.map_label.of(state.mapped))
    return (
        f'<section class="und-map" data-map="{state.last_change}-{state.drawn:.0f}-{state.mapped}"'
        f' data-version="{escape(addresses.version)}" data-words="{escape(_texts(words))}">'
        f'<div class="und-stage"><canvas class="und-canvas" tabindex="0" role="application" aria-label="{label}"'
        f' aria-describedby="und-keys"></canvas><svg class="und-over" aria-hidden="true"></svg>'
        f'<p class="und-wait" role="status">{escape(said.loading)}</p>{_tools(words)}{_pin(words)}</div>'
        f"{_legend(words)}{_selection(words, may_write)}"
        f'<p class="fine und-simple" hidden>{escape(said.simple)}</p>'
        f'<p class="fine" id="und-keys">{escape(said.map_keys)}</p>'
        '<p class="und-heard" aria-live="polite"></p></section>'
    )


def _texts(words: Words) -> str:
    said = words.understand
    texts = {
        "noLabel": said.no_label,
        "others": said.other_labels,
        "allLabels": said.all_labels,
        "picture": said.picture,
        "selectedOne": said.selected.one,
        "selectedMany": said.selected.many,
        "selectedNone": said.selected_none,
        "more": said.and_more,
        "takeOut": said.take_out,
        "notLoaded": said.not_loaded,
        "lassoHelp": said.lasso_help,
    }
    return json.dumps(texts, ensure_ascii=False)


_LASSO = "M5 9c0-4 4-6 7-6s7 2 7 6-4 6-7 6c-2 0-4-1-5-2m0 0c-2 0-3 2-1 3s1 3-1 5"


def _tools(words: Words) -> str:
    said = words.understand
    tools = (
        ("lasso", _LASSO, said.lasso, ' aria-pressed="false"'),
        ("in", "M12 5v14M5 12h14", said.zoom_in, ""),
        ("out", "M5 12h14", said.zoom_out, ""),
        ("whole", "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5", said.whole, ""),
    )  # fmt: skip
    buttons = "".join(
        f'<button type="button" data-tool="{name}" aria-label="{escape(text)}" title="{escape(text)}"{more}>'
        f'<svg viewBox="0 0 24 24" aria-hidden="true"><path d="{path}"/></svg></button>'
        for name, path, text, more in tools
    )
    return f'<div class="und-tools">{buttons}</div>'


def _pin(words: Words) -> str:
    said = words.understand
    return (
        f'<aside class="und-pin" hidden aria-label="{escape(said.picture)}"><img alt=""><div class="und-pin-text">'
        '<p class="und-pin-name"></p><p class="und-pin-labels"></p><p class="und-pin-links">'
        f'<a class="und-similar" href="./">{escape(said.similar)}</a>'
        f'<a class="und-large" href="./" target="_blank" rel="noopener">{escape(said.large)}</a></p></div>'
        f'<button type="button" class="und-pin-close" aria-label="{escape(said.pin_close)}">×</button></aside>'
    )


def _legend(words: Words) -> str:
    said = words.understand
    return (
        f'<section class="und-legend" aria-label="{escape(said.colours)}"><h3>{escape(said.colours)}</h3>'
        f'<p class="fine">{escape(said.colours_help)}</p><div class="und-chips"></div>'
        f'<label class="und-field und-one"><span>{escape(said.show_label)}</span><select></select></label></section>'
    )


def _selection(words: Words, may_write: bool) -> str:
    said = words.understand
    form = (
        f'<form class="und-form"><label class="und-field"><span>{escape(said.label)}</span>'
        '<input type="text" name="label" list="und-labels" autocomplete="off" maxlength="200" required></label>'
        f'<button type="submit" class="und-button main">{escape(said.give)}</button></form>'
        '<datalist id="und-labels"></datalist>'
        if may_write
        else ""
    )
    return (
        f'<section class="und-selection" aria-label="{escape(said.selection)}"><p class="und-count" role="status">'
        f'{escape(said.selected_none)}</p><div class="und-row"><button type="button" class="und-button quiet"'
        f' data-tool="view">{escape(said.select_view)}</button><button type="button" class="und-button quiet"'
        f' data-tool="clear" disabled>{escape(said.clear)}</button></div>{form}<div class="und-picked">'
        '<ul class="und-list"></ul><p class="fine und-rest"></p></div></section>'
    )


def render_given(label: str, images: int, operation: int | None, stamp: str, words: Words) -> str:
    """What labelling on the map led to.

    Args:
        label: that was given.
        images: to how many.
        operation: to take back; None for nothing.
        stamp: of the request, for the script.
        words: the reader's language.
    """
    said = words.understand
    text = said.given.of(images).format(label=label)
    undo = button("undo", said.undo, of=str(operation)) if operation is not None else ""
    return _told(f"<p>{escape(text, 200)}</p>{undo}", stamp, done=True)


def render_undone(stamp: str, words: Words) -> str:
    """That it was taken back."""
    return _told(lines(words.understand.undone), stamp, done=True)


def render_refused(error: str, stamp: str) -> str:
    """HTML of an error in the place of what was done."""
    return _told(error, stamp, done=False)


def _told(body: str, stamp: str, *, done: bool) -> str:
    state = "yes" if done else "no"
    return f'<div class="und-told" role="status" data-stamp="{escape(stamp, 60)}" data-done="{state}">{body}</div>'
