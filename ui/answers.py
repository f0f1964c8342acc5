"""From what a person asked for to what the page shows: every outcome, errors too, becomes a piece of HTML."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from retrieval.core.errors import EmptyGallery, RetrievalError
from retrieval.core.text import shown
from retrieval.core.types import Filters
from retrieval.workflows.bounds import bytes_in, day
from retrieval.workflows.judging import judge_result
from retrieval.workflows.queries import Example, Query
from retrieval.workflows.results import Neighbour, SearchResult
from ui import cards
from ui.addresses import Addresses
from ui.asking import Asked, Nonsense, Picture, a_number
from ui.links import link_of
from ui.markup import escape
from ui.matching import render_match
from ui.notices import Refused, render_error, render_notice, told, too_large
from ui.options import Options
from ui.ports import Searches
from ui.refining import Shown, render_browsed, render_history
from ui.words import Words

SAMPLES = 8
BROWSED = 48


@dataclass(frozen=True, slots=True)
class Front:
    """What the page shows besides results.

    Attributes:
        samples: HTML.
        choices: (words, value) of the labels.
    """

    samples: str
    choices: list[tuple[str, str]]


class Answers:
    """Asks the searcher and renders what it says.

    Args:
        searcher: the gallery.
        addresses: of pictures.
        max_upload_bytes: larger uploads are refused before they are read.
        words: the reader's language.
        may_add: an empty gallery leads to the page where a folder can be added.
        gallery: its folder, where judgements are kept; None keeps none.
    """

    def __init__(
        self,
        searcher: Searches,
        addresses: Addresses,
        max_upload_bytes: int,
        words: Words,
        gallery: Path | None = None,
        *,
        may_add: bool = False,
    ) -> None:
        self._gallery = gallery
        self._searcher = searcher
        self._addresses = addresses
        self._max_upload_bytes = max_upload_bytes
        self._words = words
        self._may_add = may_add

    def front(self) -> Front:
        """Everything but results, as it is now: another process may have indexed."""
        try:
            summary = self._searcher.summary()
            if not summary.images:
                return Front(cards.render_empty_gallery(self._words, may_add=self._may_add), [])
            samples = cards.render_samples(self._searcher.samples(SAMPLES), self._addresses, self._words)
            choices = [(f"{shown(label, 60)} ({n:,})", shown(label)) for label, n in self._searcher.labels()]
            return Front(samples, choices)
        except Exception as error:
            return Front(self._said(error), [])

    def alive(self) -> bool:
        """Whether the gallery holds any image now, as far as can be told."""
        try:
            return self._searcher.summary().images > 0
        except Exception:
            return False

    def answer(self, asked: Asked | None, options: Options, refused: str = "") -> str:
        """A page of what was asked for.

        Args:
            asked: None before anything is.
            options: of the page.
            refused: why the last judgement could not be kept, if so.
        """
        if asked is None:
            return render_notice("info", self._words.search.choose_title, self._words.search.choose_text)
        try:
            filters, start = self._filters(options), asked.page * options.count
            result = self._searcher.find(self._query(asked), options.count, filters, start=start)
            link = link_of(asked, options) if self._gallery is not None or not _is_uploaded(asked) else ""
            if not result.neighbours:
                return cards.render_no_match(result, filters.restricts, filters.min_score, self._words, link)
            shown_with = Shown(asked, start + 1, self._gallery is not None, refused, link)
            return cards.render_results(result, self._addresses, self._words, shown_with)
        except Exception as error:
            return self._said(error)

    def settings(self, options: Options) -> list[Any]:
        """The options as the fields of the page take them, labels as they are offered there."""
        known = {shown(label) for label, _ in self._searcher.labels()}
        values = {field.name: getattr(options, field.name) for field in fields(Options)}
        for name in ("labels", "not_labels"):
            values[name] = [label for label in values[name] or () if label in known]
        values["k"] = options.count
        return list(values.values())

    def all_of(self, asked: Asked, options: Options, most: int) -> Sequence[Neighbour]:
        """The best of a search, whatever the page. Raises RetrievalError, Refused."""
        return self._searcher.find(self._query(asked), most, self._filters(options)).neighbours

    def uploaded(self, file: str) -> Picture:
        """An upload as a picture to search with, known by its content where it can be read."""
        try:
            return Picture(file=file, key=hashlib.sha256(self._bytes_of(file)).hexdigest())
        except Refused:
            # Said once it is searched with.
            return Picture(file=file)

    def remember(self, picture: Picture) -> bool:
        """Keep an upload in the history, so that links to its search work; whether it is kept now."""
        if self._gallery is None or picture.file is None:
            return False
        try:
            self._searcher.remember(self._bytes_of(picture.file))
        except (RetrievalError, Refused, OSError):
            # The results are there all the same; what was wrong with the file they have said.
            return False
        return True

    def history(self) -> str:
        """The photos that were searched with, to search with again."""
        if self._gallery is None:
            return ""
        return render_history(self._searcher.history.keys(), self._words)

    def forget_history(self) -> str:
        """Clear it; what is there then."""
        if self._gallery is not None:
            self._searcher.history.clear()
        return self.history()

    def browsed(self, page: object) -> str:
        """A page of the gallery's pictures; the number comes from the browser and may be anything."""
        try:
            number = a_number(page, least=0)
            found = self._searcher.browse(number * BROWSED, BROWSED)
            return render_browsed(found, number, BROWSED, self._addresses, self._words)
        except Exception as error:
            return self._said(error)

    def matched(self, asked: Asked | None, image: object, token: object) -> str:
        """Where the picture that was searched with, the first of several, and an image match.

        Args:
            asked: None before anything is.
            image: its id; comes from the browser and may be anything.
            token: by which the browser knows its question again; the same.
        """
        name = token if isinstance(token, str) and token.isdecimal() else ""
        try:
            image_id = a_number(image)
            if asked is None:
                raise Nonsense
            found = self._searcher.explain(self._example(asked.like[0]), image_id)
            return render_match(found, asked, image_id, self._addresses, self._words, name)
        except Exception as error:
            return f'<div data-match="{escape(name)}">{self._said(error)}</div>'

    def too_large(self) -> str:
        """That a file was not sent, since it is larger than what is taken."""
        return self._said(too_large(self._max_upload_bytes, self._words))

    def said(self, error: Exception) -> str:
        """An error as a box."""
        return self._said(error)

    def keep(self, asked: Asked, image_id: int, judge: str = "") -> str:
        """Keep what ``asked`` says of an image; why it could not be kept, or nothing.

        Only of searches by one picture: what belongs to several together says little of each.
        """
        if self._gallery is None or not asked.is_one_picture:
            return ""
        try:
            relevant = dict(asked.judged).get(image_id)
            judge_result(self._gallery, self._example(asked.like[0]), image_id, relevant, judge)
        except RetrievalError as error:
            text, hint, _ = told(error, self._words)
            return f"{text} {hint}".strip()
        except Refused as error:
            return error.text
        return ""

    def _query(self, asked: Asked) -> Query:
        return Query(
            tuple(self._example(one) for one in asked.like),
            tuple(self._example(one) for one in asked.unlike),
            asked.judged,
        )

    def _example(self, picture: Picture) -> Example:
        if picture.image_id is not None:
            return Example(picture.image_id, None, picture.region)
        if picture.file is None:
            return Example(None, None, picture.region, picture.key)
        return Example(None, self._bytes_of(picture.file), picture.region)

    def found(self, file: str, options: Options) -> dict[str, Any]:
        """The neighbours of an uploaded file, for programs. Raises RetrievalError, Refused."""
        result = self._by_file(file, options, self._filters(options))
        return {
            "searched": result.searched,
            "seconds": round(result.timings.total, 4),
            "neighbours": [_as_json(neighbour) for neighbour in result.neighbours],
        }

    def _said(self, error: Exception) -> str:
        if isinstance(error, Nonsense):
            return render_error(Refused(self._words.search.not_an_id), self._words)
        if isinstance(error, EmptyGallery):
            return cards.render_empty_gallery(self._words, may_add=self._may_add)
        return render_error(error, self._words)

    def _by_file(self, file: str, options: Options, filters: Filters) -> SearchResult:
        return self._searcher.by_image(self._bytes_of(file), options.count, filters)

    def _filters(self, options: Options) -> Filters:
        return Filters(
            labels=self._real_labels(options.labels),
            not_labels=self._real_labels(options.not_labels),
            under=self._folder(options.under),
            min_score=float(options.min_score) if options.min_score and options.min_score > 0 else None,
            after=day(options.after),
            before=day(options.before),
            min_side=_pixels(options.min_side),
            max_side=_pixels(options.max_side),
            min_bytes=bytes_in(options.min_size),
            max_bytes=bytes_in(options.max_size),
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
        said = self._words.refine
        try:
            with open(file, "rb") as upload:
                data = upload.read(limit + 1)
        except FileNotFoundError:
            # Uploads are kept for some hours.
            raise Refused(said.upload_gone, said.upload_gone_hint, about_file=True) from None
        if len(data) > limit:
            raise too_large(limit, self._words)
        return data


def _is_uploaded(asked: Asked) -> bool:
    return any(one.image_id is None for one in (*asked.like, *asked.unlike))


def _pixels(value: float | None) -> int | None:
    return int(value) if value is not None and 1 <= value < 2**31 else None


def _as_json(neighbour: Neighbour) -> dict[str, Any]:
    return {
        "rank": neighbour.rank,
        "id": neighbour.id,
        "score": neighbour.score,
        "probability": neighbour.probability,
        "labels": [shown(label) for label in neighbour.labels],
        "paths": [shown(path) for path in neighbour.paths],
        "width": neighbour.width,
        "height": neighbour.height,
        "format": neighbour.format,
        "bytes": neighbour.bytes,
        "captured": neighbour.captured.isoformat() if neighbour.captured else None,
        "offline": neighbour.offline,
    }
