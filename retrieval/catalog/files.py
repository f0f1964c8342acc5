"""File records: what is known of a path, what is missing, what failed, and forgetting."""

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, text, update

from retrieval.catalog import membership
from retrieval.catalog.session import Session, chunks
from retrieval.catalog.tables import files, roots

_PAGE = 5_000
_NOT_PRESENT = text("files.state <> 'present'")
"""The condition of the partial index, word by word: SQLite does not conclude it from ``state = 'failed'``."""


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A path the catalog has seen before."""

    id: int
    size: int
    mtime_ns: int
    state: str
    image_id: int | None


@dataclass(frozen=True, slots=True)
class FailedFile:
    """A file that could not be used, and why.

    Attributes:
        root_id, relpath: where it is in the catalog.
        path: absolute, as ``os.fsdecode`` gives it.
        reason: a value of ``core.errors.Reason``.
        message, hint: for the user.
    """

    root_id: int
    relpath: bytes
    path: str
    reason: str
    message: str
    hint: str


class Files:
    """The file records of a catalog."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def known(self, root_id: int, relpaths: Sequence[bytes]) -> dict[bytes, KnownFile]:
        """What the catalog knows of these paths below a root."""
        with self._session.read() as connection:
            return known(connection, root_id, relpaths)

    def largest_id(self) -> int:
        """The highest file id there is; 0 for none."""
        with self._session.read() as connection:
            return int(connection.execute(select(func.max(files.c.id))).scalar() or 0)

    def ids_below(self, root_id: int, prefix: bytes, *, missing: bool = False) -> Iterator[tuple[int, bytes]]:
        """(id, relpath) of the present and failed files below ``prefix`` (a folder's path with its separator, a
        file's path, or empty for all), in pages, so that memory stays bounded; with ``missing`` of all that are known.
        """
        last = 0
        while True:
            query = (
                select(files.c.id, files.c.relpath)
                .where(files.c.root_id == root_id, files.c.id > last, below_prefix(prefix))
                .order_by(files.c.id)
                .limit(_PAGE)
            )
            if not missing:
                query = query.where(files.c.state != "missing")
            with self._session.read() as connection:
                page = [(row.id, bytes(row.relpath)) for row in connection.execute(query)]
            if not page:
                return
            yield from page
            last = page[-1][0]

    def images_below(self, root_id: int) -> Iterator[tuple[int, bytes]]:
        """(image id, relpath) of the present files of a root, in pages."""
        last = 0
        while True:
            query = (
                select(files.c.id, files.c.image_id, files.c.relpath)
                .where(files.c.root_id == root_id, files.c.id > last, files.c.state == "present")
                .order_by(files.c.id)
                .limit(_PAGE)
            )
            with self._session.read() as connection:
                page = list(connection.execute(query))
            if not page:
                return
            yield from ((row.image_id, bytes(row.relpath)) for row in page)
            last = page[-1].id

    def count_missing(self, root_id: int, prefix: bytes) -> int:
        """How many files below ``prefix`` are missing; see ``ids_below``."""
        query = select(func.count()).where(
            files.c.root_id == root_id, files.c.state == "missing", _NOT_PRESENT, below_prefix(prefix)
        )
        with self._session.read() as connection:
            return int(connection.execute(query).scalar_one())

    def mark_missing(self, ids: Sequence[int]) -> int:
        """These files are gone from an online root. Returns how many were marked."""
        marked = 0
        with self._session.write() as connection:
            for some in chunks(ids):
                touched = _images_of(connection, some)
                marked += connection.execute(update(files).where(files.c.id.in_(some)).values(state="missing")).rowcount
                membership.refresh(connection, touched, None)
        return marked

    def failure_counts(self) -> dict[str, int]:
        """How many files failed for each reason, the most frequent first."""
        number = func.count()
        query = (
            select(files.c.reason, number)
            .where(files.c.state == "failed", _NOT_PRESENT)
            .group_by(files.c.reason)
            .order_by(number.desc(), files.c.reason)
        )
        with self._session.read() as connection:
            return {str(reason): int(count) for reason, count in connection.execute(query)}

    def failures(self, *, first: int = 0, most: int | None = None, reason: str | None = None) -> list[FailedFile]:
        """The failed files, by path.

        Args:
            first: so many are passed over.
            most: so many are given; None gives all.
            reason: only those that failed for it.
        """
        query = (
            select(files, roots.c.path)
            .join(roots)
            .where(files.c.state == "failed", _NOT_PRESENT)
            .order_by(roots.c.path, files.c.relpath)
            .offset(first)
            .limit(most)
        )
        if reason is not None:
            query = query.where(files.c.reason == reason)
        with self._session.read() as connection:
            return [
                FailedFile(
                    row.root_id,
                    bytes(row.relpath),
                    os.fsdecode(os.path.join(bytes(row.path), bytes(row.relpath))),
                    row.reason,
                    row.message,
                    row.hint or "",
                )
                for row in connection.execute(query)
            ]

    def missing(self) -> list[tuple[int, str]]:
        """(id, path) of the missing files in online roots."""
        query = (
            select(files.c.id, roots.c.path, files.c.relpath)
            .join(roots)
            .where(files.c.state == "missing", _NOT_PRESENT, roots.c.online.is_(True))
            .order_by(roots.c.path, files.c.relpath)
        )
        with self._session.read() as connection:
            return [
                (row.id, os.fsdecode(os.path.join(bytes(row.path), bytes(row.relpath))))
                for row in connection.execute(query)
            ]

    def forget(self, ids: Sequence[int]) -> int:
        """Forget files, and the images that no other file holds. Returns how many files were forgotten."""
        with self._session.write() as connection:
            return forget(connection, ids)

    def states(self, offline: Collection[int] = ()) -> dict[str, int]:
        """Files by state; those thought to lie in offline roots count as ``"offline"``.

        Args:
            offline: ids of the roots that are offline now.
        """
        query = select(files.c.root_id, files.c.state, func.count()).group_by(files.c.root_id, files.c.state)
        found = {"present": 0, "missing": 0, "failed": 0, "offline": 0}
        with self._session.read() as connection:
            for root_id, state, count in connection.execute(query):
                found["offline" if root_id in offline and state != "missing" else state] += count
        return found


def known(connection: Connection, root_id: int, relpaths: Sequence[bytes]) -> dict[bytes, KnownFile]:
    """``Files.known`` inside a transaction."""
    found: dict[bytes, KnownFile] = {}
    for some in chunks(relpaths):
        query = select(files).where(files.c.root_id == root_id, files.c.relpath.in_(some))
        for row in connection.execute(query):
            found[bytes(row.relpath)] = KnownFile(row.id, row.size, row.mtime_ns, row.state, row.image_id)
    return found


def forget(connection: Connection, ids: Sequence[int]) -> int:
    """``Files.forget`` inside a transaction."""
    forgotten = 0
    # Other copies may remain: the labels from the forgotten ones' folders go.
    operation_id = membership.start_operation(connection, "forget") if ids else None
    for some in chunks(ids):
        touched = _images_of(connection, some)
        forgotten += connection.execute(delete(files).where(files.c.id.in_(some))).rowcount
        membership.refresh(connection, touched, operation_id)
        membership.forget_images_without_files(connection, touched)
    return forgotten


def _images_of(connection: Connection, file_ids: Sequence[int]) -> set[int]:
    query = select(files.c.image_id).where(files.c.id.in_(file_ids), files.c.image_id.is_not(None))
    return {int(i) for i in connection.execute(query).scalars() if i is not None}


def below_prefix(prefix: bytes) -> ColumnElement[bool]:
    """The files below ``prefix`` (a folder's relative path with its separator, a file's path, or empty for all)."""
    relpath: ColumnElement[bytes] = files.c.relpath
    if not prefix:
        return relpath >= b""
    if prefix.endswith(os.fsencode(os.sep)):
        # A range, not LIKE: blobs compare byte by byte.
        return and_(relpath >= prefix, relpath < prefix[:-1] + bytes([prefix[-1] + 1]))
    return relpath == prefix
