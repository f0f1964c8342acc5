"""How much memory a miner may take, said before a run starts."""

from retrieval.mining import blocks
from retrieval.mining.table import MINERS

WORK = {"rows": 32, "pairs": 48, "matrix": 4}
"""Bytes of work for each entry of a block: a few float32 and bool matrices, and the row numbers of all that is chosen
in it, should that be everything. ``tests/mining/test_memory.py`` measures them."""

RESULT = {"triplets": 2 * 3 * 8, "pairs": 2 * 2 * 8}
"""Bytes of each result: as parts and, at the end, as a whole."""

LISTED = 128
"""Bytes a row for listing the (anchor, positive) pairs, of which no list is kept."""


def memory_estimate(name: str, batch: int, per_class: int, dimension: int) -> int:
    """An upper bound of what a miner takes beside the embeddings, its largest possible result included.

    Args:
        name: one of ``MINERS``.
        batch: B, rows of the batch (of all processes together, since miners see the gathered batch).
        per_class: rows of each class; divides B.
        dimension: D.

    Returns:
        Bytes, for float32. The miners of triplets count with their default limit.

    Raises:
        ValueError: an unknown miner, or sizes that are not positive.
    """
    if name not in MINERS:
        raise ValueError(f"No miner {name!r}; there are {', '.join(MINERS)}.")
    if min(batch, per_class, dimension) < 1 or per_class > batch:
        raise ValueError(f"{batch} rows, {per_class} a class and {dimension} dimensions do not fit.")
    spec = MINERS[name]
    block = max(blocks.BLOCK_VALUES, batch)
    entries = {
        "rows": min(batch * batch, block),
        "pairs": min(batch * batch * (per_class - 1), block),
        "matrix": batch * batch,
    }[spec.walks]
    # The anchors of a block are gathered, and the batch is shifted to its mean: at most all rows, four times.
    copies = 4 * 4 * batch * dimension
    return WORK[spec.walks] * entries + LISTED * batch + copies + RESULT[spec.gives] * spec.most(batch, per_class)
