"""Parts of a cosine: against sums over all pairs in plain loops."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from retrieval.functional.matching import cell_contributions, coarser, pair_contributions, scaled_by_mean


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(0.2, 1, shape))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.integers(0, 999))
def test_all_pairs_together_are_the_cosine_of_the_means(n: int, m: int, width: int, seed: int) -> None:
    first, second = drawn(seed, n, width), drawn(seed + 1, m, width)
    parts = [scaled_by_mean(cells) / len(cells) for cells in (first, second)]
    a, b = first.mean(0).numpy(), second.mean(0).numpy()
    cosine = float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    pairs = pair_contributions(*parts)
    loops = [[sum(x * y for x, y in zip(p.tolist(), q.tolist(), strict=True)) for q in parts[1]] for p in parts[0]]
    np.testing.assert_allclose(pairs.numpy(), loops, rtol=1e-6, atol=1e-9)
    assert float(pairs.sum()) == pytest.approx(cosine, abs=1e-9)
    rows = cell_contributions(parts[0], parts[1].sum(0))
    np.testing.assert_allclose(rows.numpy(), np.sum(loops, axis=1), rtol=1e-6, atol=1e-9)


def test_a_mean_of_zero_stays_zero() -> None:
    cells = torch.tensor([[1.0, 2.0], [-1.0, -2.0]])
    assert torch.equal(scaled_by_mean(cells).mean(0), torch.zeros(2))
    assert torch.isfinite(scaled_by_mean(cells)).all()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 20), st.integers(0, 99))
def test_a_coarser_grid_keeps_the_sum_and_its_means_keep_the_mean(h: int, w: int, most: int, seed: int) -> None:
    grid = drawn(seed, h, w, 3)
    summed, mean = (coarser(grid, most, summed=kind) for kind in (True, False))
    assert summed.shape == mean.shape == (min(h, most), min(w, most), 3)
    torch.testing.assert_close(summed.sum((0, 1)), grid.sum((0, 1)))
    # Cells of one size: their mean is that of the whole.
    torch.testing.assert_close(mean.mean((0, 1)), grid.mean((0, 1)))


def test_a_grid_that_divides_is_put_together_from_blocks() -> None:
    grid = drawn(1, 8, 12, 2)
    blocks = grid.reshape(4, 2, 4, 3, 2).sum((1, 3))
    torch.testing.assert_close(coarser(grid, 4, summed=True), blocks)
    torch.testing.assert_close(coarser(grid, 4, summed=False), blocks / 6)
    assert coarser(grid, 12, summed=True) is grid
