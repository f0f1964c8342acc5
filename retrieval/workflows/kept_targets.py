"""What a frozen teacher makes of views that come again: computed once, kept, and shared by all runs that need the same.

A teacher usually costs more than its student. Where the views of a picture are drawn from ``views_kept`` ones instead
of without end, the teacher looks at each of them once, as fast as it runs here, and every later epoch and run reads
what it said. Beyer et al., "Knowledge distillation: A good teacher is patient and consistent", CVPR 2022, say why both
must see the same crop: https://arxiv.org/abs/2106.05237
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import BinaryIO

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from retrieval.core.errors import BadValue, Interrupted, disk_full_is_said
from retrieval.core.files import write_atomically
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import Settings, available_cores
from retrieval.core.types import Ids, Pixels, Vectors
from retrieval.datasets.prepared import Prepared
from retrieval.datasets.view_sources import ViewSource
from retrieval.functional.batch import Batch
from retrieval.functional.pca import pca_start
from retrieval.mining.paired import Paired
from retrieval.mining.shuffled import Shuffled
from retrieval.models.batch_augment import BatchAugment
from retrieval.models.card import ModelCard
from retrieval.models.create import with_projection
from retrieval.models.encoder import Encoder, Projection, unit_norm
from retrieval.models.looks import Look
from retrieval.workflows.embedding_sets import Embeds, runtime_of
from retrieval.workflows.recipes import ViewRecipe
from retrieval.workflows.train_request import TrainingHooks

VERSION = 1
"""Raised whenever the same teacher and pictures would be kept as other values than before."""

Targets = NDArray[np.float16]

_BATCH = 64
_VALUES, _IDENTITY = "targets.f16", "targets.json"


def taught_source(
    prepared: Prepared,
    teacher: Encoder,
    card: ModelCard,
    augment: BatchAugment,
    recipe: ViewRecipe,
    size: int,
    settings: Settings,
    hooks: TrainingHooks,
) -> tuple["Taught", Encoder]:
    """The batches of a recipe with ``views_kept``, and the teacher that gives their targets.

    Args:
        prepared: the pictures.
        teacher, card: whom the student learns from.
        augment: makes the student's views.
        recipe: how.
        size: of a batch.
        settings, hooks: of the run.

    Raises:
        Interrupted, DiskFull: see ``kept_targets``.
        BadValue: ``target_dimension`` is more than the teacher or the pictures have.
    """
    seed = recipe.loop.seed
    looks = recipe.views_at(card.preprocessing.input_size)
    targets = kept_targets(prepared, teacher, card, looks, recipe.views_kept, seed, settings, hooks)
    if recipe.target_dimension:
        most = min(card.dimension, len(prepared))
        if recipe.target_dimension > most:
            raise BadValue(
                f"There are no {recipe.target_dimension} main directions of {most} dimensions or pictures.",
                f"Use --set target_dimension={most} or less.",
            )
        targets, teacher = whitened(targets, teacher, card, recipe.target_dimension, recipe.whitening)
    numbers = prepared.labelled.numbers
    sampler = Paired(numbers, size, seed) if recipe.learns_labels else Shuffled(len(prepared), size, seed)
    source = ViewSource(prepared, sampler, augment, seed, available_cores(), recipe.views_kept)
    return Taught(source, targets, numbers), teacher


def kept_targets(
    prepared: Prepared,
    teacher: Encoder,
    card: ModelCard,
    looks: Sequence[Look],
    views: int,
    seed: int,
    settings: Settings,
    hooks: TrainingHooks,
) -> Targets:
    """The teacher's embeddings of all kept views, from the cache where they are there.

    Stopped at any moment, the next call goes on where this one was.

    Args:
        prepared: N pictures.
        teacher, card: whose embeddings.
        looks: how views are made at the teacher's input size; the first counts.
        views: K, how many of each picture.
        seed: of the views: view k of picture i is that of ``ViewSource`` in epoch k.
        settings: where the cache is, and how many threads.
        hooks: told how far it is; ``stop`` is asked at every batch.

    Returns:
        [K, N, T] float16 of unit norm, memory-mapped.

    Raises:
        Interrupted: ``hooks.stop`` said so.
        DiskFull: no space is left; what was computed is kept.
    """
    said = _identity(prepared, card, looks[0], seed)
    folder = settings.cache / "targets" / hashlib.sha256(said).hexdigest()[:24]
    shape = (views, len(prepared), card.dimension)
    with disk_full_is_said(str(folder), "the same command goes on from here"):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "writing.lock"):
            write_atomically(folder / _IDENTITY, said)
            with open(folder / _VALUES, "ab") as file:
                _complete(file, shape, _Looking(prepared, teacher, card, looks[0], seed, settings), hooks)
    return np.memmap(folder / _VALUES, np.float16, "r", shape=shape)  # a file may hold further views


def whitened(
    targets: Targets, teacher: Encoder, card: ModelCard, dimension: int, whitening: float
) -> tuple[Targets, Encoder]:
    """Targets on their main directions, evened out, and the teacher that gives such ones.

    A backbone's pooled features share most of their direction, which says nothing about an image; without it, cosines
    tell images apart. Fitted on the first view of every picture.

    Args:
        targets: [K, N, T].
        teacher, card: that gave them.
        dimension: D, at most T and N.
        whitening: power in [0, 1]; see ``functional.pca``.

    Returns:
        [K, N, D] float16 of unit norm in memory, and the teacher with a projection at its end.
    """
    start = pca_start(torch.from_numpy(targets[0].astype(np.float32)), dimension, whitening=whitening)
    projection = Projection(targets.shape[2], dimension)
    with torch.no_grad():
        projection.weight.copy_(start.weight)
        projection.bias.copy_(start.bias)
    longer, _ = with_projection(teacher, card, projection.requires_grad_(False))
    made = np.empty((*targets.shape[:2], dimension), np.float16)
    with torch.inference_mode():
        for view, out in zip(targets, made, strict=True):
            for at in range(0, len(view), 4096):
                rows = torch.from_numpy(view[at : at + 4096].astype(np.float32))
                out[at : at + 4096] = unit_norm(projection(rows)).half().numpy()
    return made, longer


class Taught:
    """A source of views that come again, with what the teacher said of each.

    Args:
        source: of views that repeat after K epochs.
        targets: [K, N, T].
        numbers: [N] class number of each picture; -1 for none.
    """

    def __init__(self, source: ViewSource, targets: Targets, numbers: Ids) -> None:
        self._source, self._targets = source, targets
        self._numbers = torch.from_numpy(np.asarray(numbers, np.int64))

    def steps(self, epoch: int) -> int:
        """Batches in an epoch."""
        return self._source.steps(epoch)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from number ``start`` on."""
        view, batches = self._targets[epoch % len(self._targets)], self._source.batches(epoch, start)
        try:
            for batch in batches:
                said = torch.from_numpy(view[batch.ids.numpy()].astype(np.float32))
                yield batch._replace(labels=self._numbers[batch.ids], targets=said)
        finally:
            # The threads of the source end with the epoch, not whenever it is collected.
            if hasattr(batches, "close"):
                batches.close()

    def describe(self, ids: Tensor) -> list[str]:
        """What these examples are called."""
        return self._source.describe(ids)


class _InOrder:
    """All ids in order, the last batch as large as what is left."""

    def __init__(self, n: int) -> None:
        self._batches = [np.arange(at, min(n, at + _BATCH), dtype=np.int64) for at in range(0, n, _BATCH)]

    def __len__(self) -> int:
        return len(self._batches)

    def batches(self, epoch: int) -> list[Ids]:
        """The same in every epoch."""
        return self._batches


class _Looking:
    """The teacher at work on views; nothing is loaded before it is needed."""

    def __init__(
        self, prepared: Prepared, teacher: Encoder, card: ModelCard, look: Look, seed: int, settings: Settings
    ) -> None:
        self._prepared, self._teacher, self._card, self._look = prepared, teacher, card, look
        self._seed, self._settings = seed, settings

    def views(self, first: int, batch: int, views: int) -> Iterator[Vectors]:
        """[b, T] of each batch in order, from batch number ``batch`` of view ``first`` on."""
        runtime: Embeds = runtime_of(self._teacher, self._card, self._settings)
        plain = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))  # the runtime takes pixels and normalises them itself
        source = ViewSource(
            self._prepared,
            _InOrder(len(self._prepared)),
            BatchAugment((self._look,), *plain),
            self._seed,
            available_cores(),
        )
        with ThreadPoolExecutor(runtime.parallel_calls, thread_name_prefix="teacher") as threads:
            for view in range(first, views):
                batches = source.batches(view, batch if view == first else 0)
                try:
                    yield from _in_turn(batches, runtime, threads)
                finally:
                    if hasattr(batches, "close"):
                        batches.close()


def _in_turn(batches: Iterator[Batch], runtime: Embeds, threads: ThreadPoolExecutor) -> Iterator[Vectors]:
    """The embeddings of batches, in their order, several batches at a time."""
    under_way = []
    for batch in batches:
        under_way.append(threads.submit(runtime.embed, _pixels(batch.inputs)))
        if len(under_way) > runtime.parallel_calls:
            yield under_way.pop(0).result()
    for future in under_way:
        yield future.result()


def _pixels(views: Tensor) -> Pixels:
    """[B, S, S, 3] uint8 of [B, 3, S, S] in [0, 1]."""
    made: Pixels = views.mul(255).round_().clamp_(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()
    return made


def _complete(file: BinaryIO, shape: tuple[int, int, int], looking: _Looking, hooks: TrainingHooks) -> None:
    """Write what is missing behind what is there; a torn end is cut off first."""
    views, n, width = shape
    a_view, row = -(-n // _BATCH), 2 * width
    file.seek(0, 2)
    done = _whole_batches(file.tell() // row, n)
    file.truncate(_rows_of(done, n) * row)
    file.seek(0, 2)
    total = views * a_view
    hooks.working("The teacher looks", done * _BATCH, total * _BATCH)
    if done >= total:  # another run may have kept more views
        return
    for vectors in looking.views(*divmod(done, a_view), views):
        file.write(vectors.astype(np.float16).tobytes())
        done += 1
        hooks.working("The teacher looks", done * _BATCH, total * _BATCH)
        if hooks.stop():
            raise Interrupted("Stopped while the teacher looked.", "The same command goes on from here.")


def _whole_batches(rows: int, n: int) -> int:
    view, rest = divmod(rows, n)
    return view * -(-n // _BATCH) + rest // _BATCH


def _rows_of(batches: int, n: int) -> int:
    view, rest = divmod(batches, -(-n // _BATCH))
    return view * n + rest * _BATCH


def _identity(prepared: Prepared, card: ModelCard, look: Look, seed: int) -> bytes:
    """Everything that decides about the values of a view, as JSON."""
    digests = b"".join(image.digest or image.path for image in prepared.labelled.images)
    said = {
        "version": VERSION,
        "teacher": card.fingerprint,
        "data": hashlib.sha256(digests).hexdigest(),
        "side": prepared.side,
        "look": asdict(look),
        "seed": seed,
    }
    return (json.dumps(said, indent=2, sort_keys=True) + "\n").encode()


def larger(one: Preprocessing, other: Preprocessing) -> Preprocessing:
    """Of two ways to make pictures the one that needs the larger ones."""
    return max(one, other, key=lambda spec: (spec.resize_to, spec.input_size))
