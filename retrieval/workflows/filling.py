"""Filling a space that is not live: read, decode and embed the images that it lacks, and commit a batch at a time."""

import os
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from time import monotonic

from retrieval.catalog import Lacking, Vector
from retrieval.core.errors import GalleryDamaged, Interrupted
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import available_cores
from retrieval.core.types import EmbeddingSpace
from retrieval.embedding import Embedded, embed_files
from retrieval.embedding.stream import Embedder
from retrieval.images.jobs import ReadFile
from retrieval.images.pool import DecodePool
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.gate import CHANGED, GONE, OFFLINE, UNREADABLE, Skipped
from retrieval.workflows.index_report import Progress
from retrieval.workflows.scopes import look_at_roots
from retrieval.workflows.switch_estimate import Sample, measured_rate

_BATCH_IMAGES = 512
_BATCH_SECONDS = 10.0
"""A batch is committed when it has so many images, or after so long: each commit takes the write lock for a moment."""

_NICE = 5


@dataclass(frozen=True, slots=True)
class Todo:
    """An image to embed, and the files to try, best first."""

    image_id: int
    digest: bytes
    paths: tuple[bytes, ...]
    attempt: int = 0

    @property
    def path(self) -> bytes:
        """The file to try now."""
        return self.paths[self.attempt]


class Filler:
    """Fills one space.

    Args:
        gallery: opened.
        encoder: of the space, ready to run.
        spec: how files become its input.
        workers: decoding processes; as many as there are cores by default.
        writing: holds the write lock for a moment, waiting for it.
        progress: told now and then.
        stop: asked often.

    Attributes:
        skipped: the images that could not be embedded, by id.
        embedded: how many were.
        busy_seconds: spent on that.
    """

    def __init__(
        self,
        gallery: Gallery,
        encoder: Embedder,
        spec: Preprocessing,
        workers: int | None,
        writing: Callable[[], AbstractContextManager[None]],
        progress: Callable[[Progress], None],
        stop: Callable[[], bool],
    ) -> None:
        self._gallery, self._catalog = gallery, gallery.catalog
        self._encoder, self._spec = encoder, spec
        self._workers = workers or available_cores()
        self._writing, self._progress, self._stop = writing, progress, stop
        self._roots: dict[int, bool] = {}
        self.skipped: dict[int, Skipped] = {}
        self.embedded = 0
        self.busy_seconds = 0.0

    def survey(self, space_id: int) -> Sample:
        """The images that the space lacks and that can be read; the others are ``skipped``. Nothing is read."""
        sample = Sample()
        for todo in self.todos(space_id):
            sample.add(todo.path)
        return sample

    def measured_rate(self, sample: Sample) -> float:
        """Images a second, from reading a few."""
        settings, spec = self._gallery.settings, self._spec
        with DecodePool(self._workers, settings.limits, settings.plugins) as pool:

            def read(paths: Iterable[bytes]) -> int:
                flow = embed_files(paths, lambda path: ReadFile(path, spec), pool, self._encoder, workers=self._workers)
                return sum(1 for _ in flow)

            return measured_rate(read, sample)

    def todos(self, space_id: int, only: Container[int] | None = None) -> Iterator[Todo]:
        """The images that the space lacks and that can be read, by id; notes the others as skipped. New ones that are
        indexed meanwhile come in the end.

        Args:
            space_id: of the space.
            only: these images alone; None for all.
        """
        self._roots = {}
        for lacking in self._catalog.coverage.lacking(space_id):
            if lacking.image_id in self.skipped or (only is not None and lacking.image_id not in only):
                continue
            paths = tuple(place.path for place in lacking.places if self._is_online(place.root_id))
            if any(os.path.lexists(path) for path in paths):
                yield Todo(lacking.image_id, lacking.digest, paths)
            else:
                self._skip_unreachable(lacking)

    def _is_online(self, root_id: int) -> bool:
        # A root may have been indexed since the last look.
        if root_id not in self._roots:
            self._roots = {root.id: root.online for root in look_at_roots(self._catalog, remember=False)}
        return self._roots.get(root_id, False)

    def _skip_unreachable(self, lacking: Lacking) -> None:
        offline = [place.path for place in lacking.places if not self._is_online(place.root_id)]
        path = os.fsdecode((offline or [lacking.places[0].path])[0])
        if offline:
            self._skip(lacking.image_id, path, OFFLINE, "its folder cannot be reached")
        else:
            self._skip(lacking.image_id, path, GONE, "its file is gone")

    def _skip(self, image_id: int, path: str, reason: str, message: str) -> None:
        self.skipped[image_id] = Skipped(image_id, path, reason, message)

    def fill(self, space: EmbeddingSpace, total: int, only: Container[int] | None = None) -> None:
        """Embed what the space lacks, batch by batch.

        Args:
            space: to be filled.
            total: how many images that will be with all calls, for the progress.
            only: these images alone; None for all.

        Raises:
            Interrupted: stopped; what was committed stays.
            GalleryDamaged: the space is gone or damaged.
        """
        self._space, start = space, monotonic()
        self._store = self._gallery.store(space)
        settings = self._gallery.settings
        todos: Iterable[Todo] = self.todos(space.id, only)
        with DecodePool(self._workers, settings.limits, settings.plugins, nice=_NICE) as pool:
            # A file that cannot be used any more: the next round tries another one of the same image.
            while todos := self._round(pool, todos, start, total):
                pass
        self.busy_seconds += monotonic() - start

    def _round(self, pool: DecodePool, todos: Iterable[Todo], start: float, total: int) -> list[Todo]:
        again: list[Todo] = []
        batch: list[Vector] = []
        committed = monotonic()
        until_stopped = (todo for todo in todos if not self._stop())
        for item in self._flow(pool, until_stopped):
            vector = self._vector_of(item, again)
            batch += [] if vector is None else [vector]
            if len(batch) >= _BATCH_IMAGES or monotonic() - committed > _BATCH_SECONDS:
                self._commit(batch)
                batch, committed = [], monotonic()
                self._say_progress(start, total)
        self._commit(batch)
        self._say_progress(start, total)
        if self._stop():
            raise Interrupted("Stopped.")
        return again

    def _flow(self, pool: DecodePool, todos: Iterable[Todo]) -> Iterator[Embedded[Todo]]:
        spec = self._spec
        return embed_files(todos, lambda todo: ReadFile(todo.path, spec), pool, self._encoder, workers=self._workers)

    def _vector_of(self, item: Embedded[Todo], again: list[Todo]) -> Vector | None:
        """What became of an image; one that has another file goes to ``again``."""
        todo, file = item.item, item.file
        if file.error is None and file.digest == todo.digest and item.vector is not None:
            return Vector(todo.image_id, todo.digest, item.vector)
        if todo.attempt + 1 < len(todo.paths):
            again.append(replace(todo, attempt=todo.attempt + 1))
            return None
        path = os.fsdecode(todo.path)
        if file.error is None:
            self._skip(todo.image_id, path, CHANGED, "its file holds another picture now")
        elif not os.path.lexists(todo.path):
            self._skip(todo.image_id, path, GONE, "its file is gone")
        else:
            self._skip(todo.image_id, path, UNREADABLE, file.error.message)
        return None

    def _commit(self, batch: Sequence[Vector]) -> None:
        if not batch:
            return
        with self._writing():
            self._follow()
            added = self._catalog.coverage.add(self._space.id, batch, self._store.append)
            self._store.refresh(self._store.rows + added)
        self.embedded += added

    def _follow(self) -> None:
        """A rollback may have made the space live meanwhile, and an index may have added to it."""
        space = next((s for s in self._catalog.spaces.all() if s.id == self._space.id), None)
        if space is None:
            raise GalleryDamaged("The new space is gone from the catalog.", "Run the same command again.")
        self._store.refresh(space.rows)
        if self._store.rows < space.rows:
            raise GalleryDamaged(
                f"Vectors of the space {space.fingerprint[:16]} are lost.",
                "Run `retrieval status --check --repair`, then the same command again.",
            )

    def _say_progress(self, start: float, total: int) -> None:
        done = self.embedded + len(self.skipped)
        rate = done / max(1e-6, self.busy_seconds + monotonic() - start)
        left = max(0, total - done) / rate if rate else None
        self._progress(Progress(done, max(done, total), len(self.skipped), rate, left))
