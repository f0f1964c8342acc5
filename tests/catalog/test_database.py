"""Opening, transactions and migrations of the SQLite file."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Engine

from retrieval.catalog import Catalog, database
from retrieval.catalog.database import HEAD, connect, copy_database, migrate, on_network_drive, revision_of
from retrieval.catalog.session import Session
from retrieval.catalog.tables import metadata
from retrieval.core.errors import DiskFull, GalleryBusy, GalleryDamaged, GalleryTooNew, RetrievalError

MIGRATIONS = Path(database.__file__).parent / "migrations"
NEXT = "9002"
"""A revision of a future version."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.sqlite3"


@pytest.fixture
def session(path: Path) -> Iterator[Session]:
    made = Session(path)
    yield made
    made.close()


def schema(path: Path) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'alembic_version'"
        return sorted((kind, name, " ".join(sql.split())) for kind, name, sql in connection.execute(query))


def content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every table of a database."""
    with closing(sqlite3.connect(path)) as connection:
        names = [n for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in names}


# --- tables and migrations -------------------------------------------------------------------------------------


def test_the_head_is_the_newest_script() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_the_tables_are_what_the_migrations_make(session: Session) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with session.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_the_comparison_of_tables_would_notice(session: Session) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with session.write() as connection:
        connection.exec_driver_sql("DROP INDEX files_by_image")
        connection.exec_driver_sql("ALTER TABLE images ADD COLUMN more TEXT")
    with session.read() as connection:
        found = compare_metadata(MigrationContext.configure(connection), metadata)
    assert sorted(str(change[0]) for change in found) == ["add_index", "remove_column"]


def test_what_alembic_does_not_compare_agrees_too(session: Session, path: Path, tmp_path: Path) -> None:
    """AUTOINCREMENT, WITHOUT ROWID, CHECK and partial indexes: the SQL of the tables is compared with that of the
    migrations, up to the order of clauses."""
    from_tables = connect(tmp_path / "other.sqlite3")
    metadata.create_all(from_tables)
    from_tables.dispose()

    def essence(path: Path) -> dict[str, tuple[str, ...]]:
        found = {}
        for _, name, sql in schema(path):
            if not name.startswith("sqlite_"):
                body = sql.replace('"', "").replace(", ", ",").replace("( ", "(").replace(" )", ")")
                marks = ("AUTOINCREMENT", "WITHOUT ROWID", "CHECK (state IN", "WHERE undone_by IS NULL", "CASCADE")
                found[name] = tuple(f"{mark}*{body.count(mark)}" for mark in (*marks, "WHERE state", "NOT NULL"))
        return found

    migrated, direct = essence(path), essence(tmp_path / "other.sqlite3")
    assert migrated.keys() == direct.keys()
    # A primary key is NOT NULL by being one; only one of the two ways says so in words.
    strip = {name: marks[:-1] for name, marks in direct.items()}
    assert {name: marks[:-1] for name, marks in migrated.items()} == strip


def test_numbers_of_deleted_rows_are_never_given_again(session: Session) -> None:
    with session.write() as connection:
        counted = ("roots", "images", "files", "operations", "labels", "spaces", "changes")
        for table in (*counted, "switches", "calibrations", "runs", "judgements"):
            sql = connection.exec_driver_sql(f"SELECT sql FROM sqlite_master WHERE name = '{table}'").scalar_one()
            assert "AUTOINCREMENT" in sql, table
        for table in ("embedded", "splits"):
            sql = connection.exec_driver_sql(f"SELECT sql FROM sqlite_master WHERE name = '{table}'").scalar_one()
            assert "WITHOUT ROWID" in sql


def test_an_unknown_state_and_a_dangling_reference_are_refused(session: Session) -> None:
    from sqlalchemy.exc import IntegrityError

    insert_file = "INSERT INTO files (root_id, relpath, size, mtime_ns, state) VALUES (?, x'61', 1, 1, ?)"
    with session.write() as connection:
        connection.exec_driver_sql("INSERT INTO roots VALUES (1, x'2f', 1, 1, '2024-01-01')")
    with pytest.raises(IntegrityError, match="files_state"), session.write() as connection:
        connection.exec_driver_sql(insert_file, (1, "lost"))
    with pytest.raises(IntegrityError, match="FOREIGN KEY"), session.write() as connection:
        connection.exec_driver_sql(insert_file, (2, "present"))


def scripts_with(folder: Path, body: str) -> Path:
    """The package's own migrations and one more, ``9002``."""
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    (folder / "versions" / "9002_more.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n\n"
        f'revision = "{NEXT}"\ndown_revision = "{HEAD}"\nbranch_labels = None\ndepends_on = None\n\n\n'
        f"def upgrade() -> None:\n{lines}\n"
    )
    return folder


GOOD = """op.add_column("images", sa.Column("stars", sa.Integer()))
op.execute("UPDATE images SET stars = 5")
op.create_index("images_by_stars", "images", ["stars"])"""


@pytest.fixture
def older(path: Path) -> Path:
    """A catalog at the real head, with something in it."""
    catalog = Catalog(path)
    catalog.put("colour", "blue")
    with catalog._session.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO images (digest, bytes, width, height, format, phash, added_at) "
            "VALUES (x'00', 1, 1, 1, 'PNG', 0, '2024-01-01')"
        )
    catalog.close()
    return path


def engine_on(path: Path) -> Engine:
    return connect(path)


def test_a_migration_copies_the_file_first(older: Path, tmp_path: Path) -> None:
    before, engine = content(older), engine_on(older)
    migrate(engine, older, scripts_with(tmp_path / "scripts", GOOD), NEXT)
    assert revision_of(engine) == NEXT
    engine.dispose()
    assert content(older)["images"][0][-1] == 5
    copy = older.with_name(f"catalog.sqlite3.before-{NEXT}")
    assert content(copy) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [older.name, copy.name, "scripts"]


def test_a_migration_that_fails_half_way_changes_nothing(older: Path, tmp_path: Path) -> None:
    before, tables, engine = content(older), schema(older), engine_on(older)
    scripts = scripts_with(tmp_path / "scripts", GOOD + '\nraise RuntimeError("power cut")')
    with pytest.raises(RuntimeError, match="power cut"):
        migrate(engine, older, scripts, NEXT)
    assert revision_of(engine) == HEAD
    engine.dispose()
    assert content(older) == before
    assert schema(older) == tables
    # The way is free for the next attempt.
    catalog = Catalog(older)
    assert (catalog.get("colour"), catalog.check()) == ("blue", [])
    catalog.close()


def test_a_migration_that_fails_can_be_repeated(older: Path, tmp_path: Path) -> None:
    engine = engine_on(older)
    with pytest.raises(RuntimeError):
        migrate(engine, older, scripts_with(tmp_path / "bad", GOOD + "\nraise RuntimeError"), NEXT)
    migrate(engine, older, scripts_with(tmp_path / "good", GOOD), NEXT)
    assert revision_of(engine) == NEXT
    engine.dispose()


def test_the_copy_before_a_migration_is_of_the_older_state_though_another_process_was_faster(
    older: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both saw the old revision; the second one must neither migrate nor copy again."""
    before, scripts = content(older), scripts_with(tmp_path / "scripts", GOOD)
    first, second = engine_on(older), engine_on(older)
    look = database.revision_of

    def look_and_be_overtaken(engine: Engine) -> str | None:
        found = look(engine)
        if engine is second:
            migrate(first, older, scripts, NEXT)
        return found

    monkeypatch.setattr(database, "revision_of", look_and_be_overtaken)
    migrate(second, older, scripts, NEXT)
    assert look(second) == NEXT
    first.dispose()
    second.dispose()
    assert content(older.with_name(f"catalog.sqlite3.before-{NEXT}")) == before


def test_a_new_gallery_needs_no_copy(path: Path, session: Session) -> None:
    assert not list(path.parent.glob("*before*"))


def test_a_migration_makes_a_seal_stale_not_wrong(older: Path, tmp_path: Path) -> None:
    catalog = Catalog(older)
    assert catalog.seal()
    catalog.close()
    engine = engine_on(older)
    migrate(engine, older, scripts_with(tmp_path / "scripts", 'op.execute("UPDATE images SET bytes = 2")'), NEXT)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{HEAD}'")
    engine.dispose()
    catalog = Catalog(older)
    assert catalog.check() == []
    catalog.close()


def test_a_newer_revision_is_refused_and_nothing_is_changed(older: Path) -> None:
    with closing(sqlite3.connect(older)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = older.read_bytes()
    with pytest.raises(GalleryTooNew, match="9999") as refused:
        Catalog(older)
    assert refused.value.exit_code == 6
    assert older.read_bytes() == before
    assert [p.name for p in older.parent.iterdir()] == [older.name]


# --- files that are no catalog ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage", [b"not a database, but long enough to be one" * 200, b"x", b"y" * 511, os.urandom(8192)]
)
def test_garbage_is_said_to_be_damaged_and_left_alone(path: Path, garbage: bytes) -> None:
    path.write_bytes(garbage)
    with pytest.raises(GalleryDamaged, match="cannot be read") as refused:
        Catalog(path)
    assert "restore" in refused.value.hint
    assert path.read_bytes() == garbage


def test_the_database_of_another_program_is_not_made_into_a_catalog(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE bookmarks (url)")
    with pytest.raises(GalleryDamaged):
        Catalog(path)
    assert list(content(path)) == ["bookmarks"]


def test_a_catalog_whose_table_list_was_lost_is_not_overwritten(older: Path) -> None:
    """One damaged number on the first page makes SQLite see an empty database."""
    damaged = bytearray(older.read_bytes())
    damaged[103:105] = b"\0\0"
    older.write_bytes(damaged)
    with pytest.raises(GalleryDamaged):
        Catalog(older)
    assert older.stat().st_size == len(damaged)


def test_an_empty_file_becomes_a_catalog(path: Path) -> None:
    path.touch()
    catalog = Catalog(path)
    assert catalog.roots.all() == []
    catalog.close()


def test_a_catalog_that_cannot_be_opened_is_not_called_damaged(path: Path) -> None:
    path.mkdir()
    with pytest.raises(RetrievalError, match="unable to open") as refused:
        Catalog(path)
    assert not isinstance(refused.value, GalleryDamaged)


@pytest.mark.parametrize("name", ["a?b", "50% off", "a#b;c&d", "ünïcode ☃", "sp ace'\""])
def test_odd_folder_names_hold_a_catalog(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    catalog = Catalog(folder / "catalog.sqlite3")
    catalog.put("a", 1)
    assert catalog.seal()
    catalog.copy_to(folder / "copy.sqlite3")
    catalog.close()
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert sorted(p.name for p in folder.iterdir()) == ["catalog.sqlite3", "catalog.sqlite3.seal", "copy.sqlite3"]


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux only")
def test_a_folder_name_that_is_no_text_holds_a_catalog(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9\xff")
    folder.mkdir()
    catalog = Catalog(folder / "catalog.sqlite3")
    catalog.put("a", 1)
    assert catalog.get("a") == 1
    catalog.close()
    assert [p.name for p in folder.iterdir()] == ["catalog.sqlite3"]


# --- transactions ----------------------------------------------------------------------------------------------


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


# --- journals and copies ---------------------------------------------------------------------------------------


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
