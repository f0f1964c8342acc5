"""Filters as FAISS selectors."""

from typing import Any

import numpy as np

from retrieval.core.types import Ids
from retrieval.index.library import faiss

BITMAP_BYTES = 256 * 1024 * 1024
"""A bitmap over all ids is used up to this size (2^31 ids)."""


class Selection:
    """A FAISS selector that lets [n] ascending ids through, together with the memory it points into.

    Keep it alive as long as FAISS may look at ``selector``: FAISS holds bare pointers.
    """

    def __init__(self, pool: Ids) -> None:
        highest = int(pool[-1]) if len(pool) else 0
        if highest < 8 * BITMAP_BYTES:
            bits = np.zeros(highest + 1, dtype=np.bool_)
            bits[pool] = True
            self._memory = np.packbits(bits, bitorder="little")
            self.selector: Any = faiss.IDSelectorBitmap(self._memory)
        else:
            # Ids beyond the bitmap (the catalog never gives such): a hash set, copied by FAISS.
            self._memory = np.empty(0, dtype=np.uint8)
            self.selector = faiss.IDSelectorBatch(pool)
