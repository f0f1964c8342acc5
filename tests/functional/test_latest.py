"""The last place of each id, beside a dict that remembers it."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from retrieval.functional.latest import latest


@given(ids=st.lists(st.integers(0, 5), max_size=12))
def test_is_what_a_dict_keeps(ids):
    last = {number: place for place, number in enumerate(ids)}
    assert latest(torch.tensor(ids, dtype=torch.int64)).tolist() == [last[number] for number in sorted(last)]
