"""Hard examples of the whole set: equal to exact search on the embeddings of the moment, and the same after a stop."""

import importlib
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from retrieval.core.protocols import VectorIndex
from retrieval.core.types import Ids, Vectors
from retrieval.datasets.loader import FeatureSource
from retrieval.functional.batch import Batch
from retrieval.index import ExactIndex
from retrieval.models.encoder import Encoder
from retrieval.models.threads import torch_threads
from retrieval.training.hooks import TrainHooks
from retrieval.training.loop import fit
from retrieval.workflows.hard_mining import MOST_KEPT, HardSource, build_index, search_memory, whole_groups
from tests.training.tiny import Pull, config

SIZES = importlib.import_module("retrieval.index.choose")
N, CLASSES = 60, 6
NUMBERS = np.arange(N, dtype=np.int64) % CLASSES


def moving(calls: list[int]) -> Vectors:
    """Other embeddings at every call, as of an encoder that learns."""
    calls.append(len(calls))
    vectors = np.random.default_rng(len(calls)).standard_normal((N, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def source(folder: Path, calls: list[int], every: int = 4, farthest: bool = False) -> HardSource:
    features = np.zeros((N, 3), np.float32)
    make = lambda sampler: FeatureSource(features, NUMBERS, sampler)  # noqa: E731
    return HardSource(make, lambda: moving(calls), NUMBERS, 18, every, 0, folder, farthest=farthest)


def test_an_epoch_has_every_image_as_an_anchor_and_searches_every_few_steps(tmp_path: Path) -> None:
    calls: list[int] = []
    hard = source(tmp_path, calls)
    batches = list(hard.batches(0))
    assert len(batches) == hard.steps(0) == N // 6
    assert len(calls) == 3  # before steps 0, 4 and 8
    anchors = np.concatenate([batch.ids.numpy()[::3] for batch in batches])
    assert sorted(anchors.tolist()) == list(range(N))


@pytest.mark.parametrize("farthest", [False, True])
def test_positives_and_negatives_are_the_nearest_by_exact_search(farthest: bool, tmp_path: Path) -> None:
    """Or, where that is asked for, the farthest positives."""
    hard = source(tmp_path, [], every=1000, farthest=farthest)
    first = next(iter(hard.batches(0)))
    vectors = moving([])
    similarity = (vectors @ vectors.T).astype(np.float64)
    ids = first.ids.numpy().reshape(-1, 3)
    taken = set(ids[:, 0].tolist())
    for anchor, positive, negative in ids:
        for found, same in ((positive, True), (negative, False)):
            allowed = [
                j for j in range(N) if j != anchor and (NUMBERS[j] == NUMBERS[anchor]) == same and j not in taken
            ]
            sign = -1 if same and farthest else 1
            assert found == max(allowed, key=lambda j: (sign * similarity[anchor, j], -j))
            taken.add(int(found))


def test_a_run_that_is_stopped_goes_on_with_the_embeddings_it_had(tmp_path: Path) -> None:
    whole = [batch.ids.tolist() for batch in source(tmp_path / "whole", []).batches(0)]
    calls: list[int] = []
    begun = source(tmp_path / "cut", calls).batches(0)
    first = [next(begun).ids.tolist() for _ in range(6)]
    begun.close()
    # Whoever goes on embeds with weights of another moment; what was searched stays.
    rest = [batch.ids.tolist() for batch in source(tmp_path / "cut", calls).batches(0, 6)]
    assert first + rest == whole


class Watched(HardSource):
    """Remembers every batch that it gave, and the most searches that lay on the disk at once."""

    def __init__(self, folder: Path, calls: list[int], every: int) -> None:
        features = np.random.default_rng(3).standard_normal((N, 3)).astype(np.float32)
        super().__init__(
            lambda sampler: FeatureSource(features, NUMBERS, sampler),
            lambda: moving(calls),
            NUMBERS,
            18,
            every,
            0,
            folder,
        )
        self.given: list[list[int]] = []
        self.most = 0

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        for batch in super().batches(epoch, start):
            self.given.append(batch.ids.tolist())
            self.most = max(self.most, len(list(self._folder.glob("hard-*.npz"))))
            yield batch


class Killed(BaseException):
    pass


class KillAfter:
    """``hooks.stop`` that ends a run after some steps as a kill does: without another checkpoint."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self) -> bool:
        self.left -= 1
        if not self.left:
            raise Killed
        return False


@pytest.mark.parametrize(("every", "kill"), [(2, 7), (2, 13), (1, 25)])
def test_a_run_that_is_killed_goes_on_with_the_batches_it_would_have_had(tmp_path: Path, every: int, kill: int) -> None:
    """Its last checkpoint is as old as it likes; embeddings of any later moment would be others."""

    def trained(folder: Path, calls: list[int], stop: KillAfter | None = None) -> Watched:
        hard = Watched(folder, calls, every)
        values = config(epochs=3, save_seconds=1e9)
        hooks = TrainHooks() if stop is None else TrainHooks(stop=stop)
        method = Pull(Encoder(nn.Identity(), nn.Linear(3, 4), 4))
        # Threads that wait for each other cost more than such a network.
        with torch_threads(1), suppress(Killed):
            fit(method, hard, values, folder=folder, resume=True, hooks=hooks)
        return hard

    whole = trained(tmp_path / "whole", [])
    assert len(whole.given) == 3 * N // 6
    calls: list[int] = []
    killed = trained(tmp_path / "cut", calls, KillAfter(kill))
    assert killed.given == whole.given[:kill]
    rest = trained(tmp_path / "cut", calls)
    assert len(rest.given) > len(whole.given) - kill  # some steps come again
    assert rest.given == whole.given[-len(rest.given) :]
    # And the disk is not filled, however cheap searches are and however rare checkpoints.
    assert whole.most <= MOST_KEPT + 1


def test_searches_that_no_checkpoint_needs_are_thrown_away(tmp_path: Path) -> None:
    hard = source(tmp_path, [], every=2)
    batches = hard.batches(0)
    for _ in range(7):
        next(batches)
    kept = lambda: sorted(path.name for path in tmp_path.glob("hard-*.npz"))  # noqa: E731
    assert kept() == ["hard-0.npz", "hard-1.npz", "hard-2.npz", "hard-3.npz"]
    hard.saved(0, 5)
    assert kept() == ["hard-2.npz", "hard-3.npz"]
    hard.saved(1, 0)
    assert kept() == []


def test_how_old_the_embeddings_are_is_logged(tmp_path: Path) -> None:
    hard = source(tmp_path, [])
    assert hard.logs() == {}
    ages = []
    for _ in hard.batches(0):
        ages.append(hard.logs()["staleness"])
    assert ages == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]


@pytest.mark.parametrize("count", [1, 17, 300])
def test_the_index_is_the_projects_own(count: int) -> None:
    vectors = np.random.default_rng(0).standard_normal((count, 5)).astype(np.float32)
    ids = np.random.default_rng(1).permutation(count).astype(np.int64)
    index = build_index(ids, vectors)
    assert index.kind.startswith("faiss")
    found = index.search(vectors, 1)
    assert found.ids[:, 0].tolist() == ids.tolist()


@pytest.mark.parametrize("kind", ["exact", None])
def test_what_a_search_takes_is_what_was_said(
    kind: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as Python sees it: of the index over the embeddings that FAISS builds it sees nothing."""
    count, dimension = 3000, 256
    numbers = np.arange(count, dtype=np.int64) % 100
    rows = np.random.default_rng(0).standard_normal((count, dimension)).astype(np.float32)

    def exact(ids: Ids, vectors: Vectors) -> VectorIndex:
        index = ExactIndex(dimension)
        index.add(ids, vectors)
        return index

    if kind is not None:
        monkeypatch.setattr("retrieval.workflows.hard_mining.build_index", exact)
    features = np.zeros((count, 3), np.float32)
    make = lambda sampler: FeatureSource(features, numbers, sampler)  # noqa: E731
    hard = HardSource(make, rows.copy, numbers, 96, 1, 0, tmp_path)
    tracemalloc.start()
    try:
        next(iter(hard.batches(0)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 2 * rows.nbytes < peak <= search_memory(count, dimension)


def test_batches_are_whole_groups() -> None:
    assert [whole_groups(size) for size in (2, 6, 7, 128)] == [6, 6, 6, 126]


def test_the_index_is_exact_where_a_gallery_takes_an_approximate_one(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 2000
    vectors = np.random.default_rng(0).standard_normal((count, 24)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    monkeypatch.setattr(SIZES, "FLAT_BELOW", count // 2)
    monkeypatch.setattr(importlib.import_module("retrieval.index.build"), "WANTED_RECALL", 0.5)
    assert SIZES.choose(count, 24).kind != "faiss-flat"
    found = build_index(np.arange(count, dtype=np.int64), vectors).search(vectors, 4)
    similarity = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    np.testing.assert_array_equal(found.ids, np.argsort(-similarity, axis=1, kind="stable")[:, :4])


def test_a_damaged_file_is_searched_anew(tmp_path: Path) -> None:
    calls: list[int] = []
    next(source(tmp_path, calls).batches(0))
    (tmp_path / "hard-0.npz").write_bytes(b"PK broken")
    next(source(tmp_path, calls).batches(0))
    assert len(calls) == 2
