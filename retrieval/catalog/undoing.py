"""Undoing as events: which operation each undoing took back, and which event each event that was given back repeats.

What an undoing gives back are new events of its own. Each repeats the event that had been taken away, and so goes with
the operation that wrote that one, and is as old as it; what of an operation is in effect is asked of both.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Connection, Row, exists, select

from retrieval.catalog.session import chunks
from retrieval.catalog.tables import labels, operations

UNDO = "undo"
"""The kind of operation that takes another one back."""

Told: TypeAlias = tuple[int, str, str]
"""(image, label, source) of an event; of those that tell the same, one stands at a time."""

Taking: TypeAlias = tuple[Told, int]
"""What an event told, and the operation that took it away."""


class Undoings:
    """Which operation each undoing took back.

    Args:
        of: by the undoing's number. Undoings of versions that did not note it are not among them: they have given
            nothing back as events of their own.
    """

    def __init__(self, of: Mapping[int, int]) -> None:
        self.of = dict(of)
        self._again: dict[int, set[int]] = defaultdict(set)
        for number in self.of:
            for meant in self._done_again_by(number):
                self._again[meant].add(number)

    def _done_again_by(self, number: int) -> Iterator[int]:
        """Taking back an undoing does again what that one had taken back."""
        while (undone := self.of.get(number)) is not None and undone in self.of:
            number = self.of[undone]
            yield number

    def like(self, operation: int) -> set[int]:
        """The operation, and those that did it again."""
        return {operation, *self._again.get(operation, ())}


def read_undoings(connection: Connection) -> Undoings:
    """All that were noted."""
    query = select(operations.c.id, operations.c.undoes).where(operations.c.undoes.is_not(None))
    return Undoings({int(row.id): int(row.undoes) for row in connection.execute(query)})


class Lineage:
    """Some images' events, and which of them repeats which.

    Args:
        events: all of these images, oldest first.
        undoings: all of the catalog.

    Attributes:
        events: by id.
        given_back: what was taken away and given back since.
    """

    def __init__(self, events: Sequence[Row[Any]], undoings: Undoings) -> None:
        self.events = {event.id: event for event in events}
        self.given_back: set[Taking] = set()
        self._repeats: dict[int, Row[Any]] = {}
        told: dict[Told, list[Row[Any]]] = defaultdict(list)
        for event in events:
            before = told[_told(event)]
            if event.operation_id in undoings.of:
                takers = undoings.like(undoings.of[event.operation_id])
                repeated = next((one for one in reversed(before) if one.undone_by in takers), None)
                if repeated is not None:
                    self._repeats[event.id] = repeated
                    self.given_back.add(taking(repeated))
            before.append(event)

    def first(self, event_id: int) -> int:
        """The id of the event that was given back, perhaps several times; of any other event its own."""
        while event_id in self._repeats:
            event_id = self._repeats[event_id].id
        return event_id

    def repeated_for(self) -> Iterator[tuple[int, int]]:
        """(event, operation) for the events that stand, and the operations whose events they repeat."""
        for event in self.events.values():
            number = event.id
            while event.undone_by is None and number in self._repeats:
                yield event.id, self._repeats[number].operation_id
                number = self._repeats[number].id


def lineages(connection: Connection, undoings: Undoings, image_ids: Collection[int] | None = None) -> Iterator[Lineage]:
    """Of the images that were given a label back, some at a time.

    Args:
        connection: in a transaction.
        undoings: all of the catalog.
        image_ids: of these images; None means all that were ever given a label back.
    """
    if not undoings.of:
        return
    if image_ids is None:
        given = exists().where(operations.c.id == labels.c.operation_id, operations.c.kind == UNDO)
        image_ids = set(connection.execute(select(labels.c.image_id).where(given)).scalars())
    for some in chunks(sorted(image_ids)):
        query = select(labels).where(labels.c.image_id.in_(some)).order_by(labels.c.id)
        yield Lineage(connection.execute(query).fetchall(), undoings)


def taking(event: Row[Any]) -> Taking:
    """Of an event that was taken away; to be looked up in ``Lineage.given_back``."""
    return _told(event), event.undone_by


def _told(event: Row[Any]) -> Told:
    return event.image_id, event.label, event.source
