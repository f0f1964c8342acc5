"""Small clean copies of pictures by content: append-only, checksummed, memory-mapped, shared between datasets and runs.

Two files grow together:

- ``pictures.bin``: JPEG files, one behind the other;
- ``records.bin``: one fixed-size record a picture: whose content it is, where it lies, and checksums.

A picture is synced before its record is written, and a record counts only if its checksum fits: whatever a crash
leaves behind is either whole or not there. A content that is added again means its last record, which mends it.
"""

import mmap
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from retrieval.core.errors import GalleryDamaged
from retrieval.core.files import sync_folder
from retrieval.datasets.grouping import THUMBNAIL_SIDE

RECORD = np.dtype(
    [
        ("digest", "u1", (32,)),
        ("offset", "<u8"),
        ("length", "<u4"),
        ("picture_crc", "<u4"),
        ("phash", "<i8"),
        ("thumbnail", "u1", (THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3)),
        ("zero", "<u4"),
        ("crc", "<u4"),
    ]
)
"""``crc`` is the CRC-32 of everything before it; ``zero`` fills up to a multiple of 8 bytes."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What is kept of one image's content.

    Attributes:
        digest: SHA-256 of the original file.
        content: a JPEG file.
        phash: difference hash of the original.
        thumbnail: [T, T, 3] uint8, T = ``grouping.THUMBNAIL_SIDE``.
    """

    digest: bytes
    content: bytes
    phash: int
    thumbnail: NDArray[np.uint8]


class PictureStore:
    """The pictures in one folder. Reading is safe beside one writer: what is there never changes.

    Args:
        folder: holds the two files; made by the first ``writing``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._records: NDArray[Any] = np.empty(0, RECORD)
        self._row_of: dict[bytes, int] = {}
        self._map: mmap.mmap | None = None
        self.refresh()

    def __contains__(self, digest: object) -> bool:
        return digest in self._row_of

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def bytes_on_disk(self) -> int:
        """Size of both files."""
        return sum(path.stat().st_size for path in (self._pictures, self._table) if path.exists())

    @property
    def _pictures(self) -> Path:
        return self._folder / "pictures.bin"

    @property
    def _table(self) -> Path:
        return self._folder / "records.bin"

    def refresh(self) -> None:
        """See what has been added since (by this or another process)."""
        self._map = _mapped(self._pictures)
        records = _whole_records(self._table)
        ends = records["offset"].astype(np.int64) + records["length"]
        self._records = records[ends <= (len(self._map) if self._map else 0)]
        self._row_of = {digest.tobytes(): row for row, digest in enumerate(self._records["digest"])}

    def rows(self, digests: Sequence[bytes]) -> NDArray[np.int64]:
        """[n] row numbers of these contents. Raises KeyError for one that is not there."""
        return np.array([self._row_of[digest] for digest in digests], np.int64)

    def phashes(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """[n] perceptual hashes."""
        hashes: NDArray[np.int64] = self._records["phash"][rows].astype(np.int64)
        return hashes

    def thumbnails(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """[n, T, T, 3] small pictures."""
        small: NDArray[np.uint8] = self._records["thumbnail"][rows]
        return small

    def content(self, row: int) -> bytes:
        """The JPEG file of a row. May be called from several threads. Raises GalleryDamaged."""
        record = self._records[row]
        start = int(record["offset"])
        content = self._map[start : start + int(record["length"])] if self._map else b""
        if zlib.crc32(content) != int(record["picture_crc"]):
            raise GalleryDamaged(
                f"A prepared picture in {self._folder} is damaged.",
                "Run the same command again: damaged pictures are prepared anew.",
            )
        return content

    def damaged(self, digests: Iterable[bytes]) -> set[bytes]:
        """Read the pictures of these contents; those whose checksum does not fit. Adding one again mends it."""
        return {digest for digest in digests if not self._is_whole(self._row_of[digest])}

    def _is_whole(self, row: int) -> bool:
        try:
            self.content(row)
        except GalleryDamaged:
            return False
        return True

    @contextmanager
    def writing(self) -> Iterator["Writer"]:
        """The only writer; a second process waits for the first, and sees here what that one has added. What was added
        in the block counts afterwards, also when the block failed. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / "writing.lock"):
            self.refresh()
            try:
                with open(self._pictures, "ab") as pictures, open(self._table, "ab") as table:
                    writer = Writer(pictures, table)
                    sync_folder(self._folder)
                    try:
                        yield writer
                    finally:
                        writer.commit()
            finally:
                self.refresh()


class Writer:
    """Adds pictures; made by ``PictureStore.writing``.

    Args:
        pictures, table: the two files, open for appending.
    """

    def __init__(self, pictures: BinaryIO, table: BinaryIO) -> None:
        self._pictures, self._table = pictures, table
        self._waiting: list[bytes] = []
        # A torn record at the end would shift all that follow.
        self._table.truncate(self._table.tell() // RECORD.itemsize * RECORD.itemsize)
        self._table.seek(0, os.SEEK_END)

    def add(self, picture: Picture) -> None:
        """Write a picture; it counts from the next ``commit``."""
        record = np.zeros((), RECORD)
        record["digest"] = np.frombuffer(picture.digest, np.uint8)
        record["offset"] = self._pictures.tell()
        record["length"] = len(picture.content)
        record["picture_crc"] = zlib.crc32(picture.content)
        record["phash"] = picture.phash
        record["thumbnail"] = picture.thumbnail
        record["crc"] = _record_crc(record.tobytes())
        self._pictures.write(picture.content)
        self._waiting.append(record.tobytes())

    def commit(self) -> None:
        """Make everything that was added last."""
        records, self._waiting = b"".join(self._waiting), []
        if records:
            _synced(self._pictures)
            self._table.write(records)
            _synced(self._table)


def _synced(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _record_crc(record: bytes) -> int:
    return zlib.crc32(record[:-4])


def _whole_records(path: Path) -> NDArray[Any]:
    """The records whose checksum fits."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return np.empty(0, RECORD)
    size = RECORD.itemsize
    whole = len(content) // size
    records = np.frombuffer(content[: whole * size], RECORD)
    crcs = records["crc"].tolist()
    fits = [crcs[n] == _record_crc(content[n * size : (n + 1) * size]) for n in range(whole)]
    whole_records: NDArray[Any] = records[np.array(fits, bool)]
    return whole_records


def _mapped(path: Path) -> mmap.mmap | None:
    try:
        with open(path, "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (FileNotFoundError, ValueError):  # ValueError: an empty file
        return None
