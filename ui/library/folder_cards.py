"""Folders as HTML: those of the gallery, those to choose from, and what one of them would cost."""

import os
from collections.abc import Sequence

from retrieval.core.text import shown
from retrieval.workflows.folders import Completion, FolderLook
from retrieval.workflows.upkeep import RootStatus
from ui.icons import DRIVE, STACK
from ui.library.controls import button, question
from ui.markup import clock, duration, escape, file_size
from ui.notices import render_notice
from ui.words import Words

_LONGEST = 4096
_PATHS = 8


def render_invitation(words: Words, *, is_first: bool) -> str:
    """The heading over the field for a folder; for a newcomer it is the first thing there is."""
    said = words.library
    if not is_first:
        return f'<h2 class="lib-title">{escape(said.add_title)}</h2>'
    return (
        f'<section class="lib-first">{STACK}<div><h2 class="lib-title">{escape(said.first_title)}</h2>'
        f"<p>{escape(said.first_text)}</p></div></section>"
    )


def render_choices(found: Completion, typed: str, words: Words) -> str:
    """Folders that the path may go on with, as buttons that write it."""
    said = words.library
    # A name that is no text cannot come back from a browser as it was.
    paths = [path for path in found.paths if shown(path) == path]
    if not paths:
        return ""
    parent = os.path.dirname(paths[0])
    above = os.path.dirname(parent)
    chips = [button(f"↑ {os.path.basename(above) or above}", "choose", above, style="chip")] if above != parent else []
    chips += [button(os.path.basename(path), "choose", path, style="chip", label=path) for path in paths]
    more = f'<p class="lib-fine">{escape(said.more_folders)}</p>' if found.more else ""
    return f'<div class="lib-chips" role="group" aria-label="{escape(said.folders_here)}">{"".join(chips)}</div>{more}'


def render_looking(words: Words) -> str:
    """While a folder is looked at."""
    return f'<p class="lib-busy" role="status" aria-busy="true">{escape(words.library.looking)}</p>'


def render_look(look: FolderLook, words: Words) -> str:
    """What indexing a folder would do and cost."""
    said = words.library
    lines = []
    known = look.found - look.to_read
    if known:
        lines.append(said.look_known.of(known))
    if look.skipped:
        lines.append(said.look_other.of(look.skipped))
    costs = []
    if look.seconds is not None:
        costs.append(said.look_time.format(time=duration(look.seconds, words)))
    if look.to_read:
        size, free = file_size(look.disk, words), file_size(look.free, words)
        costs.append(said.look_disk.format(size=size, free=free))
    if not look.whole:
        costs.append(said.look_part)
    title = said.look_new.of(look.to_read) if look.to_read or not look.whole else said.look_none
    full = render_notice("warning", said.look_full) if look.disk > look.free else ""
    return (
        f'<section class="lib-look" role="status"><p class="lib-path">{escape(look.path, _LONGEST)}</p>'
        f"<h3>{escape(title)}</h3>"
        f"{_line(words.writing.comma.join(lines))}{''.join(_line(cost) for cost in costs)}</section>{full}"
    )


def _line(text: str) -> str:
    return f"<p>{escape(text)}</p>" if text else ""


def render_folders(roots: Sequence[RootStatus], words: Words, *, may_write: bool) -> str:
    """The folders of the gallery."""
    if not roots:
        return ""
    said = words.library
    rows = "".join(_folder(root, words, may_write) for root in roots)
    actions = button(said.scan, "scan", style="strong") if may_write else ""
    if may_write and any(root.missing for root in roots):
        actions += button(said.prune, "ask-prune")
    return (
        f'<section class="lib-card"><div class="lib-head"><h2 class="lib-title">{escape(said.folders)}</h2>'
        f'<div class="lib-actions">{actions}</div></div><ul class="lib-folders">{rows}</ul></section>'
    )


def _folder(root: RootStatus, words: Words, may_write: bool) -> str:
    said = words.library
    facts = [said.pictures.of(root.present)]
    facts += [said.gone.of(root.missing)] if root.missing else []
    facts += [said.failed.of(root.failed)] if root.failed else []
    if not root.whole:
        looked = said.single
    elif root.scanned is None:
        looked = said.never_scanned
    else:
        looked = said.scanned.format(when=clock(root.scanned, words))
    state = f'<span class="lib-state {"on" if root.online else "off"}">{"" if root.online else DRIVE}'
    state += f"{escape(said.online if root.online else said.offline)}</span>"
    remove = (
        button(said.remove, "ask-remove", str(root.id), label=f"{said.remove} {shown(root.path)}") if may_write else ""
    )
    return (
        f'<li><div class="lib-folder"><p class="lib-path">{escape(root.path, _LONGEST)}</p>'
        f'<p class="lib-fine">{state}{"".join(f"<span>{escape(fact)}</span>" for fact in facts)}'
        f"<span>{escape(looked)}</span></p></div>{remove}</li>"
    )


def render_ask_remove(root: RootStatus, words: Words) -> str:
    """Asks before a folder is forgotten."""
    said = words.library
    files = root.present + root.missing + root.failed
    body = f'<p class="lib-path">{escape(root.path, _LONGEST)}</p>'
    answers = button(said.remove_yes, "remove", str(root.id), style="danger") + button(said.keep, "keep")
    return question(said.remove_title, said.remove_text.of(files), body, answers)


def render_ask_prune(paths: Sequence[str], words: Words) -> str:
    """Asks before files that are gone are forgotten; names some of them."""
    said = words.library
    names = "".join(f"<li>{escape(path, _LONGEST)}</li>" for path in paths[:_PATHS])
    more = len(paths) - _PATHS
    names += f"<li>{escape(said.and_more.of(more))}</li>" if more > 0 else ""
    answers = button(said.prune_yes, "prune", style="danger") + button(said.keep, "keep")
    return question(said.prune_title.of(len(paths)), said.prune_text, f'<ul class="lib-paths">{names}</ul>', answers)
