"""Masks against loops over pairs."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.functional.labels import NO_LABEL, negative_mask, positive_mask

NUMBERS = st.sampled_from([NO_LABEL, 0, 1, 2, -2, 2**63 - 1, -(2**63)])


@settings(max_examples=100, deadline=None)
@given(labels=st.lists(NUMBERS, max_size=8), start=st.integers(0, 8), stop=st.integers(0, 8))
def test_rows_of_a_batch_against_the_whole(labels, start, stop):
    y = torch.tensor(labels, dtype=torch.int64)
    positive = positive_mask(y[start:stop], y, start)
    negative = negative_mask(y[start:stop], y, start)
    for i, a in enumerate(range(len(labels))[start:stop]):
        for b in range(len(labels)):
            known = NO_LABEL not in (labels[a], labels[b])
            assert positive[i, b] == (known and a != b and labels[a] == labels[b])
            assert negative[i, b] == (known and labels[a] != labels[b])
    assert torch.equal(positive_mask(y)[start:stop], positive)
    assert torch.equal(negative_mask(y)[start:stop], negative)


def test_rows_that_are_not_among_the_columns_exclude_none():
    y, others = torch.tensor([3, NO_LABEL]), torch.tensor([3, 4, NO_LABEL])
    assert positive_mask(y, others, None).tolist() == [[True, False, False], [False] * 3]
    assert negative_mask(y, others, None).tolist() == [[False, True, False], [False] * 3]
