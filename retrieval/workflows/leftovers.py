"""Folders that we work in for a while, and what becomes of those whose process was killed.

Such a folder lies beside what it is for, has a name of our own, and holds a lock file that its process keeps locked.
The system gives the lock back when the process dies, however it dies: a folder whose lock can be had belongs to nobody.
"""

import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

LOCK = "writing.lock"
"""The lock's name, in galleries too: a folder that becomes a gallery has no foreign file in it."""

_DAY = 24 * 3600.0
_ENCODER = re.compile(r"\.[0-9a-f]{16}\.[0-9a-f]{12}\.tmp")
"""An encoder that is being written; see ``models.folder``."""


@dataclass(frozen=True, slots=True)
class WorkingFolder:
    """A folder that this process works in."""

    path: Path
    _lock: FileLock

    def unlock(self) -> None:
        """Before the folder gets its lasting name: Windows renames no folder in which a file is open."""
        self._lock.release()


@contextmanager
def working_folder(parent: Path, prefix: str, mode: int | None = None) -> Iterator[WorkingFolder]:
    """A new folder that is ours while the block runs; what is left of it then is removed.

    Args:
        parent: where to make it.
        prefix: of its name, and of no other files' names.
        mode: its permissions; what the process gives to new folders by default.
    """
    folder = parent / f"{prefix}{secrets.token_hex(4)}"
    folder.mkdir()
    lock = FileLock(folder / LOCK)
    try:
        if mode is not None:
            folder.chmod(mode)
        lock.acquire(timeout=0)
        yield WorkingFolder(folder, lock)
    finally:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


def sweep_working_folders(parent: Path, prefix: str) -> None:
    """Remove the working folders of this prefix that belong to nobody any more."""
    for folder in _folders(parent, re.compile(re.escape(prefix) + "[a-z0-9_]{8}")):
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)


def sweep_encoders(models: Path) -> None:
    """Remove encoders that were left half written. The caller holds the gallery's write lock, as their writers do."""
    for folder in _folders(models, _ENCODER):
        shutil.rmtree(folder, ignore_errors=True)


def is_older_than_a_day(path: Path) -> bool:
    """Whether nothing was added to a folder, or removed from it, for a day; False where it cannot be told."""
    with suppress(OSError):
        return time.time() - path.stat().st_mtime > _DAY
    return False


def _folders(parent: Path, name: re.Pattern[str]) -> list[Path]:
    with suppress(OSError):
        return [p for p in parent.iterdir() if name.fullmatch(p.name) and p.is_dir() and not p.is_symlink()]
    return []


def _is_abandoned(folder: Path) -> bool:
    if not (folder / LOCK).is_file():
        # Its process may be about to lock it.
        return is_older_than_a_day(folder)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return False
    lock.release()
    return True
