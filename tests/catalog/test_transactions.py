"""Transactions: all or nothing, one writer at a time, full disks."""

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from retrieval.catalog import Catalog, database
from retrieval.catalog.session import Session
from retrieval.core.errors import DiskFull, GalleryBusy

from .support import schema


def write_and_fail(session: Session, *statements: str) -> None:
    with session.write() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
        raise ZeroDivisionError


def test_rows_are_rolled_back(session: Session) -> None:
    with pytest.raises(ZeroDivisionError):
        write_and_fail(session, "INSERT INTO meta VALUES ('a', '1')")
    with session.read() as connection:
        assert connection.exec_driver_sql("SELECT * FROM meta WHERE key = 'a'").all() == []


def test_tables_are_rolled_back_together_with_rows(session: Session, path: Path) -> None:
    before = schema(path)
    with pytest.raises(ZeroDivisionError):
        write_and_fail(
            session,
            "INSERT INTO meta VALUES ('a', '1')",
            "CREATE TABLE t (x)",
            "ALTER TABLE images ADD COLUMN y",
            "DROP TABLE labels",
            "INSERT INTO t VALUES (1)",
        )
    assert schema(path) == before
    with session.read() as connection:
        assert connection.exec_driver_sql("SELECT * FROM meta WHERE key = 'a'").all() == []


def test_a_reader_keeps_its_view_while_others_write(session: Session, path: Path) -> None:
    count = "SELECT count(*) FROM meta WHERE key LIKE 'k%'"
    other = Session(path)
    with session.read() as connection:
        assert connection.exec_driver_sql(count).scalar() == 0
        with other.write() as writer:
            writer.exec_driver_sql("INSERT INTO meta VALUES ('k', '1')")
        assert connection.exec_driver_sql(count).scalar() == 0
    with session.read() as connection:
        assert connection.exec_driver_sql(count).scalar() == 1
    other.close()


def test_a_writer_holds_the_lock_before_it_reads(session: Session, path: Path) -> None:
    """Otherwise two that read the same value both write it back plus one."""
    with (
        session.write(),
        closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        other.execute("BEGIN IMMEDIATE")


def test_writing_threads_queue(path: Path) -> None:
    catalog, errors = Catalog(path), []

    def count() -> None:
        try:
            for _ in range(15):
                with catalog._session.write() as connection:
                    value = connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'n'").scalar() or "0"
                    connection.exec_driver_sql(
                        "INSERT INTO meta VALUES ('n', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                        (str(int(value) + 1),),
                    )
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert catalog.get("n") == 60
    catalog.close()


COUNTER = """
import sys
from pathlib import Path
from retrieval.catalog import Catalog
catalog = Catalog(Path(sys.argv[1]))
for _ in range(15):
    with catalog._session.write() as connection:
        value = connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'n'").scalar() or "0"
        connection.exec_driver_sql("INSERT INTO meta VALUES ('n', ?) ON CONFLICT (key) DO UPDATE SET value = "
                                   "excluded.value", (str(int(value) + 1),))
catalog.close()
"""


def test_writing_processes_queue_from_an_absent_file_on(path: Path) -> None:
    """All three make the file, migrate it and count in it; nothing is lost and no one fails."""
    running = [subprocess.Popen([sys.executable, "-c", COUNTER, str(path)]) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    catalog = Catalog(path)
    assert (catalog.get("n"), catalog.check()) == (45, [])
    catalog.close()


def test_a_writer_that_waited_in_vain_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.05)
    catalog = Catalog(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(GalleryBusy):
            catalog.put("a", 1)
        assert catalog.get("a") is None
        other.execute("ROLLBACK")
    catalog.put("a", 1)
    assert catalog.get("a") == 1
    catalog.close()


def test_opening_what_another_process_holds_is_busy_not_damaged(
    path: Path, older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(GalleryBusy):
            Catalog(path)


FILL = """
import resource, signal, sys
from pathlib import Path
from retrieval.catalog import Catalog
from retrieval.core.errors import DiskFull
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
catalog = Catalog(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
done = 0
try:
    while True:
        catalog.put(f"k{done}", "x" * 20_000)
        done += 1
except DiskFull:
    print(done)
"""


@pytest.mark.skipif(os.name == "nt", reason="no file-size limits")
def test_a_file_that_may_not_grow_is_a_full_disk_and_keeps_what_was_committed(path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", FILL, str(path)], capture_output=True, text=True, check=True)
    done = int(ran.stdout)
    catalog = Catalog(path)
    assert done > 3
    assert [len(catalog.get(f"k{n}")) for n in range(done)] == [20_000] * done
    assert catalog.get(f"k{done}") is None
    assert catalog.check() == []
    catalog.close()


def test_a_full_database_is_a_full_disk(path: Path) -> None:
    catalog = Catalog(path)
    with catalog._session._engine.connect() as connection:
        # The pool hands the same connection out again, with its limit.
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
    with pytest.raises(DiskFull):
        catalog.put("big", "x" * 1_000_000)
    assert catalog.get("big") is None
    catalog.close()
