"""InfoNCE in its forms, its limit as the temperature goes to 0, and the constants where all embeddings are alike."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from retrieval.losses.info_nce import info_nce
from retrieval.losses.info_nce_queries import info_nce_queries
from retrieval.losses.nt_xent import nt_xent
from retrieval.losses.supervised_contrastive import supervised_contrastive, supervised_contrastive_active


def directions(rows, seed=0, dimension=6):
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(rows, dimension, generator=generator), dim=1)


@pytest.mark.parametrize("tau", [1e-2, 1e-3, 1e-4])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_limit_is_a_triplet_with_the_hardest_negative(seed, tau):
    """tau L → max(0, max_n s_n - s_p), in float32; never further away than tau ln(number of logits)."""
    queries, keys, negatives = directions(1, seed), directions(1, seed + 1), directions(9, seed + 2)
    hinge = max(0.0, float((negatives @ queries[0]).max() - keys[0] @ queries[0]))
    loss = info_nce_queries(queries, keys, negatives, temperature=tau, in_batch=False)
    assert tau * loss.item() == pytest.approx(hinge, abs=tau * math.log(10) + 1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_limit_of_the_labelled_form(seed):
    z, labels, tau = directions(8, seed), torch.arange(8) // 2, 1e-4
    similarity = z @ z.T
    hinges = []
    for a in range(8):
        hardest = max(float(similarity[a, n]) for n in range(8) if labels[n] != labels[a])
        hinges.append(max(0.0, hardest - float(similarity[a, a ^ 1])))
    assert tau * info_nce(z, labels, temperature=tau).item() == pytest.approx(sum(hinges) / 8, abs=1e-3)


def test_where_all_are_alike_the_loss_is_the_logarithm_of_the_candidates():
    z = torch.ones(6, 4) / 2
    assert nt_xent(z, z).item() == pytest.approx(math.log(11))
    assert info_nce_queries(z, z).item() == pytest.approx(math.log(6))
    assert info_nce_queries(z, z, z[:3]).item() == pytest.approx(math.log(9))
    assert info_nce_queries(z, z, z[:3], in_batch=False).item() == pytest.approx(math.log(4))
    assert supervised_contrastive(z, torch.arange(6) // 2).item() == pytest.approx(math.log(5))
    assert info_nce(z, torch.arange(6) // 3).item() == pytest.approx(math.log(4))


def test_one_positive_each_makes_the_three_forms_one():
    first, second = directions(5), directions(5, 1)
    both, labels = torch.cat([first, second]), torch.arange(5).repeat(2)
    expected = nt_xent(first, second, temperature=0.2)
    torch.testing.assert_close(supervised_contrastive(both, labels, temperature=0.2), expected)
    torch.testing.assert_close(info_nce(both, labels, temperature=0.2), expected)


def test_anchors_without_a_positive_are_left_out_and_counted():
    z, labels = directions(6), torch.tensor([0, 0, 1, 1, 2, -1])
    kept = torch.tensor([0, 1, 2, 3])
    alone = supervised_contrastive(z[kept], labels[kept])
    whole = supervised_contrastive(z[:5], labels[:5])
    terms = supervised_contrastive(z, labels)
    torch.testing.assert_close(terms, whole)
    # The singleton is no anchor, yet a negative of all others.
    assert whole > alone
    assert supervised_contrastive_active(z, labels).item() == pytest.approx(4 / 6)


def test_what_cannot_be_is_refused():
    z = directions(4)
    with pytest.raises(ValueError, match="do not fit"):
        nt_xent(z, z[:3])
    with pytest.raises(ValueError, match="do not fit"):
        info_nce_queries(z, z[:3])
    with pytest.raises(ValueError, match="explicit ones are needed"):
        info_nce_queries(z, z, in_batch=False)
    for wrong in ({"negatives": z}, {"in_batch": False, "negatives": z}):
        with pytest.raises(ValueError, match="symmetric form"):
            info_nce_queries(z, z, symmetric=True, **wrong)
