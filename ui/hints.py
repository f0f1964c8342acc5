"""What the pages say of errors in the place of commands: hints for a terminal become some that name pages and buttons.

Errors are raised for all who use the program; whoever reads a page has no terminal at hand.
"""

import re

from ui.words import Words

COMMAND = re.compile(r"`retrieval +([a-z-]*)[^`]*`?|(?<![\w-])--[a-z][a-z-]*")
"""A command, or an option of one; the first group is the command's name."""

_SENTENCES = re.compile(r"(?<=[.;!?])\s+")


def for_pages(kind: str, message: str, hint: str, words: Words) -> tuple[str, str, str]:
    """(what is wrong, what to do next, the same in English) in a language.

    A kind says less than the sentence that was raised, which names the path and the number: that one stays below. A
    kind without a hint of its own keeps the English one. Where a language does not know the kind, all is English.

    Args:
        kind: see ``RetrievalError.kind``.
        message, hint: what was raised.
        words: the language.
    """
    known = words.errors.kinds.get(kind)
    own = _page_hint(hint, words)
    message, rest = _without_commands(message), _without_commands(hint)
    if known is None:
        return message, own or rest, ""
    if known.hint or own:
        return known.text, known.hint or own, message
    return known.text, "", f"{message} {rest}".strip()


def _page_hint(hint: str, words: Words) -> str:
    """What the pages have for the first command that is named; empty where none is, or none is known."""
    named = (found[1] for found in COMMAND.finditer(hint))
    return next((words.errors.hints[name] for name in named if name in words.errors.hints), "")


def _without_commands(text: str) -> str:
    """The sentences that name none."""
    if COMMAND.search(text) is None:
        return text
    rest = " ".join(one for one in _SENTENCES.split(text) if COMMAND.search(one) is None)
    return f"{rest[:-1]}." if rest.endswith(";") else rest
