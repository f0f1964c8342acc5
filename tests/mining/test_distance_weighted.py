"""The draws against the formula in float64, and the two places where its arithmetic breaks."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from retrieval.functional.distances import distances
from retrieval.functional.labels import negative_mask
from retrieval.mining import MINERS
from retrieval.mining.distance_weighted import _draw, distance_weighted, negative_weights

from .support import batch, loop_weights


def spread_batch(dimension=6):
    """Rows whose distances run from below 0.5 to above 1.4."""
    embeddings, _ = batch(11, count=16, dimension=dimension)
    embeddings = normalize(embeddings + 0.3, dim=1)
    embeddings[8] = normalize(embeddings[0] + 0.02, dim=0)
    return embeddings, torch.arange(16) // 4


def drawn_counts(embeddings, labels, calls):
    """counts[a, n] over many calls."""
    random = torch.Generator().manual_seed(3)
    counts = torch.zeros(len(labels), len(labels), dtype=torch.int64)
    for _ in range(calls):
        mined = distance_weighted(embeddings, labels, generator=random)
        counts.index_put_((mined.anchor, mined.negative), torch.tensor(1), accumulate=True)
    return counts


def chi_square(counts, chances):
    """(statistic, degrees of freedom) of the counts of all anchors; rare ones are pooled by anchor."""
    statistic, degrees = 0.0, 0
    for row, chance in zip(counts.tolist(), chances, strict=True):
        total = sum(row)
        groups = [(row[j], total * p) for j, p in chance.items() if total * p >= 10]
        rest = (total - sum(seen for seen, _ in groups), total - math.fsum(expected for _, expected in groups))
        groups += [rest] if rest[1] >= 1 else []
        statistic += sum((seen - expected) ** 2 / expected for seen, expected in groups)
        degrees += max(0, len(groups) - 1)
    return statistic, degrees


def test_the_draws_follow_the_formula():
    embeddings, labels = spread_batch()
    between = distances(embeddings, embeddings)[negative_mask(labels)]
    assert between.min() < 0.5 < 1.4 < between.max()
    counts = drawn_counts(embeddings, labels, calls=1500)
    chances = [loop_weights(embeddings, labels, a) for a in range(len(labels))]
    for a, chance in enumerate(chances):
        impossible = [j for j in range(len(labels)) if j not in chance]
        assert counts[a].sum() == (3 * 1500 if chance else 0)
        assert counts[a, impossible].sum() == 0
    statistic, degrees = chi_square(counts, chances)
    assert degrees > 50
    assert statistic < degrees + 4 * math.sqrt(2 * degrees)
    # The same draws are far from uniform ones, so the test can tell.
    uniform = [{j: 1 / len(chance) for j in chance} for chance in chances]
    assert chi_square(counts, uniform)[0] > 100 * degrees


@pytest.mark.parametrize("dimension", [2, 3, 8, 128, 1280])
def test_the_weights_are_the_formula(dimension):
    embeddings, labels = spread_batch(dimension)
    embeddings = normalize(embeddings + 0.1, dim=1)
    weights = negative_weights(distances(embeddings, embeddings), negative_mask(labels), dimension)
    for a in range(len(labels)):
        expected = torch.zeros(len(labels), dtype=torch.float64)
        for j, chance in loop_weights(embeddings, labels, a).items():
            expected[j] = chance
        assert weights[a].sum() > 0
        torch.testing.assert_close(weights[a] / weights[a].sum(), expected, rtol=1e-6, atol=1e-12)
        assert weights[a].max() == 1


def test_a_far_row_keeps_its_weights_beside_a_near_one():
    """With the maximum of the whole batch subtracted, all weights of row 1 would vanish in float32."""
    between = torch.tensor([[0.0, 0.0, 0.5, 0.6], [0.0, 0.0, 1.39, 1.395]])
    negative = torch.tensor([[False, False, True, True]] * 2)
    weights = negative_weights(between, negative, dimension=512)
    assert weights[1, 2] == 1
    assert 0 < weights[1, 3] < 1


def test_anchors_without_a_negative_in_reach_give_nothing():
    embeddings, labels = torch.eye(8), torch.arange(8) // 2
    assert len(distance_weighted(embeddings, labels).anchor) == 0
    # One near negative for rows 0 and 2 only.
    embeddings[2] = normalize(embeddings[0] + embeddings[2], dim=0)
    mined = distance_weighted(embeddings, labels)
    assert list(zip(*(column.tolist() for column in mined), strict=True)) == [(0, 1, 2), (2, 3, 0)]


def test_opposite_rows_are_no_logarithm_of_zero():
    embeddings = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.8, 0.6, 0.0]])
    labels = torch.tensor([0, 0, 1, 1])
    between = distances(embeddings, embeddings)
    assert between[0, 2] == pytest.approx(2)
    weights = negative_weights(between, negative_mask(labels), 3)
    assert not weights.isnan().any()
    assert weights[0].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(("uniform", "column"), [(0.0, 1), (1.0, 3)])
def test_columns_without_weight_are_never_drawn(monkeypatch, uniform, column):
    """Not even by the ends of the unit interval, and 1 is where rounding can lead."""
    sums = torch.tensor([[0.0, 0.0, 0.3, 0.3, 0.9, 0.9]], dtype=torch.float64)[:, 1:]
    monkeypatch.setattr(torch, "rand", lambda count, **_: torch.full((count,), uniform, dtype=torch.float64))
    assert _draw(sums, torch.tensor([0]), None).tolist() == [column]


def test_the_generator_decides():
    embeddings, labels = spread_batch()

    def draw(seed):
        return distance_weighted(embeddings, labels, generator=torch.Generator().manual_seed(seed)).negative.tolist()

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_bounds_can_be_set_and_are_checked():
    embeddings, labels = spread_batch()
    near = distance_weighted(embeddings, labels, farthest=0.9)
    assert len(near.anchor) > 0
    assert distances(embeddings, embeddings)[near.anchor, near.negative].max() <= 0.9
    for bounds in ({"nearest": 0.0}, {"farthest": 2.0}, {"nearest": 1.0, "farthest": 0.9}):
        with pytest.raises(ValueError, match="do not lie within"):
            distance_weighted(embeddings, labels, **bounds)
    assert MINERS["distance_weighted"].options == {"nearest": 0.5, "farthest": 1.4}
