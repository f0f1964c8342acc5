"""A gallery whose visitors may not see where files lie: the same searches, with file names in the place of paths."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from retrieval.core.errors import BadValue, RetrievalError
from retrieval.core.hiding import file_name, without_paths
from retrieval.core.types import Filters, ImageRecord
from retrieval.workflows.matching import Explanation
from retrieval.workflows.queries import Example, Query
from retrieval.workflows.results import Browsed, Neighbour, SearchResult, Summary
from ui.ports import Kept, Searches

T = TypeVar("T")


class WithoutPaths:
    """``Searches`` around another one; no answer and no error of it holds a path.

    Args:
        searcher: the gallery.
    """

    def __init__(self, searcher: Searches) -> None:
        self._searcher = searcher

    def by_image(self, data: bytes, k: int = 10, filters: Filters | None = None) -> SearchResult:
        """See ``Searches``. Raises BadValue: the filters name a folder, which would tell whether there is one."""
        _refuse_folders(filters)
        return _named(_told(lambda: self._searcher.by_image(data, k, filters)))

    def by_id(self, image_id: int, k: int = 10, filters: Filters | None = None) -> SearchResult:
        """See ``Searches``. Raises BadValue: see ``by_image``."""
        _refuse_folders(filters)
        return _named(_told(lambda: self._searcher.by_id(image_id, k, filters)))

    def record(self, image_id: int) -> ImageRecord:
        """See ``Searches``."""
        record = _told(lambda: self._searcher.record(image_id))
        return replace(record, files=tuple(replace(file, path=file_name(file.path)) for file in record.files))

    def find(
        self,
        query: Query,
        k: int = 10,
        filters: Filters | None = None,
        *,
        start: int = 0,
        together: bool = True,
    ) -> SearchResult:
        """See ``Searches``. Raises BadValue: see ``by_image``."""
        _refuse_folders(filters)
        return _named(_told(lambda: self._searcher.find(query, k, filters, start=start, together=together)))

    def explain(self, query: Example, image_id: int) -> Explanation:
        """See ``Searches``."""
        return _told(lambda: self._searcher.explain(query, image_id))

    @property
    def history(self) -> Kept:
        """See ``Searches``."""
        return self._searcher.history

    def remember(self, data: bytes) -> str:
        """See ``Searches``."""
        return _told(lambda: self._searcher.remember(data))

    def browse(self, start: int, count: int) -> Browsed:
        """See ``Searches``."""
        return _told(lambda: self._searcher.browse(start, count))

    def labels(self) -> Sequence[tuple[str, int]]:
        """See ``Searches``."""
        return _told(self._searcher.labels)

    def samples(self, count: int) -> Sequence[int]:
        """See ``Searches``."""
        return _told(lambda: self._searcher.samples(count))

    def summary(self) -> Summary:
        """See ``Searches``."""
        return _told(self._searcher.summary)


def _refuse_folders(filters: Filters | None) -> None:
    if filters is not None and filters.under:
        raise BadValue("This server does not show where files lie.", "Leave the folder out.")


def _named(result: SearchResult) -> SearchResult:
    return replace(result, neighbours=tuple(map(_with_names, result.neighbours)))


def _with_names(one: Neighbour) -> Neighbour:
    return replace(one, paths=tuple(map(file_name, one.paths)), copies=tuple(map(_with_names, one.copies)))


def _told(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except RetrievalError as error:
        told = copy.copy(error)
        told.message, told.hint = without_paths(error.message), without_paths(error.hint)
        raise told from error
