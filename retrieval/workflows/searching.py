"""Upload a photo, see its nearest neighbours: one call down, one value back."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

from retrieval.core.errors import BadValue, EmptyGallery, NoSuchPath, RetrievalError, disk_full_is_said
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.text import shown
from retrieval.core.types import EmbeddingSpace, Filters, Ids, ImageFacts, ImageRecord, Matches, Pixels, Vectors
from retrieval.images.jobs import DecodeBytes, MakeView, ReadFile
from retrieval.images.pool import DecodePool
from retrieval.images.scan import classify, scan
from retrieval.workflows.copies import first_of_each
from retrieval.workflows.encoders import GalleryEncoder, refuse_other_encoder
from retrieval.workflows.gallery import Gallery, nothing_indexed
from retrieval.workflows.history import SIDE as KEPT_SIDE
from retrieval.workflows.history import History
from retrieval.workflows.live_index import LiveIndex, Say
from retrieval.workflows.matching import Explanation, ToMatch, explained
from retrieval.workflows.opened import Calibrated, OpenedSpace
from retrieval.workflows.queries import Example, Query
from retrieval.workflows.ranking import DEEPEST, Ranked, ReadExample, Wanted, ranked
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
        self._lock = threading.Lock()
        self._opened: OpenedSpace | None = None
        self._opened_as: tuple[int, int, str] | None = None

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
        """Load the index and the encoder and start a decoder, so that the first search is as fast as the others."""
        if self.gallery.catalog.spaces.live() is None:
            return
        live = self._live()
        self._pool.warm()
        spec = live.encoder.spec
        live.encoder.embed(np.zeros((1, spec.input_size, spec.input_size, 3), np.uint8))

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
        files = iter([raw]) if not os.path.isdir(raw) else _images_in(raw)
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
        if not self._is_present(image_id):
            raise _no_such_image(image_id)
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
        return SearchResult(_above(neighbours, filters), timings, searched, record.width, record.height, nothing)

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
        began = perf_counter()
        spec = self._spec(live)
        read = self._read_examples(live, query, spec)
        decoded = perf_counter()
        direction = self._direction(live, query, read)
        encoded = perf_counter()
        allowed = self._allowed(live, filters)
        found = ranked(
            lambda depth: live.index.search(direction[None], depth, allowed).row(0),
            query.left_out,
            lambda ids: self._leaders(live, ids),
            Wanted(start, k, None if filters is None else filters.min_score, together),
        )
        searched = perf_counter()
        calibrated = live.calibrated() if query.is_one_picture else Calibrated()
        neighbours = self._grouped(found, start, calibrated)
        among = len(live.index) if allowed is None else len(allowed)
        among -= self._left_out_among(query, allowed)
        times = Timings(decoded - began, encoded - decoded, searched - encoded, perf_counter() - searched)
        width, height = next(((one.width, one.height) for one in read.values()), (0, 0))
        nothing = calibrated.nothing_like_this(found.best)
        return SearchResult(neighbours, times, among, width, height, nothing, found.more)

    def _read_examples(self, live: OpenedSpace, query: Query, spec: Preprocessing) -> dict[int, ReadExample]:
        """What must be decoded, by its place among all examples, and what was kept as a vector."""
        futures: dict[int, Any] = {}
        read: dict[int, ReadExample] = {}
        for place, one in enumerate((*query.like, *query.unlike)):
            if one.kept is not None and one.region is None:
                vector = self.history.read(one.kept, live.space.fingerprint).vector
                if vector is not None and len(vector) == live.space.dimension:
                    read[place] = ReadExample(None, 0, 0, vector)
                    continue
            if one.image_id is None or one.region is not None:
                futures[place] = self._pool.submit(self._decoding(one, spec))
        for place, future in futures.items():
            result = future.result()
            if result.error is not None:
                raise result.error
            read[place] = ReadExample(result.pixels, result.facts.width, result.facts.height)
        return read

    def _decoding(self, one: Example, spec: Preprocessing) -> DecodeBytes | ReadFile:
        """The job that gives an example's pixels. Raises NoSuchPath where it is not there any more."""
        if one.image_id is not None:
            return ReadFile(self._file_of(one.image_id), spec, None, region=one.region)
        return DecodeBytes(self._bytes_of(one), spec, region=one.region)

    def _bytes_of(self, one: Example) -> bytes:
        data = self.history.picture(one.kept) if one.kept is not None else one.data
        assert data is not None
        return data

    def explain(self, query: Example, image_id: int) -> Explanation:
        """Where a picture and one of the gallery's match. Both are decoded and embedded anew, in float32.

        Raises:
            ImageError: one of them cannot be read as a picture.
            NoSuchPath: there is no such image, or no file of it can be reached.
            NoGrid: the encoder cannot tell.
            EmptyGallery: nothing is indexed.
        """
        return self._asked(lambda live: self._explain(live, query, image_id))

    def picture_of(self, one: Example, side: int) -> bytes:
        """A JPEG of an example within ``side`` pixels. Raises as ``explain`` does."""
        if one.image_id is not None:
            job = MakeView(self._file_of(one.image_id), None, side, "full")
        else:
            job = MakeView(None, self._bytes_of(one), side, "full")
        made = self._pool.run(job)
        if made.error is not None:
            raise made.error
        assert made.content is not None
        return made.content

    def _explain(self, live: OpenedSpace, query: Example, image_id: int) -> Explanation:
        spec = self._spec(live)
        if not self._is_present(image_id):
            raise _no_such_image(image_id)
        pair = (query, Example(image_id))
        results = [self._pool.submit(self._decoding(one, spec)) for one in pair]
        return explained(
            live.encoder, [ToMatch(result.result(), one.region) for result, one in zip(results, pair, strict=True)]
        )

    def _file_of(self, image_id: int) -> bytes:
        for path in self.record(image_id).paths:
            if os.path.isfile(raw := os.fsencode(path)):
                return raw
        raise NoSuchPath(
            f"No file of image {image_id} can be reached just now.", "Connect the drive or folder that holds it."
        )

    def _direction(self, live: OpenedSpace, query: Query, read: dict[int, ReadExample]) -> Vectors:
        examples = (*query.like, *query.unlike)
        vectors = np.empty((len(examples), live.space.dimension), np.float32)
        decoded = {place: one.pixels for place, one in read.items() if one.pixels is not None}
        if decoded:
            vectors[list(decoded)] = live.encoder.embed(np.stack(list(decoded.values())))
        for place, one in read.items():
            if one.vector is not None:
                vectors[place] = one.vector
        stored = [place for place in range(len(examples)) if place not in read]
        if stored:
            indexed = [examples[place].image_id or 0 for place in stored]
            for image_id in indexed:
                if not self._is_present(image_id):
                    raise _no_such_image(image_id)
            vectors[stored] = self._stored(live, indexed)
        ids = np.array([image_id for image_id, _ in query.judged], np.int64)
        # What was judged and is gone since teaches nothing any more, and is no reason to refuse.
        there = ~np.isin(ids, live.index.store.missing(ids))
        judged = self._stored(live, ids[there].tolist())
        relevant = np.array([relevant for _, relevant in query.judged], np.float32)[there]
        return query.direction(vectors[: len(query.like)], vectors[len(query.like) :], judged, relevant)

    def _stored(self, live: OpenedSpace, ids: Sequence[int]) -> Vectors:
        """[n, D] unit norm. Raises NoSuchPath."""
        wanted = np.array(ids, np.int64)
        if not len(wanted):
            return np.empty((0, live.space.dimension), np.float32)
        try:
            vectors = live.index.store.read(wanted)
        except KeyError as error:
            raise NoSuchPath(
                "A picture of this search is not in the gallery any more.", "Start a new search."
            ) from error
        # Stored as half floats.
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)

    def _leaders(self, live: OpenedSpace, ids: Sequence[int]) -> Ids:
        hashes = self.gallery.catalog.images.phashes(ids)
        vectors = self._stored(live, ids)
        return first_of_each(vectors, np.array([hashes.get(i, 0) for i in ids], np.int64))

    def _grouped(self, found: Ranked, start: int, calibrated: Calibrated) -> tuple[Neighbour, ...]:
        pairs = [pair for group in found.groups for pair in group]
        records = self.gallery.catalog.images.records(sorted(i for i, _ in pairs))
        made = []
        for rank, group in enumerate(found.groups, start=start + 1):
            # An image that was forgotten between the two look-ups has no record any more and is left out.
            known = [(i, s) for i, s in group if i in records]
            all_of_it = [_neighbour(rank, s, calibrated.probability(s), records[i]) for i, s in known]
            if all_of_it:
                made.append(replace(all_of_it[0], copies=tuple(all_of_it[1:])))
        return tuple(made)

    def _left_out_among(self, query: Query, allowed: Ids | None) -> int:
        records = self.gallery.catalog.images.records(sorted(query.left_out))
        present = [i for i in records if any(file.state == "present" for file in records[i].files)]
        return len(present) if allowed is None else int(np.isin(present, allowed).sum())

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
        whole = self._pool.run(DecodeBytes(data, self._spec(live)))
        made = small.result()
        if (error := whole.error or made.error) is not None:
            raise error
        assert whole.pixels is not None
        assert whole.facts is not None
        assert made.content is not None
        key = whole.facts.digest.hex()
        with disk_full_is_said(str(self.gallery.folder)):
            self.history.keep(key, made.content, live.encoder.embed(whole.pixels[None])[0], live.space.fingerprint)
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
                _above(row, filters),
                timings,
                searched,
                fact.width,
                fact.height,
                calibrated.nothing_like_this(scored),
            )
            for row, scored, fact in zip(rows, found, facts, strict=True)
        ]

    def _match(self, live: OpenedSpace, vectors: Vectors, k: int, filters: Filters | None) -> tuple[Matches, int]:
        allowed = self._allowed(live, filters)
        matches = live.index.search(vectors, k, allowed)
        return matches, len(live.index) if allowed is None else len(allowed)

    def _allowed(self, live: OpenedSpace, filters: Filters | None) -> Ids | None:
        if filters is None or not filters.restricts:
            return None
        return self.gallery.catalog.images.passing(live.space.id, filters)

    def _is_among(self, live: OpenedSpace, image_id: int, filters: Filters | None) -> bool:
        allowed = self._allowed(live, filters)
        return allowed is None or image_id in allowed

    def _neighbours(
        self, rows: Sequence[Sequence[tuple[int, float]]], calibrated: Calibrated
    ) -> list[tuple[Neighbour, ...]]:
        records = self.gallery.catalog.images.records(sorted({i for row in rows for i, _ in row}))
        # An image that was forgotten between the two look-ups has no record any more and is left out.
        return [
            tuple(
                _neighbour(rank, score, calibrated.probability(score), records[i])
                for rank, (i, score) in enumerate(((i, s) for i, s in row if i in records), start=1)
            )
            for row in rows
        ]

    # -- looking ---------------------------------------------------------------------------------------------------

    def record(self, image_id: int) -> ImageRecord:
        """What the catalog knows of an image. Raises NoSuchPath for an unknown id."""
        record = self.gallery.catalog.images.records([image_id]).get(image_id)
        if record is None:
            raise _no_such_image(image_id)
        return record

    def _is_present(self, image_id: int) -> bool:
        return any(file.state == "present" for file in self.record(image_id).files)

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


def _images_in(folder: bytes) -> Iterator[bytes]:
    for entry in scan(folder):
        path = os.path.join(folder, entry.relpath)
        if classify(path, os.path.basename(entry.relpath)) == "image":
            yield path


def _above(row: tuple[Neighbour, ...], filters: Filters | None) -> tuple[Neighbour, ...]:
    if filters is None or filters.min_score is None:
        return row
    return tuple(n for n in row if n.score >= filters.min_score)


def _neighbour(rank: int, score: float, probability: float | None, record: ImageRecord) -> Neighbour:
    return Neighbour(
        rank=rank,
        id=record.id,
        score=score,
        probability=probability,
        labels=record.labels,
        paths=record.paths,
        width=record.width,
        height=record.height,
        format=record.format,
        bytes=record.bytes,
        captured=record.captured,
        offline=all(file.offline or file.state != "present" for file in record.files),
    )


def _no_such_image(image_id: int) -> NoSuchPath:
    return NoSuchPath(f"The gallery has no image {image_id}.", "Ids stand in the results of a search.")
