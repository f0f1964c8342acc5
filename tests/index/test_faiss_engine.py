"""How the FAISS engines look further when the first candidates do not settle a query, and what they read."""

import errno
import os

import numpy as np
import pytest

from retrieval.functional.topk import exact_topk
from retrieval.index import FaissIndex, Parameters, build, faiss_engine, set_threads
from retrieval.index.build import MEASURED_QUERIES
from retrieval.index.idset import MERGE_AT, IdSet, ascending
from retrieval.index.library import faiss
from retrieval.index.selection import BITMAP_BYTES, Selection

from .support import APPROXIMATE_KINDS, BigSource, MemorySource, clustered

D = 16


@pytest.fixture
def calls(monkeypatch):
    """(fetch, nprobe) of every call into FAISS."""
    seen = []
    inner = FaissIndex._candidates

    def spy(self, queries, fetch, nprobe, selection):
        seen.append((fetch, nprobe))
        return inner(self, queries, fetch, nprobe, selection)

    monkeypatch.setattr(FaissIndex, "_candidates", spy)
    return seen


def test_flat_settles_an_ordinary_query_at_once(calls):
    source = BigSource(clustered(3000, D))
    index = build(np.arange(3000), source, kind="faiss-flat")
    index.search(clustered(1, D, seed=1), 10)
    assert calls == [(10 + faiss_engine.SLACK, 0)]


def test_flat_doubles_the_fetch_until_ties_are_outside(calls):
    vectors = clustered(3000, D)
    vectors[500:700] = vectors[500]
    index = build(np.arange(3000), BigSource(vectors), kind="faiss-flat")
    assert index.search(vectors[500:501], 10).ids[0].tolist() == list(range(500, 510))
    assert [fetch for fetch, _ in calls] == [42, 84, 168, 336]


def test_flat_scans_when_everything_ties(calls):
    vectors = np.ones((400, D), dtype=np.float32)
    index = build(np.arange(400), BigSource(vectors), kind="faiss-flat")
    assert index.search(vectors[:1], 100).ids[0].tolist() == list(range(100))
    assert max(fetch for fetch, _ in calls) < 400


def test_one_hard_query_does_not_disturb_the_others():
    vectors = clustered(3000, D)
    vectors[500:900] = vectors[500]
    index = build(np.arange(3000), BigSource(vectors), kind="faiss-flat")
    queries = np.concatenate([clustered(300, D, seed=2), vectors[500:501], clustered(300, D, seed=3)])
    found, truth = (
        index.search(queries, 7),
        exact_topk(queries, index._source.read(np.arange(3000)), np.arange(3000), 7),
    )
    np.testing.assert_array_equal(found.ids, truth.ids)
    np.testing.assert_array_equal(found.scores, truth.scores)


@pytest.mark.parametrize("kind", APPROXIMATE_KINDS)
def test_too_few_matches_raise_nprobe(kind, calls):
    source = BigSource(clustered(4000, D))
    index = build(np.arange(4000), source, kind=kind)
    index.parameters = Parameters(kind, "", 4000, index.parameters.lists, nprobe=1, overfetch=4)
    calls.clear()
    matches = index.search(clustered(3, D, seed=1), 1500)
    assert np.all(matches.ids >= 0)
    probes = [nprobe for _, nprobe in calls]
    assert len(probes) > 1
    assert probes == sorted(set(probes))


@pytest.mark.parametrize("kind", ["faiss-flat", *APPROXIMATE_KINDS])
def test_a_small_filter_reads_only_what_it_allows(kind, calls):
    vectors = clustered(2000, D)
    source = MemorySource(D)
    source.put(range(2000), vectors)
    index = build(np.arange(2000), source, kind=kind)
    source.reads = 0
    calls.clear()
    index.search(vectors[:5], 3, np.arange(100, 150))
    assert calls == []
    assert source.reads == 50


@pytest.mark.parametrize("kind", ["exact", "faiss-flat", *APPROXIMATE_KINDS])
def test_building_reads_in_blocks(kind, monkeypatch):
    monkeypatch.setattr("retrieval.index.blocks.BLOCK", 128)
    monkeypatch.setattr("retrieval.functional.topk.BLOCK_ROWS", 128)
    source = MemorySource(D)
    source.put(range(1500), clustered(1500, D))
    source.largest_read = 0
    build(np.arange(1500), source, kind=kind)
    # The queries that recall is measured with are read at once, and are never more than these.
    assert source.largest_read == (MEASURED_QUERIES if kind in APPROXIMATE_KINDS else 128)


def test_an_id_that_the_source_lacks_is_a_key_error():
    source = MemorySource(D)
    vectors = source.put(range(10), clustered(10, D))
    index = build(np.arange(10), source)
    del source.rows[4]
    with pytest.raises(KeyError):
        index.search(vectors[:1], 10)
    with pytest.raises(KeyError):
        build(np.arange(10), source)


def test_scores_come_from_the_source_and_not_from_what_was_added():
    """The index may be fed more precise vectors; the stored ones are the truth."""
    source = MemorySource(D)
    precise = clustered(50, D)
    stored = source.put(range(50), precise)
    index = FaissIndex(source)
    index.add(np.arange(50), precise)
    found, truth = index.search(precise[:5], 10), exact_topk(precise[:5], stored, np.arange(50), 10)
    np.testing.assert_array_equal(found.scores, truth.scores)


def test_kinds_that_need_training_cannot_be_made_empty():
    with pytest.raises(ValueError, match="must be built"):
        FaissIndex(MemorySource(D), Parameters("faiss-ivf-sq8"))
    with pytest.raises(ValueError, match="Unknown kind"):
        Parameters("faiss-hnsw")


def test_parameters_refuse_what_they_did_not_write():
    good = Parameters("faiss-ivf-pq", "why", 7, 4, 2, 8, 0.99)
    assert Parameters.from_json(good.to_json()) == good
    for bad in ({"kind": "faiss-flat", "more": 1}, [], {"nprobe": "3"}, {"lists": -1}, {"kind": "other"}):
        with pytest.raises(ValueError):
            Parameters.from_json(bad)


@pytest.mark.parametrize("offset", [0, 8 * BITMAP_BYTES, 2**61])
def test_a_selection_lets_exactly_its_ids_through(offset):
    pool = np.array([0, 1, 7, 8, 63, 64, 900]) + offset
    selector = Selection(pool).selector
    asked = np.concatenate([np.arange(offset, offset + 1000), [2**62, offset + 10**6]])
    assert [key for key in asked.tolist() if selector.is_member(key)] == pool.tolist()
    expected = faiss.IDSelectorBatch if offset else faiss.IDSelectorBitmap
    assert isinstance(selector, expected)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_not_hidden_by_faiss(tmp_path):
    """FAISS writes through a callback; what fails in it must arrive as what it is."""
    index = build(np.arange(600), BigSource(clustered(600, D)), kind="faiss-ivf-sq8")
    (tmp_path / "lists.faiss").symlink_to("/dev/full")
    with pytest.raises(OSError) as caught:
        index.save(tmp_path)
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("kind", APPROXIMATE_KINDS)
def test_filters_and_larger_k_look_into_more_lists(kind, calls):
    """The 100 nearest in a quarter are the 400 nearest of all: with the lists tuned for 10, a third would be lost."""
    source = BigSource(clustered(8000, D, clusters=200))
    index = build(np.arange(8000), source, kind=kind)
    index.scan_limit = 0
    allowed, queries = np.arange(0, 8000, 4), clustered(40, D, seed=1, clusters=200)
    calls.clear()
    found, truth = index.search(queries, 100, allowed), exact_topk(queries, source.read(allowed), allowed, 100)
    index.search(queries, 10)
    assert calls[0][1] > calls[-1][1] == index.parameters.nprobe
    assert np.mean(found.scores >= truth.scores[:, -1:]) >= 0.95


def test_the_limit_for_exact_scans_is_smaller_for_long_vectors():
    assert FaissIndex(MemorySource(384)).scan_limit == 20_000
    assert FaissIndex(MemorySource(1280)).scan_limit == 6250


def test_threads():
    before = faiss.omp_get_max_threads()
    try:
        set_threads(1)
        assert faiss.omp_get_max_threads() == 1
        with pytest.raises(ValueError, match="at least 1"):
            set_threads(0)
    finally:
        faiss.omp_set_num_threads(before)


def test_building_leaves_the_threads_as_they_were():
    before = faiss.omp_get_max_threads()
    build(np.arange(400), BigSource(clustered(400, D)), kind="faiss-ivf-pq")
    assert faiss.omp_get_max_threads() == before


def test_a_set_of_ids_against_pythons_own():
    random = np.random.default_rng(0)
    ours, theirs = IdSet(), set()
    for size in (10, 500, MERGE_AT, 3, MERGE_AT + 1, 200):
        batch = np.unique(random.integers(0, 2**62, size))
        batch = batch[~ours.contains(batch)]
        ours.add(batch)
        theirs.update(batch.tolist())
        gone = random.choice(ours.ascending(), size=len(theirs) // 3, replace=False)
        ours.remove(np.concatenate([gone, gone[:2], [-5]]))
        theirs.difference_update(gone.tolist())
        assert len(ours) == len(theirs)
        assert ours.ascending().tolist() == sorted(theirs)
        asked = np.concatenate([gone[:50], ours.ascending()[::997]])
        assert ours.contains(asked).tolist() == [key in theirs for key in asked.tolist()]


@pytest.mark.parametrize("spread", [1, 7, 2**40])
def test_large_look_ups_in_a_set_that_changes(spread):
    """With the mask (dense ids) and without it (sparse ones), before and after changes."""
    ours, theirs = IdSet(), set()
    random = np.random.default_rng(1)
    asked = np.concatenate([[-7, -1, 2**62], np.arange(20_000) * spread, np.arange(1000) * spread + 1])
    for round_ in range(3):
        batch = np.arange(round_, 15_000, 3) * spread
        ours.add(batch)
        theirs.update(batch.tolist())
        assert ours.contains(asked).tolist() == [key in theirs for key in asked.tolist()]
        gone = random.choice(batch, size=500, replace=False)
        ours.remove(gone)
        theirs.difference_update(gone.tolist())
        assert ours.contains(asked).tolist() == [key in theirs for key in asked.tolist()]
    assert (ours._mask is not None) == (spread < 16)


def test_ascending():
    for ids in ([], [3], [1, 2, 9], [2, 1], [1, 1]):
        assert ascending(np.array(ids, dtype=np.int64)).tolist() == sorted(set(ids))
