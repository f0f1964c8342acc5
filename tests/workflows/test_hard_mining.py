"""Hard examples of the whole set: equal to exact search on the embeddings of the moment, and the same after a stop."""

from pathlib import Path

import numpy as np
import pytest

from retrieval.core.types import Vectors
from retrieval.datasets.loader import FeatureSource
from retrieval.workflows.hard_mining import HardSource, build_index

N, CLASSES = 60, 6
NUMBERS = np.arange(N, dtype=np.int64) % CLASSES


def moving(calls: list[int]) -> Vectors:
    """Other embeddings at every call, as of an encoder that learns."""
    calls.append(len(calls))
    vectors = np.random.default_rng(len(calls)).standard_normal((N, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def source(folder: Path, calls: list[int], every: int = 4) -> HardSource:
    features = np.zeros((N, 3), np.float32)
    return HardSource(
        lambda sampler: FeatureSource(features, NUMBERS, sampler), lambda: moving(calls), NUMBERS, 18, every, 0, folder
    )


def test_an_epoch_has_every_image_as_an_anchor_and_searches_every_few_steps(tmp_path: Path) -> None:
    calls: list[int] = []
    hard = source(tmp_path, calls)
    batches = list(hard.batches(0))
    assert len(batches) == hard.steps(0) == N // 6
    assert len(calls) == 3  # before steps 0, 4 and 8
    anchors = np.concatenate([batch.ids.numpy()[::3] for batch in batches])
    assert sorted(anchors.tolist()) == list(range(N))


def test_positives_and_negatives_are_the_nearest_by_exact_search(tmp_path: Path) -> None:
    hard = source(tmp_path, [], every=1000)
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
            assert found == max(allowed, key=lambda j: (similarity[anchor, j], -j))
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


def test_a_damaged_file_is_searched_anew(tmp_path: Path) -> None:
    calls: list[int] = []
    next(source(tmp_path, calls).batches(0))
    (tmp_path / "hard-0.npz").write_bytes(b"PK broken")
    next(source(tmp_path, calls).batches(0))
    assert len(calls) == 2
