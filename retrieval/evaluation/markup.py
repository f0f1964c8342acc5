"""Text and numbers for the report's page: escaped, and written the same way everywhere."""

from collections.abc import Mapping
from html import escape

from retrieval.core.text import shown
from retrieval.functional.metrics import Interval

_NAMES = {"precision_at_1": "Precision@1", "r_precision": "R-precision", "map_at_r": "MAP@R"}


def text(value: str, limit: int | None = None) -> str:
    """``value`` as HTML text or attribute value; whatever a label or a file name holds, it stays text."""
    return escape(shown(value, limit), quote=True)


def tag(name: str, content: str = "", **attributes: str | float) -> str:
    """One element; ``content`` is HTML already. A trailing ``_`` of an attribute goes, the others become ``-``."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value) if isinstance(value, str) else f"{value:.6g}"}"'
        for key, value in attributes.items()
    )
    return f"<{name}{written}>{content}</{name}>"


def metric_name(key: str) -> str:
    """What people call a metric: ``"recall_at_1"`` is Recall@1."""
    if key in _NAMES:
        return _NAMES[key]
    name, _, k = key.rpartition("_at_")
    return f"{'mAP' if name == 'map' else name.capitalize()}@{k}" if name and k.isdigit() else key


def percent(share: float) -> str:
    """A share in [0, 1] as text: ``"79.9 %"``."""
    return f"{100 * share:.1f} %"


def points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign: ``"+2.3"``."""
    rounded = round(100 * difference, 1)
    sign = "+" if rounded > 0 else "−" if rounded < 0 else "±"
    return f"{sign}{abs(rounded):.1f}"


def percent_range(interval: Interval) -> str:
    """The ends of an interval of shares: ``"78.1 to 81.7"``."""
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"


def points_range(interval: Interval) -> str:
    """The ends of an interval of differences: ``"+1.1 to +3.5"``."""
    return f"{points(interval.low)} to {points(interval.high)}"


def number(value: float) -> str:
    """A number with three digits or so and a true minus: ``"−1.79"``, ``"0.082"``, ``"268"``."""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}".replace("-", "−")


def signed(value: float) -> str:
    """``number`` with its sign: ``"+0.082"``."""
    return f"{'+' if value >= 0 else ''}{number(value)}"


def definitions(rows: Mapping[str, str]) -> str:
    """A list of terms and what they are; both are plain text."""
    pairs = "".join(tag("div", tag("dt", text(term)) + tag("dd", text(value))) for term, value in rows.items())
    return tag("dl", pairs, class_="facts")
