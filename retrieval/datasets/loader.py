"""Batches for the training loop.

Pictures are decoded and augmented in threads: Pillow lets go of the interpreter while it works, nothing is pickled or
copied between processes, and no second copy of torch is loaded. What a batch holds depends on the seed, the epoch and
the ids in it, never on the threads: each image has a generator of its own. An id that a batch holds twice (a sampler
that fills up a small class) is looked at twice, differently.
"""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from retrieval.core.text import shown
from retrieval.core.types import Pixels, Vectors
from retrieval.datasets.prepared import Prepared
from retrieval.functional.batch import Batch

Ids = NDArray[np.int64]

_AHEAD = 2  # batches under way beside the one that is trained on


class Sampler(Protocol):
    """Which images make up each batch of an epoch."""

    def __len__(self) -> int:
        """Batches in an epoch."""

    def batches(self, epoch: int) -> Sequence[Ids]:
        """The ids of each batch, in order."""


class Augment(Protocol):
    """How a picture becomes an input, such as ``models.augment.Augmentation``. Called from several threads."""

    @property
    def side(self) -> int:
        """S, the width and height of what it gives."""

    def __call__(self, picture: Image.Image, generator: Generator, /) -> Pixels:
        """[S, S, 3] uint8: one random look at the picture."""

    def normalise(self, pixels: Pixels, out: NDArray[np.float32], /) -> None:
        """Write [S, S, 3] uint8 to [3, S, S] float32, normalised by mean and std."""


class ImageSource:
    """Augmented batches of prepared pictures.

    Args:
        prepared: the pictures; the sampler's ids are positions in it.
        numbers: [N] the class number of each; -1 for none.
        sampler: which ids make up each batch.
        augment: one random look at a picture, and batches of looks as tensors.
        seed: at least 0; of the augmentation.
        workers: threads; 0 works in the caller's.

    Raises:
        ValueError: lengths do not fit, or ``seed`` or ``workers`` is negative.
    """

    def __init__(
        self, prepared: Prepared, numbers: Ids, sampler: Sampler, augment: Augment, seed: int, workers: int = 2
    ) -> None:
        if len(prepared) != len(numbers):
            raise ValueError(f"{len(prepared)} pictures, but {len(numbers)} class numbers.")
        if seed < 0 or workers < 0:
            raise ValueError(f"The seed {seed} or the number of workers {workers} is negative.")
        self._prepared, self._numbers, self._sampler = prepared, np.asarray(numbers, np.int64), sampler
        self._augment, self._seed, self._workers = augment, seed, workers

    def steps(self, epoch: int) -> int:
        """Batches in an epoch; the same number in each."""
        return len(self._sampler)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from number ``start`` on; the same ones each time they are asked for."""
        todo = list(self._sampler.batches(epoch))[start:]
        if not self._workers:
            for ids in todo:
                inputs = self._empty(len(ids))
                self._fill(inputs, epoch, numbered(ids))
                yield _batch(inputs, self._numbers, ids)
            return
        with ThreadPoolExecutor(self._workers, thread_name_prefix="load") as threads:
            try:
                yield from self._ahead(epoch, todo, threads)
            finally:
                threads.shutdown(wait=True, cancel_futures=True)

    def describe(self, ids: Tensor) -> list[str]:
        """The files of these examples, for people."""
        images = self._prepared.labelled.images
        return [shown(os.fsdecode(images[i].path)) for i in ids.tolist()]

    def _ahead(self, epoch: int, todo: Sequence[Ids], threads: ThreadPoolExecutor) -> Iterator[Batch]:
        waiting: deque[_Waiting] = deque()
        for ids in todo:
            waiting.append(self._begun(epoch, ids, threads))
            if len(waiting) > _AHEAD:
                yield self._finished(waiting.popleft())
        while waiting:
            yield self._finished(waiting.popleft())

    def _begun(self, epoch: int, ids: Ids, threads: ThreadPoolExecutor) -> "_Waiting":
        inputs = self._empty(len(ids))
        # Two pieces a thread: one slow picture does not hold up the others' threads.
        size = max(1, -(-len(ids) // (2 * self._workers)))
        looks = numbered(ids)
        futures = [
            threads.submit(self._fill, inputs[at : at + size], epoch, looks[at : at + size])
            for at in range(0, len(ids), size)
        ]
        return _Waiting(ids, inputs, futures)

    def _finished(self, waiting: "_Waiting") -> Batch:
        for future in waiting.futures:
            future.result()
        return _batch(waiting.inputs, self._numbers, waiting.ids)

    def _fill(self, inputs: Vectors, epoch: int, looks: Sequence[tuple[int, int]]) -> None:
        for row, (i, repetition) in zip(inputs, looks, strict=True):
            generator = image_generator(self._seed, epoch, i, repetition)
            self._augment.normalise(self._augment(self._prepared.picture(i), generator), row)

    def _empty(self, count: int) -> Vectors:
        return np.empty((count, 3, self._augment.side, self._augment.side), np.float32)


class _Waiting(NamedTuple):
    """A batch under way: its inputs are whole once all futures are done."""

    ids: Ids
    inputs: Vectors
    futures: "list[Future[None]]"


class FeatureSource:
    """Batches of vectors that are there already: for training a head on frozen features.

    Args:
        vectors: [N, F]; the sampler's ids are positions in it.
        numbers: [N] the class number of each; -1 for none.
        sampler: which ids make up each batch.
        name: what an example is called; its number by default.

    Raises:
        ValueError: lengths do not fit.
    """

    def __init__(
        self,
        vectors: Vectors,
        numbers: Ids,
        sampler: Sampler,
        name: Callable[[int], str] = lambda i: f"example {i}",
    ) -> None:
        if len(vectors) != len(numbers):
            raise ValueError(f"{len(vectors)} vectors, but {len(numbers)} class numbers.")
        self._vectors, self._numbers, self._sampler, self._name = vectors, np.asarray(numbers, np.int64), sampler, name

    def steps(self, epoch: int) -> int:
        """Batches in an epoch; the same number in each."""
        return len(self._sampler)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from number ``start`` on: float32 vectors as they are."""
        for ids in list(self._sampler.batches(epoch))[start:]:
            yield _batch(np.array(self._vectors[ids], np.float32), self._numbers, ids)

    def describe(self, ids: Tensor) -> list[str]:
        """What these examples are called."""
        return [self._name(i) for i in ids.tolist()]


def image_generator(seed: int, epoch: int, image: int, repetition: int = 0) -> Generator:
    """The generator of one image in one epoch, independent of all others; ``repetition`` counts from 0 where a batch
    holds the image several times."""
    return np.random.default_rng((seed, epoch, image, repetition))


def numbered(ids: Ids) -> list[tuple[int, int]]:
    """Each of [B] ids with how often it has come before in them."""
    before: Counter[int] = Counter()
    numbered = []
    for i in ids.tolist():
        numbered.append((i, before[i]))
        before[i] += 1
    return numbered


def _batch(inputs: Vectors, numbers: Ids, ids: Ids) -> Batch:
    return Batch(torch.from_numpy(inputs), torch.from_numpy(numbers[ids]), torch.from_numpy(np.array(ids, np.int64)))
