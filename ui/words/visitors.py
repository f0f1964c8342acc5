"""What is said where the pages that add, label and teach are not there, or only to be looked at.

Hints name those pages and their buttons. To whoever finds neither, they name the person who does.
"""

from dataclasses import replace

from ui.words.errors import ErrorWords
from ui.words.table import LANGUAGES, Words

_STAYS = frozenset({"jobs"})
"""Commands whose hint names what is above every page."""

_LEADS = frozenset({"empty_gallery", "gallery_damaged", "too_few_labels"})
"""Kinds of errors whose hint leads to a page; those of others, such as to wait, hold for everybody."""


def said_here(may_add: bool) -> dict[str, Words]:
    """What a server says, by the code of the language.

    Args:
        may_add: the pages that add, label and teach are there, and do so.
    """
    return {code: words if may_add else for_visitors(words) for code, words in LANGUAGES.items()}


def for_visitors(words: Words) -> Words:
    """A language's table for those who can add, label and teach nothing from their pages.

    Args:
        words: the whole table.
    """
    ask = words.errors.ask_owner
    return replace(
        words,
        errors=_errors(words.errors),
        search=replace(words.search, no_match_alone_hint=ask),
        understand=replace(words.understand, map_few_text=ask),
    )


def _errors(said: ErrorWords) -> ErrorWords:
    hints = {command: text if command in _STAYS else said.ask_owner for command, text in said.hints.items()}
    kinds = {kind: replace(told, hint=said.ask_owner) if kind in _LEADS else told for kind, told in said.kinds.items()}
    return replace(said, hints=hints, kinds=kinds)
