"""Journals that fit the drive, copies of a catalog in use, and remembered values."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from retrieval.catalog import Catalog, database
from retrieval.catalog.database import copy_database, on_network_drive


def mounted(monkeypatch: pytest.MonkeyPatch, *parts: tuple[str, str, str]) -> None:
    found = [SimpleNamespace(mountpoint=m, fstype=f, opts=o) for m, f, o in parts]
    monkeypatch.setattr(database.psutil, "disk_partitions", lambda all: found)


@pytest.mark.parametrize(
    ("kind", "options", "network"),
    [("nfs4", "rw", True), ("cifs", "rw", True), ("ext4", "rw,relatime", False), ("NTFS", "rw,remote", True)],
)
def test_the_journal_fits_the_drive(
    path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, options: str, network: bool
) -> None:
    mounted(monkeypatch, ("/", "ext4", "rw"), (str(path.parent.resolve()), kind, options))
    assert on_network_drive(path.parent) is network
    catalog = Catalog(path)
    with catalog._session.read() as connection:
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        level = connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
    assert (mode, level) == (("delete", 2) if network else ("wal", 1))
    catalog.put("a", 1)
    assert catalog.seal()
    assert catalog.check() == []
    catalog.close()
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name, f"{path.name}.seal"]


def test_the_innermost_mount_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = str(tmp_path.resolve())
    mounted(monkeypatch, (here, "ext4", "rw"), ("/", "nfs4", "rw"), (f"{here}-other", "cifs", "rw"))
    assert not on_network_drive(tmp_path)
    assert on_network_drive(Path("/"))
    assert on_network_drive(tmp_path.with_name(tmp_path.name + "-other") / "deep")


def test_mounts_that_cannot_be_compared_or_listed_are_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As D: is to C: on Windows.
    mounted(monkeypatch, ("relative", "cifs", "rw"), ("", "cifs", "rw"), ("/", "nfs", "rw"))
    assert on_network_drive(tmp_path)

    def refuse(all: bool) -> list[object]:
        raise PermissionError

    monkeypatch.setattr(database.psutil, "disk_partitions", refuse)
    assert not on_network_drive(tmp_path)


def test_a_windows_share_is_a_network_drive() -> None:
    assert on_network_drive(Path("\\\\server\\share"))


def test_a_copy_is_consistent_while_another_connection_writes(older: Path) -> None:
    """Every transaction moves one unit from a to b: whatever is copied, the sum stays."""
    catalog, stop, target = Catalog(older), threading.Event(), older.with_name("copy.sqlite3")
    catalog.put("a", 1000)
    catalog.put("b", 0)
    catalog.put("padding", "x" * 200_000)

    def move() -> None:
        while not stop.is_set():
            with catalog._session.write() as connection:
                connection.exec_driver_sql("UPDATE meta SET value = value - 1 WHERE key = 'a'")
                connection.exec_driver_sql("UPDATE meta SET value = value + 1 WHERE key = 'b'")

    thread = threading.Thread(target=move)
    thread.start()
    try:
        for _ in range(5):
            catalog.copy_to(target)
            with closing(sqlite3.connect(target)) as copy:
                values = dict(copy.execute("SELECT key, CAST(value AS INTEGER) FROM meta WHERE key IN ('a', 'b')"))
                assert values["a"] + values["b"] == 1000
                assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        stop.set()
        thread.join()
    catalog.close()
    assert sorted(p.name for p in older.parent.iterdir()) == [older.name, "copy.sqlite3"]


def test_a_copy_that_fails_leaves_the_former_copy_and_nothing_else(
    older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = older.with_name("copy.sqlite3")
    target.write_bytes(b"former")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(database.os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        copy_database(older, target)
    assert target.read_bytes() == b"former"
    assert sorted(p.name for p in older.parent.iterdir()) == [older.name, target.name]


def test_remembered_values_are_json(path: Path) -> None:
    catalog = Catalog(path)
    for value in ({"a": [1, 2.5, None]}, "text", 0, False, None):
        catalog.put("key", value)
        assert catalog.get("key") == value
    assert catalog.get("other") is None
    catalog.close()
