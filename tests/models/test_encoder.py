"""The encoder and its heads."""

import pytest
import torch
from torch import Tensor, nn

from retrieval.core.errors import BadValue
from retrieval.models.encoder import Encoder, unit_norm
from retrieval.models.heads import make_head
from tests.models.conftest import tiny


@pytest.mark.parametrize(
    ("head", "dim", "expected"), [("none", None, 96), ("linear", 16, 16), ("mlp", 7, 7), ("hidden", 9, 9)]
)
def test_shapes_and_unit_norm(head: str, dim: int | None, expected: int) -> None:
    encoder, card = tiny(head=head, dim=dim)
    raw, normalised = encoder(torch.rand(3, 3, 64, 64))
    assert raw.shape == normalised.shape == (3, expected)
    assert encoder.dimension == card.dimension == expected
    torch.testing.assert_close(normalised.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(raw / raw.norm(dim=1, keepdim=True), normalised)


def test_encode_gives_the_normalised_one() -> None:
    encoder, _ = tiny()
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(encoder.encode(images), encoder(images).normalised)


def test_a_zero_vector_stays_zero_and_has_a_finite_gradient() -> None:
    raw = torch.zeros(2, 5, requires_grad=True)
    normalised = unit_norm(raw)
    assert torch.equal(normalised, torch.zeros(2, 5))
    normalised.sum().backward()
    assert raw.grad is not None
    assert torch.isfinite(raw.grad).all()


class Half(nn.Module):
    """A backbone that computes in half precision, and with values whose squares overflow in it."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.full((len(images), 4), 600.0, dtype=torch.float16)


def test_the_norm_of_half_precision_does_not_overflow() -> None:
    output = Encoder(Half(), nn.Identity(), 4)(torch.rand(1, 3, 8, 8))
    assert output.raw.dtype == output.normalised.dtype == torch.float32
    torch.testing.assert_close(output.normalised, torch.full((1, 4), 0.5))


def test_the_mlp_is_linear_norm_relu_linear() -> None:
    kinds = [type(module) for module in make_head("mlp", 8, 4).children()]
    assert kinds == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]


@pytest.mark.parametrize("kind", ["linear", "mlp", "hidden"])
def test_heads_follow_their_seed_and_leave_the_global_state_alone(kind: str) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = make_head(kind, 8, 4, seed=1).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    same, other = make_head(kind, 8, 4, seed=1).state_dict(), make_head(kind, 8, 4, seed=2).state_dict()
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize(
    ("kind", "dim", "says"),
    [
        ("conv", 4, "Unknown head"),
        ("linear", None, "needs a dimension"),
        ("mlp", 0, "not between"),
        ("linear", 65537, "not between"),
        ("none", 4, "Without a head"),
    ],
)
def test_impossible_heads(kind: str, dim: int | None, says: str) -> None:
    with pytest.raises(BadValue, match=says):
        make_head(kind, 8, dim)
