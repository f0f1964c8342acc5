"""From what a person asked for to what the page shows: every outcome, errors too, becomes a piece of HTML."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.core.errors import BadValue, EmptyGallery, ImageError, Reason, RetrievalError
from retrieval.core.text import shown
from retrieval.core.types import Filters
from retrieval.workflows.results import Neighbour, SearchResult
from ui import cards
from ui.addresses import Addresses
from ui.ports import Searches

MOST = 100
SAMPLES = 8

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """What the options of the page are set to, as the browser sends them.

    Attributes:
        k: how many neighbours.
        labels, not_labels: as they are shown.
        under: a folder; empty for all.
        min_score: 0 or less keeps all.
    """

    k: float = 12
    labels: Sequence[str] | None = None
    not_labels: Sequence[str] | None = None
    under: str | None = ""
    min_score: float | None = 0.0

    @property
    def count(self) -> int:
        """k, within what the page offers."""
        return max(1, min(MOST, int(self.k or 1)))


@dataclass(frozen=True, slots=True)
class Front:
    """What the page shows besides results.

    Attributes:
        masthead, samples: HTML.
        choices: (words, value) of the labels.
        images: how many the gallery holds.
    """

    masthead: str
    samples: str
    choices: list[tuple[str, str]]
    images: int


class Answers:
    """Asks the searcher and renders what it says.

    Args:
        searcher: the gallery.
        addresses: of pictures.
        max_upload_bytes: larger uploads are refused before they are read.
        title: of the page.
    """

    def __init__(self, searcher: Searches, addresses: Addresses, max_upload_bytes: int, title: str) -> None:
        self._searcher = searcher
        self._addresses = addresses
        self._max_upload_bytes = max_upload_bytes
        self._title = title

    def front(self) -> Front:
        """Everything but results, as it is now: another process may have indexed."""
        try:
            summary = self._searcher.summary()
            head = cards.render_masthead(self._title, summary)
            if not summary.images:
                return Front(head, cards.render_empty_gallery(), [], 0)
            samples = cards.render_samples(self._searcher.samples(SAMPLES), self._addresses)
            choices = [(f"{shown(label, 60)} ({n:,})", shown(label)) for label, n in self._searcher.labels()]
            return Front(head, samples, choices, summary.images)
        except Exception as error:
            return Front(cards.render_masthead(self._title, None), _said(error), [], 0)

    def photo(self, file: str | None, options: Options) -> str:
        """The neighbours of an uploaded file."""
        if not file:
            return cards.render_notice("info", "Choose a photo first", "Drop one on the left, or pick a sample.")
        return self._rendered(lambda filters: self._by_file(file, options, filters), options, None)

    def similar(self, image_id: object, options: Options) -> str:
        """The neighbours of an indexed image; the id comes from the browser and may be anything."""
        if isinstance(image_id, bool) or not isinstance(image_id, int) or not 0 < image_id < 2**63:
            return _said(BadValue("This is not the number of an image."))
        search = self._searcher.by_id
        return self._rendered(lambda filters: search(image_id, options.count, filters), options, image_id)

    def found(self, file: str, options: Options) -> dict[str, Any]:
        """The neighbours of an uploaded file, for programs. Raises RetrievalError."""
        result = self._by_file(file, options, self._filters(options))
        return {
            "searched": result.searched,
            "seconds": round(result.timings.total, 4),
            "neighbours": [_as_json(neighbour) for neighbour in result.neighbours],
        }

    def _rendered(self, search: Callable[[Filters], SearchResult], options: Options, query_id: int | None) -> str:
        try:
            filters = self._filters(options)
            result = search(filters)
            if not result.neighbours:
                return cards.render_no_match(result, filters.restricts, filters.min_score)
            return cards.render_results(result, self._addresses, query_id)
        except Exception as error:
            return _said(error)

    def _by_file(self, file: str, options: Options, filters: Filters) -> SearchResult:
        return self._searcher.by_image(_bytes_of(file, self._max_upload_bytes), options.count, filters)

    def _filters(self, options: Options) -> Filters:
        return Filters(
            labels=self._real_labels(options.labels),
            not_labels=self._real_labels(options.not_labels),
            under=_folder(options.under),
            min_score=float(options.min_score) if options.min_score and options.min_score > 0 else None,
        )

    def _real_labels(self, chosen: Sequence[str] | None) -> tuple[str, ...]:
        # The browser knows labels only as they are shown; a label that nothing carries any more stays as it is, and
        # then nothing is found.
        if not chosen:
            return ()
        known = [label for label, _ in self._searcher.labels() if shown(label) in chosen]
        return (*known, *(label for label in chosen if label not in {shown(one) for one in known}))


def _folder(text: str | None) -> tuple[str, ...]:
    if not text or not text.strip():
        return ()
    path = Path(text.strip()).expanduser()
    if not path.is_absolute():
        raise BadValue(f"The folder {text.strip()} is not a full path.", "Write it from the root of the drive.")
    return (os.path.normpath(path),)


def _bytes_of(file: str, limit: int) -> bytes:
    with open(file, "rb") as upload:
        data = upload.read(limit + 1)
    if len(data) > limit:
        raise ImageError(
            Reason.TOO_LARGE,
            f"The file is larger than {limit / 1024 / 1024:g} MB.",
            "Send a smaller copy, or set RETRIEVAL_MAX_UPLOAD_MB.",
        )
    return data


def _as_json(neighbour: Neighbour) -> dict[str, Any]:
    return {
        "rank": neighbour.rank,
        "id": neighbour.id,
        "score": neighbour.score,
        "labels": [shown(label) for label in neighbour.labels],
        "paths": [shown(path) for path in neighbour.paths],
        "width": neighbour.width,
        "height": neighbour.height,
        "format": neighbour.format,
        "bytes": neighbour.bytes,
        "captured": neighbour.captured.isoformat() if neighbour.captured else None,
        "offline": neighbour.offline,
    }


def _said(error: Exception) -> str:
    if isinstance(error, EmptyGallery):
        return cards.render_empty_gallery()
    if isinstance(error, ImageError):
        return cards.render_notice("error", "This file cannot be searched with", error.message, error.hint)
    if isinstance(error, RetrievalError):
        return cards.render_notice("error", "That did not work", error.message, error.hint)
    _log.error("The page met an unexpected error.", exc_info=error)
    return cards.render_notice(
        "error", "Something went wrong in the program", "The terminal that it runs in says more.", "Try once more."
    )
