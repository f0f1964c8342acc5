"""The queue against a plain list."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.models.queue import Queue


@settings(max_examples=40, deadline=None)
@given(size=st.integers(1, 12), batches=st.lists(st.integers(0, 15), max_size=8))
def test_holds_the_latest(size: int, batches: list[int]) -> None:
    """A list of which the oldest is dropped, whatever the sizes; the random start is the oldest."""
    queue = Queue(size, 1)
    latest = queue.rows[:, 0].tolist()
    count = 0
    for batch in batches:
        keys = torch.arange(count, count + batch, dtype=torch.float32)
        count += batch
        queue.enqueue(keys[:, None])
        latest = [*latest, *keys.tolist()][-size:]
        assert sorted(queue.rows[:, 0].tolist()) == sorted(latest)
        # Read from the pointer on, the ring is in order of age.
        assert queue.rows[:, 0].roll(-int(queue.pointer)).tolist() == latest


def test_starts_with_random_directions_that_repeat() -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    one, two, other = Queue(50, 8, seed=1), Queue(50, 8, seed=1), Queue(50, 8, seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.rows, two.rows)
    assert not torch.equal(one.rows, other.rows)
    torch.testing.assert_close(one.rows.norm(dim=1), torch.ones(50))
    assert (one.rows @ one.rows.T).triu(1).abs().max() < 0.99


def test_is_in_the_state_and_goes_on_where_it_was() -> None:
    one, two = Queue(5, 2), Queue(5, 2, seed=3)
    one.enqueue(torch.ones(3, 2))
    two.load_state_dict(one.state_dict())
    for queue in (one, two):
        queue.enqueue(2 * torch.ones(3, 2))
    assert torch.equal(one.rows, two.rows)
    assert int(two.pointer) == 1
    assert one.rows[:, 0].tolist() == [2, 1, 1, 2, 2]


def test_takes_keys_of_another_precision_and_no_gradient() -> None:
    queue = Queue(4, 2)
    queue.enqueue(torch.ones(2, 2, dtype=torch.bfloat16, requires_grad=True))
    assert queue.rows.dtype == torch.float32
    assert not queue.rows.requires_grad


def test_an_empty_queue_is_refused() -> None:
    with pytest.raises(ValueError, match="1 row or more"):
        Queue(0, 2)
