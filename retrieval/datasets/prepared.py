"""Training pictures: every image decoded once, safely, and kept small.

On two cores a training step costs tens of milliseconds an image, decoding a photo as much again; a prepared picture
is decoded in about one. They are for training only: lossy, if little. Evaluation embeds the files themselves.
"""

import os
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling

from retrieval.core.errors import BadValue, ImageError, Reason, disk_full_is_said
from retrieval.core.labelled import Labelled, LabelledImage
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.text import shown
from retrieval.datasets.checks import require_pictures, require_usable
from retrieval.datasets.files_seen import FilesSeen
from retrieval.datasets.grouping import THUMBNAIL_SIDE, near_duplicate_groups
from retrieval.datasets.picture_store import Picture, PictureStore, Writer
from retrieval.images.jobs import FileResult, ReadFile
from retrieval.images.pool import DecodePool

Ids = NDArray[np.int64]
Progress = Callable[[int, int], None]
"""Called with how many images are done and how many there are."""

VERSION = 1
"""Raised whenever the same image would be kept as another picture than before."""

LEAST_SIDE, MOST_SIDE = 8, 2048

_LONGEST = 2
"""The long side may be so many times ``side``; a panorama is kept smaller."""
_QUALITY = 95
_COMMIT_EVERY = 64


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An image that was left out.

    Attributes:
        id: its place in the dataset that was to be prepared.
        image: what it was.
        error: why it could not be read.
    """

    id: int
    image: LabelledImage
    error: ImageError

    def __str__(self) -> str:
        return f"{shown(os.fsdecode(self.image.path))}: {self.error.message}"


@dataclass(frozen=True)
class Prepared:
    """Pictures ready for training; position i is image i of ``labelled``.

    Attributes:
        labelled: the images that could be read, with their digests, and groups of near-duplicates.
        kept: [n] int64, their places in the dataset that was prepared; of a ``subset``, in what it was taken from.
        unreadable: the others, in order.
        side: short side of the pictures in pixels, at most.
        made: pictures that this call decoded; the others were there.
    """

    labelled: Labelled
    kept: Ids
    unreadable: Sequence[Unreadable]
    side: int
    made: int
    _store: PictureStore
    _rows: Ids

    def __len__(self) -> int:
        return len(self.labelled)

    def encoded(self, i: int) -> bytes:
        """Picture i as a JPEG file. Raises GalleryDamaged. Safe from several threads, as is ``picture``."""
        return self._store.content(int(self._rows[i]))

    def picture(self, i: int) -> Image.Image:
        """Picture i: RGB, upright, sRGB over white, whole; short side at most ``side``, never larger than the original.

        Raises:
            GalleryDamaged: its checksum does not fit.
        """
        # Our own file: no stranger's bytes are decoded in this process.
        image = Image.open(BytesIO(self.encoded(i)), formats=("JPEG",))
        image.load()
        return image

    def subset(self, ids: Ids) -> "Prepared":
        """The pictures at these places, in this order; their classes are numbered anew."""
        return replace(self, labelled=self.labelled.subset(ids), kept=ids, unreadable=(), _rows=self._rows[ids])


def side_for(spec: Preprocessing) -> int:
    """The short side that serves an encoder: what its own resize gives, and a seventh more than its input, so that
    most random crops need no enlarging."""
    return min(MOST_SIDE, max(LEAST_SIDE, spec.resize_to, round(spec.input_size * 8 / 7)))


def prepare(
    labelled: Labelled,
    pool: DecodePool,
    folder: Path,
    side: int,
    *,
    workers: int,
    needs_labels: bool = True,
    progress: Progress = lambda done, total: None,
) -> Prepared:
    """Decode what is not there yet, and find the near-duplicates.

    Pictures are kept by content and ``side`` in ``folder``, for all datasets and runs; an unchanged file is not even
    read again. Stopped at any moment, the next call goes on: at most 64 pictures are made twice. Damaged ones
    are made anew. A second process on the same folder waits for the first.

    Args:
        labelled: the images.
        pool: decodes.
        folder: a cache; made if absent, and may be deleted at any time.
        side: short side in pixels, 8 to 2048; see ``side_for``. The long side is at most twice that.
        workers: how many processes the pool has.
        needs_labels: whether what is left must suffice to learn labels from, or only hold two images.
        progress: told about every image.

    Raises:
        BadValue: no image can be read, or nothing to learn from is left (see ``checks``).
        DiskFull: no space is left; what was made is kept.
        PoolError: the decoders cannot be started.
        ValueError: ``side`` is out of its range.
    """
    if not LEAST_SIDE <= side <= MOST_SIDE:
        raise ValueError(f"The side {side} is not between {LEAST_SIDE} and {MOST_SIDE} pixels.")
    with disk_full_is_said(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        store = PictureStore(folder / f"pictures-v{VERSION}-{side}")
        run = _Run(labelled, pool, store, FilesSeen(folder / "files.txt"), side, workers, progress)
        run.all()
    return run.prepared(require_usable if needs_labels else require_pictures)


def kept_size(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height that a picture of this size is kept with; never enlarged, proportions unchanged."""
    scale = min(1.0, side / min(width, height), _LONGEST * side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


class _Run:
    """State of one preparation; only the caller's thread touches it, besides ``_done`` and ``__contains__``."""

    def __init__(
        self,
        labelled: Labelled,
        pool: DecodePool,
        store: PictureStore,
        seen: FilesSeen,
        side: int,
        workers: int,
        progress: Progress,
    ) -> None:
        self._labelled, self._pool, self._store, self._seen = labelled, pool, store, seen
        self._side, self._window, self._workers, self._progress = side, 4 * workers, workers, progress
        # A job of the pool gives a square, stretched: one that holds every kept size, which ``_picture`` then shrinks
        # to the picture's own proportions.
        self._spec = Preprocessing(input_size=_LONGEST * side, interpolation="lanczos", fit="stretch")
        self._digests = [image.digest or seen.digest_of(image.path) for image in labelled.images]
        self._damaged = store.damaged({d for d in self._digests if d is not None and d in store})
        self._errors: dict[int, ImageError] = {}
        self._added: set[bytes] = set()
        self._done: queue.SimpleQueue[tuple[int, Future[Any]]] = queue.SimpleQueue()

    def __contains__(self, digest: object) -> bool:
        """Whether a content needs no decoding; asked by the pool."""
        return digest in self._added or (digest in self._store and digest not in self._damaged)

    def all(self) -> None:
        """Read and keep everything that is not there."""
        todo = [i for i, digest in enumerate(self._digests) if digest is None or digest not in self]
        self._progress(len(self._digests) - len(todo), len(self._digests))
        if todo:
            with (
                self._store.writing() as writer,
                ThreadPoolExecutor(self._workers, thread_name_prefix="prepare") as threads,
            ):
                try:
                    self._read(todo, writer, threads)
                finally:
                    threads.shutdown(wait=True, cancel_futures=True)
                    # What was read counts only once its picture is safe.
                    writer.commit()
                    self._seen.save()

    def prepared(self, require: Callable[[Labelled], None]) -> Prepared:
        """What has become of it, once ``require`` has not refused it."""
        images = self._labelled.images
        unreadable = [Unreadable(i, images[i], self._errors[i]) for i in sorted(self._errors)]
        kept = np.array([i for i in range(len(images)) if i not in self._errors], np.int64)
        if not len(kept):
            first = f"; the first is {unreadable[0]}" if unreadable else ""
            raise BadValue(
                f"None of the {len(images):,} images in {shown(self._labelled.source)} can be read{first}",
                "Check the files, and that their drive is connected.",
            )
        digests = [digest for i in kept.tolist() if (digest := self._digests[i]) is not None]
        rows = self._store.rows(digests)
        groups = near_duplicate_groups(
            self._store.phashes(rows),
            digests,
            thumbnails=self._store.thumbnails(rows),
            given=[images[i].group for i in kept.tolist()],
        )
        alone = np.bincount(groups)[groups] == 1
        grouped = [
            replace(images[i], digest=digest, group=None if single else group)
            for i, digest, group, single in zip(kept.tolist(), digests, groups.tolist(), alone.tolist(), strict=True)
        ]
        labelled = Labelled(grouped, self._labelled.source)
        require(labelled)
        return Prepared(labelled, kept, unreadable, self._side, len(self._added), self._store, rows)

    def _read(self, todo: Sequence[int], writer: Writer, threads: ThreadPoolExecutor) -> None:
        waiting = iter(todo)
        finished, under_way, uncommitted = len(self._digests) - len(todo), 0, 0
        pending: set[Future[Any]] = set()
        try:
            while True:
                while under_way < self._window and (i := next(waiting, None)) is not None:
                    job = ReadFile(self._labelled.images[i].path, self._spec, known=self)
                    self._follow(i, self._pool.submit(job), pending)
                    under_way += 1
                if not under_way:
                    return
                i, future = self._done.get()
                pending.discard(future)
                result = future.result()
                if isinstance(result, FileResult) and self._was_read(i, result):
                    self._follow(i, threads.submit(_picture, result, self._side), pending)
                    continue
                if isinstance(result, Picture):
                    uncommitted += self._keep(result, writer)
                under_way, finished = under_way - 1, finished + 1
                if uncommitted >= _COMMIT_EVERY:
                    writer.commit()
                    self._seen.save()
                    uncommitted = 0
                self._progress(finished, len(self._digests))
        finally:
            for future in pending:
                future.cancel()

    def _follow(self, i: int, future: "Future[Any]", pending: "set[Future[Any]]") -> None:
        pending.add(future)
        future.add_done_callback(lambda f: self._done.put((i, f)))

    def _was_read(self, i: int, file: FileResult) -> bool:
        """Take down what reading gave; whether there are pixels to keep."""
        if file.error is not None or file.digest is None:
            self._errors[i] = file.error or ImageError(Reason.UNREADABLE, "The file could not be read.")
            return False
        self._digests[i] = file.digest
        self._seen.note(self._labelled.images[i].path, file.size, file.mtime_ns, file.digest)
        return file.pixels is not None

    def _keep(self, picture: Picture, writer: Writer) -> int:
        if picture.digest in self._added:  # two copies were read at the same time
            return 0
        writer.add(picture)
        self._added.add(picture.digest)
        return 1


def _picture(file: FileResult, side: int) -> Picture:
    if file.pixels is None or file.facts is None:
        raise ValueError("a file without pixels")
    size = kept_size(file.facts.width, file.facts.height, side)
    image = Image.fromarray(file.pixels).resize(size, Resampling.LANCZOS)
    out = BytesIO()
    # Colour at full resolution: for flowers and fruit it is what tells them apart.
    image.save(out, "JPEG", quality=_QUALITY, subsampling=0)
    small = image.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Resampling.BOX)
    return Picture(file.facts.digest, out.getvalue(), file.facts.phash, np.asarray(small))
