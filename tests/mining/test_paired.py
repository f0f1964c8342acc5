"""Sampler "paired": every image once an epoch, and images of a label by twos."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.core.errors import BadValue
from retrieval.mining.paired import Paired


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-1, 6), min_size=4, max_size=60), st.integers(2, 4), st.integers(0, 9), st.integers(1, 3))
def test_every_image_comes_and_none_twice_in_a_batch(numbers: list[int], size: int, epoch: int, world: int) -> None:
    labels = np.array(numbers)
    ranks = [Paired(labels, size, 0, rank, world) for rank in range(world)]
    batches = [batch for step in zip(*(one.batches(epoch) for one in ranks), strict=True) for batch in step]
    assert all(len(batch) == size == len(set(batch.tolist())) for batch in batches)
    assert len({len(one) for one in ranks}) == 1
    shown = Counter(np.concatenate(batches).tolist())
    assert set(shown) == set(range(len(labels)))
    assert np.concatenate(batches)[: len(labels)].tolist() == list(dict.fromkeys(np.concatenate(batches).tolist()))


def test_images_of_a_label_stand_beside_each_other_where_shuffling_seldom_brings_them_together() -> None:
    labels = np.repeat(np.arange(500), 2)
    (order,) = Paired(labels, 1000, 0).batches(0)
    assert (labels[order].reshape(-1, 2)[:, 0] == labels[order].reshape(-1, 2)[:, 1]).all()
    # The labels themselves are in no order.
    assert np.count_nonzero(np.diff(labels[order][::2]) == 1) < 20


def test_pairs_are_others_in_another_epoch_and_the_same_in_the_same() -> None:
    labels = np.zeros(40, np.int64)
    sampler = Paired(labels, 40, 3)
    first, again, other = (np.concatenate(sampler.batches(epoch)).tolist() for epoch in (0, 0, 1))
    assert first == again
    assert {frozenset(first[i : i + 2]) for i in range(0, 40, 2)} != {
        frozenset(other[i : i + 2]) for i in range(0, 40, 2)
    }


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(BadValue, match="do not fill a batch"):
        Paired(np.zeros(3, np.int64), 4, 0)
    with pytest.raises(BadValue, match="nothing to compare"):
        Paired(np.zeros(3, np.int64), 1, 0)
    with pytest.raises(ValueError, match="negative"):
        Paired(np.zeros(3, np.int64), 2, 0).batches(-1)
