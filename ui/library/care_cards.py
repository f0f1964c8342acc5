"""Looking after the gallery, as HTML: watching, duplicates, room on the disk, backups and checks."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from retrieval.core.text import shown
from retrieval.workflows.duplicates import Copy
from retrieval.workflows.jobs import Job
from retrieval.workflows.watching import MINUTES, Watch
from ui.addresses import Addresses
from ui.icons import DRIVE
from ui.library.account_cards import pager
from ui.library.controls import button
from ui.markup import escape, file_size, moment
from ui.notices import render_notice
from ui.words import Words

GROUPS = 10
"""Groups a page."""

_LONGEST = 4096


def render_watch(watch: Watch, words: Words) -> str:
    """The switch that keeps folders up to date by themselves."""
    said = words.library
    options = "".join(
        f'<option value="{n}"{" selected" if n == watch.minutes else ""}>{escape(said.every[n])}</option>'
        for n in MINUTES
    )
    period = (
        f'<select class="lib-select" data-do="period" aria-label="{escape(said.watch)}">{options}</select>'
        if watch.on
        else ""
    )
    state = f' role="switch" aria-checked="{"true" if watch.on else "false"}" aria-label="{escape(said.watch)}"'
    switch = (
        f'<button type="button" class="lib-switch" data-do="watch" value="{"off" if watch.on else "on"}"{state}>'
        "<span></span></button>"
    )
    return (
        f'<section class="lib-card lib-watch">{switch}<div><h3>{escape(said.watch)}</h3>'
        f'<p class="lib-fine">{escape(said.watch_text)}</p></div>{period}</section>'
    )


def render_twins(
    job: Job | None,
    groups: Sequence[Sequence[Copy]],
    first: int,
    addresses: Addresses,
    words: Words,
    *,
    may_write: bool,
) -> str:
    """Groups of near-duplicates as rows of pictures.

    Args:
        job: that found them; None where none has ended well.
        groups: all of them.
        first: place of the first group to show; beyond the end the last page is shown.
        addresses: of pictures.
        words: the reader's language.
        may_write: whether they can be looked for from here; where not, and nobody has, there is nothing to show.
    """
    said = words.library
    if job is None and not may_write:
        return ""
    find = button(said.twins_find, "twins", style="strong") if may_write else ""
    head = (
        f'<div class="lib-head"><div><h2 class="lib-title">{escape(said.twins)}</h2>'
        f'<p class="lib-fine">{escape(said.twins_text)}</p></div><div class="lib-actions">{find}</div></div>'
    )
    return f'<section class="lib-card">{head}{_found(job, groups, first, addresses, words)}</section>'


def _found(job: Job | None, groups: Sequence[Sequence[Copy]], first: int, addresses: Addresses, words: Words) -> str:
    said = words.library
    if job is None:
        return ""
    if not groups:
        return f'<p class="lib-result">{escape(said.twins_none)}</p>'
    start = min(first, len(groups) - 1) // GROUPS * GROUPS
    some = groups[start : start + GROUPS]
    free = said.twins_free.format(size=file_size(sum(copy.bytes for group in groups for copy in group[1:]), words))
    link = f'<a class="lib-plain" href="./library/duplicates/{job.id}.csv" download>{escape(said.twins_export)}</a>'
    return (
        f'<p class="lib-result">{escape(said.twins_found.of(len(groups)))} · {escape(free)}</p>{link}'
        f'<ol class="lib-groups" start="{start + 1}">{"".join(_group(group, addresses, words) for group in some)}</ol>'
        f"{pager(start, len(some), len(groups), GROUPS, 'twins-page', '', words)}"
    )


def _group(group: Sequence[Copy], addresses: Addresses, words: Words) -> str:
    return f"<li><ul>{''.join(_copy(copy, addresses, words) for copy in group)}</ul></li>"


def _copy(copy: Copy, addresses: Addresses, words: Words) -> str:
    said = words.search
    facts = [said.pixels.format(width=f"{copy.width:,}", height=f"{copy.height:,}"), file_size(copy.bytes, words)]
    facts += [moment(datetime.fromisoformat(copy.captured), words)] if copy.captured else []
    missing = f'<span class="missing">{DRIVE}<span>{escape(said.offline)}</span></span>'
    source, alt = addresses.picture(copy.image_id, "thumbnail"), escape(words.library.twin_picture)
    picture = f'<img src="{source}" alt="{alt}" loading="lazy" decoding="async">'
    seen = f'<span class="thumb is-missing">{missing}' if copy.offline else f'<span class="thumb">{picture}{missing}'
    return (
        f"<li>{seen}</span>"
        f'<p class="lib-path">{escape(shown(copy.path), _LONGEST)}</p>'
        f'<p class="lib-fine">{"".join(f"<span>{escape(fact)}</span>" for fact in facts)}</p></li>'
    )


def render_disk(sizes: Mapping[str, int], words: Words) -> str:
    """What each part of the gallery takes."""
    said = words.library
    rows = "".join(
        f'<tr class="{"sum" if name == "total" else ""}"><td class="lib-number">{file_size(sizes[name], words)}</td>'
        f'<th scope="row">{escape(text)}</th></tr>'
        for name, text in said.parts.items()
        if name in sizes
    )
    return (
        f'<section><h2 class="lib-title">{escape(said.care)}</h2><h3>{escape(said.disk)}</h3>'
        f'<table class="lib-account"><tbody>{rows}</tbody></table></section>'
    )


def render_backup(result: Mapping[str, Any], job_id: int, words: Words) -> str:
    """A backup that was made, and where to get it."""
    said = words.library
    size, path = file_size(int(result.get("bytes", 0)), words), shown(str(result.get("file", "")))
    text = said.backup_made.format(size=size, path=path)
    return (
        f'<section class="lib-work done" role="status"><p>{escape(text, _LONGEST)}</p>'
        f'<a class="lib-link" href="./library/backup/{job_id}" download>{escape(said.backup_get)}</a></section>'
    )


def render_check(result: Mapping[str, Any], words: Words, *, may_write: bool) -> str:
    """What a check found."""
    said, problems = words.library, [str(one) for one in result.get("problems", ())]
    if not problems:
        return render_notice("info", said.check_well)
    named = "".join(f'<li lang="en">{escape(one, 500)}</li>' for one in problems[:GROUPS])
    mend = f'<div class="lib-actions">{button(said.repair, "repair")}</div>' if may_write else ""
    return (
        f'<section class="lib-ask" role="status"><h3>{escape(said.check_found.of(len(problems)))}</h3>'
        f'<ul class="lib-paths">{named}</ul>{mend}</section>'
    )
