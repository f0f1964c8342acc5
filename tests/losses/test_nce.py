"""NCE: the normaliser and the noise correction are part of it, and together they recover a distribution."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from retrieval.losses import estimated_log_z, updated_bank
from retrieval.losses.nce import nce
from retrieval.losses.nce_instance import nce_instance


def directions(rows, seed=0, dimension=5):
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(rows, dimension, generator=generator, dtype=torch.float64), dim=1)


def test_the_normaliser_and_the_noise_shift_the_logits():
    """m P_noise Z at 1 leaves s/tau alone; scaling Z and P_noise against each other changes nothing."""
    q, k, noise = directions(3), directions(3, 1), directions(4, 2)
    plain = nce(q, k, noise, 0.25, log_z=torch.tensor(0.0), temperature=0.5)
    softplus = torch.nn.functional.softplus
    logits = softplus(-(q * k).sum(1) / 0.5) + softplus(q @ noise.T / 0.5).sum(1)
    torch.testing.assert_close(plain, logits.mean())
    shifted = nce(q, k, noise, 0.025, log_z=torch.tensor(math.log(10)), temperature=0.5)
    torch.testing.assert_close(shifted, plain, rtol=1e-6, atol=1e-6)
    assert abs(nce(q, k, noise, 0.25, log_z=torch.tensor(2.0), temperature=0.5) - plain) > 0.1
    assert abs(nce(q, k, noise, 0.01, log_z=torch.tensor(0.0), temperature=0.5) - plain) > 0.1


def test_every_sample_may_have_a_probability_of_its_own():
    """Against the density ratio written out, noise drawn for all queries or for each."""
    q, k, noise = directions(3), directions(3, 1), directions(4, 2)
    of_noise, of_keys, log_z = torch.rand(4).double() + 0.1, torch.rand(3).double() + 0.1, torch.tensor(0.7)
    expected = 0.0
    for i in range(3):
        p = math.exp(float(q[i] @ k[i]) / 0.5 - 0.7)
        expected -= math.log(p / (p + 4 * of_keys[i]))
        for j in range(4):
            p = math.exp(float(q[i] @ noise[j]) / 0.5 - 0.7)
            expected -= math.log(1 - p / (p + 4 * of_noise[j]))
    shared = nce(q, k, noise, of_noise, of_keys, log_z=log_z, temperature=0.5)
    assert shared.item() == pytest.approx(expected / 3, rel=1e-6)
    own = nce(q, k, noise.expand(3, 4, 5), of_noise.expand(3, 4), of_keys, log_z=log_z, temperature=0.5)
    torch.testing.assert_close(own, shared)


def test_a_learned_normaliser_finds_the_true_one():
    """Gutmann and Hyvärinen's point: with the model otherwise right, log Z goes to the logarithm of the true sum.

    Expectations in place of samples: the data come from the softmax over all keys, noise is every key once.
    """
    q, keys = directions(1), directions(12, 1)
    logits = (keys @ q[0]) / 0.5
    share = logits.softmax(dim=0)
    log_z = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([log_z], max_iter=50, line_search_fn="strong_wolfe")

    def step():
        optimiser.zero_grad()
        each = [nce(q, key[None], keys, 1 / 12, log_z=log_z, temperature=0.5) for key in keys]
        loss = (torch.stack(each) * share).sum()
        loss.backward()
        return loss

    optimiser.step(step)
    assert log_z.item() == pytest.approx(logits.logsumexp(dim=0).item(), abs=1e-4)


def test_the_estimate_is_exact_over_all_instances():
    q, keys = directions(2), directions(12, 1)
    sums = (q @ keys.T / 0.07).exp().sum(dim=1)
    assert estimated_log_z(q @ keys.T, 12, 0.07).item() == pytest.approx(math.log(sums.mean()), rel=1e-9)
    half = estimated_log_z((q @ keys.T).bfloat16(), 12, 0.07)
    assert half.dtype == torch.float32
    with pytest.raises(ValueError, match="nothing to estimate"):
        estimated_log_z(torch.empty(0), 12, 0.07)


def test_the_instance_form_reads_the_bank_and_sends_it_no_gradient():
    z, bank = directions(3), directions(9, 1).requires_grad_()
    ids, log_z = torch.tensor([4, 0, 8]), torch.tensor(1.0, dtype=torch.float64)
    noise = torch.tensor([[1, 1, 5], [2, 3, 4], [8, 7, 6]])
    loss = nce_instance(z.requires_grad_(), ids, noise, bank=bank, log_z=log_z, temperature=0.3)
    expected = nce(z, bank.detach()[ids], bank.detach()[noise], 1 / 9, log_z=log_z, temperature=0.3)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert bank.grad is None
    assert z.grad.any()


def test_the_bank_follows_what_was_seen():
    bank, z, ids = directions(6), directions(2, 1), torch.tensor([5, 1])
    before = bank.clone()
    after = updated_bank(bank, ids, z, momentum=0.25)
    torch.testing.assert_close(after[5], normalize(0.25 * bank[5] + 0.75 * z[0], dim=0))
    assert torch.equal(after[[0, 2, 3, 4]], bank[[0, 2, 3, 4]])
    assert torch.equal(bank, before)
    torch.testing.assert_close(updated_bank(bank, ids, z, momentum=0.0)[ids], z)
    assert updated_bank(bank.float(), ids, z.bfloat16()).dtype == torch.float32


def test_what_cannot_be_is_refused():
    q, noise, log_z = directions(3), directions(4, 2), torch.tensor(0.0)
    for wrong in ((q[:2], noise), (q, noise[:0]), (q, noise[0])):
        with pytest.raises(ValueError, match="no fit"):
            nce(q, *wrong, 0.1, log_z=log_z)
    with pytest.raises(ValueError, match="not one a query"):
        nce(q, q, noise, torch.full((4,), 0.1), log_z=log_z)
