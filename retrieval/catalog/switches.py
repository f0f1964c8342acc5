"""Which space is live: switching, rolling back, dropping."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from retrieval.catalog.calibrations import write_calibration
from retrieval.catalog.coverage import read_again
from retrieval.catalog.session import Session, now
from retrieval.catalog.tables import spaces, switches


@dataclass(frozen=True, slots=True)
class Switch:
    """A switch that was not rolled back.

    Attributes:
        at: when, UTC.
        space_id: became live.
        previous_id: was live before; None where that space was dropped.
        forced: what the gate had to say against it.
    """

    at: datetime
    space_id: int
    previous_id: int | None
    forced: tuple[str, ...]


class Switches:
    """Makes spaces live, each time in one transaction; the caller holds the gallery's write lock."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def make_live(
        self, space_id: int, *, forced: Sequence[str] = (), calibration: Mapping[str, Any] | None = None
    ) -> int:
        """Searches use this space from now on, and the one before is remembered.

        The files of images that the space lacks are read again by the next index.

        Args:
            space_id: not the live one.
            forced: what the gate said against it.
            calibration: of the space, JSON-ready; None leaves what is known.

        Returns:
            How many images the space lacks.
        """
        with self._session.write() as connection:
            before = _live(connection)
            if before == space_id:
                raise ValueError(f"Space {space_id} is live already.")
            _set_live(connection, space_id)
            values = {"at": now(), "space_id": space_id, "previous_id": before, "forced": json.dumps(list(forced))}
            connection.execute(insert(switches).values(values))
            if calibration is not None:
                write_calibration(connection, space_id, calibration)
            return read_again(connection, space_id)

    def last(self) -> Switch | None:
        """The switch that made the live space live; None for a space that was never switched to."""
        with self._session.read() as connection:
            row = _last(connection)
            return None if row is None else Switch(row.at, row.space_id, row.previous_id, _reasons(row.forced))

    def roll_back(self) -> tuple[int, int] | None:
        """The space before the last switch is live again.

        Returns:
            (its id, how many images it lacks: their files are read again by the next index); None where there is
            nothing to go back to.
        """
        with self._session.write() as connection:
            row = _last(connection)
            if row is None or row.previous_id is None:
                return None
            connection.execute(update(switches).where(switches.c.id == row.id).values(undone_at=now()))
            _set_live(connection, row.previous_id)
            return row.previous_id, read_again(connection, row.previous_id)

    def drop(self, space_id: int) -> None:
        """Forget a space with everything that belongs to it. What a rollback would have led to now leads further
        back.

        Raises:
            ValueError: it is live.
        """
        with self._session.write() as connection:
            if _live(connection) == space_id:
                raise ValueError(f"Space {space_id} is live.")
            earlier = (
                select(switches.c.previous_id)
                .where(switches.c.space_id == space_id, switches.c.undone_at.is_(None))
                .order_by(switches.c.id.desc())
                .limit(1)
            )
            further = connection.execute(earlier).scalar()
            connection.execute(update(switches).where(switches.c.previous_id == space_id).values(previous_id=further))
            # A space is not its own way back.
            connection.execute(
                update(switches).where(switches.c.previous_id == switches.c.space_id).values(previous_id=None)
            )
            # Vectors, changes, calibrations and switches go with it (ON DELETE CASCADE).
            connection.execute(delete(spaces).where(spaces.c.id == space_id))


def _live(connection: Connection) -> int | None:
    found = connection.execute(select(spaces.c.id).where(spaces.c.live.is_(True))).scalar()
    return None if found is None else int(found)


def _set_live(connection: Connection, space_id: int) -> None:
    # In this order: an index forbids that two are live.
    connection.execute(update(spaces).where(spaces.c.live.is_(True)).values(live=False))
    connection.execute(update(spaces).where(spaces.c.id == space_id).values(live=True))


def _last(connection: Connection) -> Row[Any] | None:
    query = (
        select(switches)
        .join(spaces, switches.c.space_id == spaces.c.id)
        .where(spaces.c.live.is_(True), switches.c.undone_at.is_(None))
        .order_by(switches.c.id.desc())
        .limit(1)
    )
    return connection.execute(query).first()


def _reasons(text: str) -> tuple[str, ...]:
    return tuple(str(reason) for reason in json.loads(text))
