"""Batches of anchors with the hardest examples of the whole training set, searched anew every few steps.

The search goes through the project's own index, over the embeddings that the encoder gives at that moment. They are
kept in the run's folder for as long as the last checkpoint may need them, so that a resumed run goes on with the same
ones. To embed again would not do: last digits depend on the batches and the precision that were measured to be fast.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import Tensor

from retrieval import index as engines
from retrieval.core.files import write_atomically
from retrieval.core.protocols import VectorIndex
from retrieval.core.types import Ids, Vectors
from retrieval.functional.batch import Batch
from retrieval.index.parameters import FLAT
from retrieval.mining.hard_batches import HardBatches
from retrieval.mining.hard_examples import HardExamples
from retrieval.workflows.arrays import load_arrays, saved_arrays

MOST_KEPT = 8
"""Searches on disk beyond which a checkpoint is due: on features that are there already a search takes milliseconds and
many megabytes."""


_GROUP = 3
"""An anchor with a hard positive and a hard negative."""

_COPIES = 6
"""Of the embeddings that a search holds at once: as they were made, as they are kept, as the index reads them, and what
it has of them itself, whose room doubles as it grows."""

_ROW = 256
"""Bytes an image for ids, labels and where it stands."""

_BLOCK = 64 << 20
"""Bytes of scores that an exact search takes beside them."""


def whole_groups(batch_size: int) -> int:
    """The batch of a ``HardSource``: two groups of anchor, positive and negative or more, none of them cut."""
    return max(2 * _GROUP, batch_size - batch_size % _GROUP)


def search_memory(count: int, dimension: int) -> int:
    """Bytes that searching so many embeddings for hard examples takes at most."""
    return count * (_COPIES * 4 * dimension + _ROW) + _BLOCK


class Given(Protocol):
    """A source of batches that somebody else chose."""

    def describe(self, ids: Tensor) -> list[str]:
        """What these examples are called."""

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch."""


class Fixed:
    """A sampler that gives batches which were chosen already."""

    def __init__(self, chosen: list[Ids]) -> None:
        self._chosen = chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def batches(self, _epoch: int) -> list[Ids]:
        """All of them."""
        return self._chosen


class HardSource:
    """A ``training.loop.Source`` of hard batches.

    Args:
        make: a source of batches that a sampler chose.
        embed: the embeddings of all training examples by the weights of now, [N, D].
        numbers: [N] class numbers.
        batch_size: anchors, each with a hard positive and a hard negative; see ``whole_groups``.
        every: steps between two searches, at least 1.
        seed: of the order of the anchors.
        folder: of the run; keeps the embeddings of every search that its last checkpoint may need.
        farthest: whether hard positives are the farthest of their class. Those are often outliers or wrong labels: the
            nearest teach what a class looks like.
    """

    def __init__(
        self,
        make: Callable[[Fixed], Given],
        embed: Callable[[], Vectors],
        numbers: Ids,
        batch_size: int,
        every: int,
        seed: int,
        folder: Path,
        *,
        farthest: bool = False,
    ) -> None:
        self._make, self._embed, self._numbers = make, embed, numbers
        self._every, self._folder = every, folder
        self._examples = HardExamples(build_index, numbers)
        self._hard = HardBatches(self._examples, whole_groups(batch_size), seed, farthest=farthest)
        sizes = np.bincount(numbers[numbers >= 0])
        anchors = int(sizes[sizes > 1].sum())
        self._steps = -(-anchors // (whole_groups(batch_size) // _GROUP))
        self._step = 0

    def steps(self, epoch: int) -> int:
        """Every example that has a positive is an anchor once."""
        return self._steps

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch; the whole set is embedded and searched before the first of every ``every`` steps."""
        at = start
        while at < self._steps:
            step = epoch * self._steps + at
            round_ = step // self._every
            self._search(round_)
            count = min((round_ + 1) * self._every - step, self._steps - at)
            for batch in self._make(Fixed(self._hard.batches(epoch, at, count))).batches(epoch):
                self._step = epoch * self._steps + at
                at += 1
                yield batch

    def describe(self, ids: Tensor) -> list[str]:
        """What these examples are called."""
        return self._make(Fixed([])).describe(ids)

    def logs(self) -> dict[str, float]:
        """How many steps old the embeddings of the last search are."""
        return {"staleness": float(self._examples.staleness(self._step))} if len(self._examples.ids) else {}

    def save_due(self) -> bool:
        """Whether so many searches wait for a checkpoint that one should be written."""
        return len(self._kept()) > MOST_KEPT

    def saved(self, epoch: int, batch: int) -> None:
        """A checkpoint is on disk that goes on with this batch: searches before the one it needs may go."""
        needed = (epoch * self._steps + batch) // self._every
        for round_, path in self._kept().items():
            if round_ < needed:
                with suppress(OSError):
                    path.unlink()

    def _kept(self) -> dict[int, Path]:
        """The files of the searches on disk, by the number of the search."""
        found = {path.stem.partition("-")[2]: path for path in self._folder.glob("hard-*.npz")}
        return {int(number): path for number, path in found.items() if number.isdecimal()}

    def _search(self, round_: int) -> None:
        path = self._folder / f"hard-{round_}.npz"
        kept = load_arrays(path)
        if kept is not None and len(kept["vectors"]) == len(self._numbers):
            self._examples.restore(kept)
            return
        vectors = self._embed()
        self._examples.refresh(np.arange(len(vectors), dtype=np.int64), vectors, round_ * self._every)
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, saved_arrays(self._examples.state()))


def build_index(ids: Ids, vectors: Vectors) -> VectorIndex:
    """The project's index over these embeddings, exact however many they are.

    The hardest example is by definition the nearest: an approximate index, which suits a gallery of this size, would
    miss some of them, and always those at the border of its lists.
    """
    return engines.build(ids, _Vectors(ids, vectors), kind=FLAT)


class _Vectors:
    """A ``VectorSource`` in memory."""

    def __init__(self, ids: Ids, vectors: Vectors) -> None:
        order = np.argsort(ids)
        self._ids, self._vectors = ids[order], np.asarray(vectors, np.float32)[order]

    @property
    def dimension(self) -> int:
        """D."""
        return int(self._vectors.shape[1])

    def read(self, ids: Ids) -> Vectors:
        """[n, D] vectors. Raises KeyError for an unknown id."""
        places = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        if np.any(self._ids[places] != ids):
            raise KeyError("an id has no vector")
        return self._vectors[places]
