"""Reading and writing the catalog: every access is one transaction of one of these two kinds."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DatabaseError

from retrieval.catalog import database
from retrieval.catalog.tables import meta
from retrieval.core.errors import DiskFull, GalleryBusy, GalleryDamaged, RetrievalError, is_disk_full
from retrieval.core.held import hold, release

T = TypeVar("T")
_CHUNK = 900
"""Values in one IN (...): old SQLite builds stop at 999 variables."""

_RESTORE = "Try `retrieval status --check --repair`, or restore a backup with `retrieval restore FILE`."


class Session:
    """The catalog file and its two kinds of transaction.

    Args:
        path: the SQLite file; its folder exists.

    Raises:
        GalleryTooNew, GalleryDamaged: see ``database.migrate``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._closed = False
        hold(path)
        self._engine: Engine = database.connect(path)
        try:
            with said(path):
                database.migrate(self._engine, path)
        except BaseException:
            self.close()
            raise
        self._opening = threading.Lock()
        self._file = _identity(path)
        self.generation = 0

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view: what others commit meanwhile does not show.

        Raises:
            GalleryDamaged: a stored value is none that this program writes (a date that is not one, say).
        """
        self._follow()
        with said(self.path), self._engine.connect() as connection, connection.begin():
            try:
                yield connection
            except UnicodeEncodeError:
                raise  # of a path that was asked for
            except ValueError as error:
                raise GalleryDamaged(
                    f"The catalog {self.path} is damaged: a stored value cannot be read ({error}).",
                    "Try `retrieval status --check --repair`, or restore a backup with `retrieval restore FILE`.",
                ) from error

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """All of the block or nothing; other writers wait.

        Raises:
            DiskFull, GalleryBusy, GalleryDamaged: what SQLite met, in our words.
        """
        self._follow()
        with (
            said(self.path),
            self._engine.connect().execution_options(immediate=True) as connection,
            connection.begin(),
        ):
            yield connection
            database.count_change(connection)

    @contextmanager
    def asking(self) -> Iterator[Callable[[str, tuple[object, ...]], object]]:
        """A function that answers a query with its first row or None, outside of any transaction.

        A tenth of the cost of ``read``, for a question that is asked very often. Safe to call from several threads,
        also from one that goes on after the block has ended: it gets a RuntimeError. (SQLite itself would crash the
        process: a connection that is closed while a query runs in it is memory that was given back.)
        """
        lock = threading.Lock()
        ended = False
        with said(self.path), closing(self._engine.raw_connection()) as connection:
            cursor = connection.cursor()

            def ask(query: str, values: tuple[object, ...]) -> object:
                with lock:
                    if ended:
                        raise RuntimeError("The catalog is not asking any more.")
                    # To the end: a query that is left half read would hold on to the state it began with.
                    rows = cursor.execute(query, values).fetchall()
                return rows[0] if rows else None

            try:
                yield ask
            finally:
                with lock:
                    ended = True

    def _follow(self) -> None:
        """Open the file anew where another one has taken its place, as ``restore`` does: a connection would go on
        with the former one, which lies elsewhere now. ``generation`` counts how often that happened."""
        there = _identity(self.path)
        if there in (None, self._file):
            return
        with self._opening:
            if there != self._file:
                self._engine.dispose()
                self._engine = database.connect(self.path)
                self._file = there
                self.generation += 1

    def close(self) -> None:
        """Give back all connections; the last one folds the journal into the file."""
        self._engine.dispose()
        if not self._closed:
            self._closed = True
            release(self.path)


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells one file from another under the same name; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino)


@contextmanager
def said(path: Path) -> Iterator[None]:
    """SQLite's errors in our words."""
    try:
        yield
    except UnicodeDecodeError as error:
        # SQLite's own complaint quotes the damaged bytes, and cannot be read itself.
        raise GalleryDamaged(f"The catalog {path} is damaged ({error.reason}).", _RESTORE) from error
    except DatabaseError as error:
        words = str(error.orig)
        if is_disk_full(error):
            raise DiskFull(
                f"No space is left on the disk while writing {path}.",
                "Free some space and run the same command again: it goes on where it stopped.",
            ) from error
        if "locked" in words:
            raise GalleryBusy(
                f"Another process has been writing to {path} for over a minute.", "Try again when it has finished."
            ) from error
        if "readonly" in words or "unable to open" in words:
            raise RetrievalError(
                f"The catalog {path} cannot be opened for writing ({words}).",
                "Check the permissions of the file and of its folder.",
            ) from error
        if "malformed" in words or "not a database" in words or "disk I/O error" in words:
            raise GalleryDamaged(
                f"The catalog {path} is damaged ({words}).",
                _RESTORE,
            ) from error
        raise


def get(connection: Connection, key: str) -> Any:
    """The JSON value stored under ``key``, or None."""
    text = connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar()
    return None if text is None else json.loads(text)


def put(connection: Connection, key: str, value: Any) -> None:
    """Store a JSON value under ``key``."""
    row = insert(meta).values(key=key, value=json.dumps(value))
    connection.execute(row.on_conflict_do_update(index_elements=["key"], set_={"value": row.excluded.value}))


def chunks(values: Sequence[T], size: int = _CHUNK) -> Iterator[Sequence[T]]:
    """``values`` in pieces that fit into one statement."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def now() -> datetime:
    """UTC without a zone, as SQLite stores it."""
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)
