"""How much memory a miner may take, said before a run starts.

What counts is what the process takes from the system, not the tensors that are alive: ``tests/mining/test_memory.py``
measures both, each miner in a process of its own.
"""

from retrieval.mining import blocks
from retrieval.mining.table import MINERS

ROW_WORK = 24
"""Bytes for each entry of the (anchor, row of the batch) matrices of a block: distances and a copy of them that is
masked, weights and their running sums in float64, a few masks."""

PAIR_WORK = 8
"""Bytes for each entry of the (pair, row of the batch) matrices of a block: distances and masks."""

CHOSEN = 40
"""Bytes for each entry of a block that is chosen: its place, as found, as columns, and as it is handed on."""

MATRIX_WORK = 4
"""Bytes for each entry of the label matrix: masks."""

RESULT = {"triplets": 3 * (4 + 8), "pairs": 2 * (4 + 8)}
"""Bytes of each result: int32 while it waits, int64 at the end. What waits is let go piece by piece, which leaves room
for the holes of the heap: they differ by 90 MB from one process to the next."""

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
    most = spec.most(batch, per_class)
    # The batch is shifted to its mean and squared, and the matrix product packs it once more.
    shared = LISTED * batch + 3 * 4 * batch * dimension
    if spec.walks == "matrix":
        return shared + MATRIX_WORK * batch * batch + 2 * 8 * most
    block = max(blocks.BLOCK_VALUES, batch)
    if spec.walks == "rows":
        entries = min(batch * batch, block)
        work = ROW_WORK * entries
    else:
        others = max(1, per_class - 1)
        entries = min(batch * batch * others, block)
        # The pairs of an anchor share its row; the first and the last anchor of a block may have others elsewhere.
        work = PAIR_WORK * entries + ROW_WORK * (entries // others + 2 * batch)
    return shared + work + CHOSEN * min(entries, most) + RESULT[spec.gives] * most
