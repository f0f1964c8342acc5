"""Boxes that say what is so and what to do next; errors become such boxes in the reader's language."""

import logging

from retrieval.core.errors import ImageError, RetrievalError
from ui.hints import for_pages
from ui.icons import ALERT
from ui.markup import prose
from ui.words import Words

_log = logging.getLogger(__name__)


class Refused(Exception):
    """What the page itself has to say against a request, in the reader's language already.

    Args:
        text: what is wrong.
        hint: what to do next.
        about_file: whether the file that was sent is what is wrong.
    """

    def __init__(self, text: str, hint: str = "", *, about_file: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        self.about_file = about_file


def too_large(limit: int, words: Words) -> Refused:
    """What is said of an upload that is larger than ``limit`` bytes."""
    said = words.search
    text = said.upload_too_large.format(limit=f"{limit / 1024 / 1024:g}")
    return Refused(text, said.upload_too_large_hint, about_file=True)


def render_notice(kind: str, title: str, text: str = "", hint: str = "", detail: str = "") -> str:
    """A box that says what is so and what to do next.

    Args:
        kind: ``"info"``, ``"warning"`` or ``"error"``.
        title, text, hint: our sentences; `commands` may stand between backticks.
        detail: the same in English, where it says more.
    """
    role = "alert" if kind == "error" else "status"
    lines = "".join(f'<p class="{name}">{prose(line)}</p>' for name, line in (("text", text), ("hint", hint)) if line)
    original = f'<p class="detail" lang="en">{prose(detail)}</p>' if detail else ""
    return (
        f'<section class="notice {kind}" role="{role}">{ALERT}<div>'
        f'<p class="notice-title">{prose(title)}</p>{lines}{original}</div></section>'
    )


def render_error(error: Exception, words: Words) -> str:
    """The box for an error. One that nobody foresaw is logged, and tells the reader nothing of itself."""
    said = words.errors
    if isinstance(error, Refused):
        return render_notice("error", said.bad_file if error.about_file else said.failed, error.text, error.hint)
    if isinstance(error, RetrievalError):
        title = said.bad_file if isinstance(error, ImageError) else said.failed
        return render_notice("error", title, *told(error, words))
    _log.error("The page met an unexpected error.", exc_info=error)
    return render_notice("error", said.unexpected, said.unexpected_text, said.unexpected_hint)


def told(error: RetrievalError, words: Words) -> tuple[str, str, str]:
    """(what is wrong, what to do next, the same in English) in a language; see ``for_pages``."""
    return for_pages(error.kind, error.message, error.hint, words)
