"""What the page needs from the workflows, as two small protocols.

``retrieval.workflows.searching.Searcher`` and ``retrieval.workflows.views.Views`` are the real thing. The page names
shapes instead of classes so that it can be imported, and tested with an in-memory twin, without a model.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

from retrieval.core.types import Filters, ImageRecord
from retrieval.workflows.matching import Explanation
from retrieval.workflows.queries import Example, Query
from retrieval.workflows.results import Browsed, SearchResult, Summary, View

Kind = Literal["thumbnail", "full"]


class Kept(Protocol):
    """Photos that were searched with, by the SHA-256 of their content in hexadecimal."""

    def keys(self) -> Sequence[str]:
        """The latest first."""

    def picture(self, key: str) -> bytes:
        """JPEG. Raises NoSuchPath."""

    def clear(self) -> int:
        """Forget all; how many there were."""


class Searches(Protocol):
    """A gallery opened for searching; called from several threads."""

    def by_image(self, data: bytes, k: int = ..., filters: Filters | None = ...) -> SearchResult:
        """The neighbours of an uploaded picture. Raises ImageError, EmptyGallery."""

    def by_id(self, image_id: int, k: int = ..., filters: Filters | None = ...) -> SearchResult:
        """The neighbours of an indexed image. Raises NoSuchPath, EmptyGallery."""

    def explain(self, query: Example, image_id: int) -> Explanation:
        """Where a picture and an image match. Raises ImageError, NoSuchPath, NoGrid, EmptyGallery."""

    def record(self, image_id: int) -> ImageRecord:
        """What is known of an image. Raises NoSuchPath."""

    def find(
        self, query: Query, k: int = ..., filters: Filters | None = ..., *, start: int = ..., together: bool = ...
    ) -> SearchResult:
        """A page of what is nearest to examples and judgements. Raises as ``Searcher.find`` does."""

    @property
    def history(self) -> Kept:
        """Uploads that were searched with."""

    def remember(self, data: bytes) -> str:
        """Keep an upload; its key. Raises ImageError, EmptyGallery, DiskFull."""

    def browse(self, start: int, count: int) -> Browsed:
        """A page of the gallery's images, latest first."""

    def labels(self) -> Sequence[tuple[str, int]]:
        """(label, images that carry it), most frequent first."""

    def samples(self, count: int) -> Sequence[int]:
        """Ids of up to ``count`` images to try a search with."""

    def summary(self) -> Summary:
        """What the gallery holds; never raises for an empty one."""


class Pictures(Protocol):
    """Encoded pictures by image id; called from several threads."""

    @property
    def generation(self) -> int:
        """Changes when an id may mean another picture than before: after a restore."""

    def etag(self, image_id: int, kind: Kind) -> str:
        """The tag of a view, without making it. Raises NoSuchPath."""

    def view(self, image_id: int, kind: Kind) -> View:
        """A picture. Raises NoSuchPath, ImageError."""
