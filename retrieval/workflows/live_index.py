"""The index of the live space, kept up to date with what any process commits.

Opened from its snapshot where there is a sound one, otherwise built again from the vector store, and brought up to
date from the catalog's feed of changes before every search.
"""

import sys
import threading
from collections.abc import Callable

import numpy as np

from retrieval import index as engines
from retrieval.core.protocols import VectorIndex
from retrieval.core.types import EmbeddingSpace, Ids, Matches, Vectors
from retrieval.vectors import DamagedRows, VectorStore
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.words import count, verb

Say = Callable[[str], None]
_BLOCK = 16_384


class LiveIndex:
    """Thread-safe search in one space of a gallery.

    Args:
        gallery: opened.
        space: whose vectors to search.
        say: told about anything unusual: a damaged snapshot, damaged vectors, a long rebuild.

    Attributes:
        space: as given.
        store: the space's vectors.
        manifest: of the snapshot that is in use; None where the index was built in memory.
    """

    def __init__(self, gallery: Gallery, space: EmbeddingSpace, say: Say = lambda _: None) -> None:
        self._gallery = gallery
        self.space = space
        self._say = say
        self._lock = threading.RLock()
        # On macOS FAISS stays at the one thread it starts with: torch's OpenMP beside it would crash.
        if sys.platform != "darwin":
            engines.set_threads(gallery.settings.threads)
        self.store: VectorStore = gallery.store(space)
        self.manifest: engines.Manifest | None = None
        self._index, self._seen = self._open()
        self._began_at = self._seen
        self.refresh()

    @property
    def kind(self) -> str:
        """The engine, e.g. ``"faiss-flat"``."""
        return self._index.kind

    def __len__(self) -> int:
        return len(self._index)

    def search(self, queries: Vectors, k: int, allowed: Ids | None = None) -> Matches:
        """See ``VectorIndex.search``; sees everything that was committed before the call.

        Damaged vectors are said, left out, and the search goes on without them.
        """
        with self._lock:
            self.refresh()
            while True:
                try:
                    return self._index.search(queries, k, allowed)
                except DamagedRows as error:
                    self._leave_out(error.ids)

    def refresh(self) -> None:
        """Take in what has been committed since the last look."""
        with self._lock:
            spaces = self._gallery.catalog.spaces
            if spaces.last_change(self.space.id) == self._seen:
                return
            feed = spaces.changes_since(self.space.id, self._seen)
            self.store.refresh(feed.rows)
            self._index.remove(feed.removed)
            self._add(feed.added)
            self._seen = feed.last
            self._take_newer_snapshot()

    def publish(self) -> engines.Manifest:
        """Write a snapshot of the present state; only the holder of the write lock may. Rebuilds where the size
        asks for another kind of index."""
        with self._lock:
            self.refresh()
            reason = engines.needs_rebuild(self._index)
            if reason is not None:
                self._say(f"Building the index again: {reason}")
                self._index, self._seen = self._build()
                self._began_at = self._seen
            if self.manifest is not None and self.manifest.last_change == self._seen:
                return self.manifest
            self.manifest = engines.publish(
                self._index,
                self._gallery.layout.index(self.space),
                fingerprint=self.space.fingerprint,
                last_change=self._seen,
            )
            return self.manifest

    def _open(self) -> tuple[VectorIndex, int]:
        folder = self._gallery.layout.index(self.space)
        try:
            index, manifest = engines.load(
                folder, self.store, fingerprint=self.space.fingerprint, dimension=self.space.dimension
            )
        except engines.SnapshotMissing:
            return self._build()
        except engines.SnapshotDamaged as error:
            self._say(f"The index snapshot cannot be used ({error}); it is built again from the stored vectors.")
            return self._build()
        except DamagedRows as error:
            self._say(f"{_stored(error.ids)} damaged; the index is built again without what is lost.")
            return self._build()
        self.manifest = manifest
        return index, manifest.last_change

    def _build(self) -> tuple[VectorIndex, int]:
        ids, feed = self._gallery.catalog.spaces.findable(self.space.id)
        self.store.refresh(feed.rows)
        lost = self.store.missing(ids)
        damaged = np.concatenate([np.empty(0, np.int64), lost, *self.store.damaged(np.setdiff1d(ids, lost))])
        if len(damaged):
            self._say(
                f"{_stored(damaged)} damaged or lost, and left out; "
                "`retrieval status --check --repair` and `retrieval index` bring back what is lost."
            )
            ids = np.setdiff1d(ids, damaged)
        self.manifest = None
        return engines.build(ids, self.store), feed.last

    def _add(self, ids: Ids) -> None:
        ids = np.setdiff1d(ids, self.store.missing(ids))
        for start in range(0, len(ids), _BLOCK):
            some = ids[start : start + _BLOCK]
            try:
                self._index.add(some, self.store.read(some))
            except DamagedRows as error:
                self._say(f"{_stored(error.ids)} damaged and left out.")
                rest = np.setdiff1d(some, error.ids)
                self._index.add(rest, self.store.read(rest))

    def _leave_out(self, ids: Ids) -> None:
        self._say(
            f"{_stored(ids)} damaged and left out; "
            "`retrieval status --check --repair` and `retrieval index` bring back what is lost."
        )
        if not self._index.remove(ids):
            # Not in the index, yet it was asked for: it cannot happen twice, so do not loop for ever.
            raise DamagedRows(ids)

    def _take_newer_snapshot(self) -> None:
        """A long-lived process changes over to the kind of index that the indexer found right for the new size.

        Only to a snapshot that is newer than where this index began: the one it began with would lead here again.
        """
        if engines.needs_rebuild(self._index) is None:
            return
        folder, fingerprint = self._gallery.layout.index(self.space), self.space.fingerprint
        try:
            if engines.read_manifest(folder, fingerprint=fingerprint).last_change <= self._began_at:
                return
            index, manifest = engines.load(folder, self.store, fingerprint=fingerprint, dimension=self.space.dimension)
        except (engines.SnapshotMissing, engines.SnapshotDamaged, DamagedRows):
            return
        if engines.needs_rebuild(index) is None and manifest.last_change > self._began_at:
            self._index, self.manifest, self._seen = index, manifest, manifest.last_change
            self._began_at = manifest.last_change
            self.refresh()


def _stored(ids: Ids) -> str:
    return f"{count(len(ids), 'stored vector')} {verb(len(ids))}"
