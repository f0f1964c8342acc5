"""Groups of near-duplicates in a gallery: the same file in several places, and re-saved, scaled or retouched copies.

Streamed through the index, a block of images at a time: each image's nearest neighbours are its candidates, never all
pairs. The perceptual hash sifts them, and a small picture of both, read from their files, confirms what is left, with
the thresholds of ``datasets.grouping``. Where a file cannot be reached now, only nearly equal hashes are believed.
"""

import csv
import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from retrieval.core.files import write_atomically
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import Settings, available_cores, load_settings
from retrieval.core.text import shown
from retrieval.core.types import Ids, ImageRecord
from retrieval.datasets.grouping import (
    DISTANCE,
    HASH_ONLY_DISTANCE,
    THUMBNAIL_SIDE,
    confirmed,
    connected_pairs,
)
from retrieval.images.jobs import FileResult, ReadFile
from retrieval.images.pool import DecodePool
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.hooks import Hooks
from retrieval.workflows.live_index import LiveIndex

BLOCK = 1024
"""Images that are searched with at once."""

NEIGHBOURS = 8
"""Candidates an image; twice as many where all of them are copies, up to ``MOST_NEIGHBOURS``."""

MOST_NEIGHBOURS = 256
_LEAST_COSINE = 0.5
"""Below it nothing is a copy, whatever the hash says."""

_SMALL = Preprocessing(input_size=THUMBNAIL_SIDE, fit="stretch", interpolation="bilinear")
_UNDER_WAY = 64
_RECORDS = 900


@dataclass(frozen=True, slots=True)
class Copy:
    """One file of a group.

    Attributes:
        image_id: of its content: two files with the same one are equal to the byte.
        path: absolute, as ``os.fsdecode`` gives it.
        width, height: pixels.
        bytes: size of the file.
        captured: when the picture was taken, in ISO 8601; empty where the file does not say.
        offline: it cannot be reached now.
    """

    image_id: int
    path: str
    width: int
    height: int
    bytes: int
    captured: str
    offline: bool


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What was found.

    Attributes:
        images: that were looked at.
        groups: each of two files or more, the best one first: most pixels, then most bytes. Those that could free most
            come first.
        unread: candidates whose files could not be read now.
        seconds: that it took.
        interrupted: it was stopped; nothing is known of the rest.
    """

    images: int
    groups: tuple[tuple[Copy, ...], ...]
    unread: int
    seconds: float
    interrupted: bool = False

    @property
    def files(self) -> int:
        """Files in all groups."""
        return sum(map(len, self.groups))

    @property
    def bytes(self) -> int:
        """Size of all files but the best one of each group."""
        return sum(copy.bytes for group in self.groups for copy in group[1:])

    def summary(self) -> dict[str, Any]:
        """The numbers alone, JSON-ready."""
        return {
            "images": self.images,
            "groups": len(self.groups),
            "files": self.files,
            "bytes": self.bytes,
            "unread": self.unread,
            "seconds": self.seconds,
            "interrupted": self.interrupted,
        }

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, the groups included."""
        return {**self.summary(), "groups": [[asdict(copy) for copy in group] for group in self.groups]}


def find_duplicates(
    folder: Path, *, workers: int | None = None, settings: Settings | None = None, hooks: Hooks | None = None
) -> Duplicates:
    """The groups of near-duplicates among the images of a gallery that a present file holds. Nothing is changed.

    Args:
        folder: the gallery's.
        workers: decoding processes; as many as there are cores by default.
        settings: from the environment by default.
        hooks: who to talk to.

    Raises:
        EmptyGallery: nothing is indexed.
    """
    settings, hooks = settings or load_settings(), hooks or Hooks()
    started = monotonic()
    with Gallery(folder, settings) as gallery:
        space = gallery.live_space()
        index = LiveIndex(gallery, space, hooks.say)
        ids = gallery.catalog.spaces.findable(space.id)[0]
        ids = np.setdiff1d(ids, index.store.missing(ids))
        pairs = _candidates(gallery, index, ids, hooks)
        thumbnails, unread = _thumbnails(gallery, np.unique(pairs), workers or available_cores(), hooks)
        found = _confirmed_pairs(gallery, pairs, thumbnails)
        groups = [] if hooks.stop() else _groups(gallery, ids, found)
    seconds = round(monotonic() - started, 3)
    return Duplicates(len(ids), tuple(groups), unread, seconds, hooks.stop())


def _candidates(gallery: Gallery, index: LiveIndex, ids: Ids, hooks: Hooks) -> Ids:
    """[P, 2] pairs of ids, the smaller first, that are near by vector and by hash."""
    found = [np.empty((0, 2), np.int64)]
    for start in range(0, len(ids), BLOCK):
        if hooks.stop():
            break
        some, k = ids[start : start + BLOCK], NEIGHBOURS
        while len(some):
            pairs, some = _near(gallery, index, some, k)
            found.append(pairs)
            k *= 2
            if k > MOST_NEIGHBOURS:
                break
        hooks.working("Comparing", min(start + BLOCK, len(ids)), len(ids))
    return np.unique(np.concatenate(found), axis=0)


def _near(gallery: Gallery, index: LiveIndex, ids: Ids, k: int) -> tuple[Ids, Ids]:
    """(pairs among the k nearest of each image, the images that may have more of them)."""
    matches = index.search(index.store.read(ids), k + 1)
    left = np.repeat(ids, matches.ids.shape[1])
    right, scores = matches.ids.reshape(-1), matches.scores.reshape(-1)
    near = (right >= 0) & (right != left) & (scores >= _LEAST_COSINE)
    left, right = left[near], right[near]
    hashes = gallery.catalog.images.phashes(np.unique(np.concatenate([left, right])).tolist())
    if not hashes:
        return np.empty((0, 2), np.int64), ids[:0]
    alike = _bits(hashes, left, right) <= DISTANCE
    left, right = left[alike], right[alike]
    full, counts = np.unique(left, return_counts=True)
    return np.sort(np.stack([left, right], axis=1), axis=1), full[counts >= k]


def _bits(hashes: dict[int, int], left: Ids, right: Ids) -> NDArray[np.int64]:
    """[P] in how many bits the hashes differ; 64 where one is not known any more."""
    known = np.array([i in hashes and j in hashes for i, j in zip(left.tolist(), right.tolist(), strict=True)], bool)
    one = np.array([hashes.get(i, 0) for i in left.tolist()], np.int64).view(np.uint64)
    other = np.array([hashes.get(i, 0) for i in right.tolist()], np.int64).view(np.uint64)
    return np.where(known, np.bitwise_count(one ^ other).astype(np.int64), 64)


def _thumbnails(gallery: Gallery, ids: Ids, workers: int, hooks: Hooks) -> tuple[dict[int, NDArray[np.uint8]], int]:
    """Small pictures by id, and how many images could not be read."""
    found: dict[int, NDArray[np.uint8]] = {}
    if not len(ids):
        return found, 0
    settings = gallery.settings
    with DecodePool(workers, settings.limits, settings.plugins) as pool:
        for start in range(0, len(ids), _UNDER_WAY):
            if hooks.stop():
                break
            some = ids[start : start + _UNDER_WAY].tolist()
            waiting = {image_id: pool.submit(ReadFile(path, _SMALL)) for image_id, path in _paths(gallery, some)}
            found.update(_pictures(waiting))
            hooks.working("Confirming", min(start + _UNDER_WAY, len(ids)), len(ids))
    return found, len(ids) - len(found)


def _paths(gallery: Gallery, ids: Sequence[int]) -> list[tuple[int, bytes]]:
    """(id, path) of those that can be reached."""
    records = gallery.catalog.images.records(ids)
    places = {i: next((p for p in record.paths if os.path.isfile(p)), None) for i, record in records.items()}
    return [(i, os.fsencode(path)) for i, path in places.items() if path is not None]


def _pictures(waiting: "dict[int, Future[FileResult]]") -> dict[int, NDArray[np.uint8]]:
    results = {image_id: future.result() for image_id, future in waiting.items()}
    return {image_id: result.pixels for image_id, result in results.items() if result.pixels is not None}


def _confirmed_pairs(gallery: Gallery, pairs: Ids, thumbnails: dict[int, NDArray[np.uint8]]) -> Ids:
    """The pairs [P, 2] whose small pictures say the same; by hash alone where there are none."""
    if not len(pairs):
        return pairs
    both = np.array([i in thumbnails and j in thumbnails for i, j in pairs.tolist()], bool)
    seen, unseen = pairs[both], pairs[~both]
    if len(seen):
        left, right = (np.stack([thumbnails[i] for i in side.tolist()]) for side in (seen[:, 0], seen[:, 1]))
        seen = seen[confirmed(left, right)]
    hashes = gallery.catalog.images.phashes(np.unique(unseen).tolist())
    unseen = unseen[_bits(hashes, unseen[:, 0], unseen[:, 1]) <= HASH_ONLY_DISTANCE]
    return np.concatenate([seen, unseen])


def _groups(gallery: Gallery, ids: Ids, pairs: Ids) -> list[tuple[Copy, ...]]:
    """Groups of files: those of connected images, and those of one image that lies in several places."""
    together: dict[int, list[int]] = {}
    for image_id, first in zip(np.unique(pairs).tolist(), connected_pairs(pairs).tolist(), strict=True):
        together.setdefault(first, []).append(image_id)
    alone = gallery.catalog.images.in_several_places()
    joined = {image_id for group in together.values() for image_id in group}
    sets = [
        *together.values(),
        *([image_id] for image_id in np.intersect1d(alone, ids).tolist() if image_id not in joined),
    ]
    found = []
    for start in range(0, len(sets), _RECORDS):
        some = sets[start : start + _RECORDS]
        records = gallery.catalog.images.records([image_id for group in some for image_id in group])
        found += [_files(records[image_id] for image_id in group if image_id in records) for group in some]
    groups = [group for group in found if len(group) > 1]
    return sorted(groups, key=lambda group: (-sum(copy.bytes for copy in group[1:]), group[0].path))


def _files(records: Iterable[ImageRecord]) -> tuple[Copy, ...]:
    copies = [
        Copy(
            record.id,
            file.path,
            record.width,
            record.height,
            record.bytes,
            record.captured.isoformat() if isinstance(record.captured, datetime) else "",
            file.offline,
        )
        for record in records
        for file in record.files
        if file.state == "present"
    ]
    return tuple(sorted(copies, key=lambda copy: (-copy.width * copy.height, -copy.bytes, copy.path)))


def keep_groups(found: Duplicates, path: Path) -> None:
    """Write the groups to a file, all of it or nothing. Raises OSError."""
    write_atomically(path, json.dumps([[asdict(copy) for copy in group] for group in found.groups]).encode())


def kept_groups(path: Path) -> list[tuple[Copy, ...]]:
    """What ``keep_groups`` wrote; nothing where there is no such file, or it cannot be read."""
    try:
        return [tuple(Copy(**copy) for copy in group) for group in json.loads(path.read_text("utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def write_csv(groups: Sequence[Sequence[Copy]], file: IO[str]) -> None:
    """The groups as a table: one row a file, with the number of its group; opened with ``newline=""``.

    A name that begins like a formula is quoted by an apostrophe: spreadsheets would run it.
    """
    table = csv.writer(file)
    table.writerow(["group", "path", "width", "height", "bytes", "captured", "image"])
    for number, group in enumerate(groups, start=1):
        for copy in group:
            path = shown(copy.path)
            safe = f"'{path}" if path.startswith(("=", "+", "-", "@")) else path
            table.writerow([number, safe, copy.width, copy.height, copy.bytes, copy.captured, copy.image_id])
