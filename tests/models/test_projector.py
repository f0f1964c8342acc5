"""Projectors: torch's own layers as oracle, statistics of all processes, and what the arguments build."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from retrieval.models import projector
from retrieval.models.projector import GatheredBatchNorm, mlp, unit


def rows(count: int = 12, width: int = 5, seed: int = 0) -> Tensor:
    return 3 * torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 2


def pair(affine: bool = True) -> tuple[GatheredBatchNorm, nn.BatchNorm1d]:
    """Ours and torch's, with the same scale and shift."""
    mine, theirs = GatheredBatchNorm(5, affine=affine).double(), nn.BatchNorm1d(5, affine=affine).double()
    if affine:
        with torch.no_grad():
            mine.weight.copy_(torch.linspace(0.5, 2, 5))
            mine.bias.copy_(torch.linspace(-1, 1, 5))
    theirs.load_state_dict(mine.state_dict())
    return mine, theirs


@pytest.mark.parametrize("affine", [True, False])
def test_in_one_process_it_is_torchs_batch_norm(affine: bool) -> None:
    """Output, gradient, and the statistics that evaluation uses, over several batches."""
    mine, theirs = pair(affine)
    for seed in range(3):
        given_rows = rows(seed=seed).requires_grad_()
        ours, other = mine(given_rows), theirs(given_rows)
        torch.testing.assert_close(ours, other)
        weights = rows(seed=9)
        torch.testing.assert_close(
            torch.autograd.grad((ours * weights).sum(), given_rows),
            torch.autograd.grad((other * weights).sum(), given_rows),
        )
    torch.testing.assert_close(mine.state_dict(), theirs.state_dict())
    torch.testing.assert_close(mine.eval()(rows(seed=4)), theirs.eval()(rows(seed=4)))


def test_a_batch_in_two_parts_is_normalised_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part is normalised by the mean and variance of both: as though another process had the other part."""
    whole = rows()
    theirs = pair()[1]
    expected = theirs(whole)
    for part in (slice(0, 5), slice(5, 12)):
        layer, _ = pair()
        monkeypatch.setattr(projector, "gather_with_gradient", lambda _: whole)
        torch.testing.assert_close(layer(whole[part]), expected[part])
        torch.testing.assert_close(layer.state_dict(), theirs.state_dict())


def test_it_computes_in_float32_at_least() -> None:
    layer = GatheredBatchNorm(5)
    low = (rows() + 1000).to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(low)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, nn.BatchNorm1d(5)(low.float()), rtol=1e-3, atol=1e-3)


def test_without_a_momentum_it_keeps_the_mean_of_all_batches() -> None:
    mine, theirs = GatheredBatchNorm(5, momentum=None).double(), nn.BatchNorm1d(5, momentum=None).double()
    for seed in range(3):
        torch.testing.assert_close(mine(rows(seed=seed)), theirs(rows(seed=seed)))
    torch.testing.assert_close(mine.state_dict(), theirs.state_dict())


def kinds(module: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in module.children()]


def test_the_layers_are_those_that_are_asked_for() -> None:
    assert kinds(mlp([4, 3])) == ["Linear"]
    assert kinds(mlp([4, 6, 3])) == ["Linear", "GatheredBatchNorm", "ReLU", "Linear"]
    assert kinds(mlp([4, 6, 3], batch_norm=False, gelu=True)) == ["Linear", "GELU", "Linear"]
    last = mlp([4, 6, 3], last_norm=True, last_affine=False)
    assert kinds(last)[-2:] == ["Linear", "GatheredBatchNorm"]
    assert not last[-1].affine
    with pytest.raises(ValueError, match=r"not \[4\]"):
        mlp([4])


@pytest.mark.parametrize(
    ("options", "hidden", "last"),
    [
        ({}, False, True),
        ({"batch_norm": False}, True, True),
        ({"last_bias": False}, False, False),
        ({"last_norm": True}, False, False),
    ],
)
def test_a_layer_before_batch_norm_has_no_bias_of_its_own(options: dict[str, bool], hidden: bool, last: bool) -> None:
    layers = [layer for layer in mlp([4, 6, 3], **options) if isinstance(layer, nn.Linear)]  # type: ignore[arg-type]
    assert [layer.bias is not None for layer in layers] == [hidden, last]


def test_the_seed_decides_and_nothing_else_is_drawn() -> None:
    state = torch.get_rng_state()
    one, same, other = mlp([4, 6, 3], seed=1), mlp([4, 6, 3], seed=1), mlp([4, 6, 3], seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one[0].weight, same[0].weight)
    assert not torch.equal(one[0].weight, other[0].weight)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
def test_unit_rows_keep_their_direction(count: int, width: int, seed: int) -> None:
    given_rows = rows(count, width, seed)
    found = unit(given_rows)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(count, dtype=torch.float64))
    torch.testing.assert_close(found * given_rows.norm(dim=1, keepdim=True), given_rows)


def test_a_zero_row_stays_zero_and_half_precision_is_widened() -> None:
    assert torch.equal(unit(torch.zeros(2, 3)), torch.zeros(2, 3))
    assert unit(torch.ones(2, 3, dtype=torch.bfloat16)).dtype == torch.float32
