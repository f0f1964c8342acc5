"""Databases that this process has open are not opened a second time, under whatever name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from retrieval.catalog import Catalog
from retrieval.core.held import hold, holding, is_held, release
from retrieval.images.reading import open_regular, read_head
from retrieval.images.scan import classify

fcntl = pytest.importorskip("fcntl", reason="Windows has no such locks")

_LOCKED = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("locked")
"""


def locked(path: Path) -> bool:
    """Whether another process finds a lock on the file."""
    asked = subprocess.run([sys.executable, "-c", _LOCKED, str(path)], capture_output=True, text=True, check=True)
    return "locked" in asked.stdout


def names_of(path: Path, folder: Path) -> list[Path]:
    """Other names that lead to the same file."""
    hard, soft = folder / "hard", folder / "soft"
    os.link(path, hard)
    soft.symlink_to(path)
    return [path, hard, soft]


def test_a_held_file_is_not_opened_under_any_name_and_keeps_its_lock(tmp_path: Path) -> None:
    database = tmp_path / "catalog.sqlite3"
    database.write_bytes(b"SQLite format 3")
    with open(database, "r+b") as file, holding(database):
        fcntl.lockf(file, fcntl.LOCK_EX)
        names = [*names_of(database, tmp_path)]
        if sys.platform == "linux":
            names.append(Path(f"/proc/{os.getpid()}/fd/{file.fileno()}"))
        for name in names:
            assert is_held(name)
            with pytest.raises(OSError, match="in use"):
                read_head(os.fsencode(name), 16)
            assert classify(os.fsencode(name), b"notes") == "other"
        assert locked(database)
    # The twin of the test: without being held it is opened, and closing it gives the lock away.
    with open(database, "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        assert read_head(os.fsencode(tmp_path / "hard"), 6) == b"SQLite"
        assert not locked(database)


def test_what_lies_beside_it_is_held_too_and_nothing_else(tmp_path: Path) -> None:
    for name in ("a", "a-wal", "a-shm", "a-journal", "a-other", "b"):
        (tmp_path / name).write_bytes(b"x")
    with holding(tmp_path / "a"):
        held = {path.name for path in tmp_path.iterdir() if is_held(path)}
    assert held == {"a", "a-wal", "a-shm", "a-journal"}
    assert not is_held(tmp_path / "a")


def test_it_is_held_until_the_last_one_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    hold(path)
    hold(path)
    release(path)
    assert is_held(path)
    release(path)
    assert not is_held(path)
    assert not is_held(tmp_path / "none")
    assert not is_held("a zero \0 byte")


def test_an_open_catalog_is_held(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.sqlite3")
    try:
        (shared,) = tmp_path.glob("*-shm")
        for path in (catalog.path, shared):
            with pytest.raises(OSError, match="in use"):
                open_regular(os.fsencode(path))
    finally:
        catalog.close()
        catalog.close()
    assert not is_held(catalog.path)
