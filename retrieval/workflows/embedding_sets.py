"""Embeddings of a labelled dataset: read from a gallery where it holds them, otherwise made by the same pipeline."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retrieval.core.errors import BadValue, ImageError, Interrupted, Reason
from retrieval.core.files import write_atomically
from retrieval.core.labelled import Labelled, LabelledImage
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import Settings, available_cores
from retrieval.core.text import shown
from retrieval.core.types import Pixels, Vectors
from retrieval.datasets.grouping import THUMBNAIL_SIDE, near_duplicate_groups
from retrieval.embedding import embed_files
from retrieval.images.jobs import ReadFile
from retrieval.images.pool import DecodePool
from retrieval.workflows.arrays import load_arrays, saved_arrays
from retrieval.workflows.words import count, verb

if TYPE_CHECKING:
    from retrieval.models.card import ModelCard
    from retrieval.models.encoder import Encoder

_NAMED = 3
"""So many unreadable files are named."""

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


class Embeds(Protocol):
    """An encoder that is ready to run; ``EncoderRuntime`` and ``GalleryEncoder`` are."""

    @property
    def batch(self) -> int:
        """The batch size it is fastest with."""

    @property
    def parallel_calls(self) -> int:
        """How many threads should call it at once."""

    def embed(self, pixels: Pixels) -> Vectors:
        """[n, S, S, 3] to [n, D], unit norm."""


@dataclass(frozen=True)
class EmbeddedSet:
    """The images of a dataset that could be read, with their embeddings.

    Attributes:
        labelled: those images, with the digest of each, and near-duplicates in one group.
        vectors: [N, D] float32, unit norm, in the same order.
        failures: (path, reason) of the others.
    """

    labelled: Labelled
    vectors: Vectors
    failures: Sequence[tuple[bytes, ImageError]]

    def left_out(self) -> str:
        """One line that counts the failures and names the first ones; empty where there are none."""
        if not self.failures:
            return ""
        total = len(self.failures) + len(self.labelled)
        named = "; ".join(
            f"{shown(os.fsdecode(path))} ({error.message.rstrip('.')})" for path, error in self.failures[:_NAMED]
        )
        more = len(self.failures) - _NAMED
        others = f"; and {more:,} more" if more > 0 else ""
        are = verb(len(self.failures))
        return f"{len(self.failures):,} of {count(total, 'image')} cannot be read and {are} left out: {named}{others}."


def embed_labelled(
    labelled: Labelled,
    encoder: Embeds,
    spec: Preprocessing,
    settings: Settings,
    *,
    workers: int | None = None,
    what: str = "Embedding",
    progress: Progress = lambda *_: None,
    stop: Callable[[], bool] = lambda: False,
) -> EmbeddedSet:
    """Decode and embed every image, in killable processes like everywhere else.

    Args:
        labelled: what to embed.
        encoder: makes the embeddings.
        spec: how files become its input.
        settings: limits of the decoders.
        workers: decoding processes; as many as there are cores by default.
        what: the word for the progress.
        progress: told now and then.
        stop: asked often.

    Raises:
        BadValue: not one image could be read.
        Interrupted: ``stop`` said so.
    """
    workers = workers or available_cores()
    found: dict[int, _Found] = {}
    failures: list[tuple[bytes, ImageError]] = []
    until_stopped = (i for i in range(len(labelled)) if not stop())
    with DecodePool(workers, settings.limits, settings.plugins) as pool:
        jobs = embed_files(
            until_stopped, lambda i: ReadFile(labelled.images[i].path, spec), pool, encoder, workers=workers
        )
        for done, item in enumerate(jobs, start=1):
            if item.file.error is not None:
                failures.append((labelled.images[item.item].path, item.file.error))
            elif item.vector is not None:
                assert item.file.facts is not None
                assert item.file.pixels is not None
                facts = item.file.facts
                found[item.item] = _Found(item.vector, facts.digest, facts.phash, _thumbnail(item.file.pixels))
            if done % 32 == 0 or done == len(labelled):
                progress(what, done, len(labelled))
    if stop():
        raise Interrupted("Stopped while the dataset was embedded.", "The same command starts again.")
    if not found:
        raise BadValue(
            f"None of the {len(labelled)} images of {labelled.source} can be read.",
            f"The first one: {failures[0][1].message}" if failures else "It is empty.",
        )
    kept = sorted(found)
    images = _grouped([labelled.images[i] for i in kept], [found[i] for i in kept])
    vectors = np.stack([found[i].vector for i in kept]).astype(np.float32)
    return EmbeddedSet(Labelled(images, labelled.source), vectors, failures)


@dataclass(frozen=True, slots=True)
class _Found:
    vector: Vectors
    digest: bytes
    phash: int
    thumbnail: Pixels


def _thumbnail(pixels: Pixels) -> Pixels:
    small = Image.fromarray(pixels).resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
    return np.asarray(small, np.uint8)


def _grouped(images: Sequence[LabelledImage], found: Sequence[_Found]) -> list[LabelledImage]:
    groups = near_duplicate_groups(
        np.array([one.phash for one in found], np.int64),
        [one.digest for one in found],
        thumbnails=np.stack([one.thumbnail for one in found]),
        given=[image.group for image in images],
    )
    together = np.bincount(groups, minlength=len(groups))[groups] > 1
    return [
        replace(image, digest=one.digest, group=int(group) if shared else None)
        for image, one, group, shared in zip(images, found, groups, together, strict=True)
    ]


def runtime_of(encoder: "Encoder", card: "ModelCard", settings: Settings) -> Embeds:
    """The fastest way to run an encoder here."""
    from retrieval.models.runtime import EncoderRuntime

    return EncoderRuntime(encoder, card.preprocessing, threads=settings.threads, precision=settings.precision)


def save_vectors(path: Path, embedded: EmbeddedSet, fingerprint: str) -> None:
    """Keep the embeddings of a run, so that resuming it does not make them again."""
    images = embedded.labelled.images
    arrays: dict[str, NDArray[Any]] = {
        "vectors": embedded.vectors,
        "names": np.frombuffer(b"\0".join(image.path for image in images), np.uint8),
        "digests": np.frombuffer(b"".join(image.digest or bytes(32) for image in images), np.uint8),
        "groups": np.array([-1 if image.group is None else image.group for image in images], np.int64),
        "files": _files(images),
        "model": np.array(fingerprint),
    }
    write_atomically(path, saved_arrays(arrays))


def load_vectors(path: Path, labelled: Labelled, fingerprint: str) -> EmbeddedSet | None:
    """What ``save_vectors`` kept; None where it is not there, damaged, or of another encoder or dataset, and where a
    file has another size or time than then."""
    kept = load_arrays(path)
    if kept is None or not {"vectors", "names", "digests", "groups", "model"} <= kept.keys():
        return None
    vectors, digests, groups = kept["vectors"], kept["digests"].tobytes(), kept["groups"].tolist()
    names, model = kept["names"].tobytes().split(b"\0"), str(kept["model"])
    by_path = {image.path: image for image in labelled.images}
    if model != fingerprint or not all(name in by_path for name in names) or len(names) != len(vectors):
        return None
    images = [
        replace(by_path[name], digest=digests[32 * n : 32 * n + 32], group=None if group < 0 else group)
        for n, (name, group) in enumerate(zip(names, groups, strict=True))
    ]
    # Those that an earlier version kept do not say.
    if "files" in kept and not np.array_equal(kept["files"], _files(images)):
        return None
    kept_names = set(names)
    missing = ImageError(Reason.UNREADABLE, "It could not be read when the run began.")
    failures = [(image.path, missing) for image in labelled.images if image.path not in kept_names]
    return EmbeddedSet(Labelled(images, labelled.source), np.asarray(vectors, np.float32), failures)


def _files(images: Sequence[LabelledImage]) -> NDArray[np.int64]:
    """[N, 2] size in bytes and time of the last change in nanoseconds; -1 where a file cannot be reached."""
    return np.array([_file(image.path) for image in images], np.int64).reshape(-1, 2)


def _file(path: bytes) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return -1, -1
    return found.st_size, found.st_mtime_ns
