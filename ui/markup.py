"""Text into HTML: escaping, and the few words and numbers that the page writes in its own way."""

import html
import re
from datetime import datetime

from retrieval.core.text import shown
from ui.words import Words

# Gradio's HTML component runs what it shows through two template languages; values are not evaluated there today,
# and with these written as entities they cannot be tomorrow.
_TEMPLATE_SIGNS = {ord(sign): f"&#{ord(sign)};" for sign in "{}$`"}


def escape(text: str, limit: int | None = None) -> str:
    """``text`` for HTML content or a quoted attribute: one line, encodable, inert; at most ``limit`` characters."""
    return html.escape(shown(text, limit), quote=True).translate(_TEMPLATE_SIGNS)


def prose(text: str) -> str:
    """A sentence of ours with `commands` between backticks; everything in it is escaped."""
    parts = re.split(r"`([^`]*)`", text)
    return "".join(f"<code>{escape(part)}</code>" if n % 2 else escape(part) for n, part in enumerate(parts))


def file_size(size: int, words: Words) -> str:
    """E.g. ``"640 bytes"``, ``"1.4 MB"``; decimal units, as file managers show them."""
    if size < 1000:
        return words.writing.bytes.of(size)
    value = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.95 or unit == "TB":
            break
    return f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"


def moment(when: datetime, words: Words) -> str:
    """E.g. ``"7 June 2021, 14:05"``."""
    writing = words.writing
    return writing.moment.format(
        year=when.year, month=writing.months[when.month - 1], day=when.day, clock=f"{when:%H:%M}"
    )


def milliseconds(seconds: float, words: Words) -> str:
    """E.g. ``"84 ms"``, ``"2.3 s"``."""
    if seconds >= 1:
        return words.writing.seconds.format(n=f"{seconds:.1f}")
    return words.writing.milliseconds.format(
        n=f"{seconds * 1000:.0f}" if seconds >= 0.0095 else f"{seconds * 1000:.1f}"
    )


def duration(seconds: float, words: Words) -> str:
    """A length of time that nobody counts exactly, e.g. ``"40 s"``, ``"12 min"``, ``"2.5 h"``."""
    writing = words.writing
    if seconds < 90:
        return writing.seconds.format(n=max(1, round(seconds)))
    if seconds < 5400:
        return writing.minutes.format(n=round(seconds / 60))
    return writing.hours.format(n=f"{seconds / 3600:.1f}")


def clock(at: float, words: Words) -> str:
    """Seconds since the epoch as a ``moment`` of this machine's time."""
    return moment(datetime.fromtimestamp(at), words)
