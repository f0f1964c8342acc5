"""The momentum twin: its average by hand, its own batch-norm, and what is and is not a part of it."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from retrieval.models.momentum import MomentumTwin, rising


def network(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    made.register_buffer("scale", torch.tensor(1.0))
    return made


def inputs() -> torch.Tensor:
    return torch.randn(8, 3, generator=torch.Generator().manual_seed(1))


def test_it_begins_as_a_copy_that_shares_nothing() -> None:
    original = network()
    twin = MomentumTwin(original)
    for mine, theirs in zip(twin.copy.parameters(), original.parameters(), strict=True):
        assert torch.equal(mine, theirs)
        assert mine.data_ptr() != theirs.data_ptr()
        assert not mine.requires_grad
        assert theirs.requires_grad


def test_the_original_is_no_part_of_it() -> None:
    """Else a checkpoint would hold it twice, and a move to another device would be made twice."""
    original = network()
    twin = MomentumTwin(original)
    assert twin.state_dict().keys() == {f"copy.{name}" for name in original.state_dict()}
    assert len(list(twin.modules())) == len(list(original.modules())) + 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_it_is_the_exponential_average(momenta: list[float]) -> None:
    """twin = m twin + (1 - m) original, step by step."""
    original = network().double()
    twin = MomentumTwin(original)
    expected = [parameter.detach().clone() for parameter in original.parameters()]
    for step, momentum in enumerate(momenta):
        with torch.no_grad():
            for parameter in original.parameters():
                parameter += 1 + step
        twin.follow(momentum)
        for n, parameter in enumerate(original.parameters()):
            expected[n] = momentum * expected[n] + (1 - momentum) * parameter.detach()
    for mine, value in zip(twin.copy.parameters(), expected, strict=True):
        torch.testing.assert_close(mine.detach(), value)


@pytest.mark.parametrize("momentum", [-0.1, 1.1, float("nan")])
def test_a_momentum_that_is_no_share_is_refused(momentum: float) -> None:
    with pytest.raises(ValueError, match="not between 0 and 1"):
        MomentumTwin(network()).follow(momentum)


def test_statistics_are_its_own_and_other_buffers_are_copied() -> None:
    """Batch-norm's running values come from what the twin is shown, whatever the original has seen."""
    original = network()
    twin = MomentumTwin(original)
    original(inputs() + 5)
    before = twin.copy[1].running_mean.clone()
    original.scale.fill_(7.0)
    twin.follow(0.5)
    assert torch.equal(twin.copy[1].running_mean, before)
    assert float(twin.copy.scale) == 7.0
    twin(inputs())
    shown = twin.copy[0](inputs()).mean(dim=0)
    torch.testing.assert_close(twin.copy[1].running_mean, 0.1 * shown)


@pytest.mark.parametrize("frozen", [True, False])
def test_each_layer_is_in_the_mode_of_its_original(frozen: bool) -> None:
    """Batch-norm that a run freezes is frozen in both, also where the twin was put into train mode around it."""
    original = network().train()
    twin = MomentumTwin(original)
    original[1].train(not frozen)
    twin.train()
    found = twin(inputs())
    assert torch.equal(twin.copy[1].num_batches_tracked, torch.tensor(0 if frozen else 1))
    assert isinstance(found, torch.Tensor)
    torch.testing.assert_close(found, original(inputs()))


def test_no_gradient_flows_through_it() -> None:
    found = MomentumTwin(network())(inputs().requires_grad_())
    assert isinstance(found, torch.Tensor)
    assert not found.requires_grad


@given(st.floats(0, 1), st.integers(1, 50))
def test_the_momentum_rises_from_its_start_to_one(start: float, steps: int) -> None:
    course = [rising(start, step, steps) for step in range(steps + 3)]
    assert course[0] == pytest.approx(start)
    assert course[steps:] == pytest.approx([1.0] * 3)
    assert all(later >= earlier - 1e-12 for earlier, later in pairwise(course))
    assert rising(start, steps, 2 * steps) == pytest.approx((1 + start) / 2)
