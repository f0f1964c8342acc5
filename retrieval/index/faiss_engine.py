"""The FAISS engines: flat, and inverted lists with 8-bit or product-quantised vectors.

FAISS only proposes candidates. Their scores are computed exactly, in float64, from the vector source, so that every
engine gives the same score for the same pair, to the bit, and ties stand in ascending order of id. (FAISS alone
returns ties in descending order and cuts them anywhere.)
"""

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.core.files import write_json
from retrieval.core.protocols import VectorSource
from retrieval.core.types import NO_ID, Ids, Matches, Vectors
from retrieval.functional.topk import SCORE_STEP, TopK, best_columns, candidate_scores, coarse_error, unit_rows
from retrieval.index.arguments import checked_batch, checked_ids, checked_queries
from retrieval.index.blocks import BLOCK, blocks
from retrieval.index.exact import load_array, save_array
from retrieval.index.idset import IdSet, ascending
from retrieval.index.library import faiss
from retrieval.index.packed import clear_unused
from retrieval.index.parameters import FLAT, IVF_PQ, Parameters
from retrieval.index.selection import Selection

SCAN_LIMIT = 20_000
SCAN_VALUES = 8_000_000
"""A filter that leaves at most so many vectors, of so many components in all, is answered by reading exactly those
from the source: 20,000 vectors of 384 dimensions, 6,250 of 1280; some 20 ms either way."""

SLACK = 32
"""Candidates fetched beyond k at the least, so that ties at the boundary are usually seen at once."""

QUERIES_AT_ONCE = 256
CANDIDATES_AT_ONCE = 1 << 20
"""Queries handed to FAISS together, and their candidates at first: bounds the memory."""

TUNED_K = 10
"""Matches for which nprobe and overfetch are tuned when an index is built."""

PQ_GROUP = 4
"""Dimensions that share one 4-bit code of the product quantiser."""

TIE = 2e-6
"""Exact scores closer than this may tie after rounding."""


class FaissIndex:
    """Nearest neighbours through FAISS, re-ranked exactly. Safe to use from several threads (one at a time works).

    Args:
        source: the exact vectors. Every id must be in it before it is added here, with the vector that is added,
            and until it is removed here.
        parameters: kind and how it is searched; flat by default.
        structure: the FAISS index; None makes an empty flat one. Those of other kinds come from ``build``.

    Raises:
        ValueError: no structure for a kind that needs training.

    Attributes:
        scan_limit: filters that leave at most so many vectors are answered exactly; see ``SCAN_LIMIT``.
        parameters: as given; ``nprobe`` and ``overfetch`` steer how far a search looks.
    """

    def __init__(self, source: VectorSource, parameters: Parameters | None = None, structure: Any = None) -> None:
        self.parameters = parameters or Parameters()
        if structure is None:
            if self.parameters.kind != FLAT:
                raise ValueError(f"An index of kind {self.parameters.kind} must be built: it is trained on vectors.")
            structure = faiss.IndexIDMap(faiss.IndexFlatIP(source.dimension))
        self.scan_limit = min(SCAN_LIMIT, SCAN_VALUES // source.dimension)
        self._source = source
        self._structure = structure
        self._clear_unused()
        self._ids = IdSet()
        self._ids.add(_ids_of_lists(structure) if self.parameters.kind != FLAT else np.empty(0, dtype=np.int64))
        self._lock = threading.RLock()

    @property
    def kind(self) -> str:
        """One of ``parameters.KINDS``."""
        return self.parameters.kind

    @property
    def dimension(self) -> int:
        """D."""
        return self._source.dimension

    def __len__(self) -> int:
        return len(self._ids)

    def ids(self) -> Ids:
        """All ids, ascending."""
        with self._lock:
            return self._ids.ascending()

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add or replace; see ``VectorIndex.add``. The source must already have the same vectors."""
        ids, vectors = checked_batch(ids, vectors, self.dimension)
        with self._lock:
            self.remove(ids)
            for start in range(0, len(ids), BLOCK):
                part = slice(start, start + BLOCK)
                self._structure.add_with_ids(self._fed(vectors[part]), ids[part])
                self._ids.add(ids[part])

    def remove(self, ids: Ids) -> int:
        """Remove; see ``VectorIndex.remove``. Costs a pass over all ids, so remove in batches."""
        ids = checked_ids(ids)
        with self._lock:
            there = np.unique(ids[self._ids.contains(ids)])
            if len(there):
                self._structure.remove_ids(faiss.IDSelectorBatch(there))
                self._clear_unused()
                self._ids.remove(there)
            return len(there)

    def search(self, queries: Vectors, k: int, allowed: Ids | None = None) -> Matches:
        """The k nearest of each query; see ``VectorIndex.search``.

        Always returns min(k, vectors that are present and allowed) matches. Exact for the flat kind, under filters
        that leave at most ``scan_limit`` vectors, and where k asks for half of everything or more.

        Raises:
            ValueError: as the protocol says.
            KeyError: the source lacks an id that the index holds.
        """
        queries = checked_queries(queries, k, self.dimension)
        with self._lock:
            pool = None if allowed is None else self._present(allowed)
            if pool is not None and len(pool) == len(self):
                pool = None
            count = len(self) if pool is None else len(pool)
            if 2 * k >= count or (pool is not None and count <= self.scan_limit):
                return self._scan(queries, self.ids() if pool is None else pool, k)
            selection = None if pool is None else Selection(pool)
            found = Matches(np.empty((len(queries), k), dtype=np.int64), np.empty((len(queries), k)))
            step = max(1, min(QUERIES_AT_ONCE, CANDIDATES_AT_ONCE // self._reach(k, count)[0]))
            for start in range(0, len(queries), step):
                part = slice(start, start + step)
                matches = self._search_part(queries[part], k, pool, selection)
                found.ids[part], found.scores[part] = matches.ids, matches.scores
            return found

    def save(self, folder: Path) -> None:
        """Write ``engine.json`` and ``ids.npy`` (flat: the vectors are the source's) or ``lists.faiss``.

        Raises:
            OSError: a file could not be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        with self._lock:
            write_json(folder / "engine.json", self.parameters.to_json())
            if self.kind == FLAT:
                save_array(folder / "ids.npy", self.ids())
            else:
                with open(folder / "lists.faiss", "wb") as file:
                    # By Python file and not by path: FAISS cannot open non-ASCII paths everywhere.
                    faiss.write_index(self._structure, faiss.PyCallbackIOWriter(file.write))

    @classmethod
    def load(cls, folder: Path, source: VectorSource) -> "FaissIndex":
        """The index that ``save`` wrote.

        FAISS's reader is not made for hostile bytes: load only what your own program wrote, checksums verified
        (``snapshot.load`` does).

        Raises:
            OSError, ValueError, RuntimeError: the files are not what ``save`` wrote.
            KeyError: the source lacks an id (found here for the flat kind only).
        """
        parameters = Parameters.from_json(json.loads((folder / "engine.json").read_bytes()))
        if parameters.kind == FLAT:
            index = cls(source, parameters)
            for ids, vectors in blocks(checked_ids(load_array(folder / "ids.npy")), source):
                index.add(ids, vectors)
            return index
        with open(folder / "lists.faiss", "rb") as file:
            structure = faiss.read_index(faiss.PyCallbackIOReader(file.read))
        if structure.d != fed_dimension(source.dimension, parameters.kind):
            raise ValueError(f"The lists hold vectors of {structure.d} dimensions.")
        return cls(source, parameters, structure)

    def _clear_unused(self) -> None:
        if self.kind == IVF_PQ:
            clear_unused(self._structure)

    def _present(self, allowed: Ids) -> Ids:
        wanted = ascending(checked_ids(allowed))
        return wanted[self._ids.contains(wanted)]

    def _fed(self, vectors: Vectors) -> Vectors:
        """Vectors as FAISS gets them: unit norm, padded with zeros to the structure's dimension."""
        return fed(vectors, int(self._structure.d))

    def _scan(self, queries: Vectors, ids: Ids, k: int) -> Matches:
        """The exact answer among ``ids``, from the source in blocks."""
        best = TopK(queries, k)
        for part, vectors in blocks(ids, self._source):
            best.update(part, vectors)
        return best.matches()

    def _search_part(self, queries: Vectors, k: int, pool: Ids | None, selection: Selection | None) -> Matches:
        """At least 2 k vectors are allowed here. Look further, for the queries that need it, until all are settled."""
        count = len(self) if pool is None else len(pool)
        found = Matches(np.empty((len(queries), k), dtype=np.int64), np.empty((len(queries), k)))
        fetch, nprobe = self._reach(k, count)
        pending = np.arange(len(queries))
        while len(pending):
            if fetch >= count and nprobe >= self.parameters.lists:
                matches = self._scan(queries[pending], self.ids() if pool is None else pool, k)
                settled = np.ones(len(pending), dtype=np.bool_)
            else:
                coarse, ids = self._candidates(queries[pending], min(fetch, count), nprobe, selection)
                exact = candidate_scores(queries[pending], ids, self._source.read)
                matches = best_columns(ids, exact, k)
                settled = self._settled(coarse, ids, exact, matches, count)
            found.ids[pending], found.scores[pending] = matches.ids, matches.scores
            # With all lists looked into, only a larger fetch can help; it ends in a scan at the latest.
            short = nprobe < self.parameters.lists and bool(np.any(matches.ids[~settled, -1] == NO_ID))
            pending = pending[~settled]
            fetch, nprobe = (fetch, nprobe * 4) if short else (fetch * 2, nprobe)
        return found

    def _reach(self, k: int, count: int) -> tuple[int, int]:
        """How many candidates to fetch and how many lists to look into at first, with ``count`` vectors allowed."""
        fetch = max(k + SLACK, self.parameters.overfetch * max(k, TUNED_K) if self.parameters.lists else 0)
        if not self.parameters.lists:
            return fetch, 0
        # nprobe was measured for TUNED_K neighbours without a filter. The k nearest of one vector in f are the k * f
        # nearest of all: they lie further out, in more lists.
        depth = k / TUNED_K * len(self) / count
        return fetch, min(self.parameters.lists, int(np.ceil(self.parameters.nprobe * max(1.0, depth) ** 0.75)))

    def _candidates(
        self, queries: Vectors, fetch: int, nprobe: int, selection: Selection | None
    ) -> tuple[NDArray[np.float32], Ids]:
        options: dict[str, Any] = {} if selection is None else {"sel": selection.selector}
        if self.parameters.lists:
            options["nprobe"] = min(nprobe, self.parameters.lists)
            settings = faiss.SearchParametersIVF(**options)
        else:
            settings = faiss.SearchParameters(**options)
        coarse, ids = self._structure.search(self._fed(queries), fetch, params=settings)
        return coarse, ids

    def _settled(
        self, coarse: NDArray[np.float32], ids: Ids, exact: NDArray[np.float64], matches: Matches, count: int
    ) -> NDArray[np.bool_]:
        """[q] whether k matches were found and nothing outside the candidates may tie with the k-th."""
        last = coarse[:, -1:]
        if self.kind == FLAT:
            # What FAISS left out scores at most this much.
            outside = last[:, 0].astype(np.float64) + coarse_error(self.dimension) + SCORE_STEP
        else:
            # Equal vectors have equal codes: what was cut off looks like the candidates at the very end.
            outside = np.where(coarse <= last + SCORE_STEP, exact, -np.inf).max(axis=1) + TIE
        # Nothing was cut off where a row is not full, or holds all there is.
        all_seen = (ids[:, -1] == NO_ID) | (ids.shape[1] >= count)
        return np.asarray((matches.ids[:, -1] != NO_ID) & (all_seen | (outside < matches.scores[:, -1])))


def fed_dimension(dimension: int, kind: str) -> int:
    """The dimension of the vectors that FAISS gets: product quantisers work on groups, so D is rounded up."""
    return dimension if kind != IVF_PQ else -(-dimension // PQ_GROUP) * PQ_GROUP


def fed(vectors: Vectors, dimension: int) -> Vectors:
    """[n, dimension]: rows scaled to unit norm, with zeros appended. Raises ValueError for a zero row."""
    units = unit_rows(vectors)
    missing = dimension - units.shape[1]
    return np.ascontiguousarray(np.pad(units, ((0, 0), (0, missing))) if missing else units)


def _ids_of_lists(structure: Any) -> Ids:
    lists = structure.invlists
    parts: list[Ids] = [np.empty(0, dtype=np.int64)]
    for number in range(structure.nlist):
        size = lists.list_size(number)
        if size:
            parts.append(faiss.rev_swig_ptr(lists.get_ids(number), size).astype(np.int64))
    return np.sort(np.concatenate(parts))
