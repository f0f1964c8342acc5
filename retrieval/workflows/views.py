"""Pictures for a browser, by image id: thumbnails, screen-sized views and originals."""

import os
import threading
from collections import OrderedDict
from contextlib import suppress
from typing import Literal

from retrieval.core.errors import ImageError, NoSuchPath, Reason
from retrieval.core.types import ImageRecord
from retrieval.images.jobs import MakeView
from retrieval.images.pool import DecodePool
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.results import View

Kind = Literal["thumbnail", "full"]
THUMBNAIL_SIDE = 320
FULL_SIDE = 2048
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
        side = THUMBNAIL_SIDE if kind == "thumbnail" else FULL_SIDE
        made = self._pool.run(MakeView(path, None, side, kind))
        if made.error is not None:
            if made.error.reason == Reason.UNREADABLE:
                raise NoSuchPath(made.error.message, made.error.hint) from made.error
            raise ImageError(made.error.reason, made.error.message, made.error.hint)
        assert made.content is not None
        assert made.mime is not None
        return View(made.content, made.mime, self._etag_of_file(path, record, kind))

    @staticmethod
    def _etag_of_file(path: bytes, record: ImageRecord, kind: Kind) -> str:
        with suppress(OSError):
            status = os.stat(path)
            if status.st_size != record.bytes:
                return f'"{record.digest[:32]}-{kind}-1-{status.st_mtime_ns:x}"'
        return _etag(record, kind)

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
    return f'"{record.digest[:32]}-{kind}-1"'
