"""Groups of pictures that look alike: take out the strangers, and name the rest at once."""

from collections.abc import Mapping, Sequence

from retrieval.workflows.labelling import Tile
from retrieval.workflows.look_alikes import LookAlikes
from ui.addresses import Addresses
from ui.labels.asked import Look
from ui.labels.grid import open_view, render_tile
from ui.labels.head import render_keys, render_tabs
from ui.markup import escape
from ui.notices import render_notice
from ui.words import Words


def render_groups(
    found: LookAlikes,
    tiles: Mapping[int, Tile],
    look: Look,
    addresses: Addresses,
    words: Words,
    stamp: str = "",
    *,
    may_write: bool = True,
) -> str:
    """The tab of look-alikes.

    Args:
        found: the groups.
        tiles: what is known of their pictures, by id.
        look: what was asked for.
        addresses: of pictures.
        words: the reader's language.
        stamp: of the request.
        may_write: whether a group may be named.
    """
    said = words.labels
    groups = [[tiles[i] for i in group if i in tiles] for group in found.groups]
    rows = "".join(
        _group(group, place, addresses, words, may_write) for place, group in enumerate(groups, start=1) if group
    )
    there = said.tab_pick if may_write else said.tab_look
    if rows:
        body = f'<ol class="groups">{rows}</ol>'
    elif found.of:
        body = render_notice("info", said.no_groups, said.no_groups_text if may_write else "")
    else:
        body = render_notice("info", said.all_labelled, said.all_labelled_there.format(tab=there))
    return (
        f'{open_view(look, stamp)}{render_tabs("groups", words, may_write=may_write)}<div class="labels-bar-row">'
        f'<p class="labels-said">{escape(_explained(found, groups, words, may_write))}</p>'
        f'<button type="button" class="quiet" data-again="{look.page + 1}">{escape(said.groups_again)}</button></div>'
        f"{body}{render_keys(keys(words, may_write=may_write), words)}</section>"
    )


def keys(words: Words, *, may_write: bool = True) -> list[tuple[str, str]]:
    """The keys of this tab."""
    said = words.labels
    if not may_write:
        return [("← ↑ → ↓", said.key_move), ("?", said.key_keys)]
    return [
        ("← ↑ → ↓", said.key_move),
        ("Space", said.key_stranger),
        ("l Enter", said.key_name),
        ("1 … 9", said.key_recent),
        ("u", said.key_undo),
        ("?", said.key_keys),
    ]


def _explained(found: LookAlikes, groups: Sequence[Sequence[Tile]], words: Words, may_write: bool) -> str:
    said = words.labels
    if not groups:
        return ""
    of = said.groups_sample.format(of=f"{found.of:,}") if found.looked_at < found.of else ""
    text = said.groups_said if may_write else said.groups_look
    return text.of(found.looked_at).format(groups=f"{len(groups):,}", of=of)


def _group(group: Sequence[Tile], place: int, addresses: Addresses, words: Words, may_write: bool) -> str:
    said = words.labels
    name = said.group.of(len(group)).format(place=place)
    # The first picture of the first group is where the keyboard comes in.
    tiles = "".join(
        render_tile(tile, addresses, words, selected=may_write, stop=place == 1 and n == 0)
        for n, tile in enumerate(group)
    )
    form = (
        f'<form class="group-form" data-do="label"><input name="label" list="label-names" autocomplete="off" required'
        f' maxlength="200" aria-label="{escape(said.group_label.format(place=place))}"'
        f' placeholder="{escape(said.group_here)}">'
        f'<button type="submit" class="main">{escape(said.accept_group)}</button></form>'
    )
    return (
        f'<li class="group"><div class="group-head"><p>{escape(name)}</p>{form if may_write else ""}</div>'
        f'<ul class="tiles" role="listbox" aria-multiselectable="true" aria-label="{escape(name)}">{tiles}</ul></li>'
    )
