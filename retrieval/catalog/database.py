"""Opening the SQLite file: journal, transactions, migrations.

The driver's own transaction handling commits behind one's back (before DDL, and it opens transactions late), so it
is switched off: SQLAlchemy's ``begin`` issues BEGIN, and BEGIN IMMEDIATE where something will be written, so that
two writers queue instead of failing half way. DDL is then transactional too.
"""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DatabaseError

from retrieval.core.errors import GalleryDamaged, GalleryTooNew, is_disk_full
from retrieval.core.files import sync_folder

HEAD = "0004"
"""The newest migration; a test compares it with the scripts."""

_NETWORK = {"nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afpfs", "webdav", "davfs", "fuse.sshfs", "9p", "ncpfs"}
_BUSY_SECONDS = 60
_SMALLEST_PAGE = 512


def on_network_drive(path: Path) -> bool:
    """Whether ``path`` lies on a network drive, where SQLite's shared-memory journal does not work."""
    if str(path).startswith("\\\\"):
        return True
    best, kind = "", ""
    resolved = str(path.resolve())
    with contextlib.suppress(OSError, psutil.Error):
        for part in psutil.disk_partitions(all=True):
            if _lies_in(resolved, part.mountpoint) and len(part.mountpoint) >= len(best):
                best, kind = part.mountpoint, f"{part.fstype},{part.opts}".lower()
    return kind.split(",")[0] in _NETWORK or "remote" in kind.split(",")


def _lies_in(path: str, mountpoint: str) -> bool:
    try:
        return bool(mountpoint) and os.path.commonpath([path, mountpoint]) == os.path.normpath(mountpoint)
    except ValueError:
        # Another drive on Windows.
        return False


def connect(path: Path) -> Engine:
    """An engine on the SQLite file at ``path``, which need not exist yet."""
    network = on_network_drive(path.parent)
    # Not as text: a question mark in the path would begin the URL's query.
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA journal_mode = {'DELETE' if network else 'WAL'}")
        # In WAL mode NORMAL never corrupts; a power cut may take back the last batches, never half of one.
        cursor.execute(f"PRAGMA synchronous = {'FULL' if network else 'NORMAL'}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def revision_of(engine: Engine) -> str | None:
    """The migration the file is at; None for an empty file.

    Raises:
        GalleryDamaged: the file is not a database, or not a catalog.
        sqlalchemy.exc.DatabaseError: the file cannot be opened just now; that says nothing about its content.
    """
    try:
        with engine.connect() as connection, connection.begin():
            return _revision(connection)
    except DatabaseError as error:
        words = str(error.orig)
        if is_disk_full(error) or any(said in words for said in ("locked", "unable to open", "readonly", "disk I/O")):
            raise
        raise _not_a_catalog(engine, words) from error


def _revision(connection: Connection) -> str | None:
    tables = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())
    pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
    # Not the file of a new gallery: pages that no table claims, or tables that no migration of ours made.
    if "alembic_version" not in tables:
        if tables or pages > 1:
            raise _not_a_catalog(connection.engine, "it has no revision")
        return None
    revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if revision is None:
        raise _not_a_catalog(connection.engine, "it has no revision")
    return str(revision)


def _not_a_catalog(engine: Engine, why: str) -> GalleryDamaged:
    return GalleryDamaged(
        f"The catalog {engine.url.database} cannot be read: {why}.",
        "Restore a backup with `retrieval restore FILE`, or move the file away and index again.",
    )


def _refuse_a_stump(path: Path, engine: Engine) -> None:
    """SQLite takes a file that is shorter than the smallest page for an empty one, and would write over it."""
    with contextlib.suppress(FileNotFoundError):
        if 0 < path.stat().st_size < _SMALLEST_PAGE:
            raise _not_a_catalog(engine, "its end is missing")


def count_change(connection: Connection) -> None:
    """Number the catalog's states, so that a seal knows which one it describes.

    The number stands in two places, the table ``meta`` and the file's header: if one of them rots, they differ.
    """
    connection.exec_driver_sql(
        "INSERT INTO meta (key, value) VALUES ('revision', '1') ON CONFLICT (key) "
        "DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)"
    )
    number = connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'revision'").scalar_one()
    connection.exec_driver_sql(f"PRAGMA user_version = {int(number) & 0x7FFFFFFF}")


def migrate(engine: Engine, path: Path, scripts: Path | None = None, head: str = HEAD) -> None:
    """Bring the file to ``head`` in one transaction; an older file is copied beside itself first.

    Args:
        engine: on the file.
        path: the file.
        scripts: folder of the migrations, the package's own by default.
        head: the revision this version of the program knows.

    Raises:
        GalleryTooNew: the file is at a revision that this version does not know.
        GalleryDamaged: the file is not a database.
    """
    _refuse_a_stump(path, engine)
    if revision_of(engine) == head:
        return
    # Alembic costs a tenth of a second to import and is needed once in a gallery's life.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(scripts or Path(__file__).parent / "migrations").replace("%", "%%"))
    with engine.connect().execution_options(immediate=True) as connection, connection.begin():
        # Asked again with the lock: another process may have migrated the file just now.
        current = _revision(connection)
        if current == head:
            return
        if current is None and path.with_name(f"{path.name}.seal").exists():
            raise _not_a_catalog(engine, "it is empty, and was not")
        if current is not None:
            try:
                ScriptDirectory.from_config(config).get_revision(current)
            except CommandError as error:
                raise GalleryTooNew(
                    f"The gallery {path.parent} was written by a newer version of retrieval "
                    f"(catalog revision {current}).",
                    "Update with `pip install -U retrieval`; nothing was changed.",
                ) from error
            copy_database(path, path.with_name(f"{path.name}.before-{head}"))
        config.attributes["connection"] = connection
        command.upgrade(config, head)
        count_change(connection)


def copy_database(source: Path, target: Path) -> None:
    """A consistent copy of a database that may be in use, through SQLite's own backup."""
    beside = target.with_name(f".{target.name}.tmp")
    beside.unlink(missing_ok=True)
    try:
        with (
            contextlib.closing(sqlite3.connect(source, timeout=_BUSY_SECONDS)) as reader,
            contextlib.closing(sqlite3.connect(beside)) as writer,
        ):
            reader.backup(writer)
            # A copy travels alone: no journal files beside it.
            writer.execute("PRAGMA journal_mode = DELETE")
        with open(beside, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(target.parent)
