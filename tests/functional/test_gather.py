"""Gathering in one process; tests/losses runs it in two."""

import torch

from retrieval.functional.gather import gather, gather_with_gradient, mean_over_processes, own_rows


def test_in_one_process_nothing_changes():
    values = torch.randn(3, 2, requires_grad=True)
    assert gather_with_gradient(values) is values
    assert torch.equal(gather(values), values)
    assert not gather(values).requires_grad
    assert torch.equal(own_rows(values), values)
    assert torch.equal(mean_over_processes(values.sum()), values.sum())
