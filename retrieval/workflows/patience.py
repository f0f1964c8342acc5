"""Two locks of a switch: the gallery's write lock, held for moments and waited for, and one that keeps switches apart.

A switch may take hours, and the gallery has to be indexed meanwhile. So it holds the write lock only while it commits
a batch: between two batches, others write. Where another process holds the lock for long (it is indexing, say), the
switch waits and goes on when that has finished. What it writes are its own space's vectors, which nobody else touches.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from filelock import FileLock, Timeout

from retrieval.core.errors import GalleryBusy, Interrupted
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.live_index import Say

_POLL_SECONDS = 0.2
_LOCK = ".switching.lock"


@contextmanager
def alone(gallery: Gallery) -> Iterator[None]:
    """One switch at a time; others may write meanwhile. Nothing is dropped that a switch is filling.

    Raises:
        GalleryBusy: another switch is running.
    """
    lock = FileLock(gallery.folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise GalleryBusy(
            f"Another switch is running in the gallery {gallery.folder}.",
            "Wait until it has finished, or stop it; what it has embedded is kept.",
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def patiently_writing(gallery: Gallery, say: Say, stop: Callable[[], bool]) -> Iterator[None]:
    """``Gallery.writing``, waited for.

    Raises:
        Interrupted: ``stop`` said so while waiting.
        GalleryDamaged: see ``Gallery.writing``.
    """
    with ExitStack() as stack:
        waited = False
        while True:
            try:
                stack.enter_context(gallery.writing())
                break
            except GalleryBusy as error:
                if stop():
                    raise Interrupted("Stopped while another process was writing to the gallery.") from error
                if not waited:
                    say("Another process is writing to the gallery; the switch goes on when it has finished.")
                waited = True
                time.sleep(_POLL_SECONDS)
        yield
