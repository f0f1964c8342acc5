"""What is nearest to uploads, to files and to indexed images, in one space."""

from collections.abc import Sequence
from time import perf_counter

import numpy as np

from retrieval.core.errors import NoSuchPath, RetrievalError
from retrieval.core.types import Filters, ImageFacts, Matches, Pixels, Vectors
from retrieval.images.jobs import DecodeBytes, ReadFile
from retrieval.images.pool import DecodePool
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.opened import Calibrated, OpenedSpace
from retrieval.workflows.records import above, allowed_ids, is_present, neighbour_of, no_such_image, record_of
from retrieval.workflows.results import Neighbour, SearchResult, Timings


class Nearest:
    """Searches one space of a gallery; ``Searcher`` says how.

    Args:
        gallery: opened.
        pool: decodes what is asked with.
        live: the space.
    """

    def __init__(self, gallery: Gallery, pool: DecodePool, live: OpenedSpace) -> None:
        self._gallery, self._pool, self._live = gallery, pool, live

    def by_image(self, data: bytes, k: int, filters: Filters | None) -> SearchResult:
        """See ``Searcher.by_image``."""
        _check(k)
        spec = self._live.spec()
        start = perf_counter()
        decoded = self._pool.run(DecodeBytes(data, spec))
        if decoded.error is not None:
            raise decoded.error
        assert decoded.pixels is not None
        assert decoded.facts is not None
        return self._search_pixels([decoded.pixels], [decoded.facts], k, filters, perf_counter() - start)[0]

    def by_files(self, paths: Sequence[bytes], k: int, filters: Filters | None) -> list[SearchResult | RetrievalError]:
        """See ``Searcher.by_files``."""
        _check(k)
        spec = self._live.spec()
        start = perf_counter()
        futures = [self._pool.submit(ReadFile(path, spec, None)) for path in paths]
        read = [future.result() for future in futures]
        good = [n for n, file in enumerate(read) if file.error is None]
        seconds = perf_counter() - start
        answers: list[SearchResult | RetrievalError | None] = [file.error for file in read]
        pixels = [p for n in good if (p := read[n].pixels) is not None]
        facts = [f for n in good if (f := read[n].facts) is not None]
        for n, result in zip(good, self._search_pixels(pixels, facts, k, filters, seconds), strict=True):
            answers[n] = result
        return [answer for answer in answers if answer is not None]

    def by_id(self, image_id: int, k: int, filters: Filters | None) -> SearchResult:
        """See ``Searcher.by_id``."""
        _check(k)
        start = perf_counter()
        record = record_of(self._gallery, image_id)
        if not is_present(record):
            raise no_such_image(image_id)
        self._live.index.refresh()
        try:
            vector = self._live.index.store.read(np.array([image_id], np.int64))
        except KeyError as error:
            raise NoSuchPath(
                f"Image {image_id} has no embedding in the live space.", "`retrieval index` embeds what is missing."
            ) from error
        calibrated = self._live.calibrated()
        matches, searched = self._match(vector, max(k, calibrated.depth) + 1, filters)
        found = [(i, s) for i, s in matches.row(0) if i != image_id]
        (nothing,) = calibrated.nothing_like_this([found], [image_id])
        middle = perf_counter()
        neighbours = self._neighbours([found[:k]], calibrated)[0]
        searched -= int(self._is_among(image_id, filters))
        timings = Timings(index=middle - start, catalog=perf_counter() - middle)
        return SearchResult(above(neighbours, filters), timings, searched, record.width, record.height, nothing)

    def _search_pixels(
        self,
        pixels: Sequence[Pixels],
        facts: Sequence[ImageFacts],
        k: int,
        filters: Filters | None,
        decode_seconds: float,
    ) -> list[SearchResult]:
        if not pixels:
            return []
        times = [perf_counter()]
        vectors = self._live.encoder.embed(np.stack(pixels))
        times.append(perf_counter())
        calibrated = self._live.calibrated()
        matches, searched = self._match(vectors, max(k, calibrated.depth), filters)
        found = [matches.row(n) for n in range(len(pixels))]
        nothing = calibrated.nothing_like_this(found)
        times.append(perf_counter())
        rows = self._neighbours([scored[:k] for scored in found], calibrated)
        times.append(perf_counter())
        timings = Timings(decode_seconds, times[1] - times[0], times[2] - times[1], times[3] - times[2])
        return [
            SearchResult(above(row, filters), timings, searched, fact.width, fact.height, said)
            for row, said, fact in zip(rows, nothing, facts, strict=True)
        ]

    def _match(self, vectors: Vectors, k: int, filters: Filters | None) -> tuple[Matches, int]:
        allowed = allowed_ids(self._gallery, self._live.space, filters)
        matches = self._live.index.search(vectors, k, allowed)
        return matches, len(self._live.index) if allowed is None else len(allowed)

    def _is_among(self, image_id: int, filters: Filters | None) -> bool:
        allowed = allowed_ids(self._gallery, self._live.space, filters)
        return allowed is None or image_id in allowed

    def _neighbours(
        self, rows: Sequence[Sequence[tuple[int, float]]], calibrated: Calibrated
    ) -> list[tuple[Neighbour, ...]]:
        records = self._gallery.catalog.images.records(sorted({i for row in rows for i, _ in row}))
        # An image that was forgotten between the two look-ups has no record any more and is left out.
        return [
            tuple(
                neighbour_of(rank, score, calibrated.probability(score), records[i])
                for rank, (i, score) in enumerate(((i, s) for i, s in row if i in records), start=1)
            )
            for row in rows
        ]


def _check(k: int) -> None:
    """Raise ValueError for fewer results than one, as an index does; more matches are looked at than are asked for."""
    if k < 1:
        raise ValueError(f"k is {k}, but must be at least 1.")
