"""Rows that are found block by block, collected without a growing list of small tensors."""

from collections.abc import Sequence

import torch
from torch import Tensor

from retrieval.functional.mined import Triplets

CHUNK_VALUES = 1 << 23
"""Most row numbers of a piece: 32 MiB, from which on glibc gives memory back to the system at once, so that the pieces
are gone one by one while the result is made of them."""


class Collector:
    """Columns of row numbers. They wait as int32, which no batch exceeds, and are widened once, at the end; what comes
    in one go, as from any small batch, is handed on as it is.

    Args:
        columns: how many; equally long.
        most: the most rows that can come; bounds the first piece.
        device: of the rows.
    """

    def __init__(self, columns: int, most: int, device: torch.device) -> None:
        self._size, self._device = max(1, min(most, CHUNK_VALUES)), device
        self._only: list[Tensor] | None = None
        self._pieces: list[list[Tensor]] = [[] for _ in range(columns)]
        self._count = 0

    def __len__(self) -> int:
        """Rows so far."""
        return self._count

    def add(self, *values: Tensor) -> None:
        """Append [n] int64 to each column; kept as they are until more come, so no longer the caller's."""
        number = len(values[0])
        if not number:
            return
        if not self._count:
            self._only = list(values)
        else:
            if self._only is not None:
                self._store(self._only, 0)
                self._only = None
            self._store(values, self._count)
        self._count += number

    def triplets(self) -> Triplets:
        """The three columns; nothing is left here."""
        if self._only is not None:
            return Triplets(*self._only)
        columns = [torch.empty(self._count, dtype=torch.int64, device=self._device) for _ in self._pieces]
        self._move(columns)
        return Triplets(*columns)

    def pairs(self) -> Tensor:
        """[n, 2] of two columns; nothing is left here."""
        if self._only is not None:
            return torch.stack(self._only, dim=1)
        joined = torch.empty(self._count, len(self._pieces), dtype=torch.int64, device=self._device)
        self._move(joined.unbind(1))
        return joined

    def _store(self, values: Sequence[Tensor], start: int) -> None:
        for pieces, column in zip(self._pieces, values, strict=True):
            done = 0
            while done < len(column):
                piece, place = divmod(start + done, self._size)
                if piece == len(pieces):
                    pieces.append(torch.empty(self._size, dtype=torch.int32, device=self._device))
                step = min(self._size - place, len(column) - done)
                pieces[piece][place : place + step].copy_(column[done : done + step])
                done += step

    def _move(self, columns: Sequence[Tensor]) -> None:
        # All columns of a piece together, since the columns of pairs share their memory: column by column, the first
        # would take all of the result while every piece still waits.
        for number, start in enumerate(range(0, self._count, self._size)):
            for pieces, column in zip(self._pieces, columns, strict=True):
                part = column[start : start + self._size]
                part.copy_(pieces[number][: len(part)])
                pieces[number] = pieces[number].new_empty(0)
        for pieces in self._pieces:
            pieces.clear()
