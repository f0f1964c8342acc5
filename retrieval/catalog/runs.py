"""What was trained, and how its data were split: remembered once, never redrawn."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select
from sqlalchemy.dialects.sqlite import insert as insert_or_leave

from retrieval.catalog.session import Session, chunks, now
from retrieval.catalog.tables import runs, splits


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """A training run.

    Attributes:
        id: the catalog's number.
        at: when it was recorded, UTC.
        folder: of the run, absolute, as the system's bytes.
        fingerprint: of the encoder that it made.
        data: fingerprint of what it learned from.
        recipe: resolved.
        metrics: before and after.
    """

    id: int
    at: datetime
    folder: bytes
    fingerprint: str
    data: str
    recipe: dict[str, Any]
    metrics: dict[str, Any]


class Runs:
    """The training runs that a catalog knows of."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def record(
        self, folder: bytes, fingerprint: str, *, data: str, recipe: Mapping[str, Any], metrics: Mapping[str, Any]
    ) -> TrainedRun:
        """Remember a run; one that is known with the same folder, encoder and metrics is left as it is."""
        values = {
            "folder": folder,
            "fingerprint": fingerprint,
            "data": data,
            "recipe": json.dumps(dict(recipe), sort_keys=True),
            "metrics": json.dumps(dict(metrics), sort_keys=True),
        }
        with self._session.write() as connection:
            same = [runs.c[name] == value for name, value in values.items()]
            known = connection.execute(select(runs).where(*same)).first()
            if known is not None:
                return _run(known)
            return _run(connection.execute(insert(runs).values(at=now(), **values).returning(runs)).one())

    def all(self, fingerprint: str | None = None) -> list[TrainedRun]:
        """Every run, or those that made one encoder; oldest first."""
        query = select(runs).order_by(runs.c.id)
        if fingerprint is not None:
            query = query.where(runs.c.fingerprint == fingerprint)
        with self._session.read() as connection:
            return [_run(row) for row in connection.execute(query)]


class Splits:
    """Which part of a split each content belongs to."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, name: str, parts: Mapping[bytes, str]) -> int:
        """Give contents (SHA-256 digests) to parts: ``"train"``, ``"val"`` or ``"test"``.

        A content that has a part keeps it, whatever is said now: what a model has learned from must never prove it.
        Returns how many were new.
        """
        rows = [{"name": name, "digest": digest, "part": part, "at": now()} for digest, part in parts.items()]
        added = 0
        with self._session.write() as connection:
            for some in chunks(rows, 200):
                query = insert_or_leave(splits).values(list(some)).on_conflict_do_nothing()
                added += connection.execute(query).rowcount
        return added

    def parts(self, name: str) -> dict[bytes, str]:
        """The part of each content, by digest."""
        query = select(splits.c.digest, splits.c.part).where(splits.c.name == name).order_by(splits.c.digest)
        with self._session.read() as connection:
            return {bytes(digest): part for digest, part in connection.execute(query)}


def _run(row: Row[Any]) -> TrainedRun:
    return TrainedRun(
        row.id, row.at, bytes(row.folder), row.fingerprint, row.data, json.loads(row.recipe), json.loads(row.metrics)
    )
