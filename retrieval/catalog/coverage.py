"""Which images a space holds embeddings of, and adding those it lacks: what a switch works through."""

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import ColumnElement, Connection, exists, func, insert, select, update

from retrieval.catalog import membership
from retrieval.catalog.ingest import Append
from retrieval.catalog.session import Session, chunks
from retrieval.catalog.tables import embedded, files, images, roots, spaces
from retrieval.core.types import Vectors

_PAGE = 900


@dataclass(frozen=True, slots=True)
class Place:
    """A file that held an image when it was last looked at.

    Attributes:
        root_id: of its root.
        path: absolute, as the system's bytes.
        present: it was there.
    """

    root_id: int
    path: bytes
    present: bool


@dataclass(frozen=True, slots=True)
class Lacking:
    """An image that a space has no embedding of, and where its content was seen; present files first."""

    image_id: int
    digest: bytes
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Vector:
    """An embedding of an image: its content's digest, and [D] values."""

    image_id: int
    digest: bytes
    values: Vectors


class Coverage:
    """The coverage of the spaces of a catalog. Only images that some file holds, or held, count."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def count(self, space_id: int) -> tuple[int, int]:
        """(images that the space has an embedding of, images there are)."""
        with self._session.read() as connection:
            total = connection.execute(select(func.count()).select_from(images).where(_held())).scalar_one()
            lacking = connection.execute(select(func.count()).select_from(images).where(_lacks(space_id))).scalar_one()
            return int(total - lacking), int(total)

    def lacking(self, space_id: int) -> Iterator[Lacking]:
        """The images that the space lacks, by id, in pages; those that are added meanwhile come too."""
        last = 0
        while True:
            query = (
                select(images.c.id, images.c.digest)
                .where(images.c.id > last, _lacks(space_id))
                .order_by(images.c.id)
                .limit(_PAGE)
            )
            with self._session.read() as connection:
                page = [(int(row.id), bytes(row.digest)) for row in connection.execute(query)]
                places = _places(connection, [image_id for image_id, _ in page])
            if not page:
                return
            yield from (Lacking(image_id, digest, places[image_id]) for image_id, digest in page)
            last = page[-1][0]

    def lacks_only(self, space_id: int, known: Collection[int]) -> bool:
        """Whether the space lacks no images but these."""
        query = select(images.c.id).where(_lacks(space_id))
        with self._session.read() as connection:
            return all(image_id in known for image_id in connection.execute(query).scalars())

    def add(self, space_id: int, vectors: Sequence[Vector], append: Append) -> int:
        """Record embeddings: all of them or none. Returns how many.

        As in ``Ingest.commit``, the vectors are written and synced inside the transaction: a crash leaves a torn tail
        in the vector store, never a record without its vector. Left out are images that were forgotten meanwhile,
        another image that got its number (a backup was restored), and what the space has already.

        Args:
            space_id: the space that they belong to.
            vectors: one an image.
            append: writes to the space's store, behind the committed rows.
        """
        with self._session.write() as connection:
            wanted = {vector.image_id: vector for vector in vectors}
            for some in chunks(list(wanted)):
                known = {
                    row.id: bytes(row.digest)
                    for row in connection.execute(
                        select(images.c.id, images.c.digest).where(images.c.id.in_(some), _lacks(space_id))
                    )
                }
                for image_id in some:
                    if known.get(image_id) != wanted[image_id].digest:
                        del wanted[image_id]
            if not wanted:
                return 0
            ids = np.array(sorted(wanted), np.int64)
            first = append(ids, np.stack([wanted[i].values for i in ids.tolist()]))
            connection.execute(
                insert(embedded),
                [
                    {"space_id": space_id, "image_id": i, "region": 0, "row": first + n, "active": False}
                    for n, i in enumerate(ids.tolist())
                ],
            )
            connection.execute(update(spaces).where(spaces.c.id == space_id).values(rows=first + len(ids)))
            membership.refresh(connection, ids.tolist(), None)
            return len(ids)


def read_again(connection: Connection, space_id: int) -> int:
    """Let the next index read the files of the images that the space lacks; otherwise it would find them unchanged.
    Returns how many images."""
    lacking = select(images.c.id).where(_lacks(space_id))
    count = connection.execute(select(func.count()).select_from(lacking.subquery())).scalar_one()
    if count:
        connection.execute(update(files).where(files.c.image_id.in_(lacking)).values(mtime_ns=-1))
    return int(count)


def _held() -> ColumnElement[bool]:
    return exists().where(files.c.image_id == images.c.id)


def _lacks(space_id: int) -> ColumnElement[bool]:
    covered = exists().where(embedded.c.space_id == space_id, embedded.c.image_id == images.c.id)
    return _held() & ~covered


def _places(connection: Connection, image_ids: Sequence[int]) -> dict[int, tuple[Place, ...]]:
    found: dict[int, list[Place]] = defaultdict(list)
    query = select(files.c.image_id, files.c.root_id, files.c.relpath, files.c.state, roots.c.path).join(roots)
    for some in chunks(image_ids):
        for row in connection.execute(query.where(files.c.image_id.in_(some)).order_by(files.c.id)):
            path = os.path.join(bytes(row.path), bytes(row.relpath))
            found[row.image_id].append(Place(row.root_id, path, row.state == "present"))
    return {i: tuple(sorted(places, key=lambda place: not place.present)) for i, places in found.items()}
