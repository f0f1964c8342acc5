"""Kinds of triplets at their borders, and the blocks of pairs against loops."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.functional.triplets import RULES, PositivePairs, blocks

MARGIN = 0.25
"""Exact in binary, so that the borders are hit."""


@pytest.mark.parametrize(
    ("an", "kinds"),
    [
        (0.0, {"all", "hard", "mixed"}),
        (0.5, {"all", "hard", "mixed"}),  # the tie, which is all there is when an encoder collapses
        (0.625, {"all", "semihard", "mixed"}),
        (0.75, {"all"}),  # at the margin: no loss, and not beyond
        (1.0, {"all", "easy"}),
    ],
)
def test_each_distance_is_of_its_kinds(an, kinds):
    ap, distances = torch.tensor([[0.5]]), torch.tensor([[an, 9.0, an]])
    for name, rule in RULES.items():
        chosen = rule(ap, distances, MARGIN)
        assert chosen.dtype == torch.bool
        assert chosen[0, 0] == chosen[0, 2] == (name in kinds)
        assert chosen[0, 1] == (name in ("all", "easy"))


@settings(max_examples=100, deadline=None)
@given(labels=st.lists(st.sampled_from([-1, 0, 1, 2, 7, -(2**63)]), max_size=12), most=st.integers(1, 60))
def test_blocks_hold_every_pair_once_in_order_and_within_bounds(labels, most):
    y = torch.tensor(labels, dtype=torch.int64)
    found = list(blocks(y, most))
    for anchors, positives in found:
        assert len(anchors) == len(positives) >= 1
        assert len(anchors) == 1 or len(anchors) * len(labels) <= most
    pairs = [pair for block in found for pair in zip(*(part.tolist() for part in block), strict=True)]
    everyone = range(len(labels))
    assert pairs == [(a, p) for a in everyone for p in everyone if a != p and labels[a] == labels[p] != -1]
    assert len(PositivePairs(y)) == len(pairs)


@settings(max_examples=50, deadline=None)
@given(labels=st.lists(st.integers(-1, 3), max_size=12), start=st.integers(0, 12), stop=st.integers(0, 12))
def test_the_pairs_of_some_rows(labels, start, stop):
    pairs = PositivePairs(torch.tensor(labels, dtype=torch.int64))
    every = zip(*(part.tolist() for part in pairs.of_rows(slice(None))), strict=True)
    some = zip(*(part.tolist() for part in pairs.of_rows(slice(start, stop))), strict=True)
    assert list(some) == [pair for pair in every if start <= pair[0] < stop]
