"""A page of what is nearest to pictures, parts of them and judgements, in one space."""

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from retrieval.core.errors import NoSuchPath
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.types import Filters, Ids, Vectors
from retrieval.workflows.copies import first_of_each
from retrieval.workflows.examples import Examples
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.opened import Calibrated, OpenedSpace
from retrieval.workflows.queries import Query
from retrieval.workflows.ranking import Ranked, ReadExample, Wanted, ranked
from retrieval.workflows.records import allowed_ids, is_present, neighbour_of, no_such_image, record_of
from retrieval.workflows.results import Neighbour, SearchResult, Timings


class Finder:
    """Searches one space of a gallery by examples; ``Searcher.find`` says how.

    Args:
        gallery: opened.
        examples: decodes them.
        live: the space.
    """

    def __init__(self, gallery: Gallery, examples: Examples, live: OpenedSpace) -> None:
        self._gallery, self._examples, self._live = gallery, examples, live

    def find(
        self, query: Query, k: int, filters: Filters | None, start: int, together: bool, spec: Preprocessing
    ) -> SearchResult:
        """See ``Searcher.find``.

        Args:
            query, k, filters, start, together: as there.
            spec: how the space's encoder wants pictures.
        """
        began, live = perf_counter(), self._live
        read = self._read_examples(query, spec)
        decoded = perf_counter()
        direction = self._direction(query, read)
        encoded = perf_counter()
        allowed = allowed_ids(self._gallery, live.space, filters)
        found = ranked(
            lambda depth: live.index.search(direction[None], depth, allowed).row(0),
            query.left_out,
            lambda ids: self._leaders(ids),
            Wanted(start, k, None if filters is None else filters.min_score, together),
        )
        calibrated = live.calibrated() if query.is_one_picture else Calibrated()
        (nothing,) = calibrated.nothing_like_this([found.first], query.left_out)
        searched = perf_counter()
        neighbours = self._grouped(found, start, calibrated)
        among = len(live.index) if allowed is None else len(allowed)
        among -= self._left_out_among(query, allowed)
        times = Timings(decoded - began, encoded - decoded, searched - encoded, perf_counter() - searched)
        width, height = next(((one.width, one.height) for one in read.values()), (0, 0))
        return SearchResult(neighbours, times, among, width, height, nothing, found.more)

    def _read_examples(self, query: Query, spec: Preprocessing) -> dict[int, ReadExample]:
        """What must be decoded, by its place among all examples, and what was kept as a vector."""
        futures: dict[int, Any] = {}
        read: dict[int, ReadExample] = {}
        space = self._live.space
        for place, one in enumerate((*query.like, *query.unlike)):
            vector = self._examples.kept_vector(one, space.fingerprint, space.dimension)
            if vector is not None:
                read[place] = ReadExample(None, 0, 0, vector)
            elif one.image_id is None or one.region is not None:
                futures[place] = self._examples.decode(one, spec)
        for place, future in futures.items():
            result = future.result()
            if result.error is not None:
                raise result.error
            read[place] = ReadExample(result.pixels, result.facts.width, result.facts.height)
        return read

    def _direction(self, query: Query, read: dict[int, ReadExample]) -> Vectors:
        examples = (*query.like, *query.unlike)
        vectors = np.empty((len(examples), self._live.space.dimension), np.float32)
        decoded = {place: one.pixels for place, one in read.items() if one.pixels is not None}
        if decoded:
            vectors[list(decoded)] = self._live.encoder.embed(np.stack(list(decoded.values())))
            for place in decoded:
                self._examples.note(examples[place], self._live.space.fingerprint, vectors[place].copy())
        for place, one in read.items():
            if one.vector is not None:
                vectors[place] = one.vector
        stored = [place for place in range(len(examples)) if place not in read]
        if stored:
            indexed = [examples[place].image_id or 0 for place in stored]
            for image_id in indexed:
                if not is_present(record_of(self._gallery, image_id)):
                    raise no_such_image(image_id)
            vectors[stored] = self._stored(indexed)
        ids = np.array([image_id for image_id, _ in query.judged], np.int64)
        # What was judged and is gone since teaches nothing any more, and is no reason to refuse.
        there = ~np.isin(ids, self._live.index.store.missing(ids))
        judged = self._stored(ids[there].tolist())
        relevant = np.array([relevant for _, relevant in query.judged], np.float32)[there]
        return query.direction(vectors[: len(query.like)], vectors[len(query.like) :], judged, relevant)

    def _stored(self, ids: Sequence[int]) -> Vectors:
        """[n, D] unit norm. Raises NoSuchPath."""
        wanted = np.array(ids, np.int64)
        if not len(wanted):
            return np.empty((0, self._live.space.dimension), np.float32)
        try:
            vectors = self._live.index.store.read(wanted)
        except KeyError as error:
            raise NoSuchPath(
                "A picture of this search is not in the gallery any more.", "Start a new search."
            ) from error
        # Stored as half floats.
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)

    def _leaders(self, ids: Sequence[int]) -> Ids:
        hashes = self._gallery.catalog.images.phashes(ids)
        vectors = self._stored(ids)
        return first_of_each(vectors, np.array([hashes.get(i, 0) for i in ids], np.int64))

    def _grouped(self, found: Ranked, start: int, calibrated: Calibrated) -> tuple[Neighbour, ...]:
        pairs = [pair for group in found.groups for pair in group]
        records = self._gallery.catalog.images.records(sorted(i for i, _ in pairs))
        made = []
        for rank, group in enumerate(found.groups, start=start + 1):
            # An image that was forgotten between the two look-ups has no record any more and is left out.
            known = [(i, s) for i, s in group if i in records]
            all_of_it = [neighbour_of(rank, s, calibrated.probability(s), records[i]) for i, s in known]
            if all_of_it:
                made.append(replace(all_of_it[0], copies=tuple(all_of_it[1:])))
        return tuple(made)

    def _left_out_among(self, query: Query, allowed: Ids | None) -> int:
        records = self._gallery.catalog.images.records(sorted(query.left_out))
        present = [i for i in records if is_present(records[i])]
        return len(present) if allowed is None else int(np.isin(present, allowed).sum())
