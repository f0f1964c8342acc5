"""What the workflows give back: plain values, ready to be printed or shown."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One image that a search found.

    Attributes:
        rank: 1 for the nearest.
        id: the image's number in the gallery.
        score: cosine similarity in [-1, 1], rounded to 1e-6.
        probability: chance in [0, 1] that it carries the query's label, rounded to 1e-6; None where the space is not
            calibrated for this gallery.
        labels: in alphabetical order.
        paths: absolute, as ``os.fsdecode`` gives them; the page never shows these to those who may not see them.
        width, height: pixels, after EXIF orientation.
        format: e.g. ``"JPEG"``.
        bytes: size of the file.
        captured: when the picture was taken, if the file says so.
        offline: no file of it can be reached just now.
        copies: near-duplicates of it that were found too, best first, where a search was asked to put them together.
    """

    rank: int
    id: int
    score: float
    probability: float | None
    labels: tuple[str, ...]
    paths: tuple[str, ...]
    width: int
    height: int
    format: str
    bytes: int
    captured: datetime | None
    offline: bool
    copies: tuple["Neighbour", ...] = ()


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds that each part of one search took; for a batch, the batch's."""

    decode: float = 0.0
    encode: float = 0.0
    index: float = 0.0
    catalog: float = 0.0

    @property
    def total(self) -> float:
        """Sum of the parts, in seconds."""
        return self.decode + self.encode + self.index + self.catalog


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The neighbours of one query.

    Attributes:
        neighbours: best first; empty when nothing passes the filters.
        timings: how long each part took.
        searched: how many images the search could have returned (those that pass the filters).
        width, height: of the query, in pixels; 0 for a query by id.
        nothing_like_this: whether even the first matches are below what queries with a match here reach; None where
            that is not known. ``min_score`` plays no part in it.
        more: whether there is another page behind this one; only ``Searcher.find`` says so.
    """

    neighbours: tuple[Neighbour, ...]
    timings: Timings
    searched: int
    width: int = 0
    height: int = 0
    nothing_like_this: bool | None = None
    more: bool = False


@dataclass(frozen=True, slots=True)
class Browsed:
    """A page of the gallery's images.

    Attributes:
        ids: of this page, latest first.
        total: images in all.
    """

    ids: tuple[int, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What a gallery holds, in the words of the page's status line.

    Attributes:
        images: that can be found.
        model: name of the encoder; empty for an empty gallery.
        trained: False for an untrained encoder, whose neighbours mean little.
        fingerprint: of the live space.
        index: kind of the index, e.g. ``"faiss-flat"``.
    """

    images: int
    model: str
    trained: bool
    fingerprint: str
    index: str


@dataclass(frozen=True, slots=True)
class View:
    """An encoded picture for a browser.

    Attributes:
        content: the file's bytes.
        mime: its media type.
        etag: changes whenever the content may; quoted as HTTP wants it.
    """

    content: bytes
    mime: str
    etag: str
