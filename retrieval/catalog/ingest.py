"""Committing a batch of indexed files: records, vectors, labels and counts in one transaction."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import Connection, case, insert, select, update

from retrieval.catalog import membership
from retrieval.catalog.files import KnownFile, known
from retrieval.catalog.session import Session, chunks, now
from retrieval.catalog.tables import embedded, files, images, roots, spaces
from retrieval.core.errors import Reason
from retrieval.core.text import shown
from retrieval.core.types import Ids, ImageFacts, Vectors


@dataclass(frozen=True, slots=True)
class Indexed:
    """One file that was looked at: read and perhaps decoded and embedded, or failed.

    Attributes:
        root_id, relpath: where it lies.
        size, mtime_ns: its state when it was read; -1 where it must be read again next time.
        digest: SHA-256 of the content, None where it could not be read.
        facts: None where the content was known, or failed.
        vector: [D] embedding; None where the content was known, or failed.
        reason, message, hint: why it failed; reason is None for a file that did not.
    """

    root_id: int
    relpath: bytes
    size: int
    mtime_ns: int
    digest: bytes | None = None
    facts: ImageFacts | None = None
    vector: Vectors | None = None
    reason: Reason | None = None
    message: str = ""
    hint: str = ""


@dataclass(slots=True)
class Counts:
    """What became of the files; ``embedded`` counts image contents."""

    new: int = 0
    changed: int = 0
    moved: int = 0
    copied: int = 0
    unchanged: int = 0
    failed: int = 0
    embedded: int = 0
    claimed: list[int] = field(default_factory=list)
    """Ids of file records that were moved here from another path: they are not missing."""

    def add(self, other: "Counts") -> None:
        """Sum up, in place."""
        for name in ("new", "changed", "moved", "copied", "unchanged", "failed", "embedded"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.claimed.extend(other.claimed)


Append = Callable[[Ids, Vectors], int]
"""Writes vectors to the space's store and returns the first row number."""


class Ingest:
    """Writes what indexing found."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def start(self) -> int:
        """A new operation of kind ``index``; its id marks the label events of the run."""
        with self._session.write() as connection:
            return membership.start_operation(connection, "index")

    def commit(self, space_id: int, batch: Sequence[Indexed], append: Append, operation_id: int) -> Counts:
        """Record a batch: all of it or nothing.

        The vectors are written and synced inside the transaction, before it commits: a crash in between leaves a torn
        tail in the vector store, never a record without its vector.

        Args:
            space_id: the space that the vectors belong to.
            batch: at most one entry a path.
            append: writes the vectors of the contents that are new to the space.
            operation_id: origin of the label events.
        """
        with self._session.write() as connection:
            return _Batch(connection, space_id, batch, operation_id).commit(append)

    def restore_present(self, ids: Sequence[int]) -> None:
        """Missing files that are back, unchanged: present, or failed as they were before."""
        with self._session.write() as connection:
            for some in chunks(ids):
                state = case((files.c.image_id.is_(None), "failed"), else_="present")
                connection.execute(update(files).where(files.c.id.in_(some)).values(state=state))
                touched = connection.execute(select(files.c.image_id).where(files.c.id.in_(some))).scalars()
                membership.refresh(connection, [i for i in touched if i is not None], None)


class _Batch:
    """One commit. The look-ups are made for the whole batch, since a statement costs more than a row."""

    def __init__(self, connection: Connection, space_id: int, batch: Sequence[Indexed], operation_id: int) -> None:
        self._connection = connection
        self._space_id = space_id
        self._batch = batch
        self._operation_id = operation_id
        self._counts = Counts()
        self._touched: set[int] = set()
        self._roots = {row.id: (bytes(row.path), row.online) for row in connection.execute(select(roots))}
        self._known = self._known_paths()
        self._image_ids = self._known_images()
        self._covered = self._embedded_among(list(self._image_ids.values()))
        self._fresh: set[int] = set()
        self._new_files: list[dict[str, Any]] = []

    def _known_paths(self) -> dict[tuple[int, bytes], KnownFile]:
        by_root: dict[int, list[bytes]] = defaultdict(list)
        for entry in self._batch:
            by_root[entry.root_id].append(entry.relpath)
        return {
            (root_id, relpath): file
            for root_id, relpaths in by_root.items()
            for relpath, file in known(self._connection, root_id, relpaths).items()
        }

    def _known_images(self) -> dict[bytes, int]:
        digests = list({e.digest for e in self._batch if e.digest is not None})
        found: dict[bytes, int] = {}
        for some in chunks(digests):
            query = select(images.c.digest, images.c.id).where(images.c.digest.in_(some))
            found.update({bytes(digest): image_id for digest, image_id in self._connection.execute(query)})
        return found

    def _embedded_among(self, image_ids: Sequence[int]) -> set[int]:
        found: set[int] = set()
        for some in chunks(image_ids):
            query = select(embedded.c.image_id).where(
                embedded.c.space_id == self._space_id, embedded.c.image_id.in_(some)
            )
            found.update(self._connection.execute(query).scalars())
        return found

    def commit(self, append: Append) -> Counts:
        good, bad = self._sorted_out()
        self._add_images(good)
        self._embed(good, append)
        places = self._places({self._image_ids[e.digest] for e in good if e.digest is not None})
        # Known paths first: what they held before may be what a new path holds now.
        for entry in bad:
            self._fail(entry, places)
        for entry in sorted(good, key=lambda e: (e.root_id, e.relpath) not in self._known):
            self._place(entry, places)
        if self._new_files:
            self._connection.execute(insert(files), self._new_files)
        membership.refresh(self._connection, self._touched, self._operation_id)
        return self._counts

    def _sorted_out(self) -> tuple[list[Indexed], list[Indexed]]:
        """Good entries and failed ones; a content that was forgotten since it was recognised is read again later."""
        embedded_now = {e.digest for e in self._batch if e.facts is not None and e.vector is not None}
        covered = {digest for digest, image_id in self._image_ids.items() if image_id in self._covered}
        good, bad = [], []
        for entry in self._batch:
            if entry.reason is not None:
                bad.append(entry)
            elif entry.digest in covered or entry.digest in embedded_now:
                good.append(entry)
            else:
                bad.append(_again(entry))
        return good, bad

    def _add_images(self, good: Iterable[Indexed]) -> None:
        added = {
            entry.digest: {
                "digest": entry.digest,
                "bytes": entry.facts.bytes,
                "width": entry.facts.width,
                "height": entry.facts.height,
                "format": entry.facts.format,
                "captured": entry.facts.captured,
                "phash": entry.facts.phash,
                "added_at": now(),
            }
            for entry in good
            if entry.facts is not None and entry.digest is not None and entry.digest not in self._image_ids
        }
        if not added:
            return
        rows = self._connection.execute(insert(images).returning(images.c.id, images.c.digest), list(added.values()))
        for image_id, digest in rows:
            self._image_ids[bytes(digest)] = image_id
            self._fresh.add(image_id)

    def _embed(self, good: Iterable[Indexed], append: Append) -> None:
        vectors: dict[int, Vectors] = {}
        for entry in good:
            if entry.vector is not None and entry.digest is not None:
                image_id = self._image_ids[entry.digest]
                if image_id not in self._covered:
                    vectors.setdefault(image_id, entry.vector)
        if not vectors:
            return
        ids = np.array(sorted(vectors), np.int64)
        first = append(ids, np.stack([vectors[i] for i in ids.tolist()]))
        # Not active yet: the refresh at the end of the batch sees the files and feeds the index.
        self._connection.execute(
            insert(embedded),
            [
                {"space_id": self._space_id, "image_id": i, "region": 0, "row": first + n, "active": False}
                for n, i in enumerate(ids.tolist())
            ],
        )
        self._connection.execute(update(spaces).where(spaces.c.id == self._space_id).values(rows=first + len(ids)))
        self._touched.update(ids.tolist())
        self._counts.embedded += len(ids)

    def _places(self, image_ids: set[int]) -> dict[int, list[dict[str, Any]]]:
        """The file records of these images."""
        places: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for some in chunks(sorted(image_ids)):
            query = select(files).where(files.c.image_id.in_(some)).order_by(files.c.id)
            for row in self._connection.execute(query):
                places[row.image_id].append(dict(row._mapping))
        return places

    def _place(self, entry: Indexed, places: dict[int, list[dict[str, Any]]]) -> None:
        assert entry.digest is not None
        image_id = self._image_ids[entry.digest]
        self._touched.add(image_id)
        before = self._known.get((entry.root_id, entry.relpath))
        values = {
            "root_id": entry.root_id,
            "relpath": entry.relpath,
            "image_id": image_id,
            "size": entry.size,
            "mtime_ns": entry.mtime_ns,
            "state": "present",
            "reason": None,
            "message": None,
            "hint": None,
        }
        if before is not None:
            self._update(before.id, values)
            self._left(before, places)
            places[image_id].append({**values, "id": before.id})
            self._count(self._known_path_became(before, image_id))
            return
        old = next((p for p in places[image_id] if self._is_gone(p, entry)), None)
        if old is not None:
            places[image_id].remove(old)
            self._counts.claimed.append(old["id"])
            self._update(old["id"], values)
            places[image_id].append({**values, "id": old["id"]})
            self._count("moved")
            return
        became = "new" if image_id in self._fresh else "copied" if places[image_id] else "moved"
        self._fresh.discard(image_id)
        # Written with the rest of the batch; what stands at this place now cannot have moved away already.
        self._new_files.append(values)
        places[image_id].append({**values, "id": None})
        self._count(became)

    def _left(self, before: KnownFile, places: dict[int, list[dict[str, Any]]]) -> None:
        """A known path holds its former image no longer."""
        if before.image_id is not None:
            self._touched.add(before.image_id)
            places[before.image_id] = [p for p in places[before.image_id] if p["id"] != before.id]

    def _known_path_became(self, before: KnownFile, image_id: int) -> str:
        fresh = image_id in self._fresh
        self._fresh.discard(image_id)
        if before.state == "failed":
            return "new" if fresh else "copied"
        return "unchanged" if before.image_id == image_id else "changed"

    def _is_gone(self, place: dict[str, Any], entry: Indexed) -> bool:
        """Whether a known place of the same content was left: then this file is that one, moved.

        Of an offline root nothing can be known; the same relative path below another root tells of a remount.
        """
        if place["id"] is None:
            return False
        path, online = self._roots[place["root_id"]]
        if not online:
            return bool(place["relpath"] == entry.relpath)
        return place["state"] == "missing" or not os.path.lexists(os.path.join(path, place["relpath"]))

    def _fail(self, entry: Indexed, places: dict[int, list[dict[str, Any]]]) -> None:
        before = self._known.get((entry.root_id, entry.relpath))
        assert entry.reason is not None
        values = {
            "root_id": entry.root_id,
            "relpath": entry.relpath,
            "image_id": None,
            "size": entry.size,
            "mtime_ns": -1 if entry.reason == Reason.CHANGED else entry.mtime_ns,
            "state": "failed",
            "reason": str(entry.reason),
            "message": shown(entry.message),
            "hint": shown(entry.hint),
        }
        if before is None:
            self._connection.execute(insert(files).values(values))
        else:
            self._update(before.id, values)
            self._left(before, places)
        self._count("failed")

    def _update(self, file_id: int, values: dict[str, Any]) -> None:
        self._connection.execute(update(files).where(files.c.id == file_id).values(values))

    def _count(self, what: str) -> None:
        setattr(self._counts, what, getattr(self._counts, what) + 1)


def _again(entry: Indexed) -> Indexed:
    return Indexed(
        entry.root_id,
        entry.relpath,
        entry.size,
        -1,
        entry.digest,
        reason=Reason.CHANGED,
        message="the image was forgotten while this copy of it was read",
        hint="The next `retrieval index` takes it.",
    )
