"""Calibrations: what a score means in a space and this gallery. What the values say is not decided here."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from retrieval.catalog.session import Session, now
from retrieval.catalog.tables import calibrations


class Calibrations:
    """The calibrations of a catalog's spaces; the newest of a space counts."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, space_id: int, content: Mapping[str, Any]) -> None:
        """Remember a calibration (JSON-ready)."""
        with self._session.write() as connection:
            write_calibration(connection, space_id, content)

    def current(self, space_id: int) -> tuple[int, dict[str, Any]] | None:
        """(number, content), or None; cheap enough to ask before every search."""
        query = (
            select(calibrations.c.id, calibrations.c.content)
            .where(calibrations.c.space_id == space_id)
            .order_by(calibrations.c.id.desc())
            .limit(1)
        )
        with self._session.read() as connection:
            row = connection.execute(query).first()
            return None if row is None else (int(row.id), json.loads(row.content))


def write_calibration(connection: Connection, space_id: int, content: Mapping[str, Any]) -> None:
    """``Calibrations.add`` inside a transaction."""
    values = {"space_id": space_id, "at": now(), "content": json.dumps(dict(content))}
    connection.execute(insert(calibrations).values(values))
