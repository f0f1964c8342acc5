"""Labels of images as append-only events: nothing is overwritten, and every operation can be taken back.

An event says that an image carries a label, who said so, and in which operation. Taking a label away marks the events
that stand for it as undone by the operation that did it. Taking that back writes them once more, as events of the
undoing, so that an undoing can be undone as well; no mark is ever removed, and no event deleted while its image is
known.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, exists, func, insert, select, update

from retrieval.catalog.membership import PERSON, TAUGHT, start_operation
from retrieval.catalog.session import Session, chunks
from retrieval.catalog.tables import files, images, labels, operations
from retrieval.catalog.undoing import UNDO, Taking, lineages, read_undoings, taking

FOLDER, CSV = "folder", "csv"
TRUSTED = (PERSON, CSV, FOLDER)
"""Sources that somebody stands for, in the order in which one overrules the next."""

_PAGE = 5_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A label to be given to an image: an event that is not written yet.

    Attributes:
        image_id: of the image.
        label: not empty.
        source: ``"folder"``, ``"csv"``, ``"person"`` or ``"automatic"``.
        confidence: chance in [0, 1] that it is right, for automatic ones; None for the others.
    """

    image_id: int
    label: str
    source: str
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class LabelEvent:
    """An event that stands.

    Attributes:
        id: its number.
        image_id, label, source, confidence: as in ``Entry``.
        operation_id: that wrote it.
        first: the number of the event that it repeats where an undoing gave it back, otherwise its own: its age.
    """

    id: int
    image_id: int
    label: str
    source: str
    confidence: float | None
    operation_id: int
    first: int


@dataclass(frozen=True, slots=True)
class Change:
    """What an operation did.

    Attributes:
        operation: its number; None where nothing had to be changed.
        added: labels that were given.
        unchanged: labels that stood already, from the same source.
        removed: events that were taken back.
    """

    operation: int | None
    added: int
    unchanged: int
    removed: int


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation in the history of labels.

    Attributes:
        id: its number.
        kind: what it was, e.g. ``"set"``.
        at: when, UTC.
        added: events that it wrote.
        standing: of these, how many stand, be it because they were given back.
        removed: events that it took away, also those that were given back since.
    """

    id: int
    kind: str
    at: datetime
    added: int
    standing: int
    removed: int


class Labels:
    """The labels of a catalog. Whoever changes them after looking holds the gallery's write lock."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def change(self, kind: str, add: Sequence[Entry] = (), remove: Sequence[int] = ()) -> Change:
        """One operation: new events, and standing ones that are taken back.

        Args:
            kind: one of ``membership.TAUGHT``.
            add: what stands already from the same source is left as it is, and so are images that are not known.
            remove: ids of events; what stands no more is left as it is.
        """
        if kind not in TAUGHT:
            raise ValueError(f"There is no kind of operation {kind!r}; known are {', '.join(sorted(TAUGHT))}.")
        with self._session.write() as connection:
            gone = _standing_among(connection, remove)
            fresh, unchanged = _fresh(connection, add, gone)
            if not fresh and not gone:
                return Change(None, 0, unchanged, 0)
            operation = start_operation(connection, kind)
            _undo_events(connection, gone, operation)
            _write(connection, fresh, operation)
            return Change(operation, len(fresh), unchanged, len(gone))

    def undo(self, operation_id: int) -> Change:
        """Take back what an operation did: its events are undone, and those that it had taken away are given back.

        ``Change.operation`` is None where nothing of the operation is in effect any more, or where there is none. An
        undoing can be taken back in the same way.
        """
        with self._session.write() as connection:
            undoings = read_undoings(connection)
            wrote = select(labels.c.id).where(labels.c.operation_id == operation_id, labels.c.undone_by.is_(None))
            gone = set(connection.execute(wrote).scalars())
            given_back: set[Taking] = set()
            for lineage in lineages(connection, undoings):
                gone.update(event for event, operation in lineage.repeated_for() if operation == operation_id)
                given_back |= lineage.given_back
            took = select(labels).where(labels.c.undone_by.in_(undoings.like(operation_id))).order_by(labels.c.id)
            back = [_entry(event) for event in connection.execute(took) if taking(event) not in given_back]
            fresh, _ = _fresh(connection, back, gone)
            if not gone and not fresh:
                return Change(None, 0, 0, 0)
            operation = start_operation(connection, UNDO, undoes=operation_id)
            _undo_events(connection, gone, operation)
            _write(connection, fresh, operation)
            return Change(operation, len(fresh), 0, len(gone))

    def history(self) -> list[Operation]:
        """The operations that wrote or took back labels, newest first."""
        wrote = select(labels.c.operation_id, func.count(), func.count().filter(labels.c.undone_by.is_(None))).group_by(
            labels.c.operation_id
        )
        took = (
            select(labels.c.undone_by, func.count()).where(labels.c.undone_by.is_not(None)).group_by(labels.c.undone_by)
        )
        with self._session.read() as connection:
            added = {row[0]: (int(row[1]), int(row[2])) for row in connection.execute(wrote)}
            removed = {row[0]: int(row[1]) for row in connection.execute(took)}
            again: Counter[int] = Counter()
            for lineage in lineages(connection, read_undoings(connection)):
                again.update(operation for _, operation in lineage.repeated_for())
            return [
                _operation(row, *added.get(row.id, (0, 0)), again[row.id], removed.get(row.id, 0))
                for row in connection.execute(select(operations).order_by(operations.c.id.desc()))
                # An undoing of an early version, undone itself, has no events left, and is shown all the same.
                if row.id in added or row.id in removed or row.kind == UNDO
            ]

    def last_in_effect(self) -> Operation | None:
        """The newest operation of a person's that still has an effect, and is no undoing itself."""
        taught = [operation for operation in self.history() if operation.kind in TAUGHT - {UNDO}]
        with self._session.read() as connection:
            undoings = read_undoings(connection)
            given_back = {one for lineage in lineages(connection, undoings) for one in lineage.given_back}
            for operation in taught:
                if operation.standing or _is_missed(connection, undoings.like(operation.id), given_back):
                    return operation
        return None

    def standing(
        self, image_ids: Collection[int] | None = None, sources: Collection[str] | None = None
    ) -> Iterator[LabelEvent]:
        """The events that stand, by image and then by age, in pages, so that memory stays bounded.

        Args:
            image_ids: of these images only; None of all.
            sources: of these sources only; None of all.
        """
        query = select(labels).where(labels.c.undone_by.is_(None))
        if sources is not None:
            query = query.where(labels.c.source.in_(sources))
        if image_ids is not None:
            for some in chunks(sorted(image_ids)):
                with self._session.read() as connection:
                    events = _by_age(connection, query.where(labels.c.image_id.in_(some)))
                yield from events
            return
        last = 0
        while True:
            # Whole images a page: the last one may have more events than fit.
            numbers = (
                select(labels.c.image_id)
                .where(labels.c.image_id > last)
                .group_by(labels.c.image_id)
                .order_by(labels.c.image_id)
                .limit(_PAGE)
            )
            with self._session.read() as connection:
                ids = list(connection.execute(numbers).scalars())
                if not ids:
                    return
                events = _by_age(connection, query.where(labels.c.image_id.between(ids[0], ids[-1])))
            yield from events
            last = ids[-1]

    def chosen(self, sources: Sequence[str] = TRUSTED, image_ids: Collection[int] | None = None) -> dict[int, str]:
        """One label an image, by image id: of the source that comes first in ``sources``, and of those the newest.

        Args:
            sources: that count.
            image_ids: of these images only; None of all.
        """
        rank = {source: place for place, source in enumerate(sources)}
        best: dict[int, tuple[int, int, str]] = {}
        for event in self.standing(image_ids, sources):
            claim = (rank[event.source], -event.first, event.label)
            if event.image_id not in best or claim < best[event.image_id]:
                best[event.image_id] = claim
        return {image_id: label for image_id, (_, _, label) in best.items()}

    def confirmed(self, image_ids: Collection[int]) -> set[tuple[int, str]]:
        """(image, label) of these images that a person gave although the image carried the label already: from a
        folder or a table, or from a person, whose event the same operation took away."""
        before = labels.alias()
        said_before = exists().where(
            before.c.image_id == labels.c.image_id,
            before.c.label == labels.c.label,
            (before.c.source.in_((FOLDER, CSV)) & before.c.undone_by.is_(None))
            | ((before.c.source == PERSON) & (before.c.undone_by == labels.c.operation_id)),
        )
        # What an undoing gave back was said once, not twice.
        query = (
            select(labels.c.image_id, labels.c.label)
            .join(operations, operations.c.id == labels.c.operation_id)
            .where(labels.c.undone_by.is_(None), labels.c.source == PERSON, operations.c.kind != UNDO, said_before)
        )
        found: set[tuple[int, str]] = set()
        with self._session.read() as connection:
            for some in chunks(sorted(set(image_ids))):
                rows = connection.execute(query.where(labels.c.image_id.in_(some)))
                found.update((image_id, label) for image_id, label in rows)
        return found

    def lost(self) -> dict[int, set[str]]:
        """Labels from people and CSV files whose image no present file holds: the file was edited, or is gone."""
        present = exists().where(files.c.image_id == labels.c.image_id, files.c.state == "present")
        query = select(labels.c.image_id, labels.c.label).where(
            labels.c.undone_by.is_(None), labels.c.source.in_((PERSON, CSV)), ~present
        )
        found: dict[int, set[str]] = {}
        with self._session.read() as connection:
            for image_id, label in connection.execute(query):
                found.setdefault(image_id, set()).add(label)
        return found


def _by_age(connection: Connection, query: Select[Any]) -> list[LabelEvent]:
    """The events, by image and then by age; one that was given back is as old as the one that was taken away."""
    rows = connection.execute(query).fetchall()
    undoings = read_undoings(connection)
    given = {row.image_id for row in rows if row.operation_id in undoings.of}
    first = {row.id: row.id for row in rows}
    for lineage in lineages(connection, undoings, given):
        first |= {number: lineage.first(number) for number in lineage.events.keys() & first.keys()}
    events = [
        LabelEvent(row.id, row.image_id, row.label, row.source, row.confidence, row.operation_id, first[row.id])
        for row in rows
    ]
    return sorted(events, key=lambda event: (event.image_id, event.first))


def _entry(event: Row[Any]) -> Entry:
    return Entry(event.image_id, event.label, event.source, event.confidence)


def _operation(row: Row[Any], added: int, standing: int, again: int, removed: int) -> Operation:
    return Operation(row.id, row.kind, row.at, added, standing + again, removed)


def _is_missed(connection: Connection, takers: Collection[int], given_back: Collection[Taking]) -> bool:
    """Whether a label is away that one of these operations took away, and that was not given back since."""
    again = labels.alias()
    stands = exists().where(
        again.c.image_id == labels.c.image_id, again.c.label == labels.c.label, again.c.undone_by.is_(None)
    )
    query = select(labels).where(labels.c.undone_by.in_(takers), ~stands)
    return any(taking(event) not in given_back for event in connection.execute(query))


def _standing_among(connection: Connection, event_ids: Sequence[int]) -> set[int]:
    found: set[int] = set()
    for some in chunks(sorted(set(event_ids))):
        query = select(labels.c.id).where(labels.c.id.in_(some), labels.c.undone_by.is_(None))
        found.update(connection.execute(query).scalars())
    return found


def _fresh(connection: Connection, entries: Sequence[Entry], gone: set[int]) -> tuple[list[Entry], int]:
    """The entries that must be written, and how many stand already; ``gone`` are events that will not any more."""
    known: set[int] = set()
    there: set[tuple[int, str, str]] = set()
    for some in chunks(sorted({entry.image_id for entry in entries})):
        known.update(connection.execute(select(images.c.id).where(images.c.id.in_(some))).scalars())
        query = select(labels).where(labels.c.image_id.in_(some), labels.c.undone_by.is_(None))
        there.update((r.image_id, r.label, r.source) for r in connection.execute(query) if r.id not in gone)
    fresh: dict[tuple[int, str, str], Entry] = {}
    unchanged = 0
    for entry in entries:
        key = (entry.image_id, entry.label, entry.source)
        if key in there:
            unchanged += 1
        elif entry.image_id in known:
            fresh[key] = entry
    return list(fresh.values()), unchanged


def _undo_events(connection: Connection, event_ids: Collection[int], operation: int) -> None:
    for some in chunks(sorted(event_ids)):
        connection.execute(update(labels).where(labels.c.id.in_(some)).values(undone_by=operation))


def _write(connection: Connection, entries: Sequence[Entry], operation: int) -> None:
    if not entries:
        return
    connection.execute(
        insert(labels),
        [
            {
                "image_id": entry.image_id,
                "label": entry.label,
                "source": entry.source,
                "confidence": entry.confidence,
                "operation_id": operation,
            }
            for entry in entries
        ],
    )
