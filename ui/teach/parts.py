"""What the pieces of the page share: panels, buttons, and how figures are said."""

from ui.markup import escape
from ui.words import Words


def panel(number: int, title: str, body: str) -> str:
    """One numbered step of the page; 0 for what is no step."""
    shown = f'<span class="teach-number" aria-hidden="true">{number}</span>' if number else ""
    return (
        f'<section class="teach-panel" aria-labelledby="teach-{number}"><h2 id="teach-{number}">'
        f"{shown}{escape(title)}</h2>{body}</section>"
    )


def button(do: str, text: str, kind: str = "quiet", of: str = "", *, focus: bool = False) -> str:
    """A button that asks the page to do something.

    Args:
        do: what; see ``Teaching.act``.
        text: on it.
        kind: ``"primary"``, ``"quiet"`` or ``"danger"``.
        of: with what.
        focus: it gets the focus when it appears after a click.
    """
    wanted = " data-focus" if focus else ""
    return (
        f'<button type="button" class="teach-button {kind}" data-do="{escape(do)}" data-of="{escape(of)}"{wanted}>'
        f"{escape(text)}</button>"
    )


def buttons(*some: str) -> str:
    """Buttons in a row."""
    return f'<p class="teach-buttons">{"".join(some)}</p>'


def lines(*texts: str, kind: str = "") -> str:
    """Paragraphs; empty texts are left out."""
    named = f' class="{kind}"' if kind else ""
    return "".join(f"<p{named}>{escape(text)}</p>" for text in texts if text)


def duration(seconds: float, words: Words) -> str:
    """A time in words, rounded as one would say it: ``"40 s"``, ``"12 min"``, ``"2.5 h"``."""
    writing = words.writing
    if seconds < 90:
        rounded = max(1, round(seconds)) if seconds < 20 else 10 * round(seconds / 10)
        return writing.seconds.format(n=rounded)
    if seconds < 5400:
        return writing.minutes.format(n=round(seconds / 60))
    return writing.hours.format(n=f"{seconds / 3600:.1f}")


def of_hundred(share: float) -> str:
    """A share in [0, 1] as a number of 100: ``"67"``; with a decimal where it would else look whole and is not."""
    value = 100 * share
    return f"{value:.0f}" if round(value) not in (0, 100) or value in (0, 100) else f"{value:.1f}"


def signed(share: float) -> str:
    """A difference as a signed number of 100: ``"+16"``, ``"−0.4"``."""
    value = 100 * share
    text = f"{value:+.0f}" if abs(value) >= 1.5 or value == 0 else f"{value:+.1f}"
    return text.replace("-", "−")
