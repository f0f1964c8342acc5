"""The memory that all blocks of a walk over a batch share.

A walk that allocates its matrices anew for each block, and keeps a little of each, leaves holes in the heap that the
next block's matrices do not fit into: mining 8192 rows held 100 MB of tensors at once, and took 1.6 GB from the system.
"""

import math

import torch
from torch import Tensor

from retrieval.functional.distances import Expanded, widened


class Workspace:
    """Named buffers that are made once and handed out again for every block."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._buffers: dict[str, Tensor] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """A tensor with arbitrary content, valid until the same name is taken again."""
        wanted = math.prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.dtype != dtype or len(buffer) < wanted:
            # The old one goes first, so that the two are never there together.
            self._buffers.pop(name, None)
            buffer = self._buffers[name] = torch.empty(wanted, dtype=dtype, device=self._device)
        return buffer[:wanted].view(shape)

    def gathered(self, name: str, values: Tensor, places: Tensor) -> Tensor:
        """[P, B] the rows of [R, B] ``values`` at [P] ``places``, in the buffer of that name."""
        out = self.take(name, (len(places), values.shape[1]), values.dtype)
        return torch.index_select(values, 0, places, out=out)

    def masked(self, name: str, values: Tensor, left_out: Tensor, fill: float) -> Tensor:
        """``values`` with ``fill`` where ``left_out``, in the buffer of that name."""
        return self.take(name, tuple(values.shape), values.dtype).copy_(values).masked_fill_(left_out, fill)


class Measured:
    """The distances of some rows of a batch to all of it, block by block.

    Args:
        embeddings: [B, D].
        space: takes two [R, B] buffers, ``"between"`` and ``"work"``.
        squared: squared distances in place of plain ones.
    """

    def __init__(self, embeddings: Tensor, space: Workspace, *, squared: bool = False) -> None:
        self._space, self._plain = space, not squared
        with torch.autocast(embeddings.device.type, enabled=False):
            self._expanded = Expanded.among(widened(embeddings))

    def __call__(self, rows: Tensor) -> Tensor:
        """[R, B] distances of [R] rows; overwritten by the next call."""
        dtype, shape = self._expanded.x.dtype, (len(rows), len(self._expanded.x))
        out, work = (self._space.take(name, shape, dtype) for name in ("between", "work"))
        with torch.autocast(out.device.type, enabled=False):
            values = self._expanded.squared(rows, out=out, work=work)
        return values.sqrt_() if self._plain else values


def places(chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Where [P, B] ``chosen`` is true, row by row: [P] how often in each row, and the [n] columns."""
    # As a view, the columns would keep the rows' numbers in memory with them.
    return chosen.sum(dim=1), chosen.nonzero()[:, 1].clone()
