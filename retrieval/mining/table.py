"""The table of all miners."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from retrieval.functional.mined import Pairs, Triplets
from retrieval.mining.all_pairs import all_pairs
from retrieval.mining.all_triplets import all_triplets
from retrieval.mining.batch_hard import batch_hard
from retrieval.mining.batch_semihard import batch_semihard
from retrieval.mining.distance_weighted import distance_weighted
from retrieval.mining.easy import easy
from retrieval.mining.hard import hard
from retrieval.mining.mixed import mixed
from retrieval.mining.multi_similarity import multi_similarity
from retrieval.mining.semihard import semihard
from retrieval.mining.walk import LIMIT

Function: TypeAlias = Callable[..., Pairs | Triplets]
Gives: TypeAlias = Literal["pairs", "triplets"]
Walks: TypeAlias = Literal["rows", "pairs", "matrix"]


@dataclass(frozen=True, slots=True)
class MinerSpec:
    """One miner.

    Attributes:
        function: ``f(embeddings [B, D], labels [B], *, margin, generator, **options)``; without gradient.
        gives: which of the two named types.
        options: what can be set and matters to it, with the defaults of its signature.
        summary: one line.
        walks: how it looks at the batch: blocks of rows, blocks of (anchor, positive) pairs, or the label matrix.
        most: the most results it may give for (B, rows a class); for ``memory_estimate``.
    """

    function: Function
    gives: Gives
    options: Mapping[str, Any]
    summary: str
    walks: Walks
    most: Callable[[int, int], int]


def _every_triplet(batch: int, per_class: int) -> int:
    return min(_every_positive(batch, per_class) * (batch - per_class), LIMIT)


def _every_positive(batch: int, per_class: int) -> int:
    return batch * (per_class - 1)


def _every_anchor(batch: int, per_class: int) -> int:
    return batch


def _every_pair(batch: int, per_class: int) -> int:
    return batch * batch


def _spec(
    function: Function, gives: Gives, walks: Walks, most: Callable[[int, int], int], summary: str, *options: str
) -> MinerSpec:
    parameters = inspect.signature(function).parameters
    return MinerSpec(function, gives, {name: parameters[name].default for name in options}, summary, walks, most)


def _rule(function: Function, summary: str, *options: str) -> MinerSpec:
    return _spec(function, "triplets", "pairs", _every_triplet, summary, *options, "limit")


MINERS: dict[str, MinerSpec] = {
    "all": _rule(all_triplets, "every triplet"),
    "easy": _rule(easy, "d(a,n) > d(a,p) + m: solved already", "margin", "squared"),
    "semihard": _rule(semihard, "d(a,p) < d(a,n) < d(a,p) + m", "margin", "squared"),
    "hard": _rule(hard, "d(a,n) <= d(a,p)"),
    "mixed": _rule(mixed, "semihard and hard: all that cost something", "margin", "squared"),
    "batch_hard": _spec(
        batch_hard, "triplets", "rows", _every_anchor, "per anchor its farthest positive and nearest negative"
    ),
    "batch_semihard": _spec(
        batch_semihard,
        "triplets",
        "pairs",
        _every_positive,
        "per pair the nearest negative beyond the positive, else the farthest negative",
    ),
    "distance_weighted": _spec(
        distance_weighted,
        "triplets",
        "pairs",
        _every_positive,
        "per pair a negative drawn evenly over distances",
        "nearest",
        "farthest",
    ),
    "multi_similarity": _spec(
        multi_similarity, "pairs", "rows", _every_pair, "pairs near the hardest of the other kind", "epsilon"
    ),
    "all_pairs": _spec(all_pairs, "pairs", "matrix", _every_pair, "every pair"),
}
"""Every miner by the name that recipes use. A new one joins by its line here, and with it the conformance suite."""
