"""The pictures that the examples of a search name: uploads, kept photos, and images of the gallery."""

import os
from concurrent.futures import Future
from typing import Any

from retrieval.core.errors import NoSuchPath
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.types import Vectors
from retrieval.images.jobs import DecodeBytes, MakeView, ReadFile
from retrieval.images.pool import DecodePool
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.history import History
from retrieval.workflows.queries import Example
from retrieval.workflows.records import record_of


class Examples:
    """Finds and decodes the pictures of examples.

    Args:
        gallery: opened.
        pool: decodes.
        history: of kept uploads.
    """

    def __init__(self, gallery: Gallery, pool: DecodePool, history: History) -> None:
        self._gallery, self._pool, self._history = gallery, pool, history

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
