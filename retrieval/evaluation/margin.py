"""How much nearer a match is to the query than it is to its own neighbours.

The margin of a match is its cosine to the query less its crowding, the mean cosine to its own ten nearest. Where images
lie close together a query without a match finds a high cosine, too; its margin stays low. This is the "distance" margin
of Artetxe and Schwenk, "Margin-based Parallel Corpus Mining with Multilingual Sentence Embeddings" (ACL 2019), after
CSLS of Conneau et al. (ICLR 2018), with that half of it which the gallery knows: what lies around the match.

A query is worth the best margin among its first matches: one that lies amid its own near-copies says little. A match
that is a near-copy of the query itself has the greatest margin there is, however many further copies lie around it.

Whatever more lies around a match lowers its margin. A threshold on margins therefore holds only where the searching
images that it was fitted with saw nearly all that a search sees, and as long as not much has come since.
"""

import numpy as np
from numpy.typing import NDArray

from retrieval.core.types import NO_ID, Matches
from retrieval.evaluation.vectors import LabelledVectors
from retrieval.functional.dense_topk import dense_topk

Floats = NDArray[np.float64]

NEIGHBOURS = 10
"""Of a match, whose mean cosine is its crowding."""

FIRST = 5
"""Matches of a query whose margins are looked at."""

NEAR_COPY = 0.98
"""Cosine from which a match is a near-copy of the query, as the correlation of thumbnails is in ``datasets.grouping``.
Eleven copies of one picture crowd each other as closely as they match it: their margins would be zero."""

GREATEST = 2.0
"""No margin is greater: a cosine of 1, amid neighbours of cosine -1."""

_OF_A_LABEL = 100
"""So many more neighbours of a match are looked through, at most, where a label is held out. Where fewer than ten of
them are of other labels, those are taken."""

_BLOCK = 8_192


def crowding(scores: Floats, counted: NDArray[np.bool_]) -> Floats:
    """Mean cosine of images to their nearest neighbours.

    Args:
        scores: [n, k] cosines of each image's neighbours, best first.
        counted: [n, k] which of them count; the first ``NEIGHBOURS`` of these do, or as many as there are.

    Returns:
        [n] in [-1, 1]; 0 for an image without a neighbour.
    """
    first = counted & (np.cumsum(counted, axis=1) <= NEIGHBOURS)
    total = np.where(first, scores, 0.0).sum(axis=1)
    return np.asarray(total / np.maximum(1, first.sum(axis=1)), dtype=np.float64)


def best_margins(scores: Floats, crowded: Floats) -> Floats:
    """[n] the best margin of each query; ``GREATEST`` beside a near-copy.

    Args:
        scores: [n, f] cosines of the first matches; -inf where there is none.
        crowded: [n, f] their crowding.
    """
    margins = np.where(scores >= NEAR_COPY, GREATEST, scores - crowded)
    return np.asarray(margins.max(axis=1, initial=-np.inf), dtype=np.float64)


def labelled_margins(base: LabelledVectors, asked: LabelledVectors, firsts: Matches, *, held_out: bool) -> Floats:
    """[Q] the best margin of labelled queries, each left out of its matches' neighbours.

    Args:
        base: what is searched, with ids.
        asked: the queries; those with ids may stand in the database.
        firsts: [Q, f] their first matches, themselves left out.
        held_out: each query's own label does not count among the neighbours, as if no image of the database had it.

    Returns:
        NaN for a query without a match.
    """
    assert base.ids is not None
    there = firsts.ids != NO_ID
    queries, ranks = np.nonzero(there)
    hits, member = np.unique(firsts.ids[queries, ranks], return_inverse=True)
    order = np.argsort(base.ids)
    place = order[np.searchsorted(base.ids, hits, sorter=order)]
    depth = NEIGHBOURS + 2 + (min(_OF_A_LABEL, _most(base, asked)) if held_out else 0)
    near = dense_topk(base.vectors[place], base.vectors, base.ids, depth)
    crowded = np.zeros(firsts.ids.shape)
    # Pairs in blocks: a match of many queries is looked at for each of them.
    for start in range(0, len(queries), _BLOCK):
        query, rank = queries[start : start + _BLOCK], ranks[start : start + _BLOCK]
        row = member[start : start + _BLOCK]
        ids, scores = near.ids[row], near.scores[row]
        counted = (ids != NO_ID) & (ids != hits[row, None])
        if asked.ids is not None:
            counted &= ids != asked.ids[query, None]
        if held_out:
            of = base.numbers[order[np.searchsorted(base.ids, np.where(ids == NO_ID, hits[0], ids), sorter=order)]]
            counted &= of != asked.numbers[query, None]
        crowded[query, rank] = crowding(scores, counted)
    found = best_margins(np.where(there, firsts.scores, -np.inf), crowded)
    return np.where(there.any(axis=1), found, np.nan)


def _most(base: LabelledVectors, asked: LabelledVectors) -> int:
    """The most images that one of the queries' labels has in the database."""
    names, counts = np.unique(base.numbers, return_counts=True)
    return int(counts[np.isin(names, asked.numbers)].max(initial=0))
