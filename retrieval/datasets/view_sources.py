"""Batches of several views without labels, from pictures in memory or from prepared files.

Files are decoded by Pillow and made into views on tensors: for two views of SimCLR at 224 pixels that takes 5.1 ms a
picture on one core, where Pillow's pipeline takes 9.3 ms and decoding 0.5 ms of either (``python -m tests.benchmarks
views``).

What a batch holds depends on the seed, the epoch and the ids in it, never on the threads: each example has a key of
its own (``functional.counter``). An id that a batch holds twice is looked at twice, differently.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from retrieval.core.text import shown
from retrieval.datasets.loader import Ids, Sampler, numbered
from retrieval.datasets.prepared import Prepared
from retrieval.functional.batch import Batch
from retrieval.functional.counter import Keys, keys_of

_AHEAD = 2  # batches under way beside the one that is trained on
_PIECE = 8  # pictures that a thread decodes and looks at together


class ViewMaker(Protocol):
    """How pictures become views, such as ``models.batch_augment.BatchAugment``. Called from several threads."""

    @property
    def sides(self) -> tuple[int, ...]:
        """Width and height of each view."""

    def fill(self, pictures: Tensor | Sequence[Tensor], keys: Keys, views: Sequence[Tensor], /) -> None:
        """Write the views of B pictures ([B, 3, H, W] or B of [3, H, W], uint8) to [B, 3, S, S] float32 each."""


class _Views:
    """What both sources share. A subclass says in ``_piece`` how many pictures a thread takes at a time (0: the whole
    batch), and in ``_pictures`` what they are."""

    _piece = 0
    _repeat: int | None = None

    def __init__(self, count: int, sampler: Sampler, augment: ViewMaker, seed: int, workers: int) -> None:
        if seed < 0 or workers < 0:
            raise ValueError(f"The seed {seed} or the number of workers {workers} is negative.")
        self._count, self._sampler, self._augment, self._seed, self._workers = count, sampler, augment, seed, workers
        self._device = torch.device("cpu")

    def steps(self, epoch: int) -> int:
        """Batches in an epoch; the same number in each."""
        return len(self._sampler)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from number ``start`` on; the same ones each time they are asked for.

        Labels are -1. As many batches as the sampler gives, in its sizes; none is dropped here.
        """
        todo = [np.asarray(ids, np.int64) for ids in list(self._sampler.batches(epoch))[start:]]
        if not self._workers:
            for ids in todo:
                waiting = self._empty(ids)
                for piece in self._pieces(ids):
                    self._fill(waiting, epoch, piece)
                yield waiting.batch()
            return
        with ThreadPoolExecutor(self._workers, thread_name_prefix="views") as threads:
            try:
                _compute_alone(threads, self._workers)
                yield from self._ahead(epoch, todo, threads)
            finally:
                threads.shutdown(wait=True, cancel_futures=True)

    def _ahead(self, epoch: int, todo: Sequence[Ids], threads: ThreadPoolExecutor) -> Iterator[Batch]:
        under_way: deque[_Waiting] = deque()
        for ids in todo:
            waiting = self._empty(ids)
            waiting.futures.extend(threads.submit(self._fill, waiting, epoch, piece) for piece in self._pieces(ids))
            under_way.append(waiting)
            if len(under_way) > _AHEAD:
                yield under_way.popleft().batch()
        while under_way:
            yield under_way.popleft().batch()

    def _empty(self, ids: Ids) -> "_Waiting":
        if len(ids) and not 0 <= ids.min() <= ids.max() < self._count:
            raise IndexError(f"The sampler gives ids from {ids.min()} to {ids.max()}, of {self._count} pictures.")
        views = [torch.empty((len(ids), 3, side, side), device=self._device) for side in self._augment.sides]
        return _Waiting(ids, np.array([before for _, before in numbered(ids)], np.int64), views, [])

    def _fill(self, waiting: "_Waiting", epoch: int, piece: slice) -> None:
        ids = waiting.ids[piece]
        looks = epoch if self._repeat is None else epoch % self._repeat
        keys = keys_of(self._seed, looks, ids, waiting.repetitions[piece])
        self._augment.fill(self._pictures(ids), keys, [view[piece] for view in waiting.views])

    def _pieces(self, ids: Ids) -> list[slice]:
        """What is worked on at a time: the same for any number of threads, since a float's last bit might not be."""
        size = self._piece or max(1, len(ids))
        return [slice(at, at + size) for at in range(0, len(ids), size)]

    def _pictures(self, ids: Ids) -> Tensor | Sequence[Tensor]:
        """These pictures, uint8."""
        raise NotImplementedError


def _compute_alone(threads: ThreadPoolExecutor, workers: int) -> None:
    """Let each of the executor's threads do torch's work by itself, and leave all other threads as they are.

    Otherwise each would have a team of as many as there are cores, and on cores that are busy with training the teams
    spend most of their time waiting for their last member.
    """
    before, all_here = torch.get_num_threads(), Barrier(workers)

    def one() -> None:
        # A thread takes the number over from the others when it first asks for it, even from what it has set itself.
        torch.get_num_threads()
        torch.set_num_threads(1)
        all_here.wait()  # so that each thread takes one of these

    for future in [threads.submit(one) for _ in range(workers)]:
        future.result()
    # The number holds for the thread that sets it, and for those that begin later: these get the old one again.
    torch.set_num_threads(before)


class _Waiting(NamedTuple):
    """A batch under way: its views are whole once all futures are done."""

    ids: Ids
    repetitions: Ids
    views: list[Tensor]
    futures: "list[Future[None]]"

    def batch(self) -> Batch:
        for future in self.futures:
            future.result()
        device = self.views[0].device
        ids = torch.from_numpy(self.ids.copy()).to(device)
        return Batch(self.views[0], torch.full_like(ids, -1), ids, tuple(self.views[1:]))


class TensorSource(_Views):
    """Batches of views of pictures that are held in memory, e.g. CIFAR.

    Args:
        pictures: [N, 3, H, W] uint8; the sampler's ids are positions in it. The views are made where it lies: on the
            CPU as the loop's sources do, or on a GPU that it fits on.
        sampler: which ids make up each batch, e.g. ``mining.shuffled.Shuffled``, which fills up the last batch.
        augment: makes the views.
        seed: at least 0; of the augmentation.
        workers: threads that make whole batches ahead; 0 works in the caller's.
        name: what an example is called; its number by default.

    Raises:
        ValueError: pictures of another shape or type, or ``seed`` or ``workers`` is negative.
    """

    def __init__(
        self,
        pictures: Tensor,
        sampler: Sampler,
        augment: ViewMaker,
        seed: int,
        workers: int = 1,
        name: Callable[[int], str] = lambda i: f"example {i}",
    ) -> None:
        super().__init__(len(pictures), sampler, augment, seed, workers)
        if pictures.dtype != torch.uint8 or pictures.ndim != 4 or pictures.shape[1] != 3:
            raise ValueError(f"Pictures are [N, 3, H, W] uint8, not {list(pictures.shape)} {pictures.dtype}.")
        # Channels last, as the resizing is fastest; with pictures chosen by id it stays so.
        self._held, self._name = pictures.permute(0, 2, 3, 1).contiguous(), name
        self._device = pictures.device

    def describe(self, ids: Tensor) -> list[str]:
        """What these examples are called."""
        return [self._name(i) for i in ids.tolist()]

    def _pictures(self, ids: Ids) -> Tensor:
        return self._held[torch.from_numpy(ids).to(self._device)].permute(0, 3, 1, 2)


class ViewSource(_Views):
    """Batches of views of prepared pictures: each is decoded once, whatever the number of views.

    Args:
        prepared: the pictures; the sampler's ids are positions in it.
        sampler: which ids make up each batch, e.g. ``mining.shuffled.Shuffled``, which fills up the last batch.
        augment: makes the views.
        seed: at least 0; of the augmentation.
        workers: threads; 0 works in the caller's.
        repeat: after so many epochs the views of a picture come again (the batches do not); None: never.

    Raises:
        ValueError: ``seed`` or ``workers`` is negative, or ``repeat`` below 1.
    """

    _piece = _PIECE

    def __init__(
        self,
        prepared: Prepared,
        sampler: Sampler,
        augment: ViewMaker,
        seed: int,
        workers: int = 2,
        repeat: int | None = None,
    ) -> None:
        super().__init__(len(prepared), sampler, augment, seed, workers)
        if repeat is not None and repeat < 1:
            raise ValueError(f"Views cannot come again after {repeat} epochs.")
        self._prepared, self._repeat = prepared, repeat

    def describe(self, ids: Tensor) -> list[str]:
        """The files of these examples, for people."""
        images = self._prepared.labelled.images
        return [shown(os.fsdecode(images[i].path)) for i in ids.tolist()]

    def _pictures(self, ids: Ids) -> list[Tensor]:
        # Pillow's rows of red, green and blue are a channels-last tensor as they lie.
        return [torch.from_numpy(np.array(self._prepared.picture(i))).permute(2, 0, 1) for i in ids.tolist()]
