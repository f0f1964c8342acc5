"""In-memory twins of ``Searcher`` and ``Views``: what they answer is set by the test."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from retrieval.core.errors import GalleryBusy, ImageError, NoSuchPath, Reason
from retrieval.core.types import FileRecord, Filters, ImageRecord
from retrieval.workflows.matching import Explanation, Heat
from retrieval.workflows.queries import Example, Query
from retrieval.workflows.results import Browsed, Neighbour, SearchResult, Summary, Timings, View
from tests.ui.drawing import picture
from ui.ports import Kind

NEIGHBOUR = Neighbour(
    rank=1,
    id=7,
    score=0.873456,
    probability=None,
    labels=("apple", "red"),
    paths=("/photos/fruit/apple 1.jpg",),
    width=4032,
    height=3024,
    format="JPEG",
    bytes=1_400_000,
    captured=datetime(2021, 6, 7, 14, 5),
    offline=False,
)
SUMMARY = Summary(images=1234, model="mobilenetv2_100", trained=True, fingerprint="f" * 64, index="faiss-flat")


def neighbours(number: int) -> tuple[Neighbour, ...]:
    """That many, with ranks and ids from 1."""
    return tuple(replace(NEIGHBOUR, rank=n, id=n, score=1 - n / 100) for n in range(1, number + 1))


def result(found: Sequence[Neighbour], searched: int = 1234) -> SearchResult:
    """A result with them."""
    return SearchResult(tuple(found), Timings(0.011, 0.062, 0.003, 0.008), searched, 640, 480)


def explanation(*, exact: bool = True) -> Explanation:
    """A wide query of 1 x 3 cells and a tall image of 2 x 1: the query's last and the image's first belong together."""
    pairs = np.array([[0.0, 0.1], [0.1, 0.0], [0.5, 0.1]], np.float32)
    query = np.array([[0.1, 0.1, 0.6]], np.float32)
    image = np.array([[0.6], [0.2]], np.float32)
    return Explanation(
        Heat(640, 480, (0.1, 0.0, 0.9, 1.0), query, query / 0.6),
        Heat(480, 640, (0.0, 0.25, 1.0, 0.75), image, image / 0.6),
        pairs,
        0.8,
        exact,
    )


@dataclass
class HistoryTwin:
    """Keeps keys in memory."""

    kept: list[str] = field(default_factory=list)

    def keys(self) -> list[str]:
        return list(self.kept)

    def picture(self, key: str) -> bytes:
        if key not in self.kept:
            raise NoSuchPath("The photo of this search is not kept any more.")
        return picture((200, 120, 40), 1)

    def clear(self) -> int:
        count = len(self.kept)
        self.kept.clear()
        return count


@dataclass
class SearcherTwin:
    """Answers every search with ``answer``, or raises it; keeps what it was asked."""

    answer: SearchResult | Exception = field(default_factory=lambda: result(neighbours(3)))
    state: Summary = SUMMARY
    known: tuple[tuple[str, int], ...] = (("apple", 3), ("caf\udce9", 1))
    asked: list[tuple[object, int, Filters | None]] = field(default_factory=list)
    queries: list[tuple[Query, int]] = field(default_factory=list)
    history: HistoryTwin = field(default_factory=HistoryTwin)
    explanation: Explanation | Exception = field(default_factory=lambda: explanation())
    explained: list[tuple[Example, int]] = field(default_factory=list)

    def by_image(self, data: bytes, k: int = 10, filters: Filters | None = None) -> SearchResult:
        return self._answer(data, k, filters)

    def by_id(self, image_id: int, k: int = 10, filters: Filters | None = None) -> SearchResult:
        return self._answer(image_id, k, filters)

    def find(
        self,
        query: Query,
        k: int = 10,
        filters: Filters | None = None,
        *,
        start: int = 0,
        together: bool = True,
    ) -> SearchResult:
        self.queries.append((query, start))
        one = query.like[0]
        return self._answer(one.image_id if one.data is None else one.data, k, filters)

    def explain(self, query: Example, image_id: int) -> Explanation:
        self.explained.append((query, image_id))
        if isinstance(self.explanation, Exception):
            raise self.explanation
        return self.explanation

    def remember(self, data: bytes) -> str:
        key = hashlib.sha256(data).hexdigest()
        self.history.kept.insert(0, key)
        return key

    def browse(self, start: int, count: int) -> Browsed:
        ids = range(self.state.images, 0, -1)[start : start + count]
        return Browsed(tuple(ids), self.state.images)

    def _answer(self, query: object, k: int, filters: Filters | None) -> SearchResult:
        self.asked.append((query, k, filters))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def record(self, image_id: int) -> ImageRecord:
        if image_id > 50:
            raise NoSuchPath(f"The gallery has no image {image_id}.", "Ids stand in the results of a search.")
        file = FileRecord("/photos/fruit/caf\udce9 1.jpg", "present", False)
        return ImageRecord(image_id, "ab" * 32, 640, 480, "JPEG", 1000, None, (file,), ("apple", "caf\udce9"))

    def labels(self) -> list[tuple[str, int]]:
        return list(self.known)

    def samples(self, count: int) -> list[int]:
        return list(range(1, count + 1))

    def summary(self) -> Summary:
        return self.state


class ViewsTwin:
    """Has images 1 to 50; 40 is offline, 41 has become unreadable, and at 42 the gallery is busy."""

    def __init__(self) -> None:
        self.made = 0
        self.generation = 0

    def etag(self, image_id: int, kind: Kind) -> str:
        if not 1 <= image_id <= 50:
            raise NoSuchPath(f"The gallery has no image {image_id}.")
        return f'"{image_id}-{kind}"'

    def view(self, image_id: int, kind: Kind) -> View:
        if image_id == 40:
            raise NoSuchPath("No file of image 40 can be reached just now.", "Connect the drive.")
        if image_id == 42:
            raise GalleryBusy("Another process is writing.", "Try again.")
        if image_id == 41:
            raise ImageError(Reason.CORRUPT, "The file is damaged.")
        self.made += 1
        return View(picture((200, 120, 40), image_id), "image/png", self.etag(image_id, kind))
