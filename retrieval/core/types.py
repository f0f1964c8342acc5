"""Values that travel between layers. Nothing here knows torch, FAISS or the database."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.core.errors import BadValue

Ids: TypeAlias = NDArray[np.int64]
"""[n] image ids, as the catalog gives them; positive."""

Vectors: TypeAlias = NDArray[np.float32]
"""[n, D] embeddings, unit L2 norm unless said otherwise."""

Pixels: TypeAlias = NDArray[np.uint8]
"""[H, W, 3] or [n, H, W, 3] sRGB values, 0 to 255."""

NO_ID = -1
"""Fills ``Matches.ids`` where there are fewer than k matches."""


@dataclass(frozen=True, slots=True)
class Matches:
    """The nearest neighbours of Q queries, best first.

    Attributes:
        ids: [Q, k] image ids; ``NO_ID`` fills a row that has fewer than k matches.
        scores: [Q, k] float64 cosine similarity in [-1, 1], rounded to 1e-6; ``-inf`` beside ``NO_ID``.
            Higher is closer. Equal scores stand in ascending order of id.
    """

    ids: Ids
    scores: NDArray[np.float64]

    def row(self, query: int) -> list[tuple[int, float]]:
        """The (id, score) pairs of one query, without the filling."""
        found = self.ids[query] != NO_ID
        return list(zip(self.ids[query][found].tolist(), self.scores[query][found].tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What decoding tells about an image's content.

    Attributes:
        digest: SHA-256 of the file's bytes, 32 bytes: the image's identity.
        bytes: size of the file.
        width, height: in pixels, after EXIF orientation.
        format: the format found in the content, e.g. ``"JPEG"``.
        captured: when the picture was taken according to EXIF, or None.
        phash: 64-bit difference hash of the picture, for finding re-saved copies; as a signed integer.
    """

    digest: bytes
    bytes: int
    width: int
    height: int
    format: str
    captured: datetime | None
    phash: int


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One place where an image's content lies.

    Attributes:
        path: absolute path as ``os.fsdecode`` gives it (undecodable bytes become lone surrogates).
        state: ``"present"``, ``"missing"`` or ``"failed"``.
        offline: the root that holds the file could not be reached when it was last looked at.
    """

    path: str
    state: str
    offline: bool


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image as the catalog knows it."""

    id: int
    digest: str
    width: int
    height: int
    format: str
    bytes: int
    captured: datetime | None
    files: tuple[FileRecord, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """Where the image lies now: present files first, otherwise the last known places."""
        present = tuple(f.path for f in self.files if f.state == "present")
        return present or tuple(f.path for f in self.files)


@dataclass(frozen=True, slots=True)
class EmbeddingSpace:
    """Vectors that may be compared with each other: one encoder, one preprocessing.

    Attributes:
        id: the catalog's number.
        fingerprint: hex SHA-256 of weights, architecture, head and preprocessing.
        model: the name in the encoder's card.
        dimension: D.
        rows: rows of the vector store that are committed.
        live: the space that searches use.
        metric: always ``"cosine"``.
    """

    id: int
    fingerprint: str
    model: str
    dimension: int
    rows: int
    live: bool
    metric: str = "cosine"


@dataclass(frozen=True, slots=True)
class Filters:
    """What a search may return. All conditions hold together; within a tuple any one is enough.

    Attributes:
        labels: keep images that carry one of these labels.
        not_labels: drop images that carry one of these.
        under: keep images that lie in one of these folders (or are that file); absolute paths.
        min_score: keep matches with at least this cosine; None keeps all.
        labelled: True keeps images that a person, a table or a folder has labelled, False those that none of them
            has; None keeps both.
        after, before: keep images taken at or after the one and before the other moment, without a time zone as cameras
            write them; an image without a date passes neither.
        min_side, max_side: bounds of the shorter and of the longer side, in pixels, both included.
        min_bytes, max_bytes: bounds of the file's size, both included.
    """

    labels: tuple[str, ...] = ()
    not_labels: tuple[str, ...] = ()
    under: tuple[str, ...] = ()
    min_score: float | None = None
    labelled: bool | None = None
    after: datetime | None = None
    before: datetime | None = None
    min_side: int | None = None
    max_side: int | None = None
    min_bytes: int | None = None
    max_bytes: int | None = None

    @property
    def restricts(self) -> bool:
        """Whether any condition limits the images themselves (not only the score)."""
        named = bool(self.labels or self.not_labels or self.under)
        return named or self.labelled is not None or self.asks_for_facts

    @property
    def asks_for_facts(self) -> bool:
        """Whether a condition is about the date or the size."""
        bounds = (self.after, self.before, self.min_side, self.max_side, self.min_bytes, self.max_bytes)
        return any(bound is not None for bound in bounds)


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of an upright picture, as shares of its width and height in [0, 1].

    Raises BadValue where it is not inside the picture or smaller than ``SMALLEST`` on a side.
    """

    left: float
    top: float
    right: float
    bottom: float

    SMALLEST: ClassVar[float] = 0.01

    def __post_init__(self) -> None:
        inside = all(0 <= value <= 1 for value in (self.left, self.top, self.right, self.bottom))
        wide = self.right - self.left >= self.SMALLEST and self.bottom - self.top >= self.SMALLEST
        # Written so that a value that is not a number is refused too.
        if not (inside and wide):
            raise BadValue("The marked part is not inside the picture, or too small.", "Mark a larger part of it.")
