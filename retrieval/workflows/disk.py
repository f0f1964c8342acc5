"""How much disk a part of a gallery takes."""

from contextlib import suppress
from pathlib import Path
from stat import S_ISREG


def bytes_in(folder: Path) -> int:
    """Size of all files below a folder; 0 where there is none. What goes away meanwhile is not counted."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            status = path.stat()
            total += status.st_size if S_ISREG(status.st_mode) else 0
    return total
