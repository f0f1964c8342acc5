"""What stands around every page: its head, the navigation, and the line that says what the gallery holds.

It is put into the document before a browser gets it, and so is there at once, before Gradio has drawn anything.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from retrieval.core.errors import RetrievalError
from retrieval.workflows.results import Summary
from ui.icons import LOGO, MOON, SUN
from ui.markup import escape
from ui.notices import render_notice
from ui.shell.job_view import render_job_view
from ui.shell.jobs_strip import render_jobs
from ui.shell.page import Page
from ui.shell.site import Site
from ui.words import LANGUAGES, Words

_BODY = re.compile(r"<body\b[^>]*>")
_LANG = re.compile(r"(<html\s+)lang=\"en\"")


def framed(
    document: str,
    site: Site,
    words: Words,
    pages: Sequence[Page],
    address: str,
    seen: str = "",
    job_id: int | None = None,
) -> str:
    """Gradio's document with our frame in it.

    Args:
        document: as Gradio serves it.
        site: the gallery.
        words: the reader's language.
        pages: those of the navigation.
        address: of the page that the document is.
        seen: see ``render_jobs``.
        job_id: of the job that the address names.
    """
    document = _LANG.sub(lambda found: f'{found[1]}lang="{words.code}"', document, count=1)
    name = next((page.name(words) for page in pages if page.address == address), words.shell.no_page_title)
    title = site.title if not address else f"{name} · {site.title}"
    document = document.replace("</head>", _head(site, words, title, address) + "</head>", 1)
    frame = f"{_script_of_colours()}{_header(site, words, pages, address, name, seen, job_id)}"
    return _BODY.sub(lambda found: found[0] + frame, document, count=1)


def lonely(site: Site, words: Words, pages: Sequence[Page]) -> str:
    """A document for an address that is no page's."""
    body = f"{render_notice('info', words.shell.no_page_title, words.shell.no_page_text)}"
    document = f'<!doctype html><html lang="en"><head><meta charset="utf-8">{_VIEWPORT}<base href="./"></head>'
    return framed(f'{document}<body><div class="lonely">{body}</div></body></html>', site, words, pages, "?")


def render_state(site: Site, words: Words) -> str:
    """The line that says what the gallery holds, and what must be said of it."""
    said = words.shell
    try:
        summary = site.searcher.summary()
    except RetrievalError:
        return f'<p class="state" role="status"><strong>{escape(said.unknown)}</strong>{_read_only(site, words)}</p>'
    if not summary.images:
        # On every page the way to the first folder.
        lead = f'<a href="./library">{escape(words.library.empty_action)}</a>' if site.may_add else ""
        return (
            f'<p class="state" role="status"><strong>{escape(said.empty)}</strong>{lead}{_read_only(site, words)}</p>'
        )
    kind = said.exact if summary.index.endswith("flat") else said.approximate
    return (
        f'<p class="state" role="status"><strong>{escape(said.images.of(summary.images))}</strong>'
        f"<span>{escape(said.model.format(name=summary.model), 80)}</span>"
        f'<span title="{escape(said.index.format(kind=summary.index), 80)}">{escape(kind)}</span>'
        f"{_read_only(site, words)}</p>{_untrained(summary, words)}"
    )


def _read_only(site: Site, words: Words) -> str:
    if site.may_write:
        return ""
    said = words.shell
    return f'<span class="state-read-only" title="{escape(said.read_only_why)}">{escape(said.read_only)}</span>'


def _untrained(summary: Summary, words: Words) -> str:
    if summary.trained:
        return ""
    return render_notice("warning", words.shell.untrained_title, words.shell.untrained_text)


_VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1">'


def _head(site: Site, words: Words, title: str, address: str) -> str:
    """Style and script stand in the document itself: nothing flashes unstyled, and no address needs to be found.

    A page has its own beside the common ones, in files that are called as its address is.
    """
    said = words.search
    texts: dict[str, object] = {
        "title": title,
        "language": words.code,
        "mostBytes": site.max_upload_bytes,
        "viewer": said.viewer,
        "viewerFacts": said.viewer_facts,
        "viewerMissing": said.viewer_missing,
        "viewerPrevious": said.viewer_previous,
        "viewerNext": said.viewer_next,
        "viewerClose": said.viewer_close,
        "viewerSimilar": said.viewer_similar,
        "viewerCount": said.viewer_count,
        "viewerMore": words.refine.more_like,
        "viewerLess": words.refine.less_like,
        "viewerMatch": words.matching.button,
        "matchTitle": words.matching.title,
        "matchBusy": words.matching.busy,
        "matchLost": words.matching.lost,
        "matchClose": words.matching.close,
        "cropTitle": words.refine.crop_title,
        "cropHow": words.refine.crop_how,
        "cropBox": words.refine.crop_box,
        "cropPlace": words.refine.crop_place,
        "cropSearch": words.refine.crop_search,
        "cropCancel": words.refine.crop_cancel,
        "cropMissing": words.refine.crop_missing,
        "toDark": words.shell.to_dark,
        "toLight": words.shell.to_light,
        "gradio": dict(words.shell.gradio),
    }
    return (
        f'<title>{escape(title)}</title><meta name="color-scheme" content="light dark">'
        '<link rel="icon" href="favicon.ico" type="image/svg+xml">'
        f"<style>{_file('shell.css')}{_file('page.css')}{_file('refine.css')}{_file('match.css')}"
        f"{_own(address, 'css')}"
        f":root {{ --r-no-preview: {json.dumps(said.no_preview, ensure_ascii=False)}; }}</style>"
        f"<script>window.retrievalWords = {_inert(texts)};</script>"
        f"<script>{_file('shell.js')}</script><script>{_file('page.js')}</script><script>{_file('refine.js')}</script>"
        f"<script>{_file('match.js')}</script><script>{_own(address, 'js')}</script>"
    )


def _script_of_colours() -> str:
    # Before anything is drawn: otherwise a dark page is white for a moment.
    return "<script>window.retrievalColours.apply();</script>"


def _header(
    site: Site, words: Words, pages: Sequence[Page], address: str, name: str, seen: str, job_id: int | None
) -> str:
    said, addresses = words.shell, {page.address for page in pages}
    links = "".join(
        f'<a href="./{page.address}"{_CURRENT if page.address == address else ""}>{escape(page.name(words))}</a>'
        for page in pages
    )
    return (
        f'<a class="shell-skip" href="./{escape(address)}#page">{escape(said.skip)}</a>'
        f'<header id="shell"><div class="shell-bar">'
        f'<a class="shell-brand" href="./" aria-label="{escape(said.home.format(title=site.title))}">{LOGO}'
        f"<span>{escape(site.title)}</span></a>"
        f'<nav class="shell-pages" aria-label="{escape(said.pages)}">{links}</nav>'
        f'<div class="shell-tools">{_languages(words)}{_colours(words)}</div></div>'
        f'<div id="state">{render_state(site, words)}</div>'
        f'<div id="jobs">{render_jobs(site, words, seen, addresses)}</div>'
        '<p id="jobs-said" class="shell-heard" role="status" aria-live="polite"></p>'
        f'<div id="page" tabindex="-1"><h1 class="shell-title">{escape(name)}</h1></div>'
        f'<div id="job-view">{render_job_view(site, words, job_id, addresses)}</div></header>'
    )


_CURRENT = ' aria-current="page"'


def _languages(words: Words) -> str:
    chosen = {words.code: " selected"}
    options = "".join(
        f'<option value="{one.code}" lang="{one.code}"{chosen.get(one.code, "")}>{escape(one.name)}</option>'
        for one in LANGUAGES.values()
    )
    return f'<select id="language" aria-label="{escape(words.shell.language)}" autocomplete="off">{options}</select>'


def _colours(words: Words) -> str:
    label = escape(words.shell.to_dark)
    return f'<button type="button" id="colours" aria-label="{label}" title="{label}">{MOON}{SUN}</button>'


def _inert(values: Mapping[str, object]) -> str:
    """JSON that may stand in a script: nothing in it ends the element."""
    return json.dumps(values, ensure_ascii=False).replace("<", "\\u003c")


def _own(address: str, kind: str) -> str:
    """Style or script of the page at an address, where it has one; what the first page has, all others have too."""
    name = f"{address}.{kind}"
    return _file(name) if address.isalpha() and files("ui").joinpath(name).is_file() else ""


@cache
def _file(name: str) -> str:
    return files("ui").joinpath(name).read_text("utf-8")
