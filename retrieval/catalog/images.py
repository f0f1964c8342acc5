"""Image records: looking them up, filtering them, and finding the candidates for a copy."""

import os
from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Select, and_, exists, false, func, or_, select

from retrieval.catalog.files import below_prefix
from retrieval.catalog.membership import AUTOMATIC
from retrieval.catalog.roots import SEPARATOR, inside
from retrieval.catalog.session import Session, chunks
from retrieval.catalog.tables import embedded, files, images, labels, roots
from retrieval.core.types import FileRecord, Filters, Ids, ImageRecord


class Images:
    """The image records of a catalog."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def count(self) -> int:
        """Images that some present file holds."""
        query = select(func.count(func.distinct(files.c.image_id))).where(files.c.state == "present")
        with self._session.read() as connection:
            return int(connection.execute(query).scalar_one())

    def records(self, ids: Sequence[int]) -> dict[int, ImageRecord]:
        """Records by id; unknown ids are left out."""
        with self._session.read() as connection:
            return _records(connection, ids)

    def by_content(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        """Ids by SHA-256 digest; contents that are not known are left out."""
        found: dict[bytes, int] = {}
        with self._session.read() as connection:
            for some in chunks(list(digests)):
                query = select(images.c.digest, images.c.id).where(images.c.digest.in_(some))
                found.update({bytes(row.digest): int(row.id) for row in connection.execute(query)})
        return found

    def labels(self) -> list[tuple[str, int]]:
        """(label, number of images that carry it), most frequent first."""
        query = (
            select(labels.c.label, func.count(func.distinct(labels.c.image_id)).label("n"))
            .where(labels.c.undone_by.is_(None))
            .group_by(labels.c.label)
            .order_by(func.count(func.distinct(labels.c.image_id)).desc(), labels.c.label)
        )
        with self._session.read() as connection:
            return [(row.label, row.n) for row in connection.execute(query)]

    def passing(self, space_id: int, filters: Filters) -> Ids:
        """[n] ids of the findable images in a space that pass the filters, ascending."""
        with self._session.read() as connection:
            query = _passing(connection, space_id, filters)
            return np.fromiter(connection.execute(query).scalars(), np.int64)

    def by_digests(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        """Ids by SHA-256; unknown contents are left out."""
        found: dict[bytes, int] = {}
        with self._session.read() as connection:
            for some in chunks(list(digests)):
                query = select(images.c.digest, images.c.id).where(images.c.digest.in_(some))
                found.update({bytes(row.digest): int(row.id) for row in connection.execute(query)})
        return found

    def findable(self, space_id: int, start: int, count: int, *, newest: bool = True) -> tuple[list[int], int]:
        """(ids, how many there are in all): ``count`` of the findable images of a space from ``start`` on, by id."""
        which = select(embedded.c.image_id).where(embedded.c.space_id == space_id, embedded.c.active.is_(True))
        order = embedded.c.image_id.desc() if newest else embedded.c.image_id
        with self._session.read() as connection:
            total = connection.execute(select(func.count()).select_from(which.subquery())).scalar_one()
            return list(connection.execute(which.order_by(order).offset(start).limit(count)).scalars()), int(total)

    def phashes(self, ids: Sequence[int]) -> dict[int, int]:
        """Perceptual hashes by id, as signed integers; unknown ids are left out."""
        found: dict[int, int] = {}
        with self._session.read() as connection:
            for some in chunks(list(ids)):
                query = select(images.c.id, images.c.phash).where(images.c.id.in_(some))
                found.update({int(row.id): int(row.phash) for row in connection.execute(query)})
        return found

    def in_several_places(self) -> Ids:
        """[n] ids, ascending, of the images that more than one present file holds."""
        query = (
            select(files.c.image_id)
            .where(files.c.state == "present")
            .group_by(files.c.image_id)
            .having(func.count() > 1)
            .order_by(files.c.image_id)
        )
        with self._session.read() as connection:
            return np.fromiter(connection.execute(query).scalars(), np.int64)

    def all_phashes(self, *, present: bool) -> tuple[Ids, NDArray[np.uint64]]:
        """([n] ids ascending, [n] perceptual hashes) of the images that a present file holds, or that none does."""
        held = exists().where(files.c.image_id == images.c.id, files.c.state == "present")
        query = select(images.c.id, images.c.phash).where(held if present else ~held).order_by(images.c.id)
        with self._session.read() as connection:
            table = np.array([tuple(row) for row in connection.execute(query)], np.int64).reshape(-1, 2)
        return table[:, 0].copy(), table[:, 1].copy().view(np.uint64)

    @contextmanager
    def known_contents(self, space_id: int) -> Iterator[Container[bytes]]:
        """The digests of the contents that have a vector in the space, as they are at the moment of each question.

        Asked for every file that is read, from several threads: one connection and one prepared statement serve all.
        """
        with self._session.asking() as ask:
            yield _KnownContents(ask, space_id)

    def sample(self, space_id: int, count: int) -> list[int]:
        """Up to ``count`` findable image ids, spread evenly over the gallery."""
        query = (
            select(embedded.c.image_id)
            .where(embedded.c.space_id == space_id, embedded.c.active.is_(True))
            .order_by(embedded.c.image_id)
        )
        with self._session.read() as connection:
            total = connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
            if total <= count:
                return list(connection.execute(query).scalars())
            return [connection.execute(query.offset(i * total // count).limit(1)).scalar_one() for i in range(count)]


class _KnownContents:
    def __init__(self, ask: Callable[[str, tuple[object, ...]], object], space_id: int) -> None:
        self._ask = ask
        self._space_id = space_id

    def __contains__(self, digest: object) -> bool:
        query = (
            "SELECT 1 FROM images JOIN embedded ON embedded.image_id = images.id AND embedded.space_id = ?"
            " WHERE images.digest = ?"
        )
        return self._ask(query, (self._space_id, digest)) is not None


def _records(connection: Connection, ids: Sequence[int]) -> dict[int, ImageRecord]:
    places: dict[int, list[FileRecord]] = defaultdict(list)
    names: dict[int, set[str]] = defaultdict(set)
    found: dict[int, ImageRecord] = {}
    for some in chunks(list(ids)):
        query = (
            select(files.c.image_id, files.c.relpath, files.c.state, roots.c.path, roots.c.online)
            .join(roots)
            .where(files.c.image_id.in_(some))
            .order_by(roots.c.path, files.c.relpath)
        )
        for row in connection.execute(query):
            path = os.fsdecode(os.path.join(bytes(row.path), bytes(row.relpath)))
            places[row.image_id].append(FileRecord(path, row.state, not row.online))
        events = select(labels.c.image_id, labels.c.label).where(
            labels.c.image_id.in_(some), labels.c.undone_by.is_(None)
        )
        for image_id, label in connection.execute(events):
            names[image_id].add(label)
        for image in connection.execute(select(images).where(images.c.id.in_(some))):
            found[image.id] = ImageRecord(
                id=image.id,
                digest=bytes(image.digest).hex(),
                width=image.width,
                height=image.height,
                format=image.format,
                bytes=image.bytes,
                captured=image.captured,
                files=tuple(places[image.id]),
                labels=tuple(sorted(names[image.id])),
            )
    return found


def _passing(connection: Connection, space_id: int, filters: Filters) -> Select[tuple[int]]:
    query = select(embedded.c.image_id).where(embedded.c.space_id == space_id, embedded.c.active.is_(True))
    labelled = select(labels.c.image_id).where(labels.c.undone_by.is_(None))
    if filters.labels:
        query = query.where(embedded.c.image_id.in_(labelled.where(labels.c.label.in_(filters.labels))))
    if filters.not_labels:
        query = query.where(embedded.c.image_id.not_in(labelled.where(labels.c.label.in_(filters.not_labels))))
    if filters.labelled is not None:
        trusted = labelled.where(labels.c.source != AUTOMATIC)
        among = embedded.c.image_id.in_(trusted) if filters.labelled else embedded.c.image_id.not_in(trusted)
        query = query.where(among)
    if filters.under:
        query = query.where(_lies_under(connection, [os.fsencode(path) for path in filters.under]))
    if filters.asks_for_facts:
        query = query.where(embedded.c.image_id.in_(select(images.c.id).where(*_facts(filters))))
    return query.order_by(embedded.c.image_id)


def _facts(filters: Filters) -> list[ColumnElement[bool]]:
    shorter, longer = func.min(images.c.width, images.c.height), func.max(images.c.width, images.c.height)
    return [
        *([] if filters.after is None else [images.c.captured >= filters.after]),
        *([] if filters.before is None else [images.c.captured < filters.before]),
        *([] if filters.min_side is None else [shorter >= filters.min_side]),
        *([] if filters.max_side is None else [longer <= filters.max_side]),
        *([] if filters.min_bytes is None else [images.c.bytes >= filters.min_bytes]),
        *([] if filters.max_bytes is None else [images.c.bytes <= filters.max_bytes]),
    ]


def _lies_under(connection: Connection, paths: Sequence[bytes]) -> ColumnElement[bool]:
    conditions = []
    for root_id, root in connection.execute(select(roots.c.id, roots.c.path)):
        for path in paths:
            if inside(bytes(root), path):
                conditions.append(files.c.root_id == root_id)
            elif inside(path, bytes(root)):
                relative = os.path.relpath(path, bytes(root))
                conditions.append(
                    and_(files.c.root_id == root_id, or_(below_prefix(relative), below_prefix(relative + SEPARATOR)))
                )
    if not conditions:
        return false()
    return exists().where(files.c.image_id == embedded.c.image_id, files.c.state == "present", or_(*conditions))
