"""Which kind of index fits, and when the one at hand no longer does."""

from dataclasses import dataclass

from retrieval.core.protocols import VectorIndex
from retrieval.index.faiss_engine import FaissIndex
from retrieval.index.parameters import FLAT, IVF_PQ, IVF_SQ8

FLAT_BELOW = 50_000
"""Fewer vectors than this are searched one by one: exact, nothing to train, a few milliseconds."""

SQ8_BYTES = 1 << 30
"""8-bit vectors are kept in memory up to this size; beyond it they are product-quantised (an eighth of it)."""

SHRUNK_TO = 25_000
"""An approximate index with fewer vectors than this goes back to flat; below FLAT_BELOW, so as not to flutter."""

OUTGROWN = 4
"""Inverted lists are retrained once they hold this many times more, or fewer, vectors than they were made for."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A kind of index and why.

    Attributes:
        kind: ``"faiss-flat"``, ``"faiss-ivf-sq8"`` or ``"faiss-ivf-pq"``.
        reason: one sentence for people.
    """

    kind: str
    reason: str


def choose(count: int, dimension: int) -> Choice:
    """The kind for ``count`` vectors of ``dimension`` float32 components.

    Raises:
        ValueError: count < 0 or dimension < 1.

    >>> choose(62_310, 1280).reason
    '62,310 vectors of 1280 dimensions: an approximate index (IVF, 8-bit) with exact re-ranking; a flat scan would \
read 319 MB per query.'
    """
    if count < 0 or dimension < 1:
        raise ValueError(f"{count} vectors of {dimension} dimensions cannot be.")
    what = f"{count:,} vectors of {dimension} dimensions"
    scan = _size(4 * count * dimension)
    if count < FLAT_BELOW:
        return Choice(FLAT, f"{what}: an exact flat index; a search reads all of {scan}, which takes milliseconds.")
    if count * dimension <= SQ8_BYTES:
        how = "IVF, 8-bit"
        return Choice(
            IVF_SQ8,
            f"{what}: an approximate index ({how}) with exact re-ranking; a flat scan would read {scan} per query.",
        )
    return Choice(
        IVF_PQ,
        f"{what}: an approximate index (IVF, product-quantised) with exact re-ranking; a flat scan would read {scan} "
        f"per query, and 8-bit vectors would fill {_size(count * dimension)} of memory.",
    )


def needs_rebuild(index: VectorIndex) -> str | None:
    """Why ``index`` should be built anew for what it holds now, as one sentence, or None while it still fits."""
    if not isinstance(index, FaissIndex):
        return None
    count, made_for = len(index), index.parameters.built_for
    if index.kind == FLAT:
        if count >= FLAT_BELOW:
            return (
                f"The flat index has grown to {count:,} vectors; an approximate one is faster from {FLAT_BELOW:,} on."
            )
        return None
    if count < SHRUNK_TO:
        return f"The approximate index has shrunk to {count:,} vectors; so few are searched exactly."
    if count >= OUTGROWN * made_for:
        return f"The index was trained on {made_for:,} vectors and has grown to {count:,}."
    if count * OUTGROWN <= made_for:
        return f"The index was trained on {made_for:,} vectors and has shrunk to {count:,}."
    return None


def _size(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}" if count < 999.5 * size else f"{count / size:,.0f} {unit}"
    return f"{count} bytes"
