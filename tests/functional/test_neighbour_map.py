"""The map's parts against loops over all pairs, and the map itself against plain PCA."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from retrieval.functional.near_rows import near_rows
from retrieval.functional.neighbour_map import _attraction, _Repulsion, neighbour_map
from retrieval.functional.trustworthiness import trustworthiness


def clusters(count: int, each: int, dimension: int = 16, seed: int = 0) -> tuple[Tensor, Tensor]:
    """([N, D] unit rows around ``count`` directions, [N] which of them)."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(count, dimension))
    which = np.repeat(np.arange(count), each)
    rows = centres[which] + 0.25 * generator.normal(size=(count * each, dimension))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return torch.from_numpy(unit.astype(np.float32)), torch.from_numpy(which)


def principal(rows: Tensor) -> Tensor:
    centred = rows - rows.mean(dim=0)
    return centred @ torch.linalg.svd(centred, full_matrices=False).Vh.T


def naive(rows: Tensor, places: Tensor, k: int) -> float:
    """The definition, pair by pair."""
    count, total = len(rows), 0
    for i in range(count):
        others = [j for j in range(count) if j != i]
        by_row = sorted(others, key=lambda j: float((rows[i].double() - rows[j].double()).norm()))
        by_place = sorted(others, key=lambda j: float((places[i].double() - places[j].double()).norm()))
        total += sum(by_row.index(j) + 1 - k for j in set(by_place[:k]) - set(by_row[:k]))
    return 1 - 2 * total / (count * k * (2 * count - 3 * k - 1))


@settings(max_examples=10, deadline=None)
@given(st.integers(12, 30), st.integers(1, 5), st.integers(0, 99))
def test_trustworthiness_is_its_definition(count: int, k: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(count, 5, generator=generator)
    places = torch.randn(count, 2, generator=generator)
    assert trustworthiness(rows, places, k) == pytest.approx(naive(rows, places, k), abs=1e-12)
    assert trustworthiness(rows, rows, k) == 1


def test_trustworthiness_refuses_what_has_none() -> None:
    rows = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="more than 6 rows"):
        trustworthiness(rows, rows[:, :2], 3)
    with pytest.raises(ValueError, match="cannot stand"):
        trustworthiness(rows, rows[:5, :2], 1)


def test_near_rows_are_the_nearest() -> None:
    rows = torch.randn(200, 8, generator=torch.Generator().manual_seed(1))
    apart = torch.cdist(rows.double(), rows.double()).fill_diagonal_(torch.inf)
    assert torch.equal(near_rows(rows, 7), apart.argsort(dim=1)[:, :7])


def test_near_rows_by_cells_miss_few_and_never_name_themselves() -> None:
    rows, _ = clusters(30, 40)
    exact, fast = near_rows(rows, 10), near_rows(rows, 10, exact=100)
    found = [len(np.intersect1d(one, other)) for one, other in zip(exact.numpy(), fast.numpy(), strict=True)]
    assert np.mean(found) > 9.5
    assert not bool((fast == torch.arange(len(rows))[:, None]).any())
    assert all(len(set(row)) == 10 for row in fast.tolist())
    # Even where all cells but one are empty.
    same = near_rows(torch.ones(150, 3), 140, exact=100, probes=1)
    assert all(len(set(row) - {n}) == 140 for n, row in enumerate(same.tolist()))


@pytest.mark.parametrize("rows", [torch.ones(1, 2), torch.ones(3, 2), torch.ones(3)])
def test_near_rows_need_others(rows: Tensor) -> None:
    with pytest.raises(ValueError, match="nearest others"):
        near_rows(rows, 3)


def test_attraction_is_the_sum_over_the_edges() -> None:
    places = torch.randn(40, 2, generator=torch.Generator().manual_seed(2)) * 3
    graph = near_rows(places, 5)
    expected = torch.zeros(40, 2, dtype=torch.float64)
    for i in range(40):
        for j in graph[i].tolist():
            apart = (places[i] - places[j]).double()
            force = apart / (1 + apart.square().sum()) / (2 * 40 * 5)
            expected[i] += force
            expected[j] -= force
    torch.testing.assert_close(_attraction(places, graph).double(), expected, rtol=1e-4, atol=1e-7)


# What is a cell or less away is smoothed: the sparser the map, the more of the push is of that kind.
@pytest.mark.parametrize(("scale", "error"), [(1e-4, 0.02), (1.0, 0.06), (20.0, 0.2)])
def test_repulsion_on_the_grid_is_that_of_all_pairs(scale: float, error: float) -> None:
    places = torch.randn(300, 2, generator=torch.Generator().manual_seed(3)) * scale
    apart = (places[:, None] - places[None]).double()
    kernel = (1 / (1 + apart.square().sum(dim=2))).fill_diagonal_(0)
    exact = (kernel.square()[..., None] * apart).sum(dim=1) / kernel.sum()
    found = _Repulsion()(places).double()
    assert float((found - exact).norm() / exact.norm()) < error


def test_a_map_keeps_clusters_together_far_better_than_two_components() -> None:
    rows, which = clusters(12, 25)
    components = principal(rows)
    places = neighbour_map(components)
    assert places.shape == (300, 2)
    assert float(places.mean(dim=0).abs().max()) < 1e-3
    mapped, flat = trustworthiness(rows, places), trustworthiness(rows, components[:, :2])
    assert mapped > 0.97
    assert 1 - mapped < 0.3 * (1 - flat)
    nearest = near_rows(places, 1)[:, 0]
    assert float((which[nearest] == which).double().mean()) > 0.98
    assert torch.equal(neighbour_map(components), places)


@pytest.mark.parametrize("rows", [torch.ones(5, 4), torch.eye(3), torch.tensor([[1.0], [2.0], [4.0]])])
def test_odd_rows_have_a_map(rows: Tensor) -> None:
    places = neighbour_map(rows)
    assert bool(torch.isfinite(places).all())
    assert len(torch.unique(places, dim=0)) == len(rows)


def test_a_map_takes_three_rows_and_can_be_stopped() -> None:
    with pytest.raises(ValueError, match="three finite rows"):
        neighbour_map(torch.ones(2, 4))
    with pytest.raises(ValueError, match="three finite rows"):
        neighbour_map(torch.full((4, 4), torch.nan))
    told: list[tuple[int, int]] = []

    def step(done: int, total: int) -> None:
        told.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        neighbour_map(torch.eye(5), iterations=9, step=step)
    assert told == [(0, 9), (1, 9), (2, 9)]
