"""Frames between the pool and its workers: a JSON header and raw bytes, never a pickle.

A worker that a hostile file took over can send anything; nothing it sends is more than a value that is checked here.

====================  =============================================  ==========================
frame                 header                                         payload
====================  =============================================  ==========================
pool: set up          ``max_pixels`` ... ``plugins``, ``nice``
worker: ready         ``{"ready": true}`` or ``{"failed": words}``
pool: job             ``job``, ``spec``, ``ask``, ...                path or an image file
worker: has read      ``size``, ``mtime_ns``, ``digest``
pool: answer          ``{"decode": bool}``, only if the job asks
worker: done          ``facts`` or ``error`` or ``mime`` or nothing  pixels or an encoded image
====================  =============================================  ==========================
"""

import json
import struct
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from retrieval.core.errors import ImageError, Reason
from retrieval.core.text import shown
from retrieval.core.types import ImageFacts, Region

MAX_HEADER = 64 * 1024
_LENGTHS = struct.Struct(">IQ")
_MAX_WORDS = 1000

Header = Mapping[str, Any]


class BadFrame(Exception):
    """The other side sent something that the protocol does not have."""


class ConnectionEnded(Exception):
    """The other side is gone."""


class Readable(Protocol):
    """An unbuffered binary stream, such as ``open(fd, "rb", buffering=0)``."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill as much of ``buffer`` as there is; 0 at the end."""


class Writable(Protocol):
    """An unbuffered binary stream that may take less than it is given."""

    def write(self, buffer: Any, /) -> int | None:
        """Returns how many bytes were taken."""


def write_frame(stream: Writable, header: Header, payload: Any = b"") -> None:
    """Send one frame. Raises ConnectionEnded if nobody reads any more."""
    words = json.dumps(header, separators=(",", ":")).encode()
    with memoryview(payload).cast("B") as body:
        try:
            _write_all(stream, _LENGTHS.pack(len(words), len(body)) + words)
            _write_all(stream, body)
        except (OSError, ValueError) as error:  # a pipe without a reader; a stream that was closed meanwhile
            raise ConnectionEnded(str(error)) from error


def read_frame(stream: Readable, max_payload: int) -> tuple[dict[str, Any], bytearray]:
    """Receive one frame.

    Raises:
        ConnectionEnded: the other side is gone, possibly in the middle of a frame.
        BadFrame: not a frame, or a payload of more than ``max_payload`` bytes (none of which is then read).
    """
    header_size, payload_size = _LENGTHS.unpack(_read_all(stream, _LENGTHS.size))
    if header_size > MAX_HEADER or payload_size > max_payload:
        raise BadFrame(f"a frame of {header_size} + {payload_size} bytes")
    words = _read_all(stream, header_size)
    try:
        header = json.loads(words)
    except (ValueError, RecursionError) as error:
        raise BadFrame("a header that is not JSON") from error
    if not isinstance(header, dict):
        raise BadFrame("a header that is not a JSON object")
    return header, _read_all(stream, payload_size)


def pack_error(error: ImageError) -> dict[str, str]:
    """An ImageError as JSON values."""
    return {"reason": error.reason, "message": error.message[:_MAX_WORDS], "hint": error.hint[:_MAX_WORDS]}


def unpack_error(value: Any) -> ImageError:
    """The inverse of ``pack_error``. Raises BadFrame."""
    if not isinstance(value, dict):
        raise BadFrame("an error that is not a JSON object")
    words = [value.get(key) for key in ("reason", "message", "hint")]
    if not all(isinstance(word, str) and len(word) <= _MAX_WORDS for word in words):
        raise BadFrame("an error without words")
    reason, message, hint = words
    try:
        return ImageError(Reason(str(reason)), shown(str(message)), shown(str(hint)))
    except ValueError as error:
        raise BadFrame("an unknown reason") from error


def pack_facts(facts: ImageFacts) -> dict[str, Any]:
    """ImageFacts as JSON values."""
    return {
        "digest": facts.digest.hex(),
        "bytes": facts.bytes,
        "width": facts.width,
        "height": facts.height,
        "format": facts.format,
        "captured": facts.captured.isoformat() if facts.captured else None,
        "phash": facts.phash,
    }


def unpack_facts(value: Any) -> ImageFacts:
    """The inverse of ``pack_facts``. Raises BadFrame for any value out of its range."""
    if not isinstance(value, dict):
        raise BadFrame("facts that are not a JSON object")
    kind, captured = value.get("format"), value.get("captured")
    if not isinstance(kind, str) or not 1 <= len(kind) <= 32 or not kind.isprintable():
        raise BadFrame("facts without a format")
    try:
        moment = None if captured is None else datetime.fromisoformat(captured).replace(tzinfo=None)
    except (TypeError, ValueError) as error:
        raise BadFrame("facts with a bad date") from error
    return ImageFacts(
        digest=unpack_digest(value.get("digest")),
        bytes=unpack_int(value.get("bytes"), 0),
        width=unpack_int(value.get("width"), 1),
        height=unpack_int(value.get("height"), 1),
        format=kind,
        captured=moment,
        phash=unpack_int(value.get("phash"), -(2**63)),
    )


def pack_region(region: Region | None) -> list[float] | None:
    """A region as JSON values."""
    return None if region is None else [region.left, region.top, region.right, region.bottom]


def unpack_region(value: list[float] | None) -> Region | None:
    """The inverse of ``pack_region``, for what the pool itself has sent."""
    return None if value is None else Region(*value)


def unpack_digest(value: Any) -> bytes:
    """A SHA-256 from its hex digits. Raises BadFrame."""
    try:
        digest = bytes.fromhex(value)
    except (TypeError, ValueError) as error:
        raise BadFrame("a digest that is not hexadecimal") from error
    if len(digest) != 32:
        raise BadFrame("a digest of the wrong length")
    return digest


def unpack_int(value: Any, least: int) -> int:
    """A whole number from ``least`` to 2^63 - 1. Raises BadFrame."""
    if type(value) is not int or not least <= value < 2**63:
        raise BadFrame("a number out of its range")
    return value


def _write_all(stream: Writable, data: Any) -> None:
    view = memoryview(data)
    while view:
        view = view[stream.write(view) or 0 :]


def _read_all(stream: Readable, size: int) -> bytearray:
    data = bytearray(size)
    with memoryview(data) as view:
        at = 0
        while at < size:
            try:
                count = stream.readinto(view[at:])
            except (OSError, ValueError) as error:  # a broken pipe; a stream that was closed meanwhile
                raise ConnectionEnded(str(error)) from error
            if not count:
                raise ConnectionEnded("the other side has closed the connection")
            at += count
    return data
