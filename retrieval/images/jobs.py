"""What can be asked of a ``DecodePool``, and what comes back. Problems of an image come back as values."""

from collections.abc import Container
from dataclasses import dataclass
from typing import Literal, TypeAlias

from retrieval.core.errors import ImageError
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.types import ImageFacts, Pixels, Region


@dataclass(frozen=True, slots=True)
class ReadFile:
    """Read a file, hash it, and decode it unless its content is known.

    Attributes:
        path: where it lies.
        spec: how to decode.
        known: contents that need no decoding: SHA-256 digests, 32 bytes each. Only ``in`` is used, in a thread of the
            calling process, so that a set of millions costs nothing per job. None knows nothing.
        decode: False only reads and hashes.
        region: the pixels show this part only; the facts are of the whole picture all the same.
    """

    path: bytes
    spec: Preprocessing
    known: Container[bytes] | None = None
    decode: bool = True
    region: Region | None = None


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of a ``ReadFile``.

    Attributes:
        size, mtime_ns: of the file that was read; both 0 if it was not read.
        digest: SHA-256 of the bytes; None if they were not read to the end. Present also where decoding failed.
        facts, pixels: None if the content was known, decoding was not wanted, or it failed.
            Pixels are [S, S, 3] uint8.
        error: why there is no picture; None if nothing went wrong.
    """

    size: int = 0
    mtime_ns: int = 0
    digest: bytes | None = None
    facts: ImageFacts | None = None
    pixels: Pixels | None = None
    error: ImageError | None = None


@dataclass(frozen=True, slots=True)
class DecodeBytes:
    """Decode an upload. ``name`` is the file's name if it has one; it tells camera raw files. ``region``: see
    ``ReadFile``."""

    data: bytes
    spec: Preprocessing
    name: bytes = b""
    region: Region | None = None


@dataclass(frozen=True, slots=True)
class BytesResult:
    """Facts and [S, S, 3] uint8 pixels, or else an error."""

    facts: ImageFacts | None = None
    pixels: Pixels | None = None
    error: ImageError | None = None


@dataclass(frozen=True, slots=True)
class MakeView:
    """Make a picture for a browser, from a file or from bytes (give exactly one of them).

    Attributes:
        path: a file, or None.
        data: an image file's content, or None.
        side: longest side in pixels, at least 1.
        kind: ``"thumbnail"`` (WebP) or ``"full"`` (JPEG).
    """

    path: bytes | None = None
    data: bytes | None = None
    side: int = 320
    kind: Literal["thumbnail", "full"] = "thumbnail"

    def __post_init__(self) -> None:
        if (self.path is None) == (self.data is None):
            raise ValueError("A view needs a path or data, and not both.")
        if self.kind not in ("thumbnail", "full"):
            raise ValueError(f"There is no view {self.kind!r}; use 'thumbnail' or 'full'.")
        if not 1 <= self.side <= 16384:
            raise ValueError(f"The side {self.side} is not between 1 and 16384 pixels.")


@dataclass(frozen=True, slots=True)
class ViewResult:
    """An encoded picture and its MIME type, or else an error."""

    content: bytes | None = None
    mime: str | None = None
    error: ImageError | None = None


Job: TypeAlias = ReadFile | DecodeBytes | MakeView
Result: TypeAlias = FileResult | BytesResult | ViewResult
