"""Is the catalog file sound? SQLite has no checksums of its own, so a seal holds one for the state at rest."""

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DatabaseError

from retrieval.catalog.session import Session, get
from retrieval.catalog.sums import sums_of
from retrieval.core.errors import GalleryDamaged
from retrieval.core.files import write_atomically


def seal_path(catalog: Path) -> Path:
    """Where the checksum of the catalog lies."""
    return catalog.with_name(catalog.name + ".seal")


def seal(session: Session) -> bool:
    """Fold the journal into the file and write the file's checksum beside it.

    Returns False, and leaves the old seal, where another process is using the catalog just now. The seal names the
    revision it describes: a later write makes it stale, not wrong. One that describes the present state is left as
    it is: nothing was written since, so a checksum that differs would be that of damage.

    Raises:
        GalleryDamaged: the file cannot be read.
    """
    try:
        with _alone(session.path) as connection:
            if connection is None:
                return False
            revision = _revision(connection)
            sealed = _read_seal(session.path)
            if sealed is not None and sealed.get("revision") == revision:
                return True
            facts = {"revision": revision, **sums_of(str(session.path))}
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise GalleryDamaged(
            f"The catalog {session.path} is damaged ({error}).",
            "Try `retrieval status --check --repair`, or restore a backup with `retrieval restore FILE`.",
        ) from error
    write_atomically(seal_path(session.path), _seal_bytes(facts))
    return True


def check(session: Session) -> list[str]:
    """What is wrong with the catalog file; empty when nothing is.

    SQLite's own structural check, foreign keys, and, where the seal describes the present state, the checksum.
    """
    found: list[str] = []
    try:
        with session.read() as connection:
            rows = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check(20)")]
            found += [f"catalog: {row}" for row in rows if row != "ok"]
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
            found += [
                f"catalog: a record of {row[0]} points to a record of {row[2]} that is gone" for row in broken[:20]
            ]
            revision = get(connection, "revision")
            twin = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    except GalleryDamaged as error:
        return [error.message]
    except (ValueError, DatabaseError) as error:
        return [*found, f"catalog: a stored value cannot be read ({getattr(error, 'orig', error)})"]
    if not isinstance(revision, int) or revision & 0x7FFFFFFF != twin:
        return [*found, "catalog: the file is damaged (its two revision numbers differ)"]
    problems = _seal_problems(session.path, revision)
    if problems:
        with session.read() as connection:
            # Written to while it was read: the seal is stale, not wrong.
            if get(connection, "revision") != revision:
                return found
    return found + problems


def _seal_problems(path: Path, revision: int) -> list[str]:
    sealed = _read_seal(path)
    if sealed is None:
        return []
    if sealed.get("damaged"):
        return [f"catalog: {seal_path(path).name} cannot be read"]
    if sealed.get("revision") != revision or _journal_in_use(path):
        return []
    if sealed.get("sha256") != sums_of(str(path))["sha256"]:
        return ["catalog: the file is not what was written (its checksum differs)"]
    return []


def refuse_damage(session: Session) -> None:
    """Compare the file with its seal; done before it is written to, since then the seal tells nothing any more.

    The caller holds the gallery's write lock. The seal of a newer state, left when an older catalog was put back by
    hand, is removed: the numbers of the states to come would meet it again.

    Raises:
        GalleryDamaged: the file is not what was written.
    """
    with session.read() as connection:
        revision = get(connection, "revision")
        twin = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    sealed = _read_seal(session.path)
    if sealed is None or sealed.get("damaged"):
        return
    whole = isinstance(revision, int) and revision & 0x7FFFFFFF == twin
    if not whole or _seal_problems(session.path, revision):
        raise GalleryDamaged(
            f"The catalog {session.path} is not what was written (its checksum differs).",
            "Try `retrieval status --repair`; what that cannot mend, `retrieval restore FILE` brings back.",
        )
    if int(str(sealed["revision"])) > revision:
        seal_path(session.path).unlink(missing_ok=True)


def only_indexes_are_damaged(session: Session) -> bool:
    """Whether the seal proves that every damaged page belongs to an index of SQLite's, which can be built again.

    A row that an index lacks may as well be a row that was changed; the checksums of the pages tell which it is. A
    page of a table is found damaged itself, or is reached through pages that are whole.
    """
    sealed = _read_seal(session.path)
    if sealed is None or sealed.get("damaged") or _journal_in_use(session.path):
        return False
    sums, now = str(sealed["pages"]), sums_of(str(session.path))["pages"]
    if len(now) != len(sums):
        return False
    damaged = [n // 8 + 1 for n in range(0, len(sums), 8) if now[n : n + 8] != sums[n : n + 8]]
    try:
        with contextlib.closing(sqlite3.connect(session.path, isolation_level=None)) as connection:
            if 1 in damaged or _revision(connection) != sealed["revision"]:
                return False
            indexes = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
            # Not every build of SQLite can tell whose a page is.
            owners = {page: name for name, page in connection.execute("SELECT name, pageno FROM dbstat")}
    except (sqlite3.DatabaseError, ValueError):
        return False
    return all(owners.get(page) is None or owners[page] in indexes for page in damaged)


def reindex(session: Session) -> None:
    """Build SQLite's own indexes again from the tables: repairs damage that touched only them."""
    with session.write() as connection:
        connection.exec_driver_sql("REINDEX")


def _read_seal(path: Path) -> dict[str, object] | None:
    try:
        content = seal_path(path).read_bytes()
        value = json.loads(content)
    except FileNotFoundError:
        return None
    except (ValueError, OSError):
        return {"damaged": True}
    if not isinstance(value, dict):
        return {"damaged": True}
    value.pop("checksum", None)
    return value if _seal_bytes(value) == content else {"damaged": True}


def _seal_bytes(facts: dict[str, object]) -> bytes:
    """What stands in the seal's file, with a checksum of its own."""
    checksum = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return (json.dumps({**facts, "checksum": checksum}, indent=2, sort_keys=True) + "\n").encode()


def _journal_in_use(path: Path) -> bool:
    journal = path.with_name(path.name + "-wal")
    return journal.exists() and journal.stat().st_size > 0


@contextmanager
def _alone(path: Path) -> Iterator[sqlite3.Connection | None]:
    """The write lock with the journal folded in, or None if others are in the way."""
    with contextlib.closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as connection:
        if not _lock(connection):
            yield None
            return
        try:
            yield None if _journal_in_use(path) else connection
        finally:
            connection.execute("ROLLBACK")


def _lock(connection: sqlite3.Connection) -> bool:
    try:
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            connection.execute("BEGIN IMMEDIATE")
        return not busy
    except sqlite3.OperationalError:
        return False


def _revision(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT value FROM meta WHERE key = 'revision'").fetchone()
    return 0 if row is None else int(row[0])
