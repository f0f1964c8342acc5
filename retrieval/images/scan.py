"""Which files lie under a folder? Looks at names and sizes only; ``classify`` opens one file and looks inside."""

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from retrieval.core.errors import NoSuchPath
from retrieval.core.text import shown
from retrieval.images.formats import HEAD_BYTES, looks_like_image_name, refused_kind, sniff
from retrieval.images.reading import read_head

OnError = Callable[[bytes, OSError], None]
Skips = Callable[[bytes], bool]

# What systems and programs leave beside pictures, in lower case; a leading dot is skipped anyway.
_CLUTTER = frozenset(
    (
        b"thumbs.db",
        b"ehthumbs.db",
        b"desktop.ini",
        b"@eadir",
        b"__macosx",
        b"$recycle.bin",
        b"system volume information",
        b"lost+found",
    )
)

# What Linux shows of itself as files: no pictures, no end, and by way of /proc the very files that programs have open.
_SYSTEM = frozenset((b"/proc", b"/sys", b"/dev"))

# A link that leads nowhere, or in a circle, is no file; a file that has just gone neither.
_NOT_THERE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP))


@dataclass(frozen=True, slots=True)
class ScannedFile:
    """A regular file that the scan met.

    Attributes:
        relpath: its path below the scanned folder; the file's own name where a single file was scanned.
        size: in bytes.
        mtime_ns: last modification, nanoseconds since 1970.
    """

    relpath: bytes
    size: int
    mtime_ns: int


def scan(path: bytes, *, on_error: OnError | None = None, skips: Skips | None = None) -> Iterator[ScannedFile]:
    """All regular files under a folder, or the one file that ``path`` is.

    The order is the same each time: a folder's files by name, then its folders by name. Links to folders are
    followed after everything else, and a folder that was seen already is not entered again: each real folder is
    visited once, under its own name where it has one below ``path``. Hidden files and folders and the clutter of
    operating systems are skipped, unless ``path`` itself is such a one, and so are ``/proc``, ``/sys`` and ``/dev``.
    Holds one folder's names and the folders still to visit in memory. Opens no file.

    Args:
        path: absolute or relative, as bytes.
        on_error: called with the path and the error for every folder or file that cannot be looked at; the walk
            goes on. None ignores them.
        skips: asked about the path of each folder, ``path`` too; True leaves it out, with all below it.

    Raises:
        NoSuchPath: ``path`` does not exist. Raised at the call, before the first file is asked for.
    """
    report = on_error or _ignore
    try:
        status = os.stat(path)
    except OSError as error:
        if error.errno not in _NOT_THERE:
            report(path, error)
            return iter(())
        raise NoSuchPath(
            f"{shown(os.fsdecode(path))} does not exist.", "Check the spelling, and that its drive is connected."
        ) from error
    if stat.S_ISDIR(status.st_mode):
        return _walk(path, report, skips or _enters_all)
    if stat.S_ISREG(status.st_mode):
        return iter((_scanned(os.path.basename(path), status),))
    report(path, OSError(errno.EINVAL, "Neither a folder nor a regular file", path))
    return iter(())


def classify(path: bytes, name: bytes) -> str:
    """``"image"`` for a file that is to be decoded, ``"other"`` for one that is left alone.

    An image is what has an image's content *or* an image's ending: an empty ``.jpg`` is then a failure with a
    reason instead of something silently skipped. A file that cannot be opened is judged by its ending.

    Args:
        path: where the file lies.
        name: its name, for the ending.
    """
    if looks_like_image_name(name):
        return "image"
    try:
        head = read_head(path, HEAD_BYTES)
    except OSError:
        return "other"
    return "image" if sniff(head) or refused_kind(head) else "other"


def is_skipped(name: bytes) -> bool:
    """Whether the scan passes over a file or folder of this name."""
    return name.startswith(b".") or name.lower() in _CLUTTER


def _walk(root: bytes, report: OnError, skips: Skips) -> Iterator[ScannedFile]:
    seen: set[tuple[int, int]] = set()
    folders = [(root, b"")]  # the next one last
    links: list[tuple[bytes, bytes]] = []  # visited last, so that a real folder keeps its own name
    while folders or links:
        path, relpath = folders.pop() if folders else links.pop(0)
        try:
            if not _is_new(path, seen) or _is_system(path) or skips(path):
                continue
            with os.scandir(path) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            report(path, error)
            continue
        below = []
        for entry in listed:
            if is_skipped(entry.name):
                continue
            place = (entry.path, os.path.join(relpath, entry.name))
            try:
                if entry.is_dir(follow_symlinks=False):
                    below.append(place)
                elif entry.is_dir():
                    links.append(place)
                elif entry.is_file():
                    yield _scanned(place[1], entry.stat())
                elif entry.is_symlink():
                    entry.stat()  # says why it leads to no file, if that is more than a dead end
            except OSError as error:
                if error.errno not in _NOT_THERE:
                    report(entry.path, error)
        folders.extend(reversed(below))


def images_in(folder: bytes) -> Iterator[bytes]:
    """Paths of the images below a folder, by their content. Raises NoSuchPath."""
    for entry in scan(folder):
        path = os.path.join(folder, entry.relpath)
        if classify(path, os.path.basename(entry.relpath)) == "image":
            yield path


def _is_new(folder: bytes, seen: set[tuple[int, int]]) -> bool:
    status = os.stat(folder)
    key = (status.st_dev, status.st_ino)
    if key in seen:
        return False
    seen.add(key)
    return True


def _is_system(folder: bytes) -> bool:
    return sys.platform == "linux" and os.path.realpath(folder) in _SYSTEM


def _scanned(relpath: bytes, status: os.stat_result) -> ScannedFile:
    return ScannedFile(relpath, status.st_size, status.st_mtime_ns)


def _ignore(path: bytes, error: OSError) -> None:
    pass


def _enters_all(path: bytes) -> bool:
    return False
