"""A page of a ranking: near-duplicates put together, examples left out, and whether more follows."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from retrieval.core.types import Ids, Pixels, Vectors
from retrieval.evaluation.margin import FIRST

DEEPEST = 10_000
"""The last rank that can be asked for."""

_DEPTH, _GROWTH = 256, 4
"""How many matches are fetched at first, and how many times more while they are too few. Pages of the same depth are
cut from one list, also where the index is approximate and a longer list may be another one."""

Scored = tuple[int, float]


@dataclass(frozen=True, slots=True)
class ReadExample:
    """An example: [S, S, 3] pixels and the width and height of the whole picture, or its vector [D]."""

    pixels: Pixels | None
    width: int
    height: int
    vector: Vectors | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of the ranking.

    Attributes:
        start: groups to pass over.
        k: groups to give.
        min_score: the least score; None for any.
        together: put near-duplicates together.
    """

    start: int
    k: int
    min_score: float | None
    together: bool


@dataclass(frozen=True, slots=True)
class Ranked:
    """A page.

    Attributes:
        groups: (id, score)s, the best of each group first; groups in order of their best.
        first: the nearest of all, at most ``FIRST``; ``min_score`` plays no part in them.
        more: whether a group follows.
    """

    groups: list[list[Scored]]
    first: list[Scored]
    more: bool


def ranked(
    search: Callable[[int], Sequence[Scored]],
    left_out: Collection[int],
    leaders: Callable[[Sequence[int]], Ids],
    wanted: Wanted,
) -> Ranked:
    """The groups from ``wanted.start`` on.

    Args:
        search: gives that many matches at most, best first.
        left_out: ids that are no results.
        leaders: see ``copies.first_of_each``.
        wanted: which part.
    """
    last, depth = wanted.start + wanted.k + 1, _DEPTH
    while True:
        matches = search(depth + len(left_out))
        found = [pair for pair in matches if pair[0] not in left_out]
        above = found if wanted.min_score is None else [pair for pair in found if pair[1] >= wanted.min_score]
        groups = _groups(above, leaders) if wanted.together else [[pair] for pair in above]
        ended = len(matches) < depth + len(left_out) or len(above) < len(found)
        if len(groups) >= last or ended:
            page = groups[wanted.start : wanted.start + wanted.k]
            return Ranked(page, found[:FIRST], len(groups) >= last)
        depth *= _GROWTH


def _groups(found: Sequence[Scored], leaders: Callable[[Sequence[int]], Ids]) -> list[list[Scored]]:
    groups: dict[int, list[Scored]] = {}
    for pair, leader in zip(found, leaders([i for i, _ in found]).tolist(), strict=True):
        groups.setdefault(leader, []).append(pair)
    return list(groups.values())
