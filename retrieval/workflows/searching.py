"""Upload a photo, see its nearest neighbours: one call down, one value back."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from retrieval.core.errors import BadValue, EmptyGallery, NoSuchPath, RetrievalError, disk_full_is_said
from retrieval.core.text import shown
from retrieval.core.types import EmbeddingSpace, Filters, ImageRecord
from retrieval.images.jobs import MakeView
from retrieval.images.pool import DecodePool
from retrieval.images.scan import images_in
from retrieval.workflows.encoders import GalleryEncoder, refuse_other_encoder
from retrieval.workflows.examples import Examples
from retrieval.workflows.finding import Finder
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.history import SIDE as KEPT_SIDE
from retrieval.workflows.history import History
from retrieval.workflows.live_index import LiveIndex, Say
from retrieval.workflows.matching import Explanation, ToMatch, explained
from retrieval.workflows.nearest import Nearest
from retrieval.workflows.opened import OpenedSpace
from retrieval.workflows.queries import Example, Query
from retrieval.workflows.ranking import DEEPEST
from retrieval.workflows.records import is_present, no_such_image, record_of
from retrieval.workflows.results import Browsed, SearchResult, Summary

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
        return self._asked(lambda live: self._nearest(live).by_image(data, k, filters))

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
        return self._asked(lambda live: self._nearest(live).by_files(paths, k, filters))

    def by_id(self, image_id: int, k: int = 10, filters: Filters | None = None) -> SearchResult:
        """The neighbours of an indexed image, itself left out; nothing is decoded.

        Raises:
            NoSuchPath: no findable image has this id.
        """
        return self._asked(lambda live: self._nearest(live).by_id(image_id, k, filters))

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
        return finder.find(query, k, filters, start, together, live.spec())

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
        spec, pair = live.spec(), (query, Example(image_id))
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
        vector = self._examples.vector_of(data, live.encoder, live.spec())
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

    def _nearest(self, live: OpenedSpace) -> Nearest:
        return Nearest(self.gallery, self._pool, live)

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
