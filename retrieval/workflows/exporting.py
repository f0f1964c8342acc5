"""Results as files to take away: a table, or copies of the pictures, both streamed and bounded."""

import csv
import io
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterator, Sequence

from retrieval.core.errors import NoSuchPath
from retrieval.core.held import is_held
from retrieval.core.text import shown
from retrieval.workflows.results import Neighbour

MOST_ROWS = 1_000
MOST_PICTURES = 200
MOST_BYTES = 2 * 1000**3
"""Of all copies together; what does not fit is named in the list that goes with them."""

_FIELDS = ("rank", "id", "score", "probability", "labels", "path", "width", "height", "format", "bytes", "captured")
_BLOCK = 1 << 20
_RISKY = ("=", "+", "-", "@", "\t", "\r")
_ODD = re.compile(r"[^\w.-]+")


def as_csv(neighbours: Sequence[Neighbour]) -> Iterator[bytes]:
    """A table, UTF-8, at most ``MOST_ROWS`` rows; copies stand behind the picture that they are copies of, with its
    rank. A text that a spreadsheet would take for a formula gets an apostrophe before it."""
    yield _row(_FIELDS)
    for one in _flat(neighbours)[:MOST_ROWS]:
        yield _row(
            (
                one.rank,
                one.id,
                f"{one.score:.6f}",
                "" if one.probability is None else f"{one.probability:.6f}",
                _inert("; ".join(one.labels)),
                _inert(one.paths[0] if one.paths else ""),
                one.width,
                one.height,
                one.format,
                one.bytes,
                one.captured.isoformat() if one.captured else "",
            )
        )


def as_zip(
    neighbours: Sequence[Neighbour], paths_of: Callable[[Neighbour], Sequence[str]] | None = None
) -> Iterator[bytes]:
    """Copies of the originals, named by rank, with the table; at most ``MOST_PICTURES`` and ``MOST_BYTES``.

    What cannot be read, or does not fit any more, is named in ``left-out.txt``.

    Args:
        neighbours: results; what is written names the paths that they tell.
        paths_of: where the files of one lie, where the results do not tell; may raise NoSuchPath. None: they do.
    """
    out = _Stream()
    left, left_out = MOST_BYTES, []
    found = _flat(neighbours)[:MOST_PICTURES]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
        for one in found:
            path = _readable(_paths(one, paths_of), left)
            if path is None:
                left_out.append(shown(one.paths[0]) if one.paths else str(one.id))
                continue
            try:
                with open(path, "rb") as source, archive.open(name_in_archive(one), "w", force_zip64=True) as copy:
                    # A file that grows while it is read is cut off: what was promised is not exceeded.
                    while left > 0 and (block := source.read(min(_BLOCK, left))):
                        left -= len(block)
                        copy.write(block)
                        yield out.taken()
            except OSError:
                left_out.append(shown(one.paths[0]) if one.paths else str(one.id))
        archive.writestr("results.csv", b"".join(as_csv(neighbours)))
        if left_out:
            archive.writestr("left-out.txt", "\n".join(left_out) + "\n")
    yield out.taken()


def name_in_archive(one: Neighbour) -> str:
    """Rank, id and the file's own name, in letters that every system can store; never a folder."""
    name = shown(os.path.basename(one.paths[0])) if one.paths else ""
    stem, ending = os.path.splitext(_ODD.sub("_", name))
    return f"{one.rank:04d}-{one.id}-{stem.strip('._')[:60]}{ending[:10]}".rstrip("-._") or str(one.id)


def _flat(neighbours: Sequence[Neighbour]) -> list[Neighbour]:
    return [one for group in neighbours for one in (group, *group.copies)]


def _paths(one: Neighbour, paths_of: Callable[[Neighbour], Sequence[str]] | None) -> Sequence[str]:
    if paths_of is None:
        return one.paths
    try:
        return paths_of(one)
    except NoSuchPath:
        # Forgotten since it was found.
        return ()


def _readable(paths: Sequence[str], room: int) -> str | None:
    """The first path where a plain file lies that fits."""
    for path in paths:
        try:
            found = os.stat(path)
        except (OSError, ValueError):
            continue
        if stat.S_ISREG(found.st_mode) and found.st_size <= room and not is_held(path):
            return path
    return None


def _inert(text: str) -> str:
    made = shown(text)
    return f"'{made}" if made.startswith(_RISKY) else made


def _row(values: Sequence[object]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerow(values)
    return out.getvalue().encode("utf-8")


class _Stream(io.RawIOBase):
    """Takes what a ZIP file writes, without a place to go back to, and hands it on piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        self._pieces.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """What was written since the last time."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
