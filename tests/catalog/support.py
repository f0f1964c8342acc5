"""A small indexer on real files: its decoder makes facts and vectors from the content, no image is involved."""

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from retrieval.catalog import Catalog, Counts, Indexed, Root
from retrieval.core.errors import Reason
from retrieval.core.types import Ids, ImageFacts, Vectors

D = 4
BAD = b"bad"
"""Contents that begin so cannot be decoded."""


def digest_of(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def facts_of(content: bytes) -> ImageFacts:
    return ImageFacts(digest_of(content), len(content), 3, 2, "PNG", None, len(content))


def vector_of(content: bytes) -> Vectors:
    return np.frombuffer(digest_of(content)[: 4 * D], "<u4").astype(np.float32) / 2**32


def outcome(root_id: int, relpath: bytes, content: bytes, mtime_ns: int = 1, *, known: bool = False) -> Indexed:
    """What reading a file of this content gives; ``known`` contents are not decoded."""
    if content.startswith(BAD):
        return Indexed(
            root_id,
            relpath,
            len(content),
            mtime_ns,
            digest_of(content),
            reason=Reason.CORRUPT,
            message="m",
            hint="h",
        )
    if known:
        return Indexed(root_id, relpath, len(content), mtime_ns, digest_of(content))
    return Indexed(root_id, relpath, len(content), mtime_ns, digest_of(content), facts_of(content), vector_of(content))


@dataclass
class Rows:
    """In place of a vector store: what was appended."""

    rows: list[int] = field(default_factory=list)

    def append(self, ids: Ids, vectors: Vectors) -> int:
        assert vectors.shape == (len(ids), D)
        self.rows += ids.tolist()
        return len(self.rows) - len(ids)


class World:
    """A catalog with one space, and an indexer for folders of small files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.catalog = Catalog(folder / "catalog.sqlite3")
        self.space = self.catalog.spaces.create("f" * 64, "fake", D, np.ones((2, D), np.float32))
        self.rows = Rows()
        self.embedded: list[bytes] = []

    def root(self, path: Path, *, whole: bool = True) -> Root:
        path.mkdir(parents=True, exist_ok=True)
        return self.catalog.roots.ensure(os.fsencode(path), whole=whole)

    def commit(self, *batch: Indexed) -> Counts:
        return self.catalog.ingest.commit(self.space.id, batch, self.rows.append, self.catalog.ingest.start())

    def read(self, root: Root, relpath: bytes) -> Indexed:
        """Read a file; contents with a vector are not decoded again."""
        path = os.path.join(root.path, relpath)
        with open(path, "rb") as file:
            content, stat = file.read(), os.fstat(file.fileno())
        with self.catalog.images.known_contents(self.space.id) as contents:
            known = digest_of(content) in contents
        if not known and not content.startswith(BAD):
            self.embedded.append(digest_of(content))
        return outcome(root.id, relpath, content, stat.st_mtime_ns, known=known)

    def index(self, root: Root, batch: int = 1000) -> tuple[Counts, int]:
        """(counts, missing), as ``workflows.indexing`` makes them."""
        counts, todo, seen, back = Counts(), [], set(), []
        for relpath, size, mtime_ns in walk(root.path):
            before = self.catalog.files.known(root.id, [relpath]).get(relpath)
            if before is not None:
                seen.add(before.id)
            if before is None or (before.size, before.mtime_ns) != (size, mtime_ns):
                todo.append(relpath)
            elif before.state == "failed" or before.image_id is None:
                counts.failed += 1
                back += [before.id] if before.state == "missing" else []
            else:
                counts.unchanged += 1
                back += [before.id] if before.state == "missing" else []
        self.catalog.ingest.restore_present(back)
        operation = self.catalog.ingest.start()
        for start in range(0, len(todo), batch):
            some = [self.read(root, relpath) for relpath in todo[start : start + batch]]
            counts.add(self.catalog.ingest.commit(self.space.id, some, self.rows.append, operation))
        seen |= set(counts.claimed)
        gone = [
            i
            for i, relpath in self.catalog.files.ids_below(root.id, b"")
            if i not in seen and not os.path.lexists(os.path.join(root.path, relpath))
        ]
        return counts, self.catalog.files.mark_missing(gone)

    def findable(self) -> list[int]:
        return self.catalog.spaces.findable(self.space.id)[0].tolist()

    def contents(self) -> set[str]:
        """Digests of what can be found."""
        return {record.digest for record in self.catalog.images.records(self.findable()).values()}

    def replay(self, since: int, start: Iterable[int]) -> set[int]:
        """What an index that held ``start`` at ``since`` holds after the feed."""
        feed = self.catalog.spaces.changes_since(self.space.id, since)
        return (set(start) - set(feed.removed.tolist())) | set(feed.added.tolist())

    def image(self, content: bytes) -> int:
        """The id of a content."""
        (found,) = self.sql("SELECT id FROM images WHERE digest = ?", digest_of(content))
        return int(found[0])

    def labels(self, content: bytes) -> tuple[str, ...]:
        image = self.image(content)
        return self.catalog.images.records([image])[image].labels

    def teach(self, content: bytes, label: str) -> None:
        """A person's label, as the labelling will write it."""
        operation = self.catalog.ingest.start()
        self.sql(
            "INSERT INTO labels (image_id, label, source, operation_id) VALUES (?, ?, 'person', ?)",
            self.image(content),
            label,
            operation,
        )

    def sql(self, statement: str, *values: object) -> Sequence[tuple[object, ...]]:
        with self.catalog._session.write() as connection:
            result = connection.exec_driver_sql(statement, values)
            return [tuple(row) for row in result] if result.returns_rows else []

    def close(self) -> None:
        self.catalog.close()


def walk(root: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(relative path, size, mtime) of every file."""
    for folder, _, names in sorted(os.walk(root)):
        for name in sorted(names):
            path = os.path.join(folder, name)
            stat = os.stat(path)
            yield os.path.relpath(path, root), stat.st_size, stat.st_mtime_ns


def counted(counts: Counts) -> dict[str, int]:
    """The outcomes that are not zero."""
    names = ("new", "changed", "moved", "copied", "unchanged", "failed", "embedded")
    return {name: getattr(counts, name) for name in names if getattr(counts, name)}


_clock = iter(range(10**18, 2 * 10**18, 10**9))


def write(path: Path, content: bytes) -> None:
    """With a time of its own, so that no change goes unnoticed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(0, next(_clock)))


def schema(path: Path) -> list[tuple[str, str, str]]:
    """(kind, name, SQL) of everything in a database, but for Alembic's own table."""
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'alembic_version'"
        return sorted((kind, name, " ".join(sql.split())) for kind, name, sql in connection.execute(query))


def content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every table of a database."""
    with closing(sqlite3.connect(path)) as connection:
        names = [n for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in names}
