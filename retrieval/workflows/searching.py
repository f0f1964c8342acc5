"""Upload a photo, see its nearest neighbours: one call down, one value back."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import numpy as np

from retrieval.core.errors import BadValue, EmptyGallery, NoSuchPath, RetrievalError, disk_full_is_said
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.text import shown
from retrieval.core.types import EmbeddingSpace, Filters, ImageFacts, ImageRecord, Matches, Pixels, Vectors
from retrieval.images.jobs import DecodeBytes, MakeView, ReadFile
from retrieval.images.pool import DecodePool
from retrieval.images.scan import images_in
from retrieval.workflows.encoders import GalleryEncoder, refuse_other_encoder
from retrieval.workflows.examples import Examples
from retrieval.workflows.finding import Finder
from retrieval.workflows.gallery import Gallery, nothing_indexed
from retrieval.workflows.history import SIDE as KEPT_SIDE
from retrieval.workflows.history import History
from retrieval.workflows.live_index import LiveIndex, Say
from retrieval.workflows.matching import Explanation, ToMatch, explained
from retrieval.workflows.opened import Calibrated, OpenedSpace
from retrieval.workflows.queries import Example, Query
from retrieval.workflows.ranking import DEEPEST
from retrieval.workflows.records import above, allowed_ids, is_present, neighbour_of, no_such_image, record_of
from retrieval.workflows.results import Browsed, Neighbour, SearchResult, Summary, Timings

T = TypeVar("T")
_QUERIES_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """A query file (path as ``os.fsdecode`` gives it) and what was found, or why it could not be used."""

    path: str
    found: SearchResult | RetrievalError


class Searcher:
    """A gallery opened for searching. Thread-safe; sees what other processes index, and which space they make live.

    Args:
        gallery: opened.
        say: told about anything unusual, one line each.
        workers: decoding processes for queries.

    The encoder is loaded by the first search that needs it; ``warm`` does so beforehand. A search ends in the space in
    which it began, though another process switches meanwhile: a vector never meets another encoder's.

    Attributes:
        gallery: as given.
        history: uploads that were searched with, where somebody asked to ``remember`` them.
    """

    def __init__(self, gallery: Gallery, say: Say = lambda _: None, workers: int = 1) -> None:
        self.gallery = gallery
        self.history = History(gallery.folder)
        self._say = say
        self._pool = DecodePool(workers, gallery.settings.limits, gallery.settings.plugins)
        self._examples = Examples(gallery, self._pool, self.history)
        self._lock = threading.Lock()
        self._opened: OpenedSpace | None = None
        self._opened_as: tuple[int, int, str] | None = None
        self._stays_warm = False

    # -- what is open ---------------------------------------------------------------------------------------------

    @property
    def space(self) -> EmbeddingSpace:
        """The live space. Raises EmptyGallery before the first index."""
        return self.gallery.live_space()

    @property
    def index(self) -> LiveIndex:
        """The live space's index. Raises EmptyGallery."""
        return self._live().index

    @property
    def encoder(self) -> GalleryEncoder:
        """The live space's encoder. Raises EmptyGallery, ModelDamaged."""
        return self._live().encoder

    def _live(self) -> OpenedSpace:
        space = self.space
        # A restored gallery may have another space, or the same one with another past.
        wanted = (self.gallery.catalog.generation, space.id, space.fingerprint)
        with self._lock:
            if self._opened is None or self._opened_as != wanted:
                self._opened, self._opened_as = OpenedSpace(self.gallery, space, self._say), wanted
                if self._stays_warm:
                    self._opened.warm_soon()
            return self._opened

    def _asked(self, ask: Callable[[OpenedSpace], T]) -> T:
        """The live space's answer. Where the space is dropped while it is asked, that of the one that is live then."""
        opened = self._live()
        try:
            return ask(opened)
        except Exception:
            now = self._live()
            if now is opened:
                raise
        return ask(now)

    def warm(self) -> None:
        """Start the decoders; load index and encoder, now and whenever another space goes live: no search is slower.

        An empty gallery has neither; what is uploaded before it has is decoded all the same.
        """
        self._pool.warm()
        if self.gallery.catalog.spaces.live() is not None:
            self._live().warm()
        self._stays_warm = True

    def close(self) -> None:
        """Stop the decoders."""
        self._pool.close()

    def __enter__(self) -> "Searcher":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- searching ------------------------------------------------------------------------------------------------

    def by_image(self, data: bytes, k: int = 10, filters: Filters | None = None) -> SearchResult:
        """The neighbours of an uploaded picture.

        Args:
            data: an image file's bytes.
            k: how many at most, at least 1.
            filters: what may be returned.

        Raises:
            ImageError: it is not an image or cannot be decoded.
            EmptyGallery: nothing is indexed.
        """
        return self._asked(lambda live: self._by_image(live, data, k, filters))

    def _by_image(self, live: OpenedSpace, data: bytes, k: int, filters: Filters | None) -> SearchResult:
        spec = self._spec(live)
        start = perf_counter()
        decoded = self._pool.run(DecodeBytes(data, spec))
        if decoded.error is not None:
            raise decoded.error
        assert decoded.pixels is not None
        assert decoded.facts is not None
        return self._search_pixels(live, [decoded.pixels], [decoded.facts], k, filters, perf_counter() - start)[0]

    def by_path(
        self, path: Path, k: int = 10, filters: Filters | None = None, *, model: str | None = None
    ) -> Iterator[Answer]:
        """The neighbours of an image file, or of every image in a folder, a batch at a time.

        Args:
            path: a file or a folder.
            k, filters: see ``by_image``.
            model: the encoder that the caller expects the gallery to have.

        Raises:
            NoSuchPath: there is nothing at ``path``, or no image in the folder.
            ModelMismatch: the gallery has another encoder than ``model``.
            EmptyGallery: nothing is indexed.
        """
        if not os.path.lexists(path):
            raise NoSuchPath(f"There is no file or folder {shown(str(path))}.", "Check the spelling.")
        if model is not None:
            refuse_other_encoder(self.gallery, model, self._say)
        raw = os.path.abspath(os.fsencode(path))
        files = iter([raw]) if not os.path.isdir(raw) else images_in(raw)
        found = False
        while some := list(islice(files, _QUERIES_AT_ONCE)):
            found = True
            for file, result in zip(some, self.by_files(some, k, filters), strict=True):
                yield Answer(os.fsdecode(file), result)
        if not found:
            raise NoSuchPath(f"There is no image in the folder {shown(str(path))}.", "Give another folder.")

    def by_files(
        self, paths: Sequence[bytes], k: int = 10, filters: Filters | None = None
    ) -> list[SearchResult | RetrievalError]:
        """The neighbours of image files, as one batch; an unusable file gives its error in its place."""
        return self._asked(lambda live: self._by_files(live, paths, k, filters))

    def _by_files(
        self, live: OpenedSpace, paths: Sequence[bytes], k: int, filters: Filters | None
    ) -> list[SearchResult | RetrievalError]:
        spec = self._spec(live)
        start = perf_counter()
        futures = [self._pool.submit(ReadFile(path, spec, None)) for path in paths]
        read = [future.result() for future in futures]
        good = [n for n, file in enumerate(read) if file.error is None]
        seconds = perf_counter() - start
        answers: list[SearchResult | RetrievalError | None] = [file.error for file in read]
        pixels = [p for n in good if (p := read[n].pixels) is not None]
        facts = [f for n in good if (f := read[n].facts) is not None]
        for n, result in zip(good, self._search_pixels(live, pixels, facts, k, filters, seconds), strict=True):
            answers[n] = result
        return [answer for answer in answers if answer is not None]

    def by_id(self, image_id: int, k: int = 10, filters: Filters | None = None) -> SearchResult:
        """The neighbours of an indexed image, itself left out; nothing is decoded.

        Raises:
            NoSuchPath: no findable image has this id.
        """
        return self._asked(lambda live: self._by_id(live, image_id, k, filters))

    def _by_id(self, live: OpenedSpace, image_id: int, k: int, filters: Filters | None) -> SearchResult:
        start = perf_counter()
        record = self.record(image_id)
        if not is_present(record):
            raise no_such_image(image_id)
        live.index.refresh()
        try:
            vector = live.index.store.read(np.array([image_id], np.int64))
        except KeyError as error:
            raise NoSuchPath(
                f"Image {image_id} has no embedding in the live space.", "`retrieval index` embeds what is missing."
            ) from error
        matches, searched = self._match(live, vector, k + 1, filters)
        middle = perf_counter()
        found = [(i, s) for i, s in matches.row(0) if i != image_id][:k]
        calibrated = live.calibrated()
        neighbours = self._neighbours([found], calibrated)[0]
        searched -= int(self._is_among(live, image_id, filters))
        timings = Timings(index=middle - start, catalog=perf_counter() - middle)
        nothing = calibrated.nothing_like_this(found)
        return SearchResult(above(neighbours, filters), timings, searched, record.width, record.height, nothing)

    def find(
        self,
        query: Query,
        k: int = 10,
        filters: Filters | None = None,
        *,
        start: int = 0,
        together: bool = True,
    ) -> SearchResult:
        """A page of what is nearest to one picture or several, parts of them, and judgements.

        The examples themselves are left out. Scores are cosines to the direction that was searched in; only for one
        picture without judgements they have a probability, and the result says whether nothing is like it.

        Args:
            query: what to go by.
            k: how many a page, at least 1.
            filters: what may be returned.
            start: how many better ones to leave out: a multiple of k for pages. Together at most ``DEEPEST``.
            together: put near-duplicates below the first of them.

        Raises:
            ImageError: an upload is not an image, or a marked picture cannot be read.
            NoSuchPath: an example is no findable image.
            BadValue: the examples cancel each other out, or the page is too far down.
            EmptyGallery: nothing is indexed.
        """
        if start < 0 or k < 1 or start + k > DEEPEST:
            raise BadValue(f"Results are shown up to rank {DEEPEST:,}.", "Narrow the search with filters instead.")
        return self._asked(lambda live: self._find(live, query, k, filters, start, together))

    def _find(
        self, live: OpenedSpace, query: Query, k: int, filters: Filters | None, start: int, together: bool
    ) -> SearchResult:
        finder = Finder(self.gallery, self._examples, live)
        return finder.find(query, k, filters, start, together, self._spec(live))

    def explain(self, query: Example, image_id: int) -> Explanation:
        """Where a picture and one of the gallery's match. Both are decoded and embedded anew, in float32.

        Raises:
            ImageError: one of them cannot be read as a picture.
            NoSuchPath: there is no such image, or no file of it can be reached.
            NoGrid: the encoder cannot tell.
            EmptyGallery: nothing is indexed.
        """
        return self._asked(lambda live: self._explain(live, query, image_id))

    def _explain(self, live: OpenedSpace, query: Example, image_id: int) -> Explanation:
        spec, pair = self._spec(live), (query, Example(image_id))
        if not is_present(self.record(image_id)):
            raise no_such_image(image_id)
        results = [self._examples.decode(one, spec) for one in pair]
        return explained(
            live.encoder, [ToMatch(result.result(), one.region) for result, one in zip(results, pair, strict=True)]
        )

    def picture_of(self, one: Example, side: int) -> bytes:
        """A JPEG of an example within ``side`` pixels. Raises as ``explain`` does."""
        return self._examples.view(one, side)

    def remember(self, data: bytes) -> str:
        """Keep an upload so that it can be searched with again, without the file itself; its key.

        Raises:
            ImageError: it is not an image.
            EmptyGallery: nothing is indexed.
            DiskFull: there is no room for it.
        """
        return self._asked(lambda live: self._remember(live, data))

    def _remember(self, live: OpenedSpace, data: bytes) -> str:
        small = self._pool.submit(MakeView(None, data, KEPT_SIDE, "full"))
        vector = self._examples.vector_of(data, live.encoder, self._spec(live))
        made = small.result()
        if made.error is not None:
            raise made.error
        assert made.content is not None
        key = hashlib.sha256(data).hexdigest()
        with disk_full_is_said(str(self.gallery.folder)):
            self.history.keep(key, made.content, vector, live.space.fingerprint)
        return key

    def browse(self, start: int, count: int) -> Browsed:
        """A page of the gallery's images, latest first; none of an empty gallery."""
        try:
            ids, total = self.gallery.catalog.images.findable(self.space.id, start, count)
        except EmptyGallery:
            return Browsed((), 0)
        return Browsed(tuple(ids), total)

    def _spec(self, live: OpenedSpace) -> Preprocessing:
        live.index.refresh()
        if not len(live.index):
            raise nothing_indexed(self.gallery.folder)
        return live.encoder.spec

    def _search_pixels(
        self,
        live: OpenedSpace,
        pixels: Sequence[Pixels],
        facts: Sequence[ImageFacts],
        k: int,
        filters: Filters | None,
        decode_seconds: float,
    ) -> list[SearchResult]:
        if not pixels:
            return []
        times = [perf_counter()]
        vectors = live.encoder.embed(np.stack(pixels))
        times.append(perf_counter())
        matches, searched = self._match(live, vectors, k, filters)
        times.append(perf_counter())
        calibrated = live.calibrated()
        found = [matches.row(n) for n in range(len(pixels))]
        rows = self._neighbours(found, calibrated)
        times.append(perf_counter())
        timings = Timings(decode_seconds, times[1] - times[0], times[2] - times[1], times[3] - times[2])
        return [
            SearchResult(
                above(row, filters),
                timings,
                searched,
                fact.width,
                fact.height,
                calibrated.nothing_like_this(scored),
            )
            for row, scored, fact in zip(rows, found, facts, strict=True)
        ]

    def _match(self, live: OpenedSpace, vectors: Vectors, k: int, filters: Filters | None) -> tuple[Matches, int]:
        allowed = allowed_ids(self.gallery, live.space, filters)
        matches = live.index.search(vectors, k, allowed)
        return matches, len(live.index) if allowed is None else len(allowed)

    def _is_among(self, live: OpenedSpace, image_id: int, filters: Filters | None) -> bool:
        allowed = allowed_ids(self.gallery, live.space, filters)
        return allowed is None or image_id in allowed

    def _neighbours(
        self, rows: Sequence[Sequence[tuple[int, float]]], calibrated: Calibrated
    ) -> list[tuple[Neighbour, ...]]:
        records = self.gallery.catalog.images.records(sorted({i for row in rows for i, _ in row}))
        # An image that was forgotten between the two look-ups has no record any more and is left out.
        return [
            tuple(
                neighbour_of(rank, score, calibrated.probability(score), records[i])
                for rank, (i, score) in enumerate(((i, s) for i, s in row if i in records), start=1)
            )
            for row in rows
        ]

    # -- looking ---------------------------------------------------------------------------------------------------

    def record(self, image_id: int) -> ImageRecord:
        """What the catalog knows of an image. Raises NoSuchPath for an unknown id."""
        return record_of(self.gallery, image_id)

    def labels(self) -> list[tuple[str, int]]:
        """(label, images that carry it), most frequent first."""
        return self.gallery.catalog.images.labels()

    def samples(self, count: int) -> list[int]:
        """Ids of up to ``count`` images, spread over the gallery, to try a search with."""
        try:
            return self.gallery.catalog.images.sample(self.space.id, count)
        except EmptyGallery:
            return []

    def summary(self) -> Summary:
        """What the gallery holds; never raises for an empty one."""
        if self.gallery.catalog.spaces.live() is None:
            return Summary(0, "", True, "", "")
        return self._asked(self._summary)

    def _summary(self, live: OpenedSpace) -> Summary:
        live.index.refresh()
        trained = GalleryEncoder.card_of(self.gallery, live.space).trained
        return Summary(len(live.index), live.space.model, trained, live.space.fingerprint, live.index.kind)
