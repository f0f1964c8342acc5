"""The head of the page: how far one is, what to do next, and what was done last."""

import json
from collections.abc import Iterable

from retrieval.core.text import shown
from retrieval.workflows.labelling import ENOUGH, LEAST_LABELS, LastChange, Progress
from ui.markup import escape
from ui.words import Words

MOST_OFFERED = 500
"""Labels that a field completes to: the most frequent ones."""

_THIN_SHOWN = 8
_LONGEST_LABEL = 60


def render_head(
    progress: Progress, words: Words, *, stamp: str = "", notice: str = "", done: bool = True, may_write: bool = True
) -> str:
    """The head.

    Args:
        progress: of the gallery.
        words: the reader's language.
        stamp: of the request that this answers.
        notice: HTML of what has to be said about it.
        done: whether what was asked was done.
        may_write: whether labels may be given from here; otherwise nothing is said of what to do next.
    """
    said = words.labels
    advice = f'<p class="labels-next" role="status">{escape(_advice(progress, words))}</p>' if may_write else ""
    share = progress.labelled / progress.images if progress.images else 0.0
    counted = said.labelled.of(progress.images).format(labelled=f"{progress.labelled:,}")
    automatic = (
        f'<span class="fine">{escape(said.automatic.of(progress.automatic))}</span>' if progress.automatic else ""
    )
    return (
        f'<section class="labels-head" data-stamp="{escape(stamp)}" data-done="{"yes" if done else "no"}"'
        f' aria-label="{escape(said.progress)}">'
        f'<div class="labels-far"><p class="labels-count"><strong>{escape(counted)}</strong>{automatic}</p>'
        f'<progress class="labels-bar" max="1" value="{share:.4f}" aria-label="{escape(counted)}"></progress>'
        f"{advice}{_thin(progress, words)}</div>"
        f"{_last(progress.last, words, may_write)}{_names(progress)}"
        f'<div class="labels-notice">{notice}</div></section>'
    )


def _advice(progress: Progress, words: Words) -> str:
    said = words.labels
    named = words.writing.comma.join(
        said.lacking.of(more).format(label=shown(label, _LONGEST_LABEL)) for label, more in progress.missing
    )
    if progress.step == "begin":
        return said.next_begin.format(enough=ENOUGH, least=LEAST_LABELS)
    if progress.step == "more":
        return said.next_more.format(labels=named)
    if progress.step == "index":
        return said.next_index
    return said.next_teach if progress.step == "teach" else said.next_done


def _thin(progress: Progress, words: Words) -> str:
    if not progress.thin:
        return ""
    said = words.labels
    chips = "".join(
        f'<button type="button" class="chip" data-show="{escape(shown(label))}">'
        f"<span>{escape(label, 40)}</span> <b>{images:,}</b></button>"
        for label, images in progress.thin[:_THIN_SHOWN]
    )
    more = len(progress.thin) - _THIN_SHOWN
    rest = f'<span class="fine">{escape(said.and_more.format(n=f"{more:,}"))}</span>' if more > 0 else ""
    title = escape(said.thin.of(len(progress.thin)).format(enough=ENOUGH))
    return f'<div class="labels-thin"><span class="fine">{title}</span>{chips}{rest}</div>'


def _last(last: LastChange | None, words: Words, may_write: bool) -> str:
    said = words.labels
    if last is None and not may_write:
        return ""
    if last is None:
        return f'<div class="labels-last"><p class="fine">{escape(said.nothing_to_undo)}</p></div>'
    undo = (
        f'<button type="button" class="quiet" data-do="undo" data-operation="{last.operation}">'
        f"{escape(said.undo)} <kbd>u</kbd></button>"
    )
    return (
        f'<div class="labels-last"><p class="fine">{escape(said.last_change)}</p>'
        f"<p>{escape(told(last, words))}</p>{undo if may_write else ''}</div>"
    )


def told(last: LastChange, words: Words) -> str:
    """A change in words, e.g. “cup” given to 12 pictures."""
    said = words.labels
    quoted = [said.quoted.format(label=shown(label, _LONGEST_LABEL)) for label in last.labels]
    if last.distinct > len(last.labels):
        quoted.append(said.and_more.format(n=f"{last.distinct - len(last.labels):,}"))
    kinds = {
        "unset": said.taken_from,
        "import": said.imported_for,
        "folders": said.folders_for,
        "automatic": said.automatic_for,
    }
    return kinds.get(last.kind, said.given_to).of(last.images).format(labels=words.writing.comma.join(quoted))


def _names(progress: Progress) -> str:
    """What fields complete to, and the labels at hand."""
    options = "".join(
        f'<option value="{escape(shown(label))}"></option>' for label, _ in progress.labels[:MOST_OFFERED]
    )
    recent = json.dumps([shown(label) for label in progress.recent], ensure_ascii=False)
    return f'<datalist id="label-names" data-recent="{escape(recent)}">{options}</datalist>'


def render_tabs(current: str, words: Words, *, may_write: bool = True) -> str:
    """The parts of the page; the suggestions are only for those who may answer them."""
    said = words.labels
    names = {"pick": said.tab_pick, "groups": said.tab_groups, "ask": said.tab_ask, "files": said.tab_files}
    if not may_write:
        names = {"pick": said.tab_look, "groups": said.tab_groups, "files": said.tab_table}
    buttons = "".join(
        f'<button type="button" data-tab="{tab}"{_CURRENT if tab == current else ""}>{escape(name)}</button>'
        for tab, name in names.items()
    )
    return f'<nav class="labels-tabs" aria-label="{escape(said.parts)}">{buttons}</nav>'


_CURRENT = ' aria-current="true"'


def render_keys(keys: Iterable[tuple[str, str]], words: Words) -> str:
    """The list of keys, in a dialog that the script opens."""
    said = words.labels
    rows = "".join(
        f"<div><dt>{''.join(f'<kbd>{escape(key)}</kbd>' for key in pressed.split())}</dt><dd>{escape(what)}</dd></div>"
        for pressed, what in keys
    )
    return (
        f'<dialog class="labels-keys" aria-label="{escape(said.keys)}"><h2>{escape(said.keys)}</h2><dl>{rows}</dl>'
        f'<form method="dialog"><button class="quiet">{escape(said.close)}</button></form></dialog>'
    )
