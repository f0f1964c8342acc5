"""The margins of the cosine softmax."""

import math
from itertools import pairwise

import pytest
import torch
from torch.nn.functional import normalize

from retrieval.losses.cosine_softmax import cosine_softmax

WEIGHTS = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)


def at(angle):
    return torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64)


def loss_at(angle, **options):
    return cosine_softmax(at(angle), torch.tensor([0]), weights=WEIGHTS, scale=4.0, **options).item()


def test_arcface_adds_to_the_angle_and_cosface_takes_from_the_cosine():
    angle, m = 0.4, 0.5
    wrong = math.cos(math.pi / 2 - angle)
    for kind, right in (("arcface", math.cos(angle + m)), ("cosface", math.cos(angle) - m)):
        expected = math.log1p(math.exp(4 * (wrong - right)))
        assert loss_at(angle, kind=kind, margin=m) == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["normface", "cosface", "arcface"])
def test_turning_away_from_the_class_always_costs_more(kind):
    """Against a class that stays where it is; ArcFace's plain formula comes down again beyond pi - m."""
    weights = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    costs = []
    for step in range(41):
        angle = math.pi * step / 40
        z = torch.tensor([[math.cos(angle), math.sin(angle), 0.0]], dtype=torch.float64)
        costs.append(cosine_softmax(z, torch.tensor([0]), weights=weights, scale=4.0, margin=0.5, kind=kind).item())
    assert all(a < b for a, b in pairwise(costs))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_angle_has_a_finite_gradient_at_both_ends(sign, dtype):
    weights = WEIGHTS.to(dtype)
    z = (sign * weights[:1]).requires_grad_()
    loss = cosine_softmax(z, torch.tensor([0]), weights=weights, kind="arcface", margin=0.5)
    (gradient,) = torch.autograd.grad(loss, z)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


def test_the_length_of_the_weights_has_no_influence():
    z, labels = normalize(torch.randn(5, 2, dtype=torch.float64), dim=1), torch.tensor([0, 1, 0, 1, 1])
    one = cosine_softmax(z, labels, weights=WEIGHTS)
    torch.testing.assert_close(cosine_softmax(z, labels, weights=WEIGHTS * torch.tensor([[3.0], [0.1]])), one)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="No cosine softmax of kind 'sphereface'"):
        loss_at(0.3, kind="sphereface")
