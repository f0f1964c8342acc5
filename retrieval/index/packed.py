"""Unused places in the packed lists of FAISS's fast-scan index, kept empty.

FAISS packs the 4-bit codes of 32 vectors into one block. A removal shortens a list but leaves the codes of what stood
at its end in the last block, and an addition ORs new codes over them (faiss 1.15, ``pq4_pack_codes_range``): without
this, a third of the vectors that come after a removal of a fifth are encoded as something else, and are not found.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.index.library import faiss

Bytes = NDArray[np.uint8]


def clear_unused(structure: Any) -> None:
    """Zero the bits of the places behind the last vector of each list.

    Args:
        structure: a ``faiss.IndexIVFPQFastScan``. Its codes of vectors that are there do not change.
    """
    packer = structure.get_CodePacker()
    masks = _masks(packer)
    lists = structure.invlists
    for number in range(structure.nlist):
        full, used = divmod(lists.list_size(number), packer.nvec)
        if used:
            size = (full + 1) * packer.block_size
            codes = faiss.rev_swig_ptr(lists.get_codes(number), size)
            codes[-packer.block_size :] &= masks[used]


def _masks(packer: Any) -> Bytes:
    """[places + 1, bytes of a block]: row n has the bits of the first n places. FAISS itself says where they are."""
    masks = np.zeros((packer.nvec + 1, packer.block_size), dtype=np.uint8)
    ones = np.full(packer.code_size, 255, dtype=np.uint8)
    for used in range(1, packer.nvec + 1):
        masks[used] = masks[used - 1]
        packer.pack_1(ones, used - 1, masks[used : used + 1])
    return masks
