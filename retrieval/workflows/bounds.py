"""What people write as the bounds of a search: days and sizes of files."""

import re
from datetime import datetime

from retrieval.core.errors import BadValue
from retrieval.core.text import shown

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_LARGEST = 2**63 - 1


def day(text: str | None) -> datetime | None:
    """The moment that ``text`` names: ``2024``, ``2024-05``, ``2024-05-17`` or ``2024-05-17 14:30``; None for none.

    Raises:
        BadValue: it is no date.
    """
    if text is None or not text.strip():
        return None
    wanted = text.strip()
    for pattern in ("%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"):
        try:
            return datetime.strptime(wanted, pattern)
        except ValueError:
            continue
    raise BadValue(f"{shown(wanted, 40)} is not a date.", "Write it like 2024-05-17, 2024-05 or 2024.")


def bytes_in(text: str | None) -> int | None:
    """Bytes that ``text`` names: ``5000``, ``200kB``, ``1.5 MB``, ``1MiB``; None for none.

    Raises:
        BadValue: it is no size.
    """
    if text is None or not text.strip():
        return None
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([a-z]*)", text.strip().lower())
    if found is None or found[2] not in _UNITS:
        raise BadValue(f"{shown(text.strip(), 40)} is not a size.", "Write it like 200kB or 1.5MB.")
    return min(round(float(found[1]) * _UNITS[found[2]]), _LARGEST)
