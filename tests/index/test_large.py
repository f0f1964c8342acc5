"""Galleries of realistic size: recall, filters, removals, duplicates. 6,000 vectors always, 60,000 when slow."""

import numpy as np
import pytest

from retrieval.functional.topk import exact_topk
from retrieval.index import build, load, publish

from .support import APPROXIMATE_KINDS, EXACT_KINDS, KINDS, BigSource, clustered

D = 32
STEP = 3  # Ids are multiples of it, so that gaps between ids are normal.
QUERIES = 40


class Gallery:
    """An index over ``count`` vectors, 300 of them identical, beside the truth."""

    def __init__(self, kind, count):
        vectors = clustered(count, D, clusters=count // 60)
        self.twins = np.arange(1000, 1300) * STEP
        vectors[1000:1300] = vectors[1000]
        self.source = BigSource(vectors, STEP)
        self.ids = np.random.default_rng(0).permutation(count) * STEP
        self.index = build(self.ids, self.source, kind=kind)
        if kind != "exact":
            # The light version must go through FAISS under filters as the large one does.
            self.index.scan_limit = min(self.index.scan_limit, count // 3)
        self.queries = clustered(QUERIES, D, seed=1, clusters=count // 60)

    def check(self, k, allowed=None, recall=0.95):
        present = self.index.ids()
        pool = present if allowed is None else present[np.isin(present, allowed)]
        truth = exact_topk(self.queries, self.source.read(pool), pool, k)
        found = self.index.search(self.queries, k, allowed)
        if self.index.kind in EXACT_KINDS or (allowed is not None and len(pool) <= self.index.scan_limit):
            np.testing.assert_array_equal(found.ids, truth.ids)
            np.testing.assert_array_equal(found.scores, truth.scores)
            return
        assert np.all(np.isin(found.ids, pool))
        assert np.all(np.diff(found.scores, axis=1) <= 0)
        every = exact_topk(self.queries, self.source.read(np.unique(found.ids)), np.unique(found.ids), found.ids.size)
        for row in range(QUERIES):
            assert found.row(row) == [match for match in every.row(row) if match[0] in set(found.ids[row].tolist())]
        assert np.mean(found.scores >= truth.scores[:, -1:]) >= recall


@pytest.fixture(
    scope="module",
    params=[
        *(pytest.param((kind, 6000), id=f"{kind}-6k") for kind in KINDS),
        *(pytest.param((kind, 60_000), id=f"{kind}-60k", marks=pytest.mark.slow) for kind in KINDS),
    ],
)
def gallery(request):
    return Gallery(*request.param)


def test_recall_without_a_filter(gallery):
    gallery.check(1)
    gallery.check(10)
    gallery.check(100, recall=0.9)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_recall_under_filters(gallery, share):
    count = int(share * len(gallery.ids))
    gallery.check(10, np.random.default_rng(2).permutation(gallery.ids)[:count])


def test_a_filter_of_ten_is_answered_exactly(gallery):
    allowed = np.random.default_rng(3).permutation(gallery.ids)[:10]
    gallery.check(5, allowed)
    gallery.check(10, allowed)
    assert set(gallery.index.search(gallery.queries[:1], 50, allowed).ids[0, :10].tolist()) == set(allowed.tolist())


def test_a_filter_far_from_the_query_still_gives_k(gallery):
    """Only the farthest third is allowed: the lists near the query hold none of it."""
    query = gallery.queries[:1]
    scores = gallery.source.read(np.sort(gallery.ids)) @ query[0]
    far = np.sort(gallery.ids)[np.argsort(scores)[: len(gallery.ids) * 2 // 5]]
    assert len(far) > getattr(gallery.index, "scan_limit", 0)
    found = gallery.index.search(query, 300, far)
    assert len(found.row(0)) == 300
    assert np.all(np.isin(found.ids, far))


def test_duplicates_and_the_boundary(gallery):
    query = gallery.source.read(gallery.twins[:1])
    for k in (1, 10, 100, 300):
        assert gallery.index.search(query, k).ids[0].tolist() == gallery.twins[:k].tolist()
    without = np.setdiff1d(gallery.ids, gallery.twins[:120])
    assert gallery.index.search(query, 10, without).ids[0].tolist() == gallery.twins[120:130].tolist()


def test_stored_vectors_find_themselves(gallery):
    some = np.setdiff1d(gallery.ids, gallery.twins)[::97]
    assert gallery.index.search(gallery.source.read(some), 1).ids[:, 0].tolist() == some.tolist()


def test_snapshot(gallery, tmp_path):
    publish(gallery.index, tmp_path, fingerprint="f", last_change=1)
    again, manifest = load(tmp_path, gallery.source, fingerprint="f", dimension=D)
    assert manifest.count == len(gallery.index)
    if again.kind != "exact":
        again.scan_limit = gallery.index.scan_limit
    one, two = gallery.index.search(gallery.queries, 10), again.search(gallery.queries, 10)
    np.testing.assert_array_equal(one.ids, two.ids)
    np.testing.assert_array_equal(one.scores, two.scores)


def test_the_approximate_engines_look_at_a_part_only(gallery):
    """Otherwise their recall would prove nothing."""
    if gallery.index.kind in APPROXIMATE_KINDS:
        assert gallery.index.parameters.nprobe * 4 <= gallery.index.parameters.lists
        assert 0.98 <= gallery.index.parameters.recall <= 1


def test_a_fifth_is_removed_and_comes_back(gallery):
    """Last, since it changes the gallery."""
    gone = np.random.default_rng(4).permutation(gallery.ids)[: len(gallery.ids) // 5]
    assert gallery.index.remove(gone) == len(gone)
    assert not np.any(np.isin(gallery.index.search(gallery.source.read(gone[:50]), 20).ids, gone))
    gallery.check(10)
    gallery.check(10, np.random.default_rng(5).permutation(gallery.ids)[: len(gallery.ids) // 2])
    left = np.setdiff1d(gallery.twins, gone)
    assert gallery.index.search(gallery.source.read(left[:1]), 10).ids[0].tolist() == left[:10].tolist()
    gallery.index.add(gone, gallery.source.read(gone))
    assert len(gallery.index) == len(gallery.ids)
    gallery.check(10)
