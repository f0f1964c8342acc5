"""The pictures that the examples of a search name: uploads, kept photos, and images of the gallery."""

import hashlib
import os
import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import Any

from retrieval.core.errors import NoSuchPath
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.types import Vectors
from retrieval.images.jobs import DecodeBytes, MakeView, ReadFile
from retrieval.images.pool import DecodePool
from retrieval.workflows.encoders import GalleryEncoder
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.history import History
from retrieval.workflows.queries import Example
from retrieval.workflows.records import record_of

_LATELY = 64
"""Uploads whose vectors are kept for as long as it takes to answer: so many people may ask at once."""


class Examples:
    """Finds and decodes the pictures of examples.

    Args:
        gallery: opened.
        pool: decodes.
        history: of kept uploads.
    """

    def __init__(self, gallery: Gallery, pool: DecodePool, history: History) -> None:
        self._gallery, self._pool, self._history = gallery, pool, history
        self._lately: OrderedDict[tuple[str, str], Vectors] = OrderedDict()
        self._lock = threading.Lock()

    def decode(self, one: Example, spec: Preprocessing) -> "Future[Any]":
        """Begin to decode an example, or its part; the future gives pixels and facts, or the error.

        Raises:
            NoSuchPath: it is not there any more.
        """
        if one.image_id is not None:
            return self._pool.submit(ReadFile(self._file_of(one.image_id), spec, None, region=one.region))
        return self._pool.submit(DecodeBytes(self._bytes_of(one), spec, region=one.region))

    def view(self, one: Example, side: int) -> bytes:
        """A JPEG of an example within ``side`` pixels. Raises ImageError, NoSuchPath."""
        if one.image_id is not None:
            job = MakeView(self._file_of(one.image_id), None, side, "full")
        else:
            job = MakeView(None, self._bytes_of(one), side, "full")
        made = self._pool.run(job)
        if made.error is not None:
            raise made.error
        assert made.content is not None
        return made.content

    def kept_vector(self, one: Example, fingerprint: str, dimension: int) -> Vectors | None:
        """[D] unit norm of a whole kept photo in the space of this fingerprint, where it is known."""
        if one.kept is None or one.region is not None:
            return None
        vector = self._history.read(one.kept, fingerprint).vector
        return vector if vector is not None and len(vector) == dimension else None

    def note(self, one: Example, fingerprint: str, vector: Vectors) -> None:
        """Keep the [D] vector of a whole upload in the space of this fingerprint, for ``vector_of`` soon after."""
        if one.data is None or one.region is not None:
            return
        with self._lock:
            self._lately[_key(one.data, fingerprint)] = vector
            while len(self._lately) > _LATELY:
                self._lately.popitem(last=False)

    def vector_of(self, data: bytes, encoder: GalleryEncoder, spec: Preprocessing) -> Vectors:
        """[D] unit norm of an upload; that of the search just made with it is not computed again. Raises ImageError."""
        with self._lock:
            vector = self._lately.get(_key(data, encoder.card.fingerprint))
        if vector is not None:
            return vector
        whole = self._pool.run(DecodeBytes(data, spec))
        if whole.error is not None:
            raise whole.error
        assert whole.pixels is not None
        made: Vectors = encoder.embed(whole.pixels[None])[0]
        return made

    def _bytes_of(self, one: Example) -> bytes:
        data = self._history.picture(one.kept) if one.kept is not None else one.data
        assert data is not None
        return data

    def _file_of(self, image_id: int) -> bytes:
        for path in record_of(self._gallery, image_id).paths:
            if os.path.isfile(raw := os.fsencode(path)):
                return raw
        raise NoSuchPath(
            f"No file of image {image_id} can be reached just now.", "Connect the drive or folder that holds it."
        )


def _key(data: bytes, fingerprint: str) -> tuple[str, str]:
    return hashlib.sha256(data).hexdigest(), fingerprint
