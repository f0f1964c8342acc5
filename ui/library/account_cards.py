"""What became of every file, as HTML: the sum of the last run, and the files that failed."""

from retrieval.workflows.last_run import LastRun
from retrieval.workflows.upkeep import FailurePage
from ui.library.controls import button
from ui.markup import clock, escape
from ui.words import Words

_LONGEST = 4096
PARTS = ("new", "changed", "moved", "copied", "unchanged", "failed")
"""Of what was found; together they are all of it."""
BESIDE = ("skipped", "missing", "offline")
FAILURES = 20
"""Files a page."""


def render_account(last: LastRun | None, words: Words) -> str:
    """The last run: found = new + changed + moved + copied + unchanged + failed, and what there is beside."""
    if last is None:
        return ""
    said, report = words.library, last.report
    rows = [(said.account[name], int(report.get(name, 0)), "") for name in PARTS]
    rows.append((said.account["found"], int(report.get("found", 0)), "sum"))
    rows += [(said.account[name], int(report[name]), "beside") for name in BESIDE if report.get(name)]
    body = "".join(
        f'<tr class="{style}"><td class="lib-number">{number:,}</td><th scope="row">{escape(name)}</th></tr>'
        for name, number, style in rows
        if number or style == "sum"
    )
    when = said.account_when.format(when=clock(last.at, words))
    return (
        f'<section class="lib-card"><h2 class="lib-title">{escape(said.account_title)}</h2>'
        f'<p class="lib-fine">{escape(when)}</p><table class="lib-account"><tbody>{body}</tbody></table></section>'
    )


def render_failures(page: FailurePage, reason: str, words: Words, *, may_write: bool) -> str:
    """Files that failed, with the reason of each.

    Args:
        page: some of them.
        reason: the one that was chosen; empty for all.
        words: the reader's language.
        may_write: whether they can be tried again from here.
    """
    if not page.reasons:
        return ""
    said = words.library
    chips = [_reason(said.all_reasons, sum(page.reasons.values()), "", reason)]
    chips += [_reason(said.reasons.get(name, name), number, name, reason) for name, number in page.reasons.items()]
    files = "".join(
        f'<li><p class="lib-path">{escape(file.path, _LONGEST)}</p>'
        f'<p class="lib-fine"><span>{escape(said.reasons.get(file.reason, file.reason))}</span></p></li>'
        for file in page.files
    )
    retry = button(said.retry, "retry", style="strong") if may_write else ""
    return (
        f'<section class="lib-card"><div class="lib-head"><h2 class="lib-title">{escape(said.failures_title)}</h2>'
        f'<div class="lib-actions">{retry}</div></div><div class="lib-chips" role="group">{"".join(chips)}</div>'
        f'<ul class="lib-failures">{files}</ul>'
        f"{pager(page.first, len(page.files), page.total, FAILURES, 'failures', f'|{reason}', words)}</section>"
    )


def _reason(text: str, number: int, reason: str, chosen: str) -> str:
    pressed = f' aria-pressed="{"true" if reason == chosen else "false"}"'
    return button(f"{text} ({number:,})", "failures", f"0|{reason}", style="chip", extra=pressed)


def pager(first: int, here: int, total: int, step: int, deed: str, rest: str, words: Words) -> str:
    """The way to the pages before and after; nothing where there is only one.

    Args:
        first: place of the first thing of this page, from 0.
        here: how many there are on it.
        total: how many there are in all.
        step: how many a page has.
        deed: what turns the page; its value is the place of the first thing and then ``rest``.
        rest: see there.
        words: the reader's language.
    """
    if total <= step:
        return ""
    said = words.library
    text = said.page_of.format(first=f"{first + 1:,}", last=f"{first + here:,}", all=f"{total:,}")
    off = " disabled"
    before = button(said.previous, deed, f"{max(0, first - step)}{rest}", extra="" if first else off)
    after = button(said.following, deed, f"{first + step}{rest}", extra="" if first + here < total else off)
    return f'<nav class="lib-pager">{before}<span>{escape(text)}</span>{after}</nav>'
