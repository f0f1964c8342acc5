"""Hard examples against a sort of all pairs, through the exact engine and through FAISS."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.core.errors import BadValue
from retrieval.core.types import NO_ID
from retrieval.index import ExactIndex
from retrieval.mining import HardBatches, HardExamples, hard_examples


def exact(ids, vectors):
    index = ExactIndex(vectors.shape[1])
    index.add(ids, vectors)
    return index


def data(seed, count=30, classes=4, dimension=6, unlabelled=0.0, ties=False):
    """(labels [N], vectors [N, D])."""
    random = np.random.default_rng(seed)
    vectors = random.integers(-1, 2, (count, dimension)) if ties else random.normal(size=(count, dimension))
    vectors = np.where(np.any(vectors, axis=1, keepdims=True), vectors, 1).astype(np.float32)
    labels = random.integers(classes, size=count)
    labels[random.random(count) < unlabelled] = -1
    return labels, vectors


def ranked(labels, vectors, anchor, ids, k, same, descending=True):
    """By a sort of all scores, rounded as everywhere."""
    wide = vectors.astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    found = []
    for j in ids:
        if j != anchor and labels[j] >= 0 and (labels[j] == labels[anchor]) == same:
            score = round(float(wide[anchor] @ wide[j]), 6) + 0.0
            found.append((-score if descending else score, j))
    found = [j for _, j in sorted(found)][:k]
    return found + [NO_ID] * (k - len(found))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 5), st.integers(1, 40), st.booleans(), st.booleans())
def test_equal_to_exact_search(seed, count, classes, k, ties, small):
    labels, vectors = data(seed, count, classes, unlabelled=0.2, ties=ties)
    given_ids = np.random.default_rng(seed).permutation(count)[: max(1, count - 3)]
    known = [i for i in sorted(given_ids.tolist()) if labels[i] >= 0]
    examples = HardExamples(exact, labels)
    if not known:
        with pytest.raises(ValueError, match="None of the ids has a label"):
            examples.refresh(given_ids, vectors[given_ids], 0)
        return
    examples.refresh(given_ids, vectors[given_ids], 0)
    assert examples.ids.tolist() == known
    asked = np.array(known[::-1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hard_examples, "OVERFETCH", 3 if small else 64)
        negatives = examples.negatives(asked, k)
    assert negatives.tolist() == [ranked(labels, vectors, a, known, k, same=False) for a in asked]
    farthest, nearest = examples.positives(asked, k), examples.positives(asked, k, farthest=False)
    assert farthest.tolist() == [ranked(labels, vectors, a, known, k, True, descending=False) for a in asked]
    assert nearest.tolist() == [ranked(labels, vectors, a, known, k, True) for a in asked]


def test_through_faiss_it_is_the_same():
    from retrieval.index import FaissIndex

    class Source:
        def __init__(self, ids, vectors):
            self.dimension, self._vectors = vectors.shape[1], dict(zip(ids.tolist(), vectors, strict=True))

        def read(self, ids):
            return np.stack([self._vectors[i] for i in ids.tolist()])

    def faiss(ids, vectors):
        index = FaissIndex(Source(ids, vectors))
        index.add(ids, vectors)
        return index

    labels, vectors = data(0, count=200, classes=5)
    both = [HardExamples(factory, labels) for factory in (exact, faiss)]
    for examples in both:
        examples.refresh(np.arange(200), vectors, 0)
    for ask in (HardExamples.negatives, HardExamples.positives):
        assert np.array_equal(*(ask(examples, np.arange(200), 7) for examples in both))


def test_a_refresh_replaces_everything_and_is_what_staleness_counts_from():
    labels, vectors = data(1)
    examples = HardExamples(exact, labels)
    for ask in (lambda: examples.staleness(3), lambda: examples.negatives(np.array([0]), 1)):
        with pytest.raises(ValueError, match="call refresh first"):
            ask()
    buffer = vectors.copy()
    examples.refresh(np.arange(30), buffer, step=100)
    before = examples.negatives(np.arange(30), 3)
    assert (examples.staleness(100), examples.staleness(130)) == (0, 30)
    # The caller's array may be written over: the embeddings are those of that moment.
    buffer[:] = 1
    assert np.array_equal(examples.negatives(np.arange(30), 3), before)
    _, others = data(2)
    examples.refresh(np.arange(20), others[:20], step=200)
    assert examples.staleness(230) == 30
    assert not np.array_equal(examples.negatives(np.arange(20), 3), before[:20])
    with pytest.raises(ValueError, match="Id 25 is not among"):
        examples.negatives(np.array([3, 25]), 3)


def test_a_checkpoint_goes_on_with_the_same_embeddings():
    labels, vectors = data(3)
    examples, fresh = HardExamples(exact, labels), HardExamples(exact, labels)
    fresh.restore(examples.state())
    assert len(fresh.ids) == 0
    examples.refresh(np.arange(30)[::-1], vectors[::-1], step=7)
    fresh.restore(examples.state())
    assert fresh.staleness(9) == 2
    assert np.array_equal(fresh.negatives(np.arange(30), 4), examples.negatives(np.arange(30), 4))


@pytest.mark.parametrize(
    ("ids", "rows"),
    [([0, 1], 3), ([0, 0, 1], 3), ([0, 1, 30], 3), ([-1, 1, 2], 3)],
    ids=["few", "twice", "high", "low"],
)
def test_a_refresh_that_does_not_fit(ids, rows):
    labels, vectors = data(4)
    with pytest.raises(ValueError, match=r"do not fit|each once"):
        HardExamples(exact, labels).refresh(np.array(ids), vectors[:rows], 0)


def refreshed(seed=5, **changes):
    labels, vectors = data(seed, **changes)
    examples = HardExamples(exact, labels)
    examples.refresh(np.arange(len(labels)), vectors, 0)
    return examples, labels, vectors


def groups_of(batch, positives, negatives):
    for group in batch.reshape(-1, 1 + positives + negatives):
        yield int(group[0]), group[1 : 1 + positives].tolist(), group[1 + positives :].tolist()


@pytest.mark.parametrize("farthest", [True, False])
@pytest.mark.parametrize(("positives", "negatives"), [(1, 1), (2, 3)])
def test_batches_of_anchors_with_their_hard_examples(positives, negatives, farthest):
    examples, labels, vectors = refreshed(count=120)
    size = 4 * (1 + positives + negatives)
    sampler = HardBatches(examples, size, 0, positives, negatives, farthest)
    batches = sampler.batches(0)
    anchors = Counter()
    for batch in batches:
        assert len(set(batch.tolist())) == size
        own = {anchor for anchor, _, _ in groups_of(batch, positives, negatives)}
        used = set(own)
        for anchor, near, far in groups_of(batch, positives, negatives):
            anchors[anchor] += 1
            # The hardest that the batch did not hold yet.
            ranking = ranked(labels, vectors, anchor, range(120), 120, True, descending=not farthest)
            assert near == [j for j in ranking if j != NO_ID and j not in used][:positives]
            used.update(near)
            ranking = ranked(labels, vectors, anchor, range(120), 120, False)
            assert far == [j for j in ranking if j != NO_ID and j not in used][:negatives]
            used.update(far)
    assert len(batches) == len(sampler) == 30
    assert anchors == Counter(range(120))


def test_hard_batches_are_a_function_of_seed_epoch_and_embeddings_and_are_shared_out():
    examples, _, vectors = refreshed(count=50)
    sampler = HardBatches(examples, 9, seed=1)
    first = np.stack(sampler.batches(2))
    assert np.array_equal(first, np.stack(HardBatches(examples, 9, seed=1).batches(2)))
    assert not np.array_equal(first, np.stack(sampler.batches(3)))
    shares = [HardBatches(examples, 9, seed=1, rank=rank, world=2) for rank in range(2)]
    assert [len(share) for share in shares] == [9, 9]
    together = [batch for step in zip(*(share.batches(2) for share in shares), strict=True) for batch in step]
    assert np.array_equal(np.stack(together)[: len(first)], first)
    examples.refresh(np.arange(50), -vectors[::-1], 1)
    assert not np.array_equal(first, np.stack(sampler.batches(2)))


def test_where_images_run_out_they_are_repeated():
    examples = HardExamples(exact, np.array([0, 0, 1, -1]))
    examples.refresh(np.arange(4), np.eye(4, dtype=np.float32), 0)
    batches = HardBatches(examples, 6, 0, positives=2, negatives=3).batches(0)
    # The singleton is a negative, but no anchor.
    assert sorted(batch.tolist() for batch in batches) == [[0, 1, 1, 2, 2, 2], [1, 0, 0, 2, 2, 2]]


def test_hard_batches_refuse():
    examples, _, _ = refreshed()
    with pytest.raises(BadValue, match="does not divide") as error:
        HardBatches(examples, 8, 0)
    assert "multiple of 3" in error.value.hint
    for wrong in ({"positives": 0}, {"negatives": 0}, {"rank": 1}):
        with pytest.raises(ValueError, match="at least"):
            HardBatches(examples, 9, 0, **wrong)
    for labels in ([0, 0, 0], [0, 1, 2]):
        lonely = HardExamples(exact, np.array(labels))
        lonely.refresh(np.arange(3), np.eye(3, dtype=np.float32), 0)
        with pytest.raises(BadValue, match="no image has both"):
            HardBatches(lonely, 3, 0).batches(0)
