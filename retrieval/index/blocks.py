"""Vectors a block at a time, so that nothing ever holds a second copy of them all."""

from collections.abc import Iterator

from retrieval.core.protocols import VectorSource
from retrieval.core.types import Ids, Vectors

BLOCK = 16_384
"""Vectors that are read, normalised or fed at once."""


def blocks(ids: Ids, source: VectorSource) -> Iterator[tuple[Ids, Vectors]]:
    """(ids, vectors) of [n] ``ids``, a block at a time. Raises KeyError for an id that the source lacks."""
    for start in range(0, len(ids), BLOCK):
        part = ids[start : start + BLOCK]
        yield part, source.read(part)
