"""Files that this process must not open beside the one who holds them: databases with locks on them.

POSIX drops all locks that a process has on a file as soon as the process closes any handle on it, by whatever name it
was opened: a hard link, a symbolic link, ``/proc/PID/fd/N``. The next process would then take itself for the only user
of the database and fold the journal in under the feet of this one. So who opens files that strangers name asks first.
"""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_BESIDE = ("", "-wal", "-shm", "-journal")
"""What SQLite puts behind a database's name; in WAL mode the locks are on the second of these."""

_held: Counter[str] = Counter()
_lock = threading.Lock()


def hold(path: str | os.PathLike[str]) -> None:
    """From now on ``path`` is a database that this process has open; may be said several times."""
    with _lock:
        _held[os.path.abspath(path)] += 1


def release(path: str | os.PathLike[str]) -> None:
    """Takes one ``hold`` back."""
    with _lock:
        _held[os.path.abspath(path)] -= 1
        # Drops what is not above 0.
        _held.__iadd__(Counter())


@contextmanager
def holding(path: str | os.PathLike[str]) -> Iterator[None]:
    """Holds ``path`` while the block runs."""
    hold(path)
    try:
        yield
    finally:
        release(path)


def is_held(path: str | bytes | os.PathLike[str]) -> bool:
    """Whether the file that ``path`` leads to is one of those, or lies beside one as SQLite's own. Opens nothing."""
    with _lock:
        held = list(_held)
    if not held:
        return False
    try:
        asked = os.stat(path)
    except (OSError, ValueError):
        return False
    return any(_same(asked, base + end) for base in held for end in _BESIDE)


def _same(asked: os.stat_result, path: str) -> bool:
    try:
        return os.path.samestat(asked, os.stat(path))
    except OSError:
        return False
