"""What every engine promises, run against every engine."""

import numpy as np
import pytest

from retrieval.core.protocols import VectorIndex
from retrieval.core.types import NO_ID
from retrieval.index import ExactIndex, FaissIndex

from .support import APPROXIMATE_KINDS, KINDS, check, clustered, empty_index

D = 18  # Not a multiple of the product quantiser's groups.


@pytest.fixture(params=KINDS)
def engine(request):
    return empty_index(request.param, D)


def filled(engine, count=300, first=1, seed=0):
    index, source = engine
    ids = np.random.default_rng(seed).permutation(np.arange(first, first + count))
    index.add(ids, source.put(ids, clustered(count, D, seed)))
    return index, source, ids


def test_it_is_a_vector_index(engine):
    index, _ = engine
    assert isinstance(index, VectorIndex)
    assert index.dimension == D
    assert index.kind in KINDS


def test_an_empty_index_finds_nothing(engine):
    index, _ = engine
    assert len(index) == 0
    assert index.ids().tolist() == []
    assert index.ids().dtype == np.int64
    for allowed in (None, np.array([1, 2])):
        matches = index.search(np.ones((2, D)), 3, allowed)
        assert matches.ids.tolist() == [[NO_ID] * 3] * 2
        assert np.all(np.isneginf(matches.scores))
    assert index.remove(np.array([5])) == 0
    index.add(np.empty(0, dtype=np.int64), np.empty((0, D), dtype=np.float32))
    assert len(index) == 0


@pytest.mark.parametrize("k", [1, 10, 40, 299, 300, 1000])
def test_search(engine, k):
    index, source, ids = filled(engine)
    assert len(index) == 300
    assert index.ids().tolist() == sorted(ids.tolist())
    # k = 40 of 300 is far from the ten that an approximate engine is tuned for.
    check(index, source, 3 * clustered(12, D, seed=5), k, recall=0.75)


def test_no_queries(engine):
    index, _, _ = filled(engine)
    assert index.search(np.empty((0, D), dtype=np.float32), 4).ids.shape == (0, 4)


def test_a_stored_vector_finds_itself_first(engine):
    index, source, ids = filled(engine)
    matches = index.search(source.read(ids), 1)
    assert matches.ids[:, 0].tolist() == ids.tolist()
    assert np.all(matches.scores[:, 0] == 1.0)


def test_the_length_of_a_vector_has_no_influence(engine):
    index, source, ids = filled(engine)
    query = source.read(ids[:5])
    index.add(ids[:100], source.put(ids[:100], source.read(ids[:100]) * 8))
    np.testing.assert_array_equal(index.search(query, 5).scores, index.search(query * 4, 5).scores)
    assert index.search(query, 1).ids[:, 0].tolist() == ids[:5].tolist()


@pytest.mark.parametrize("allowed_count", [0, 1, 10, 150, 299, 300])
def test_filters(engine, allowed_count):
    index, source, ids = filled(engine)
    allowed = np.concatenate([ids[:allowed_count], [10**9, 5 * 10**9, 7 + 2**61]])
    queries = clustered(8, D, seed=6)
    for k in (1, 10, 400):
        check(index, source, queries, k, allowed, recall=0.75)
    matches = index.search(queries, 400, allowed)
    assert set(matches.ids.ravel().tolist()) - {NO_ID} == set(ids[:allowed_count].tolist())


def test_a_filter_may_repeat_itself_and_come_in_any_order(engine):
    index, _, ids = filled(engine)
    queries = clustered(4, D, seed=6)
    plain = index.search(queries, 5, np.sort(ids[:50]))
    muddled = index.search(queries, 5, np.concatenate([ids[:50][::-1], ids[:20]]))
    np.testing.assert_array_equal(plain.ids, muddled.ids)
    nothing = index.search(queries, 5, np.empty(0, dtype=np.int64))
    assert np.all(nothing.ids == NO_ID)


def test_replace(engine):
    index, source, ids = filled(engine)
    before = source.read(ids[:1])
    other = -before
    index.add(ids[:1], source.put(ids[:1], other))
    assert len(index) == 300
    assert index.search(other, 1).row(0) == [(int(ids[0]), 1.0)]
    assert int(ids[0]) not in index.search(before, 5).ids
    check(index, source, clustered(5, D, seed=7), 7)


def test_a_batch_may_replace_some_and_add_others(engine):
    index, source, ids = filled(engine)
    mixed = np.concatenate([ids[:30], np.arange(5000, 5030)])
    index.add(mixed, source.put(mixed, clustered(60, D, seed=8)))
    assert len(index) == 330
    assert index.ids().tolist() == sorted({*ids.tolist(), *mixed.tolist()})
    check(index, source, source.read(mixed), 1, recall=1.0)


def test_remove(engine):
    index, source, ids = filled(engine)
    gone = ids[:120]
    assert index.remove(np.concatenate([gone, gone[:5], [123456789]])) == 120
    assert index.remove(gone) == 0
    assert len(index) == 180
    assert index.ids().tolist() == sorted(ids[120:].tolist())
    assert not set(index.search(source.read(gone), 180).ids.ravel().tolist()) & set(gone.tolist())
    check(index, source, clustered(5, D, seed=9), 10, recall=0.75)
    index.add(gone, source.read(gone))
    check(index, source, source.read(gone), 1, recall=1.0)


def test_remove_everything_and_begin_anew(engine):
    index, source, ids = filled(engine)
    assert index.remove(ids) == 300
    assert index.search(source.read(ids[:2]), 2).ids.tolist() == [[NO_ID] * 2] * 2
    index.add(ids[:3], source.read(ids[:3]))
    assert index.search(source.read(ids[:3]), 1).ids[:, 0].tolist() == ids[:3].tolist()


def test_one_by_one_is_the_same_as_at_once(engine):
    index, source = engine
    vectors = source.put(range(1, 60), clustered(59, D))
    for row in np.random.default_rng(0).permutation(59):
        index.add(np.array([row + 1]), vectors[row : row + 1])
    check(index, source, clustered(5, D, seed=3), 8)
    assert len(index) == 59


def test_ids_may_be_as_large_as_they_come(engine):
    """Also ids whose low 32 bits are equal, and a filter over them."""
    index, source = engine
    ids = np.array([0, 1, 2**32, 2**32 + 1, 2**33, 2**61, 2**62 - 1, 2**62, 2**62 + 1, 2**63 - 1])
    vectors = source.put(ids, clustered(10, D))
    index.add(ids, vectors)
    assert index.ids().tolist() == ids.tolist()
    assert index.search(vectors, 1).ids[:, 0].tolist() == ids.tolist()
    for allowed in (ids[3:8], ids[:9]):
        assert set(index.search(vectors, 10, allowed).ids.ravel().tolist()) == {NO_ID, *allowed.tolist()}
    more = ids[2:] - 50
    index.add(more, source.put(more, clustered(8, D, seed=4)))
    check(index, source, vectors, 2, ids[1:])
    assert index.remove(ids[5:]) == 5
    check(index, source, vectors, 4)


def test_a_large_filter_over_large_ids(engine):
    index, source, ids = filled(engine, first=2**62 - 150)
    check(index, source, source.read(ids[:10]), 3, ids[:200], recall=0.75)
    assert index.search(source.read(ids[:200]), 1, ids[:200]).ids[:, 0].tolist() == ids[:200].tolist()


@pytest.mark.parametrize("k", [1, 10, 100])
def test_duplicates_come_in_ascending_id(engine, k):
    """300 identical vectors among others: the lowest ids, whatever order they were added in."""
    index, source, ids = filled(engine, count=700)
    twins = np.sort(ids[:300])
    shuffled = np.random.default_rng(1).permutation(twins)
    index.add(shuffled, source.put(shuffled, np.repeat(source.read(ids[:1]), 300, axis=0)))
    matches = index.search(source.read(ids[:1]), k)
    assert matches.ids[0].tolist() == twins[:k].tolist()
    assert set(matches.scores[0].tolist()) == {1.0}
    allowed = np.concatenate([twins[200:], ids[300:]])
    assert index.search(source.read(ids[:1]), k, allowed).ids[0].tolist() == twins[200:][:k].tolist()


def test_ties_across_the_boundary_that_are_not_duplicates(engine):
    """Vectors mirrored in one axis score the same against a query that lies in the mirror's plane."""
    index, source = engine
    random = np.random.default_rng(2)
    vectors = np.repeat(random.standard_normal((100, D)), 2, axis=0)
    vectors[1::2, 0] *= -1
    query = random.standard_normal((6, D)).astype(np.float32)
    query[:, 0] = 0
    ids = random.permutation(np.arange(1, 201))
    index.add(ids, source.put(ids, vectors))
    for k in (1, 3, 7):
        # Unlike photos these are noise in all dimensions: the hardest that an approximate one can get.
        check(index, source, query, k, recall=0.5)
    # As many as there are: whatever the engine, nothing is left to be approximate about but the order.
    assert check(index, source, query, 200) == 1.0


@pytest.mark.parametrize(
    ("ids", "vectors", "message"),
    [
        ([1, 1], np.ones((2, D)), "twice"),
        ([1, -1], np.ones((2, D)), "negative"),
        ([1], np.ones((2, D)), "fit"),
        ([1, 2], np.ones((2, D + 1)), "shape"),
        ([1, 2], np.ones(D), "shape"),
        ([1, 2], np.stack([np.ones(D), np.zeros(D)]), "Row 1"),
        ([1, 2], np.stack([np.full(D, np.nan), np.ones(D)]), "Row 0"),
        ([1, 2], np.stack([np.full(D, np.inf), np.ones(D)]), "Row 0"),
        ([1, 2], np.stack([np.full(D, 1e300), np.ones(D)]), "Row 0"),
        ([1.0, 2.0], np.ones((2, D)), "integers"),
        ([True, False], np.ones((2, D)), "integers"),
        ([[1, 2]], np.ones((2, D)), "axis"),
        (np.array([2**63], dtype=np.uint64), np.ones((1, D)), "64-bit"),
    ],
)
def test_a_batch_that_cannot_be_added_changes_nothing(engine, ids, vectors, message):
    index, source, held = filled(engine, count=40)
    with pytest.raises(ValueError, match=message):
        index.add(np.array(ids), vectors)
    assert index.ids().tolist() == sorted(held.tolist())
    check(index, source, clustered(3, D, seed=3), 5)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_query_without_direction_is_refused(engine, value):
    index, _, _ = filled(engine, count=40)
    queries = np.ones((3, D), dtype=np.float32)
    queries[2] = value
    with pytest.raises(ValueError, match="Row 2 of the queries"):
        index.search(queries, 2)


def test_other_errors_of_a_search(engine):
    index, _, _ = filled(engine, count=40)
    for k in (0, -1):
        with pytest.raises(ValueError, match="k is"):
            index.search(np.ones((1, D)), k)
    with pytest.raises(ValueError, match="shape"):
        index.search(np.ones((1, D - 1)), 1)
    with pytest.raises(ValueError, match="shape"):
        index.search(np.ones(D), 1)
    with pytest.raises(ValueError, match="integers"):
        index.search(np.ones((1, D)), 1, np.array([0.5]))


def test_what_was_given_is_left_alone(engine):
    """Neither is written to, nor does a later change of the caller's arrays reach the index."""
    index, source = engine
    ids, vectors = np.arange(1, 51), source.put(range(1, 51), clustered(50, D))
    queries, allowed = 3 * vectors[:2], np.array([9, 4, 4])
    copies = [a.copy() for a in (ids, vectors, queries, allowed)]
    index.add(ids, vectors)
    before = index.search(queries, 5)
    index.search(queries, 5, allowed)
    for array, copy in zip((ids, vectors, queries, allowed), copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    ids += 1000
    vectors[:] = 1
    index.ids()[:] = 0
    before.ids[:] += 0
    np.testing.assert_array_equal(index.search(queries, 5).ids, before.ids)
    assert index.ids().tolist() == list(range(1, 51))


def test_vectors_that_are_not_contiguous(engine):
    index, source = engine
    vectors = source.put(range(50), clustered(50, D))
    index.add(np.arange(100)[::2], np.asfortranarray(source.put(range(0, 100, 2), vectors)))
    check(index, source, np.repeat(vectors, 2, axis=1)[:4, ::2], 3)


def test_save_and_load(engine, tmp_path):
    index, source, ids = filled(engine)
    index.remove(ids[:40])
    folder = tmp_path / "ünï-索引 ✓"
    index.save(folder)
    again = ExactIndex.load(folder) if index.kind == "exact" else FaissIndex.load(folder, source)
    if again.kind in APPROXIMATE_KINDS:
        again.scan_limit = index.scan_limit
    assert again.kind == index.kind
    assert again.dimension == D
    assert again.ids().tolist() == index.ids().tolist()
    queries = clustered(6, D, seed=3)
    for allowed in (None, ids[30:200]):
        one, two = index.search(queries, 9, allowed), again.search(queries, 9, allowed)
        np.testing.assert_array_equal(one.ids, two.ids)
        np.testing.assert_array_equal(one.scores, two.scores)
    again.add(ids[:40], source.read(ids[:40]))
    assert again.remove(ids[40:60]) == 20
    check(again, source, source.read(ids[:40]), 1, recall=1.0)


def test_engines_agree_to_the_bit():
    """The same vectors in all engines: whoever finds an id gives it the same score."""
    scores = {}
    queries = clustered(5, D, seed=11)
    for kind in KINDS:
        index, _, _ = filled(empty_index(kind, D))
        for row in range(5):
            for key, score in index.search(queries, 30).row(row):
                scores.setdefault((row, key), set()).add(score)
    assert len(scores) >= 150
    assert all(len(values) == 1 for values in scores.values())


def test_searches_and_changes_from_several_threads(engine):
    from concurrent.futures import ThreadPoolExecutor

    index, source, ids = filled(engine)
    more = np.arange(2000, 2200)
    vectors = source.put(more, clustered(200, D, seed=12))
    queries = source.read(ids[:3])

    def change(start):
        for at in range(start, 200, 4):
            index.add(more[at : at + 1], vectors[at : at + 1])
            if at % 2:
                index.remove(more[at : at + 1])

    def look(_):
        return [index.search(queries, 1).ids[:, 0].tolist() for _ in range(30)]

    with ThreadPoolExecutor(8) as pool:
        changes = [pool.submit(change, start) for start in range(4)]
        answers = [pool.submit(look, None) for _ in range(4)]
        for change_ in changes:
            change_.result()
        assert all(found == ids[:3].tolist() for answer in answers for found in answer.result())
    assert len(index) == 300 + 100
    check(index, source, clustered(4, D, seed=3), 5)
