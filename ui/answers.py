"""From what a person asked for to what the page shows: every outcome, errors too, becomes a piece of HTML."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.core.errors import EmptyGallery
from retrieval.core.text import shown
from retrieval.core.types import Filters
from retrieval.workflows.results import Neighbour, SearchResult
from ui import cards
from ui.addresses import Addresses
from ui.notices import Refused, render_error, render_notice
from ui.ports import Searches
from ui.words import Words

MOST = 100
SAMPLES = 8


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
        samples: HTML.
        choices: (words, value) of the labels.
        images: how many the gallery holds.
    """

    samples: str
    choices: list[tuple[str, str]]
    images: int


class Answers:
    """Asks the searcher and renders what it says.

    Args:
        searcher: the gallery.
        addresses: of pictures.
        max_upload_bytes: larger uploads are refused before they are read.
        words: the reader's language.
        leads_on: an empty gallery leads to the page where a folder can be added.
    """

    def __init__(
        self,
        searcher: Searches,
        addresses: Addresses,
        max_upload_bytes: int,
        words: Words,
        *,
        leads_on: bool = False,
    ) -> None:
        self._searcher = searcher
        self._addresses = addresses
        self._max_upload_bytes = max_upload_bytes
        self._words = words
        self._leads_on = leads_on

    def front(self) -> Front:
        """Everything but results, as it is now: another process may have indexed."""
        try:
            summary = self._searcher.summary()
            if not summary.images:
                return Front(cards.render_empty_gallery(self._words, leads_on=self._leads_on), [], 0)
            samples = cards.render_samples(self._searcher.samples(SAMPLES), self._addresses, self._words)
            choices = [(f"{shown(label, 60)} ({n:,})", shown(label)) for label, n in self._searcher.labels()]
            return Front(samples, choices, summary.images)
        except Exception as error:
            return Front(self._said(error), [], 0)

    def photo(self, file: str | None, options: Options) -> str:
        """The neighbours of an uploaded file."""
        if not file:
            return render_notice("info", self._words.search.choose_title, self._words.search.choose_text)
        return self._rendered(lambda filters: self._by_file(file, options, filters), options, None)

    def similar(self, image_id: object, options: Options) -> str:
        """The neighbours of an indexed image; the id comes from the browser and may be anything."""
        if isinstance(image_id, bool) or not isinstance(image_id, int) or not 0 < image_id < 2**63:
            return self._said(Refused(self._words.search.not_an_id))
        search = self._searcher.by_id
        return self._rendered(lambda filters: search(image_id, options.count, filters), options, image_id)

    def found(self, file: str, options: Options) -> dict[str, Any]:
        """The neighbours of an uploaded file, for programs. Raises RetrievalError, Refused."""
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
                return cards.render_no_match(result, filters.restricts, filters.min_score, self._words)
            return cards.render_results(result, self._addresses, self._words, query_id)
        except Exception as error:
            return self._said(error)

    def _said(self, error: Exception) -> str:
        if isinstance(error, EmptyGallery):
            return cards.render_empty_gallery(self._words, leads_on=self._leads_on)
        return render_error(error, self._words)

    def _by_file(self, file: str, options: Options, filters: Filters) -> SearchResult:
        return self._searcher.by_image(self._bytes_of(file), options.count, filters)

    def _filters(self, options: Options) -> Filters:
        return Filters(
            labels=self._real_labels(options.labels),
            not_labels=self._real_labels(options.not_labels),
            under=self._folder(options.under),
            min_score=float(options.min_score) if options.min_score and options.min_score > 0 else None,
        )

    def _real_labels(self, chosen: Sequence[str] | None) -> tuple[str, ...]:
        # The browser knows labels only as they are shown; a label that nothing carries any more stays as it is, and
        # then nothing is found.
        if not chosen:
            return ()
        known = [label for label, _ in self._searcher.labels() if shown(label) in chosen]
        return (*known, *(label for label in chosen if label not in {shown(one) for one in known}))

    def _folder(self, text: str | None) -> tuple[str, ...]:
        if not text or not text.strip():
            return ()
        path = Path(text.strip()).expanduser()
        if not path.is_absolute():
            said = self._words.search
            raise Refused(said.relative_folder.format(folder=text.strip()), said.relative_folder_hint)
        return (os.path.normpath(path),)

    def _bytes_of(self, file: str) -> bytes:
        limit = self._max_upload_bytes
        with open(file, "rb") as upload:
            data = upload.read(limit + 1)
        if len(data) > limit:
            said, megabytes = self._words.search, f"{limit / 1024 / 1024:g}"
            text = said.upload_too_large.format(limit=megabytes)
            raise Refused(text, said.upload_too_large_hint, about_file=True)
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
