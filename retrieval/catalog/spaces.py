"""Embedding spaces, which vectors are in them, and the feed of changes that keeps indexes up to date."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from retrieval.catalog.session import Session, chunks, now
from retrieval.catalog.tables import changes, embedded, files, spaces
from retrieval.core.types import EmbeddingSpace, Ids


@dataclass(frozen=True, slots=True)
class Feed:
    """What happened to a space's index since some point.

    Attributes:
        added: [n] ids that must be in the index now and may not have been.
        removed: [m] ids that must not be in it now.
        last: the number of the newest change considered.
        rows: committed rows of the vector store at that moment.
    """

    added: Ids
    removed: Ids
    last: int
    rows: int


class Spaces:
    """The embedding spaces of a catalog."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> list[EmbeddingSpace]:
        """Every space, oldest first."""
        with self._session.read() as connection:
            return [_space(row) for row in connection.execute(select(spaces).order_by(spaces.c.id))]

    def live(self) -> EmbeddingSpace | None:
        """The space that searches use; None before the first index."""
        return next((space for space in self.all() if space.live), None)

    def create(self, fingerprint: str, model: str, dimension: int, probes: NDArray[np.float32]) -> EmbeddingSpace:
        """A new space; it is live if there is no other. An existing fingerprint gives the existing space."""
        with self._session.write() as connection:
            known = connection.execute(select(spaces).where(spaces.c.fingerprint == fingerprint)).first()
            if known is not None:
                return _space(known)
            alone = connection.execute(select(func.count()).select_from(spaces)).scalar_one() == 0
            values = {
                "fingerprint": fingerprint,
                "model": model,
                "dimension": dimension,
                "rows": 0,
                "live": alone,
                "probes": np.ascontiguousarray(probes, "<f4").tobytes(),
                "created_at": now(),
            }
            return _space(connection.execute(insert(spaces).values(values).returning(spaces)).one())

    def probes(self, space: EmbeddingSpace) -> NDArray[np.float32]:
        """[n, D] the probe embeddings that were stored with the space."""
        with self._session.read() as connection:
            raw = connection.execute(select(spaces.c.probes).where(spaces.c.id == space.id)).scalar_one()
        return np.frombuffer(bytes(raw), "<f4").reshape(-1, space.dimension)

    def findable(self, space_id: int) -> tuple[Ids, Feed]:
        """All ids that belong in the index now, ascending, and the point in the feed where that was true."""
        with self._session.read() as connection:
            query = (
                select(embedded.c.image_id)
                .where(embedded.c.space_id == space_id, embedded.c.active.is_(True))
                .order_by(embedded.c.image_id)
            )
            ids = np.fromiter(connection.execute(query).scalars(), np.int64)
            return ids, _feed(connection, space_id, ids, np.empty(0, np.int64))

    def count(self, space_id: int) -> tuple[int, int]:
        """(vectors stored, of which findable)."""
        query = select(func.count(), func.count().filter(embedded.c.active.is_(True))).where(
            embedded.c.space_id == space_id
        )
        with self._session.read() as connection:
            stored, findable = connection.execute(query).one()
            return int(stored), int(findable)

    def embedded_rows(self, space_id: int) -> tuple[Ids, Ids]:
        """([n] image ids ascending, [n] row numbers)."""
        query = (
            select(embedded.c.image_id, embedded.c.row)
            .where(embedded.c.space_id == space_id)
            .order_by(embedded.c.image_id)
        )
        with self._session.read() as connection:
            table = np.array([tuple(row) for row in connection.execute(query)], np.int64).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    def last_change(self, space_id: int) -> int:
        """The number of the newest change; cheap enough to ask before every search."""
        with self._session.read() as connection:
            return _last(connection, space_id)

    def changes_since(self, space_id: int, seq: int) -> Feed:
        """What an index that is at ``seq`` lacks. Of several changes of one image only the last counts."""
        query = (
            select(changes.c.image_id, changes.c.added)
            .where(changes.c.space_id == space_id, changes.c.seq > seq)
            .order_by(changes.c.seq)
        )
        with self._session.read() as connection:
            final: dict[int, bool] = {row.image_id: row.added for row in connection.execute(query)}
            added = np.array(sorted(i for i, there in final.items() if there), np.int64)
            removed = np.array(sorted(i for i, there in final.items() if not there), np.int64)
            return _feed(connection, space_id, added, removed)

    def drop_vectors(self, space_id: int, ids: Sequence[int]) -> int:
        """Forget that these images are embedded (their vectors are damaged or lost), so that the next index embeds
        them again. Returns how many there were."""
        dropped = 0
        with self._session.write() as connection:
            for some in chunks(ids):
                there = list(
                    connection.execute(
                        select(embedded.c.image_id).where(
                            embedded.c.space_id == space_id, embedded.c.image_id.in_(some)
                        )
                    ).scalars()
                )
                if not there:
                    continue
                connection.execute(
                    delete(embedded).where(embedded.c.space_id == space_id, embedded.c.image_id.in_(there))
                )
                connection.execute(
                    insert(changes), [{"space_id": space_id, "image_id": i, "added": False} for i in there]
                )
                _read_files_again(connection, there)
                dropped += len(there)
        return dropped

    def set_rows(self, space_id: int, rows: int) -> None:
        """The vector store holds fewer rows than was committed (it was cut short)."""
        with self._session.write() as connection:
            connection.execute(update(spaces).where(spaces.c.id == space_id).values(rows=rows))


def _read_files_again(connection: Connection, image_ids: Sequence[int]) -> None:
    connection.execute(update(files).where(files.c.image_id.in_(image_ids)).values(mtime_ns=-1))


def _feed(connection: Connection, space_id: int, added: Ids, removed: Ids) -> Feed:
    rows = connection.execute(select(spaces.c.rows).where(spaces.c.id == space_id)).scalar_one()
    return Feed(added, removed, _last(connection, space_id), int(rows))


def _last(connection: Connection, space_id: int) -> int:
    query = select(func.max(changes.c.seq)).where(changes.c.space_id == space_id)
    return int(connection.execute(query).scalar() or 0)


def _space(row: Row[tuple[object, ...]]) -> EmbeddingSpace:
    return EmbeddingSpace(row.id, row.fingerprint, row.model, row.dimension, row.rows, row.live)
