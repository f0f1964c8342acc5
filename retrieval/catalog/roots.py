"""Roots: the folders that files were indexed from.

A folder that was indexed whole holds no other root. The folder of a file that was indexed singly may hold some, and a
path belongs to the deepest root that holds it.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from retrieval.catalog import files as file_rows
from retrieval.catalog import membership
from retrieval.catalog.session import Session, now
from retrieval.catalog.tables import files, roots
from retrieval.core.text import shown

SEPARATOR = os.fsencode(os.sep)


@dataclass(frozen=True, slots=True)
class Root:
    """A folder that files were indexed from.

    Attributes:
        id: the catalog's number.
        path: absolute, as bytes.
        whole: it was indexed as a folder; otherwise only single files in it were.
        online: it could be reached when last looked at.
    """

    id: int
    path: bytes
    whole: bool
    online: bool

    @property
    def shown(self) -> str:
        """The path for people."""
        return shown(os.fsdecode(self.path))


class Roots:
    """The roots of a catalog."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> list[Root]:
        """Every root, by path."""
        with self._session.read() as connection:
            return _all(connection)

    def counts(self) -> dict[int, dict[str, int]]:
        """Files by root id and state."""
        query = select(files.c.root_id, files.c.state, func.count()).group_by(files.c.root_id, files.c.state)
        found: dict[int, dict[str, int]] = {}
        with self._session.read() as connection:
            for root_id, state, count in connection.execute(query):
                found.setdefault(root_id, {})[state] = count
        return found

    def ensure(self, path: bytes, *, whole: bool) -> Root:
        """The root for a folder that is about to be indexed.

        A folder inside a root that was indexed whole belongs to that root. A whole folder above known roots takes
        them in: their files keep their records and get longer relative paths. A root that is offline stays a root of
        its own, since nothing can be known of its files, until it is found online again. A folder of which only
        single files are wanted takes nothing in: what was indexed whole below it is still looked at as a whole.
        """
        with self._session.write() as connection:
            known = _all(connection)
            holder = deepest(known, path)
            if holder is not None and (holder.whole or not whole):
                if whole and holder.path == path:
                    _take_in_below(connection, known, holder)
                return holder
            if holder is not None and holder.path == path:
                connection.execute(update(roots).where(roots.c.id == holder.id).values(whole=True))
                made = Root(holder.id, path, True, holder.online)
            else:
                values = {"path": path, "whole": whole, "online": True, "looked_at": now()}
                made = Root(
                    connection.execute(insert(roots).values(values).returning(roots.c.id)).scalar_one(),
                    path,
                    whole,
                    True,
                )
                if holder is not None:
                    _hand_down(connection, holder, made)
            if whole:
                _take_in_below(connection, known, made)
            return made

    def set_online(self, root_id: int, online: bool) -> None:
        """Remember whether the root could be reached just now."""
        with self._session.write() as connection:
            connection.execute(update(roots).where(roots.c.id == root_id).values(online=online, looked_at=now()))

    def remove(self, root_id: int) -> int:
        """Forget a root and all its files. Returns how many files were forgotten."""
        with self._session.write() as connection:
            ids = list(connection.execute(select(files.c.id).where(files.c.root_id == root_id)).scalars())
            file_rows.forget(connection, ids)
            connection.execute(delete(roots).where(roots.c.id == root_id))
        return len(ids)


def inside(path: bytes, folder: bytes) -> bool:
    """Whether ``path`` is ``folder`` or lies below it; both absolute and normalised."""
    return path == folder or path.startswith(_with_separator(folder))


def deepest(known: Sequence[Root], path: bytes) -> Root | None:
    """The root that is ``path`` or holds it; of several the deepest."""
    return max((root for root in known if inside(path, root.path)), key=lambda root: len(root.path), default=None)


def _with_separator(folder: bytes) -> bytes:
    return folder if folder.endswith(SEPARATOR) else folder + SEPARATOR


def _all(connection: Connection) -> list[Root]:
    return [_root(row) for row in connection.execute(select(roots).order_by(roots.c.path))]


def _root(row: Row[tuple[object, ...]]) -> Root:
    return Root(row.id, bytes(row.path), row.whole, row.online)


def _prefix(child: Root, parent: Root) -> bytes:
    return child.path[len(_with_separator(parent.path)) :] + SEPARATOR


def _take_in_below(connection: Connection, known: list[Root], parent: Root) -> None:
    for root in known:
        if root.online and root.path != parent.path and inside(root.path, parent.path):
            _take_in(connection, root, parent)


def _take_in(connection: Connection, child: Root, parent: Root) -> None:
    """The files of ``child`` become files of ``parent``; those right in ``child`` get its name as a label."""
    touched = _images_right_in(connection, child.id, b"")
    # CAST: SQLite's || makes text of two blobs.
    connection.exec_driver_sql(
        "UPDATE OR REPLACE files SET root_id = ?, relpath = CAST(? || relpath AS BLOB) WHERE root_id = ?",
        (parent.id, _prefix(child, parent), child.id),
    )
    connection.execute(delete(roots).where(roots.c.id == child.id))
    _label_again(connection, touched)


def _hand_down(connection: Connection, parent: Root, child: Root) -> None:
    """The files of ``parent`` that lie in ``child`` become files of ``child``."""
    prefix = _prefix(child, parent)
    touched = _images_right_in(connection, parent.id, prefix)
    connection.execute(
        update(files)
        .where(files.c.root_id == parent.id, file_rows.below_prefix(prefix))
        .values(root_id=child.id, relpath=func.substr(files.c.relpath, len(prefix) + 1))
    )
    _label_again(connection, touched)


def _images_right_in(connection: Connection, root_id: int, prefix: bytes) -> set[int]:
    """The images whose files lie in the folder ``prefix`` of a root, and in no folder below it."""
    name = func.substr(files.c.relpath, len(prefix) + 1)
    query = select(files.c.image_id).where(
        files.c.root_id == root_id,
        file_rows.below_prefix(prefix),
        func.instr(name, SEPARATOR) == 0,
        files.c.image_id.is_not(None),
    )
    return {int(i) for i in connection.execute(query).scalars() if i is not None}


def _label_again(connection: Connection, image_ids: set[int]) -> None:
    if image_ids:
        membership.refresh(connection, image_ids, membership.start_operation(connection, "roots"))
