"""Which views learn from which."""

import pytest
import torch

from retrieval.functional.multi_crop import cross_pairs, mean_over_pairs


def test_no_view_teaches_itself():
    assert cross_pairs(2, 2) == [(0, 1), (1, 0)]
    assert cross_pairs(2, 4) == [(0, 1), (0, 2), (0, 3), (1, 0), (1, 2), (1, 3)]


def test_the_mean_is_swavs_and_dinos():
    """Per teacher over its learners, then over the teachers: all have as many."""
    teachers, learners = torch.arange(2.0)[:, None] + 1, torch.arange(5.0)[:, None] + 10
    expected = sum(sum(float(learners[v] * teachers[t]) for v in range(5) if v != t) / (5 - 1) for t in range(2)) / 2
    value = mean_over_pairs(list(teachers), list(learners), lambda learner, teacher: (learner * teacher).sum())
    assert float(value) == pytest.approx(expected)


@pytest.mark.parametrize(("teaching", "learning"), [(1, 1), (3, 2), (0, 2)])
def test_what_cannot_be_is_refused(teaching, learning):
    with pytest.raises(ValueError, match="cannot teach"):
        cross_pairs(teaching, learning)
