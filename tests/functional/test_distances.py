"""Distances against loops in float64, and their gradients where a root has none."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.functional.distances import distances, root, similarities, squared_distances, widened


def rows(count, seed, dimension=5, dtype=torch.float64):
    return torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@settings(max_examples=60, deadline=None)
@given(a=st.integers(1, 6), b=st.integers(1, 6), seed=st.integers(0, 10_000), offset=st.sampled_from([0.0, 5.0, -1e3]))
def test_every_entry_is_its_formula(a, b, seed, offset):
    x, y = rows(a, seed) + offset, rows(b, seed + 1) + offset
    plain, squared, similar = distances(x, y), squared_distances(x, y), similarities(x, y)
    for i in range(a):
        for j in range(b):
            assert plain[i, j].item() == pytest.approx(math.dist(x[i].tolist(), y[j].tolist()), rel=1e-8)
            assert squared[i, j].item() == pytest.approx(math.dist(x[i].tolist(), y[j].tolist()) ** 2, rel=1e-8)
            assert similar[i, j].item() == pytest.approx(math.fsum((x[i] * y[j]).tolist()), rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("function", [distances, squared_distances, similarities])
def test_the_gradient_is_the_derivative(function):
    x, y = rows(4, 0).requires_grad_(), rows(3, 1).requires_grad_()
    assert torch.autograd.gradcheck(function, (x, y))
    assert torch.autograd.gradcheck(lambda z: function(z, z).triu(1), (x,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("function", [distances, squared_distances])
def test_where_rows_coincide_distance_and_gradient_are_exactly_zero(function, dtype):
    """In float32 |x|^2 + |y|^2 - 2 xy of equal rows is some 1e-7, and its root 3e-4."""
    x = rows(40, 2, 64, dtype)
    x = torch.cat([x, x]).requires_grad_()
    values = function(x, x)
    assert not values.diagonal().any()
    assert not values.diagonal(40).any()
    (gradient,) = torch.autograd.grad(values.diagonal().sum() + values.diagonal(40).sum(), x)
    assert not gradient.any()
    (gradient,) = torch.autograd.grad(function(x, x).sum(), x)
    assert torch.isfinite(gradient).all()
    assert gradient.any()


def test_close_rows_far_from_the_origin_keep_their_digits():
    """A collapsing encoder: all embeddings within 1e-2 of one direction; float32 alone would round it away."""
    x = (rows(20, 3, 64) * 1e-3 + 1 / 8).float()
    torch.testing.assert_close(distances(x, x), torch.cdist(x.double(), x.double()).float(), rtol=1e-4, atol=1e-6)


def test_half_precision_and_autocast_are_computed_in_float32():
    x = rows(6, 4, 32, torch.bfloat16)
    for function in (distances, squared_distances, similarities):
        expected = function(x.float(), x.float())
        assert function(x, x).dtype == torch.float32
        assert torch.equal(function(x, x), expected)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(function(x.float(), x.float()), expected)


def test_half_precision_keeps_its_gradient():
    x = rows(6, 4, 32, torch.bfloat16).requires_grad_()
    (gradient,) = torch.autograd.grad(distances(x, x).sum(), x)
    assert gradient.dtype == torch.bfloat16
    assert gradient.any()


def test_no_rows_give_an_empty_matrix():
    x, none = rows(3, 0), rows(0, 0)
    assert distances(x, none).shape == (3, 0)
    assert squared_distances(none, x).shape == (0, 3)


def test_what_is_not_a_number_stays_visible():
    x = rows(3, 0)
    x[1, 2] = math.nan
    assert torch.isnan(distances(x, x)[1]).all()


def test_root_has_a_gradient_everywhere():
    values = torch.tensor([0.0, 4.0, 9.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(root(values).sum(), values)
    assert root(values).tolist() == [0, 2, 3]
    torch.testing.assert_close(gradient, torch.tensor([0, 1 / 4, 1 / 6]))


def test_widened_leaves_wide_types_alone():
    for dtype, wide in (
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
        (torch.int64, torch.int64),
    ):
        assert widened(torch.zeros(1, dtype=dtype)).dtype == wide
