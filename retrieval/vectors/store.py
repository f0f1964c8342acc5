"""One embedding space's vectors: append-only, checksummed, memory-mapped.

Two files that grow together, row by row:

- ``vectors.f16``: D little-endian half floats a row;
- ``rows.bin``: 16 bytes a row: image id (int64), CRC-32 over id and vector (uint32), four bytes of zero.

How many rows count is not decided here: the catalog commits that number in the same transaction as the files'
states. What lies beyond it is the torn tail of a crash; it is ignored when reading and overwritten when writing.
"""

import contextlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.core.errors import GalleryDamaged
from retrieval.core.files import sync_folder
from retrieval.core.types import Ids, Vectors

ROW = np.dtype([("id", "<i8"), ("crc", "<u4"), ("zero", "<u4")])
BLOCK = 16_384
"""Rows that are read at once when everything is read: 40 MB for 1280 dimensions."""


class DamagedRows(GalleryDamaged):
    """Vectors whose checksum does not fit.

    Attributes:
        ids: [n] the images whose vectors are lost; embedding them again repairs the store.
    """

    def __init__(self, ids: Ids) -> None:
        super().__init__(
            f"{len(ids):,} stored {'vector is' if len(ids) == 1 else 'vectors are'} damaged.",
            "Run `retrieval status --check --repair`, then `retrieval index` to embed those images again.",
        )
        self.ids = ids


class VectorStore:
    """The vectors of one space, found by image id. Satisfies ``VectorSource``.

    Args:
        folder: holds the two files; made by the first ``append``.
        dimension: D.
        rows: how many rows the catalog has committed.

    An id that was appended twice means its last row. Reading is safe beside one writer in another process:
    committed rows never change.
    """

    def __init__(self, folder: Path, dimension: int, rows: int) -> None:
        self._folder = folder
        self._dimension = dimension
        self._rows = 0
        self._table: NDArray[Any] = np.empty(0, ROW)
        self._vectors: NDArray[np.float16] = np.empty((0, dimension), np.float16)
        self._places: tuple[Ids, Ids] | None = None
        self.refresh(rows)

    @property
    def dimension(self) -> int:
        """D."""
        return self._dimension

    @property
    def rows(self) -> int:
        """Committed rows that can be read; fewer than the catalog says where a file was cut short."""
        return self._rows

    @property
    def _vector_file(self) -> Path:
        return self._folder / "vectors.f16"

    @property
    def _row_file(self) -> Path:
        return self._folder / "rows.bin"

    def refresh(self, rows: int) -> None:
        """See ``rows`` committed rows from now on (another process may have appended)."""
        whole = min(self._whole_rows(), rows)
        if whole == self._rows:
            return
        self._table = np.memmap(self._row_file, ROW, "r", shape=(whole,)) if whole else np.empty(0, ROW)
        self._vectors = (
            np.memmap(self._vector_file, "<f2", "r", shape=(whole, self._dimension))
            if whole
            else np.empty((0, self._dimension), np.float16)
        )
        self._rows = whole
        self._places = None

    def _whole_rows(self) -> int:
        try:
            vectors, rows = self._vector_file.stat().st_size, self._row_file.stat().st_size
        except FileNotFoundError:
            return 0
        return min(vectors // (2 * self._dimension), rows // ROW.itemsize)

    def _rows_by_id(self) -> tuple[Ids, Ids]:
        """([n] ids ascending, [n] the row of each). Made when somebody asks: an indexer only appends, and sorting all
        ids after every batch would cost more the larger the gallery is."""
        places = self._places
        if places is None:
            ids = np.ascontiguousarray(self._table["id"]).astype(np.int64)
            # np.unique keeps the first of equal ids, the last row is the one that counts: look from behind.
            known, first = np.unique(ids[::-1], return_index=True)
            places = self._places = (known, (len(ids) - 1 - first).astype(np.int64))
        return places

    def append(self, ids: Ids, vectors: Vectors) -> int:
        """Write rows behind the committed ones and sync them; they count once the catalog says so.

        Args:
            ids: [n] image ids.
            vectors: [n, D], finite.

        Returns:
            The row number of the first.

        Raises:
            ValueError: shapes do not fit, or a value is not finite (as a half float: up to 65504).
            OSError: writing failed; nothing that counts has changed.
        """
        with np.errstate(over="ignore"):
            halves = np.ascontiguousarray(vectors, dtype="<f2")
        if halves.shape != (len(ids), self._dimension) or not np.isfinite(halves).all():
            raise ValueError(f"need finite vectors of shape {(len(ids), self._dimension)}, got {halves.shape}")
        table = np.zeros(len(ids), ROW)
        table["id"] = ids
        table["crc"] = [_checksum(int(i), v) for i, v in zip(ids, halves, strict=True)]
        self._folder.mkdir(parents=True, exist_ok=True)
        fresh = not self._row_file.exists()
        _write_at(self._vector_file, self._rows * 2 * self._dimension, halves.tobytes())
        _write_at(self._row_file, self._rows * ROW.itemsize, table.tobytes())
        if fresh:
            # The files' names, and those of the folders that were made for them.
            for folder in (self._folder, *self._folder.parents[:2]):
                sync_folder(folder)
        return self._rows

    def read(self, ids: Ids) -> Vectors:
        """[n, D] float32 vectors of ``ids``, unit norm up to half-float rounding; checksums are verified.

        Raises:
            KeyError: an id has no row.
            DamagedRows: a checksum does not fit.
        """
        rows = self._find(ids)
        halves = self._vectors[rows]
        table = self._table[rows]
        wrong = [
            n
            for n, (crc, zero) in enumerate(zip(table["crc"].tolist(), table["zero"].tolist(), strict=True))
            if zero or crc != _checksum(int(ids[n]), halves[n])
        ]
        if wrong:
            raise DamagedRows(np.asarray(ids, np.int64)[wrong])
        return halves.astype(np.float32)

    def _find(self, ids: Ids) -> Ids:
        if not len(ids):
            return np.empty(0, np.int64)
        there, row_of = self._rows_by_id()
        at = np.searchsorted(there, ids)
        known = at < len(there)
        known[known] = there[at[known]] == np.asarray(ids)[known]
        if not known.all():
            raise KeyError(f"{int((~known).sum())} ids have no vector, the first is {np.asarray(ids)[~known][0]}")
        rows: Ids = row_of[at]
        return rows

    def missing(self, ids: Ids) -> Ids:
        """Those of ``ids`` that have no row."""
        missing: Ids = np.setdiff1d(ids, self._rows_by_id()[0])
        return missing

    def misplaced(self, ids: Ids, rows: Ids) -> Ids:
        """Those of ``ids`` whose newest row is not the one the catalog remembers (``rows``, all below ``self.rows``):
        the id that stands beside the vector was damaged."""
        misplaced: Ids = ids[np.asarray(self._table["id"][rows]) != ids]
        return misplaced

    def damaged(self, ids: Ids) -> Iterator[Ids]:
        """Read everything of ``ids`` and yield the ids whose checksum does not fit, block by block."""
        for start in range(0, len(ids), BLOCK):
            try:
                self.read(ids[start : start + BLOCK])
            except DamagedRows as error:
                yield error.ids

    def cut_tail(self) -> int:
        """Remove what lies beyond the committed rows. Only the writer may. Returns how many bytes went."""
        cut = 0
        for path, size in ((self._vector_file, 2 * self._dimension), (self._row_file, ROW.itemsize)):
            # Windows refuses while a reader maps the file; the next append overwrites the tail anyway.
            with contextlib.suppress(OSError):
                beyond = path.stat().st_size - self._rows * size
                if beyond > 0:
                    os.truncate(path, self._rows * size)
                    cut += beyond
        return cut


def _checksum(image_id: int, vector: NDArray[np.float16]) -> int:
    return zlib.crc32(vector.tobytes(), zlib.crc32(image_id.to_bytes(8, "little", signed=True)))


def _write_at(path: Path, offset: int, content: bytes) -> None:
    with open(path, "r+b" if path.exists() else "x+b") as file:
        file.seek(offset)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def row_bytes(dimension: int) -> dict[str, int]:
    """The files of a store and how many bytes one row takes in each."""
    return {"vectors.f16": 2 * dimension, "rows.bin": ROW.itemsize}
