"""Pictures for a browser, by image id: thumbnails, screen-sized views and originals."""

import os
import secrets
import threading
from collections import OrderedDict
from contextlib import suppress
from typing import Literal

from retrieval.core.errors import ImageError, NoSuchPath, Reason
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.types import ImageRecord
from retrieval.images.jobs import FileResult, MakeView, ReadFile
from retrieval.images.pool import DecodePool
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.results import View

Kind = Literal["thumbnail", "full"]
THUMBNAIL_SIDE = 320
FULL_SIDE = 2048
_SIDES: dict[Kind, int] = {"thumbnail": THUMBNAIL_SIDE, "full": FULL_SIDE}
_VERSION = 2
"""Of how views are made, beside their size: raised when the same file gives another picture than before."""

_CACHE_BYTES = 64 * 1024 * 1024


class Views:
    """Makes pictures in killable processes and keeps the latest ones in memory. Thread-safe.

    Args:
        gallery: opened.
        workers: decoding processes; their own, so that a page never waits behind an indexing run.
    """

    def __init__(self, gallery: Gallery, workers: int = 2) -> None:
        self._gallery = gallery
        self._pool = DecodePool(workers, gallery.settings.limits, gallery.settings.plugins)
        self._cache: OrderedDict[tuple[str, Kind], View] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    @property
    def generation(self) -> int:
        """How often another catalog has taken the gallery's place, as a restore does; it is noticed by reading.

        While it stays the same, so does the picture that an id means.
        """
        return self._gallery.catalog.generation

    def etag(self, image_id: int, kind: Kind) -> str:
        """The tag of a view, without making it. Raises NoSuchPath."""
        return _etag(self._record(image_id), kind)

    def view(self, image_id: int, kind: Kind) -> View:
        """A picture of an image.

        Args:
            image_id: of an image in the gallery; nothing else can be reached from here.
            kind: ``"thumbnail"`` fits in 320 pixels, ``"full"`` in 2048.

        Raises:
            NoSuchPath: no such id, or none of the image's files can be reached now.
            ImageError: the file changed on disk and cannot be decoded any more.
        """
        record = self._record(image_id)
        key = (record.digest, kind)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        view = self._make(record, kind)
        # A file that has been edited since it was indexed shows what it is now, under a tag of its own.
        if view.etag == _etag(record, kind):
            with self._lock:
                self._remember(key, view)
        return view

    def warm(self) -> None:
        """Start the decoders now, without waiting for them: the first pictures then come at once."""
        self._pool.warm()

    def close(self) -> None:
        """Stop the decoders."""
        self._pool.close()

    def _record(self, image_id: int) -> ImageRecord:
        record = self._gallery.catalog.images.records([image_id]).get(image_id)
        if record is None:
            raise NoSuchPath(f"The gallery has no image {image_id}.")
        return record

    def _make(self, record: ImageRecord, kind: Kind) -> View:
        path = self._reachable(record)
        # What the file holds now, read by a process that can be killed, as the picture is made by one.
        before = self._pool.run(ReadFile(path, Preprocessing(), decode=False))
        made = self._pool.run(MakeView(path, None, _SIDES[kind], kind))
        error = before.error or made.error
        if error is not None:
            if error.reason == Reason.UNREADABLE:
                raise NoSuchPath(error.message, error.hint) from error
            raise ImageError(error.reason, error.message, error.hint)
        assert made.content is not None
        assert made.mime is not None
        return View(made.content, made.mime, _etag_of(path, before, kind))

    @staticmethod
    def _reachable(record: ImageRecord) -> bytes:
        for path in record.paths:
            raw = os.fsencode(path)
            if os.path.isfile(raw):
                return raw
        raise NoSuchPath(
            f"No file of image {record.id} can be reached just now.", "Connect the drive or folder that holds it."
        )

    def _remember(self, key: tuple[str, Kind], view: View) -> None:
        if key in self._cache or len(view.content) > _CACHE_BYTES // 4:
            return
        self._cache[key] = view
        self._held += len(view.content)
        while self._held > _CACHE_BYTES:
            _, old = self._cache.popitem(last=False)
            self._held -= len(old.content)


def _etag(record: ImageRecord, kind: Kind) -> str:
    return _tag(record.digest, kind)


def _etag_of(path: bytes, read: FileResult, kind: Kind) -> str:
    """The tag of a view that was made just after the file was read."""
    assert read.digest is not None
    with suppress(OSError):
        now = os.stat(path)
        if (now.st_size, now.st_mtime_ns) == (read.size, read.mtime_ns):
            return _tag(read.digest.hex(), kind)
    # Written to meanwhile: nobody can say which of the two contents it shows.
    return _tag(secrets.token_hex(32), kind)


def _tag(digest: str, kind: Kind) -> str:
    return f'"{digest[:32]}-{kind}-{_SIDES[kind]}-{_VERSION}"'
