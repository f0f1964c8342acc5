"""Barlow Twins and VICReg: the authors' code as a second form, and what collapse costs."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from retrieval.losses.barlow_twins import EPSILON, barlow_twins, cross_correlation
from retrieval.losses.off_diagonal import off_diagonal, squared_off_diagonal
from retrieval.losses.vicreg import COLLAPSED, covariance_term, invariance_term, variance_term, vicreg


@pytest.fixture
def views():
    """Two views with dimensions of very different spread, one of which is beyond the hinge."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(20, 5, generator=generator, dtype=torch.float64) * torch.tensor([0.1, 0.5, 1.0, 1.5, 2.0])
    noise = torch.randn(20, 5, generator=generator, dtype=torch.float64)
    return (z + 3).requires_grad_(), (z + 0.3 * noise).requires_grad_()


def authors_off_diagonal(x):
    n, m = x.shape
    assert n == m
    return x.flatten()[:-1].view(n - 1, n + 1)[:, 1:].flatten()


def authors_barlow_twins(first, second, lambd):
    """facebookresearch/barlowtwins, ``BarlowTwins.forward`` after the projector."""
    bn = nn.BatchNorm1d(first.shape[1], affine=False).double()
    c = bn(first).T @ bn(second)
    c = c.div(len(first))
    on_diag = torch.diagonal(c).add(-1).pow(2).sum()
    return on_diag + lambd * authors_off_diagonal(c).pow(2).sum()


def authors_vicreg(x, y, sim_coeff, std_coeff, cov_coeff):
    """facebookresearch/vicreg, ``VICReg.forward`` after the projector."""
    repr_loss = functional.mse_loss(x, y)
    x, y = x - x.mean(dim=0), y - y.mean(dim=0)
    std_x, std_y = torch.sqrt(x.var(dim=0) + 0.0001), torch.sqrt(y.var(dim=0) + 0.0001)
    std_loss = torch.mean(functional.relu(1 - std_x)) / 2 + torch.mean(functional.relu(1 - std_y)) / 2
    cov_x, cov_y = (x.T @ x) / (len(x) - 1), (y.T @ y) / (len(y) - 1)
    cov_loss = authors_off_diagonal(cov_x).pow(2).sum().div(x.shape[1])
    cov_loss = cov_loss + authors_off_diagonal(cov_y).pow(2).sum().div(y.shape[1])
    return sim_coeff * repr_loss + std_coeff * std_loss + cov_coeff * cov_loss


def agree(ours, theirs, views):
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    for got, want in zip(torch.autograd.grad(ours, views), torch.autograd.grad(theirs, views), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-10)


def test_barlow_twins_is_the_authors_code(views):
    agree(barlow_twins(*views, redundancy=0.0051), authors_barlow_twins(*views, 0.0051), views)


def test_vicreg_is_the_authors_code(views):
    agree(vicreg(*views), authors_vicreg(*views, 25.0, 25.0, 1.0), views)


def test_the_papers_scaling_differs_as_the_definitions_say(views):
    """D times the invariance and twice the variance term; the covariance is the same."""
    authors = 5 * invariance_term(*views), 2 * variance_term(*views)
    torch.testing.assert_close((invariance_term(*views, "paper"), variance_term(*views, "paper")), authors)
    with pytest.raises(ValueError, match="authors or paper"):
        vicreg(*views, scaling="solo")


def test_the_entries_beside_the_diagonal():
    matrix = torch.arange(9.0).view(3, 3)
    assert off_diagonal(matrix).flatten().tolist() == [1, 2, 3, 5, 6, 7]
    assert off_diagonal(torch.ones(1, 1)).numel() == 0


def test_two_equal_decorrelated_views_cost_nothing():
    z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    correlation = cross_correlation(z, z)
    torch.testing.assert_close(correlation, torch.eye(2, dtype=torch.float64) / (1 + EPSILON))
    assert barlow_twins(z, z) < 1e-9
    assert vicreg(z, z) == 0


def test_the_price_of_collapse():
    """All rows alike: D for Barlow Twins; for VICReg the variance term alone, at its constant."""
    z = torch.tensor([[3.0, -1.0, 2.0, 0.5]], dtype=torch.float64).expand(8, 4)
    assert barlow_twins(z, z).item() == pytest.approx(4)
    assert variance_term(z, z).item() == pytest.approx(COLLAPSED) == pytest.approx(0.99)
    assert invariance_term(z, z) == covariance_term(z, z) == 0


def test_copies_of_one_dimension_cost_nothing_but_redundancy():
    """Dimensional collapse: every dimension is the same one, perfectly spread and invariant."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(64, 1, generator=generator, dtype=torch.float64).mul(2).expand(64, 4)
    assert barlow_twins(z, z, redundancy=0.0) < 1e-9
    assert barlow_twins(z, z, redundancy=1.0).item() == pytest.approx(12, rel=1e-4)
    assert vicreg(z, z, covariance=0.0) == 0
    assert covariance_term(z, z) > 10


def test_views_that_do_not_fit_are_refused(views):
    for loss in (barlow_twins, vicreg):
        with pytest.raises(ValueError, match="do not fit"):
            loss(views[0], views[1][:5])


@pytest.mark.parametrize(("count", "width"), [(1, 6), (3, 6), (4, 6), (3, 40), (16, 7), (5, 1), (0, 6)])
@pytest.mark.parametrize("same", [True, False])
def test_the_sum_beside_the_diagonal_is_the_same_by_rows_and_by_dimensions(count, width, same):
    """Value and gradient, by the definition, for few rows and for many."""
    generator = torch.Generator().manual_seed(count)
    first, other = (torch.randn(count, width, generator=generator, dtype=torch.float64) + 1 for _ in range(2))
    found, expected = [], []
    for by_definition, into in ((False, found), (True, expected)):
        a = first.clone().requires_grad_()
        b = a if same else other.clone().requires_grad_()
        if by_definition:
            product = a.T @ b
            value = product.square().sum() - product.diagonal().square().sum()
        else:
            value = squared_off_diagonal(a, b)
        into += [value, *torch.autograd.grad(value, [a] if same else [a, b])]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("same", [True, False])
def test_one_dimension_that_outweighs_all_others_costs_no_digits(same):
    """In float32, by few rows: the sum is a ten-millionth of the squares that it would be the difference of."""
    generator = torch.Generator().manual_seed(0)
    first, other = (torch.randn(4, 40, generator=generator, dtype=torch.float64) for _ in range(2))
    for rows in (first, other):
        rows[:, 0] *= 1e4
        rows[:, 1:] *= 1e-4
    second = first if same else other
    product = first.T @ second
    expected = (product * (1 - torch.eye(40, dtype=torch.float64))).square().sum()
    small = first.float().requires_grad_()
    found = squared_off_diagonal(small, small if same else other.float())
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)
    (gradient,) = torch.autograd.grad(found, [small])
    exact = first.clone().requires_grad_()
    wanted = off_diagonal(exact.T @ (exact if same else other)).square().sum()
    torch.testing.assert_close(gradient, torch.autograd.grad(wanted, [exact])[0].float(), rtol=1e-3, atol=1e-6)
