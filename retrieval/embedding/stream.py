"""The pipeline from files to vectors: reading, decoding and encoding overlap, memory stays bounded.

Files are read and decoded in other processes; batches of pixels are encoded in threads of this one (torch lets go of
the interpreter while it computes). Everything that is finished reports to one queue, and the caller's thread only
passes things on, so one slow file holds up nobody.
"""

import queue
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from retrieval.core.types import Pixels, Vectors
from retrieval.images.jobs import FileResult, ReadFile
from retrieval.images.pool import DecodePool

Item = TypeVar("Item")

SPARE = 4
"""Batches that are ready beside those being encoded: the threads work through them while the caller writes to disk.
Together with those they are all that is held: 384 pictures of a GPU's batches of 64."""


class Embedder(Protocol):
    """What the pipeline needs of an encoder."""

    @property
    def batch(self) -> int:
        """The batch size it is fastest with."""

    @property
    def parallel_calls(self) -> int:
        """How many threads should call it at once."""

    def embed(self, pixels: Pixels) -> Vectors:
        """[n, S, S, 3] to [n, D], unit norm. Safe to call from several threads at once."""


@dataclass(frozen=True, slots=True)
class Embedded(Generic[Item]):
    """A file that went through the pipeline.

    Attributes:
        item: what the caller gave.
        file: what reading and decoding found; ``file.error`` for a failure.
        vector: [D], or None where nothing was decoded (a failure, or known content).
    """

    item: Item
    file: FileResult
    vector: Vectors | None


def embed_files(
    items: Iterable[Item],
    job: Callable[[Item], ReadFile],
    pool: DecodePool,
    encoder: Embedder,
    *,
    workers: int,
) -> Iterator[Embedded[Item]]:
    """Yield every item once, in the order in which they get finished.

    Args:
        items: what to read; taken lazily.
        job: the reading job of an item.
        pool: decodes.
        encoder: embeds.
        workers: how many processes the pool has.

    At any moment no more than ``(parallel_calls + SPARE + 1) * batch + 2 * workers`` items are under way.
    """
    with ThreadPoolExecutor(encoder.parallel_calls, thread_name_prefix="encode") as threads:
        flow = _Flow(iter(items), job, pool, encoder, threads, workers)
        try:
            yield from flow.run()
        finally:
            # Ended early: batches that no thread has begun are not wanted any more.
            threads.shutdown(wait=False, cancel_futures=True)


class _Flow(Generic[Item]):
    """State of one pass through the pipeline; only the caller's thread touches it, besides ``_done``."""

    def __init__(
        self,
        items: Iterator[Item],
        job: Callable[[Item], ReadFile],
        pool: DecodePool,
        encoder: Embedder,
        threads: ThreadPoolExecutor,
        workers: int,
    ) -> None:
        self._items, self._job = items, job
        self._pool, self._encoder, self._threads = pool, encoder, threads
        self._window = (encoder.parallel_calls + SPARE + 1) * encoder.batch + 2 * workers
        self._under_way = 0
        self._reading = 0
        self._encoding = 0
        self._exhausted = False
        self._waiting: list[tuple[Item, FileResult, Pixels]] = []
        self._done: queue.SimpleQueue[Callable[[], Iterable[Embedded[Item]]]] = queue.SimpleQueue()

    def run(self) -> Iterator[Embedded[Item]]:
        self._fill()
        while self._under_way:
            finished = list(self._done.get()())
            self._under_way -= len(finished)
            self._encode_what_is_ready()
            self._fill()
            yield from finished

    def _fill(self) -> None:
        while not self._exhausted and self._under_way < self._window:
            try:
                item = next(self._items)
            except StopIteration:
                self._exhausted = True
                break
            self._under_way += 1
            self._read(item, self._job(item))
        # With nothing more to read, the rest goes as a smaller batch.
        self._encode_what_is_ready()

    def _read(self, item: Item, job: ReadFile) -> None:
        self._reading += 1
        future = self._pool.submit(job)
        future.add_done_callback(lambda f: self._done.put(lambda: self._was_read(item, f)))

    def _was_read(self, item: Item, future: "Future[Any]") -> Iterable[Embedded[Item]]:
        self._reading -= 1
        file: FileResult = future.result()
        if file.pixels is None:
            yield Embedded(item, file, None)
        else:
            self._waiting.append((item, file, file.pixels))

    def _encode_what_is_ready(self) -> None:
        last = self._exhausted and not self._reading
        while self._waiting and self._encoding < self._encoder.parallel_calls + SPARE:
            if len(self._waiting) < self._encoder.batch and not last:
                return
            batch, self._waiting = self._waiting[: self._encoder.batch], self._waiting[self._encoder.batch :]
            self._encoding += 1
            future = self._threads.submit(self._encoder.embed, np.stack([pixels for _, _, pixels in batch]))
            future.add_done_callback(lambda f, b=batch: self._done.put(lambda: self._was_encoded(b, f)))  # type: ignore[misc]

    def _was_encoded(
        self, batch: list[tuple[Item, FileResult, Pixels]], future: "Future[Vectors]"
    ) -> Iterable[Embedded[Item]]:
        self._encoding -= 1
        for (item, file, _), vector in zip(batch, future.result(), strict=True):
            yield Embedded(item, file, vector)
