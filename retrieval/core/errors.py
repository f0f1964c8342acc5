"""The error tree: what went wrong, what to do next, and the exit code the command line leaves with.

======================  ====  ==========================================================
error                   exit  when
======================  ====  ==========================================================
``RetrievalError``         1  anything that fits no other row
(wrong command line)       2  typer's own usage errors
``NoSuchPath``             3  a path that was named does not exist
``ImageError``             4  a file is not an image, or cannot be decoded
``EmptyGallery``           5  nothing is indexed yet
``GalleryTooNew``          6  the gallery was written by a newer version
``ModelDamaged``           7  a model folder is incomplete or its checksum is wrong
``ModelUnsafe``            8  weights come as a pickle, which could run code
``ModelUnavailable``       9  an unknown backbone, or weights that cannot be had here
``ModelMismatch``         10  another model than the one the gallery was indexed with
``DiskFull``              11  no space is left
``GalleryBusy``           12  another process is writing to the gallery
``GalleryDamaged``        13  a file of the gallery is damaged
``BadValue``              14  a setting or an option has a value that cannot be used
``TrainingFailed``        15  a training run cannot go on: its loss is not a number any more
``NotProven``             16  the gate refuses: the new model is not proven better, or not whole
``ReadOnly``              17  whoever asks may look, and change nothing
``NoGrid``                18  the encoder cannot tell which parts of two pictures match
``Interrupted``          130  Ctrl-C
======================  ====  ==========================================================

``workflows.calibrating.TooFewLabels``, too few labels to measure or to compare, is a ``BadValue`` with a ``kind`` of
its own and leaves with the same code.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import ClassVar


class RetrievalError(Exception):
    """Base of all errors that a user can do something about.

    Args:
        message: one line, what is wrong, naming the thing.
        hint: one line, what to do next; may be empty.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def kind(self) -> str:
        """What programs and translations know it by, e.g. ``"gallery_busy"``: the class that has its exit code."""
        named = next(known for known in type(self).__mro__ if "exit_code" in vars(known))
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", named.__name__).lower()

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class NoSuchPath(RetrievalError):
    """A path that the user named does not exist."""

    exit_code = 3


class Reason(StrEnum):
    """Why a file could not be made into an image; stored in the catalog, so values never change."""

    EMPTY = "empty"
    NOT_AN_IMAGE = "not_an_image"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"
    UNREADABLE = "unreadable"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    CHANGED = "changed"


class ImageError(RetrievalError):
    """A file or an upload that cannot be used as an image.

    Args:
        reason: which of the known reasons.
        message: one line for the user.
        hint: what to do next.
    """

    exit_code = 4

    def __init__(self, reason: Reason, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.reason = reason

    @property
    def kind(self) -> str:
        """E.g. ``"image.truncated"``."""
        return f"image.{self.reason.value}"

    def __reduce__(self) -> tuple[type["ImageError"], tuple[Reason, str, str]]:
        return (type(self), (self.reason, self.message, self.hint))


class EmptyGallery(RetrievalError):
    """A search in a gallery that holds no image yet."""

    exit_code = 5


class GalleryTooNew(RetrievalError):
    """The gallery's catalog or files were written by a newer version of this program."""

    exit_code = 6


class ModelDamaged(RetrievalError):
    """A model folder that is incomplete, unreadable, or whose checksum does not match."""

    exit_code = 7


class ModelUnsafe(RetrievalError):
    """Weights stored as a pickle: loading them could run a stranger's code."""

    exit_code = 8


class ModelUnavailable(RetrievalError):
    """A model that does not exist, or whose weights cannot be had from here."""

    exit_code = 9


class ModelMismatch(RetrievalError):
    """Another encoder than the one whose embedding space is live in the gallery."""

    exit_code = 10


class DiskFull(RetrievalError):
    """No space left on the device that holds the gallery."""

    exit_code = 11


class GalleryBusy(RetrievalError):
    """Another process holds the gallery's write lock."""

    exit_code = 12


class GalleryDamaged(RetrievalError):
    """A file of the gallery is damaged and could not be repaired on the way."""

    exit_code = 13


class BadValue(RetrievalError):
    """A setting or an option whose value cannot be used."""

    exit_code = 14


class Interrupted(RetrievalError):
    """The user asked to stop; what was done is kept."""

    exit_code = 130


# EFBIG is what a file-size limit gives in place of ENOSPC; EDQUOT is a full quota.
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}

# A quota or a file-size limit is to SQLite a failed write, a journal index that cannot grow a failed resize.
_FULL_SQLITE = {"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE"}


def is_disk_full(error: BaseException | None) -> bool:
    """Whether ``error``, or what caused it, says that no space is left."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        # SQLite has its own words for it and loses the errno.
        if getattr(error, "sqlite_errorname", "") in _FULL_SQLITE or "database or disk is full" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def disk_full_is_said(where: str, again: str | None = None) -> Iterator[None]:
    """Turn "no space left" from whatever library met it into ``DiskFull``.

    Args:
        where: what was being written, for the message.
        again: how to go on once there is space; by default with the same command. What an inner block said of it gives
            way to this.

    Raises:
        DiskFull: the block ran out of space.
    """
    hint = f"Free some space and {again or 'run the same command again'}: it goes on where it stopped."
    try:
        yield
    except DiskFull as error:
        if again is None:
            raise
        raise DiskFull(error.message, hint) from error
    except RetrievalError:
        raise
    except Exception as error:
        if is_disk_full(error):
            raise DiskFull(f"No space is left on the disk while writing {where}.", hint) from error
        raise


class TrainingFailed(RetrievalError):
    """A training run could not go on, for example because its loss is not a number any more."""

    exit_code = 15


class NotProven(RetrievalError):
    """The gate refuses: the new model is not proven better, or not whole."""

    exit_code = 16


class ReadOnly(RetrievalError):
    """Whoever asks may look at the gallery, and change nothing."""

    exit_code = 17


class NoGrid(RetrievalError):
    """The encoder keeps no grid of features, so that parts of pictures cannot be compared."""

    exit_code = 18
