"""Which kind is chosen, when it no longer fits, and that building is bounded and repeats itself."""

import doctest
from dataclasses import replace

import numpy as np
import pytest

from retrieval.core.types import NO_ID, Matches
from retrieval.index import FaissIndex, Parameters, build, choose, needs_rebuild
from retrieval.index import choose as choose_function
from retrieval.index.build import list_count, measure_recall, sample_count

from .support import APPROXIMATE_KINDS, KINDS, BigSource, MemorySource, clustered, empty_index

D = 16


@pytest.mark.parametrize(
    ("count", "dimension", "kind"),
    [
        (0, 384, "faiss-flat"),
        (49_999, 1280, "faiss-flat"),
        (50_000, 1280, "faiss-ivf-sq8"),
        (838_860, 1280, "faiss-ivf-sq8"),
        (838_861, 1280, "faiss-ivf-pq"),
        (1_000_000, 384, "faiss-ivf-sq8"),
        (10_000_000, 384, "faiss-ivf-pq"),
    ],
)
def test_choose(count, dimension, kind):
    choice = choose(count, dimension)
    assert choice.kind == kind
    assert choice.reason.startswith(f"{count:,} vectors of {dimension} dimensions: ")
    assert choice.reason.endswith(".")


def test_choose_refuses_what_cannot_be():
    with pytest.raises(ValueError):
        choose(-1, 4)
    with pytest.raises(ValueError):
        choose(5, 0)


def test_doctests():
    import sys

    module = sys.modules[choose_function.__module__]
    result = doctest.testmod(module)
    assert result.failed == 0 < result.attempted


class Sized(FaissIndex):
    """An index that says it holds ``size`` vectors."""

    size = 0

    def __len__(self):
        return self.size


@pytest.mark.parametrize(
    ("kind", "made_for", "size", "word"),
    [
        ("faiss-flat", 0, 0, None),
        ("faiss-flat", 100, 49_999, None),
        ("faiss-flat", 100, 50_000, "grown"),
        ("faiss-ivf-sq8", 60_000, 60_000, None),
        ("faiss-ivf-sq8", 60_000, 25_000, None),
        ("faiss-ivf-sq8", 60_000, 24_999, "shrunk"),
        ("faiss-ivf-sq8", 60_000, 239_999, None),
        ("faiss-ivf-pq", 60_000, 240_000, "grown"),
        ("faiss-ivf-pq", 1_000_000, 250_001, None),
        ("faiss-ivf-pq", 1_000_000, 250_000, "shrunk"),
    ],
)
def test_needs_rebuild(kind, made_for, size, word):
    index = Sized(MemorySource(D))
    index.parameters, index.size = Parameters(kind, "", made_for), size
    reason = needs_rebuild(index)
    assert (reason is None) == (word is None)
    if word:
        assert word in reason
        assert f"{size:,}" in reason


def test_the_exact_index_never_needs_rebuilding():
    assert needs_rebuild(empty_index("exact", D)[0]) is None


@pytest.mark.parametrize("kind", KINDS)
def test_building_twice_gives_the_same(kind):
    source = BigSource(clustered(3000, D), step=5)
    ids = np.random.default_rng(0).permutation(3000) * 5
    one, two = build(ids, source, kind=kind, seed=7), build(np.sort(ids), source, kind=kind, seed=7)
    assert one.ids().tolist() == two.ids().tolist() == sorted(ids.tolist())
    queries = clustered(50, D, seed=1)
    np.testing.assert_array_equal(one.search(queries, 40).ids, two.search(queries, 40).ids)
    if kind != "exact":
        assert one.parameters == two.parameters
        assert one.parameters.built_for == 3000


def test_the_kind_is_chosen_when_none_is_named():
    index = build(np.arange(600), BigSource(clustered(600, D)))
    assert index.kind == "faiss-flat"
    assert index.parameters.reason == choose(600, D).reason
    assert "asked for by name" in build(np.arange(600), index._source, kind="faiss-ivf-sq8").parameters.reason


def test_what_cannot_be_built():
    source = BigSource(clustered(300, D))
    with pytest.raises(ValueError, match="Unknown kind"):
        build(np.arange(300), source, kind="faiss-hnsw")
    with pytest.raises(ValueError, match="at least 256"):
        build(np.arange(255), source, kind="faiss-ivf-pq")
    with pytest.raises(ValueError, match="twice"):
        build(np.array([1, 1]), source)
    with pytest.raises(ValueError, match="negative"):
        build(np.array([1, -1]), source)
    with pytest.raises(KeyError):
        build(np.arange(301), source)


@pytest.mark.parametrize("kind", APPROXIMATE_KINDS)
def test_all_vectors_alike(kind):
    """A gallery of one picture, many times over: k-means finds one cluster and leaves the others empty."""
    index = build(np.arange(1000), BigSource(np.ones((1000, D))), kind=kind)
    index.scan_limit = 0
    assert index.search(np.ones((1, D)), 5).ids[0].tolist() == [0, 1, 2, 3, 4]
    assert index.search(np.ones((1, D)), 5, np.arange(400, 1000)).ids[0].tolist() == [400, 401, 402, 403, 404]


@pytest.mark.parametrize("kind", APPROXIMATE_KINDS)
def test_the_recall_that_is_stored_was_measured(kind):
    """With lists that are searched in full less often, less is found; the number must show it."""
    source = BigSource(clustered(4000, D, clusters=40))
    index = build(np.arange(4000), source, kind=kind)
    ids = np.arange(0, 4000, 20)
    queries = source.read(ids)
    truth = build(np.arange(4000), source, kind="exact").search(queries, 11)
    at_its_best = measure_recall(index, ids, queries, truth)
    assert at_its_best == pytest.approx(index.parameters.recall, abs=0.02)
    assert at_its_best >= 0.98
    index.parameters = replace(index.parameters, nprobe=1)
    assert measure_recall(index, ids, queries, truth) < 0.9


def test_recall_by_hand():
    """Two queries, k = 2: the first finds one of two, the second both, one of them as a tie with another id."""

    class Answers:
        def search(self, queries, k):
            return Matches(np.array([[1, 5, 7], [8, 2, 6]]), np.array([[1, 0.9, 0.1], [1, 1, 0.5]]))

    truth = Matches(np.array([[1, 5, 6], [2, 8, 4]]), np.array([[1, 0.9, 0.8], [1, 1, 0.5]]))
    queries = np.ones((2, D), dtype=np.float32)
    assert measure_recall(Answers(), np.array([1, 2]), queries, truth) == 0.75
    nothing = Matches(np.array([[1, NO_ID, NO_ID]]), np.array([[1, -np.inf, -np.inf]]))

    class Alone:
        def search(self, queries, k):
            return nothing

    assert measure_recall(Alone(), np.array([1]), queries[:1], nothing) == 1.0


@pytest.mark.parametrize("dimension", [64, 384, 1280, 2048])
@pytest.mark.parametrize("count", [256, 1000, 50_000, 1_000_000, 10_000_000])
def test_training_is_bounded(count, dimension):
    lists, sample = list_count(count, dimension), sample_count(count, dimension)
    assert 1 <= lists <= 4096
    assert 16 * lists <= sample <= min(count, 100_000)
    assert 4 * sample * dimension <= 256 * 1024 * 1024


def test_progress_is_told():
    told = []
    build(np.arange(700), BigSource(clustered(700, D)), kind="faiss-ivf-sq8", progress=lambda *args: told.append(args))
    stages = [stage for stage, _, _ in told]
    assert list(dict.fromkeys(stages)) == ["train", "add", "measure"]
    assert ("add", 700, 700) in told
    assert all(0 <= done <= total for _, done, total in told)
    told.clear()
    build(np.arange(700), BigSource(clustered(700, D)), progress=lambda *args: told.append(args))
    assert told == [("add", 700, 700)]
