"""Which content lay in a file when it was last read: an unchanged file need not be read again to know it.

An append-only text file, one line a file read: checksum, size, modification time, digest, path. Torn and damaged lines
are passed over; the last line of a path counts.
"""

import json
import os
import zlib
from pathlib import Path

from retrieval.core.files import sync_folder


class FilesSeen:
    """What is remembered of files.

    Args:
        path: the text file; made by the first ``save``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[bytes, tuple[int, int, bytes]] = {}
        self._new: list[str] = []
        try:
            lines = path.read_bytes().decode("ascii", "replace").split("\n")
        except FileNotFoundError:
            lines = []
        for line in lines:
            parsed = _parsed(line)
            if parsed:
                self._known[parsed[0]] = parsed[1:]

    def digest_of(self, path: bytes) -> bytes | None:
        """SHA-256 of the file's content, if size and modification time are those of the last reading; else None."""
        known = self._known.get(path)
        if known is None:
            return None
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return None
        return known[2] if (status.st_size, status.st_mtime_ns) == known[:2] else None

    def note(self, path: bytes, size: int, mtime_ns: int, digest: bytes) -> None:
        """Remember a file that was read; kept from the next ``save``."""
        known = (size, mtime_ns, digest)
        if self._known.get(path) != known:
            self._known[path] = known
            self._new.append(_line(path, *known))

    def save(self) -> None:
        """Append what is new. Raises OSError."""
        if not self._new:
            return
        # The line break in front ends a line that a crash has torn.
        content = "\n" + "".join(self._new)
        self._new = []
        with open(self._path, "ab") as file:
            file.write(content.encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self._path.parent)


def _line(path: bytes, size: int, mtime_ns: int, digest: bytes) -> str:
    words = f"{size} {mtime_ns} {digest.hex()} {json.dumps(os.fsdecode(path))}"
    return f"{zlib.crc32(words.encode()):08x} {words}\n"


def _parsed(line: str) -> tuple[bytes, int, int, bytes] | None:
    crc, _, words = line.partition(" ")
    if f"{zlib.crc32(words.encode()):08x}" != crc:
        return None
    size, mtime_ns, digest, path = words.split(" ", 3)
    return os.fsencode(json.loads(path)), int(size), int(mtime_ns), bytes.fromhex(digest)
