"""Judgements of results as append-only events: for this query, that image is or is not what was looked for.

Both are named by content, so that a judgement outlives the records of its images, and a query need not be indexed. A
newer judgement of the same pair takes the older one back; so does an undoing, which gives back in turn what had been
taken away.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select, update

from retrieval.catalog.membership import start_operation
from retrieval.catalog.session import Session
from retrieval.catalog.tables import judgements, operations
from retrieval.core.types import Region

JUDGE, UNJUDGE = "judge", "unjudge"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What somebody said of a result.

    Attributes:
        query, image: SHA-256 of the two contents, 32 bytes each.
        relevant: whether the image is what was looked for.
        region: the part of the query that was searched with; None for all of it.
        judge: who said so; empty where that is not known.
        at: when, UTC; None for one that is not written yet.
        operation: that wrote it, for ``undo``; None likewise.
    """

    query: bytes
    image: bytes
    relevant: bool
    region: Region | None = None
    judge: str = ""
    at: datetime | None = None
    operation: int | None = None


class Judgements:
    """The judgements of a catalog. Whoever changes them holds the gallery's write lock."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, judgement: Judgement) -> int | None:
        """Write one, in the place of an older one of the same pair and part; the operation's number, None where the
        same stands already."""
        with self._session.write() as connection:
            before = _of_pair(connection, judgement)
            if [relevant for _, relevant in before] == [judgement.relevant]:
                return None
            operation = start_operation(connection, JUDGE)
            _take_back(connection, [number for number, _ in before], operation)
            _write(connection, [judgement], operation)
            return operation

    def remove(self, judgement: Judgement) -> int | None:
        """Take back what stands of this pair and part; the operation's number, None where nothing does."""
        with self._session.write() as connection:
            before = _of_pair(connection, judgement)
            if not before:
                return None
            operation = start_operation(connection, UNJUDGE)
            _take_back(connection, [number for number, _ in before], operation)
            return operation

    def undo(self, operation_id: int) -> int | None:
        """Take back what an operation did: what it wrote goes, what it took away comes back as new events where
        nothing newer stands of the pair. The undoing's number, None where the operation has no effect any more."""
        with self._session.write() as connection:
            written = select(judgements.c.id).where(
                judgements.c.operation_id == operation_id, judgements.c.undone_by.is_(None)
            )
            gone = list(connection.execute(written).scalars())
            query = _events().where(judgements.c.undone_by == operation_id)
            back = [_judgement(row) for row in connection.execute(query)]
            back = [one for one in back if not {number for number, _ in _of_pair(connection, one)} - set(gone)]
            if not gone and not back:
                return None
            undoing = start_operation(connection, UNJUDGE, undoes=operation_id)
            _take_back(connection, gone, undoing)
            _write(connection, back, undoing)
            return undoing

    def of(self, query: bytes, region: Region | None = None) -> dict[bytes, bool]:
        """Whether it is relevant, by the image's digest, of all that stands for a query and a part of it."""
        stands = _events().where(
            judgements.c.undone_by.is_(None), judgements.c.query == query, judgements.c.region.is_(_packed(region))
        )
        with self._session.read() as connection:
            return {bytes(row.image): bool(row.relevant) for row in connection.execute(stands)}

    def standing(self) -> list[Judgement]:
        """All that stand, oldest first."""
        with self._session.read() as connection:
            stands = _events().where(judgements.c.undone_by.is_(None))
            return [_judgement(row) for row in connection.execute(stands)]

    def count(self) -> int:
        """How many stand."""
        query = select(func.count()).select_from(judgements).where(judgements.c.undone_by.is_(None))
        with self._session.read() as connection:
            return int(connection.execute(query).scalar_one())


def _events() -> Select[Any]:
    origin = operations.c.id == judgements.c.operation_id
    return select(judgements, operations.c.at).join(operations, origin).order_by(judgements.c.id)


def _of_pair(connection: Connection, one: Judgement) -> list[tuple[int, bool]]:
    query = select(judgements.c.id, judgements.c.relevant).where(
        judgements.c.undone_by.is_(None),
        judgements.c.query == one.query,
        judgements.c.image == one.image,
        judgements.c.region.is_(_packed(one.region)),
    )
    return [(int(row.id), bool(row.relevant)) for row in connection.execute(query)]


def _take_back(connection: Connection, numbers: Sequence[int], operation: int) -> None:
    if numbers:
        connection.execute(update(judgements).where(judgements.c.id.in_(numbers)).values(undone_by=operation))


def _write(connection: Connection, some: Sequence[Judgement], operation: int) -> None:
    rows = [
        {
            "query": one.query,
            "image": one.image,
            "relevant": one.relevant,
            "operation_id": operation,
            "region": _packed(one.region),
            "judge": one.judge or None,
        }
        for one in some
    ]
    if rows:
        connection.execute(insert(judgements), rows)


def _packed(region: Region | None) -> str | None:
    return None if region is None else json.dumps([region.left, region.top, region.right, region.bottom])


def _judgement(row: Row[Any]) -> Judgement:
    values = row._mapping
    return Judgement(
        query=bytes(values["query"]),
        image=bytes(values["image"]),
        relevant=bool(values["relevant"]),
        region=None if values["region"] is None else Region(*json.loads(values["region"])),
        judge=values["judge"] or "",
        at=values["at"],
        operation=int(values["operation_id"]),
    )
