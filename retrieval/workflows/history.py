"""Photos that a gallery was searched with: a small picture and the embedding of each, kept in the gallery's folder.

Beside the catalog, not in it: searching must not wait for whoever holds the write lock. What is lost or damaged here is
as if it had never been kept.
"""

import base64
import hashlib
import json
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.core.errors import NoSuchPath
from retrieval.core.types import Vectors
from retrieval.workflows.layout import Layout

MOST = 100
"""Photos that are kept; the one that was searched with longest ago goes first."""

SIDE = 512
"""Longest side of a kept picture, in pixels: enough to search with again in another embedding space."""

_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class KeptQuery:
    """A photo that was searched with.

    Attributes:
        key: SHA-256 of the upload, in hexadecimal.
        picture: JPEG.
        vector: [D] unit norm of the upload itself; None in another embedding space than the one it was searched in.
    """

    key: str
    picture: bytes
    vector: Vectors | None


class History:
    """The kept photos of a gallery; safe to use from several threads and processes.

    Args:
        folder: the gallery's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Layout(folder).history

    def keep(self, key: str, picture: bytes, vector: Vectors, fingerprint: str) -> None:
        """Keep a photo, or note that it was searched with again; the oldest above ``MOST`` go.

        Args:
            key: as in ``KeptQuery``.
            picture: JPEG within ``SIDE``.
            vector: [D] unit norm.
            fingerprint: of the embedding space.
        """
        self._folder.mkdir(exist_ok=True)
        packed = base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode()
        note = {
            "fingerprint": fingerprint,
            "vector": packed,
            "sum": _sum(fingerprint.encode(), packed.encode()),
            "picture": _sum(picture),
        }
        self._write(f"{key}.jpg", picture)
        self._write(f"{key}.json", json.dumps(note).encode())
        for old in self.keys()[MOST:]:
            self._remove(old)

    def keys(self) -> list[str]:
        """The kept photos, the latest first."""
        found: list[tuple[int, str]] = []
        with suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                key = entry.name.removesuffix(".json")
                if entry.name.endswith(".json") and _KEY.fullmatch(key):
                    with suppress(OSError):
                        found.append((entry.stat().st_mtime_ns, key))
        return [key for _, key in sorted(found, reverse=True)]

    def read(self, key: str, fingerprint: str) -> KeptQuery:
        """A kept photo, with its vector in the space of this fingerprint. Raises NoSuchPath where it is not kept."""
        picture = self.picture(key)
        vector: Vectors | None = None
        note = self._note(key)
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            packed = note["vector"]
            # A vector that is not what was kept is left out: the picture can be embedded again.
            whole = note["sum"] == _sum(fingerprint.encode(), packed.encode())
            if whole and note["fingerprint"] == fingerprint:
                vector = np.frombuffer(base64.b64decode(packed), "<f4").astype(np.float32)
        return KeptQuery(key, picture, vector)

    def picture(self, key: str) -> bytes:
        """JPEG. Raises NoSuchPath where it is not kept."""
        if _KEY.fullmatch(key):
            with suppress(OSError):
                picture = (self._folder / f"{key}.jpg").read_bytes()
                # Of one whose note is lost nothing can be told.
                if self._note(key).get("picture") in (None, _sum(picture)):
                    return picture
        raise NoSuchPath("The photo of this search is not kept any more.", "Search with the photo itself.")

    def clear(self) -> int:
        """Forget all; how many there were."""
        keys = self.keys()
        for key in keys:
            self._remove(key)
        return len(keys)

    def _note(self, key: str) -> dict[str, Any]:
        """What is known of a kept photo; nothing where that is lost or damaged."""
        with suppress(OSError, ValueError):
            note = json.loads((self._folder / f"{key}.json").read_text("utf-8"))
            return note if isinstance(note, dict) else {}
        return {}

    def _remove(self, key: str) -> None:
        for ending in ("json", "jpg"):
            with suppress(OSError):
                (self._folder / f"{key}.{ending}").unlink()

    def _write(self, name: str, content: bytes) -> None:
        """Whole or not at all: another process may be reading."""
        draft = self._folder / f".{secrets.token_hex(6)}.tmp"
        try:
            draft.write_bytes(content)
            os.replace(draft, self._folder / name)
        finally:
            draft.unlink(missing_ok=True)


def _sum(*parts: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
