"""Opening a file that a stranger put there: never blocks on a FIFO, never opens a device."""

import os
import stat

from retrieval.core.errors import ImageError, Reason
from retrieval.core.held import is_held

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: bytes) -> tuple[int, os.stat_result]:
    """A descriptor open for reading, which the caller closes, and what the system says about the file.

    Raises:
        OSError: the file is missing, may not be read, is no regular file, or a database that this process has open
            (see ``core.held``).
    """
    if is_held(path):
        raise OSError("it is a database in use")
    try:
        handle = os.open(path, _FLAGS)
    except ValueError as error:  # a zero byte in the name
        raise OSError(str(error)) from error
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is not a regular file")
    except BaseException:
        os.close(handle)
        raise
    return handle, status


def read_head(path: bytes, count: int) -> bytes:
    """The first ``count`` bytes of a file, fewer if it is shorter. Raises OSError."""
    handle, _ = open_regular(path)
    try:
        return os.read(handle, count)
    finally:
        os.close(handle)


def read_exactly(handle: int, size: int) -> bytes:
    """At most ``size`` + 1 bytes: the one more shows that the file has grown. Raises OSError."""
    parts = []
    wanted = size + 1
    while wanted and (part := os.read(handle, wanted)):
        parts.append(part)
        wanted -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def unreadable(error: OSError) -> ImageError:
    """The failure to record for a file that the system would not give."""
    words = error.strerror or str(error) or type(error).__name__
    return ImageError(
        Reason.UNREADABLE,
        f"The file could not be read: {words}.",
        "Check that it is still there, that you may read it, and that its drive is connected; then index again.",
    )
