"""Each loss against loops from its paper's formula, and against a second witness where that one agrees with it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import losses as pml
from pytorch_metric_learning import miners as pml_miners
from pytorch_metric_learning.distances import LpDistance
from torch import Tensor
from torch.nn.functional import normalize

from retrieval.losses import LOSSES
from tests.losses import loops
from tests.losses.cases import ALL, CLASSES, DIMENSION, make, named


def plain(value):
    return value.tolist() if isinstance(value, Tensor) else value


def by_the_paper(case):
    inputs = [*case.embeddings, *([] if case.labels is None else [case.labels]), *case.rest.values()]
    state = {key: plain(value) for key, value in case.state.items()}
    return getattr(loops, case.name)(*map(plain, inputs), **state, **case.options)


@pytest.mark.parametrize("case", ALL, ids=named)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_equals_the_paper(case, data):
    rows = data.draw(st.integers(1, 12))
    one = make(*case, seed=data.draw(st.integers(0, 10_000))).rows(torch.arange(rows))
    if LOSSES[case[0]].inputs == "labels":
        labels = data.draw(st.lists(st.integers(-1, CLASSES - 1), min_size=rows, max_size=rows))
        one.labels.copy_(torch.tensor(labels))
    state = {key: value + 0.5 for key, value in one.state.items() if key in ("bias", "log_z", "centres")}
    one.state.update(state)
    assert one.loss().item() == pytest.approx(by_the_paper(one), rel=1e-9, abs=1e-9)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), tau=st.floats(0.05, 2), margin=st.floats(0.05, 1.5), scale=st.floats(1, 100))
def test_options_mean_what_they_say(seed, tau, margin, scale):
    options = {
        "contrastive": [
            {"margin": margin, "balanced": balanced, "squared": squared}
            for balanced in (False, True)
            for squared in (False, True)
        ],
        "triplet": [{"margin": margin, "select": kind, "soft": seed % 2 == 0} for kind in ("all", "semihard", "easy")],
        "circle": [{"margin": margin / 2, "scale": scale}],
        "circle_batch": [{"margin": margin / 2, "scale": scale}],
        "multi_similarity": [{"alpha": scale, "beta": 2 * scale, "base": margin}],
        "proxy_anchor": [{"margin": margin, "alpha": scale}],
        "cosine_softmax": [{"kind": k, "margin": margin, "scale": scale} for k in ("normface", "cosface", "arcface")],
        "supervised_contrastive": [{"temperature": tau}],
        "info_nce": [{"temperature": tau}],
        "nt_xent": [{"temperature": tau}],
        "barlow_twins": [{"redundancy": margin}],
        "vicreg": [
            {"invariance": scale, "variance": margin, "covariance": tau, "scaling": kind}
            for kind in ("authors", "paper")
        ],
        "info_nce_queries": [{"temperature": tau}],
        "soft_cross_entropy": [{"temperature": tau}],
        "nce": [{"temperature": tau}],
        "nce_instance": [{"temperature": tau}],
    }
    for name, some in options.items():
        for each in some:
            one = make(name, each, seed)
            assert one.loss().item() == pytest.approx(by_the_paper(one), rel=1e-8, abs=1e-8), (name, each)


@pytest.mark.parametrize("name", ["circle", "circle_batch"])
def test_the_gradient_of_circle_loss_has_no_path_through_its_paces(name):
    """The same loss with plain autograd over the whole matrix; the derivative of its value would be another one."""
    z = make(name, {}).embeddings[0].requires_grad_()
    labels = make(name, {}).labels
    similarity, m, gamma = z @ z.T, 0.4, 80.0
    same = labels[:, None] == labels
    keep = torch.ones_like(same).triu(1) if name == "circle_batch" else ~torch.eye(len(z), dtype=torch.bool)
    still = similarity.detach()
    pull = -gamma * (1 + m - still).clamp_min(0) * (similarity - (1 - m))
    push = gamma * (still + m).clamp_min(0) * (similarity - m)
    axes = (0, 1) if name == "circle_batch" else (1,)
    pools = [
        values.masked_fill(~(mask & keep), -1e30).logsumexp(dim=axes) for values, mask in ((pull, same), (push, ~same))
    ]
    expected = torch.nn.functional.softplus(sum(pools)).mean()
    (want,) = torch.autograd.grad(expected, z)
    loss, (gradient,) = make(name, {}).gradients()
    torch.testing.assert_close(loss, expected.detach())
    torch.testing.assert_close(gradient, want)


def gradient_of(loss, *leaves):
    return torch.autograd.grad(loss, leaves, retain_graph=True)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    # Gradients are compared before the normalisation, which the second witness repeats.
    raw = torch.randn(32, DIMENSION, generator=generator, requires_grad=True)
    return raw, normalize(raw, dim=1), torch.arange(32) % 8


WITNESSES = {
    "supervised_contrastive": (pml.SupConLoss(temperature=0.1), {}),
    "info_nce": (pml.NTXentLoss(temperature=0.1), {}),
    "circle": (pml.CircleLoss(m=0.4, gamma=80), {}),
    "multi_similarity": (pml.MultiSimilarityLoss(alpha=2, beta=50, base=0.5), {}),
    "triplet": (pml.TripletMarginLoss(margin=0.2), {"select": "all"}),
}


@pytest.mark.parametrize("name", WITNESSES)
def test_a_second_witness_agrees(name, batch):
    raw, z, labels = batch
    witness, options = WITNESSES[name]
    ours, theirs = LOSSES[name].function(z, labels, **options), witness(z, labels)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradient_of(ours, raw), gradient_of(theirs, raw), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("kind", ["semihard", "hard", "easy"])
def test_triplets_of_a_kind_agree_with_a_second_witness(kind, soft, squared, batch):
    raw, z, labels = batch
    measure = LpDistance(power=2 if squared else 1)
    mined = pml_miners.TripletMarginMiner(margin=0.3, type_of_triplets=kind, distance=measure)(z, labels)
    # Their soft form adds the margin inside.
    theirs = pml.TripletMarginLoss(margin=0.0 if soft else 0.3, smooth_loss=soft, distance=measure)(z, labels, mined)
    ours = LOSSES["triplet"].function(z, labels, margin=0.3, soft=soft, squared=squared, select=kind)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    if soft or kind != "easy":
        torch.testing.assert_close(gradient_of(ours, raw), gradient_of(theirs, raw), rtol=1e-3, atol=1e-4)


def test_nt_xent_agrees_with_a_second_witness(batch):
    _, z, _ = batch
    ours = LOSSES["nt_xent"].function(z[:16], z[16:], temperature=0.5)
    theirs = pml.SelfSupervisedLoss(pml.NTXentLoss(temperature=0.5))(z[:16], z[16:])
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "theirs", "options"),
    [
        ("proxy_anchor", pml.ProxyAnchorLoss(8, DIMENSION, margin=0.1, alpha=32), {}),
        ("cosine_softmax", pml.NormalizedSoftmaxLoss(8, DIMENSION, temperature=1 / 64), {"kind": "normface"}),
        ("cosine_softmax", pml.CosFaceLoss(8, DIMENSION, margin=0.35, scale=64), {}),
        ("cosine_softmax", pml.ArcFaceLoss(8, DIMENSION, margin=28.6, scale=64), {"kind": "arcface"}),
    ],
)
def test_losses_with_class_weights_agree_with_a_second_witness(name, theirs, options, batch):
    raw, z, labels = batch
    (weights,) = theirs.parameters()
    if options.get("kind") == "arcface":
        options = {**options, "margin": theirs.margin}
    key = next(iter(LOSSES[name].state))
    # They keep the class weights of a softmax as columns.
    own = weights.detach().clone() if key == "proxies" else weights.detach().T.clone()
    own.requires_grad_()
    ours, witness = LOSSES[name].function(z, labels, **{key: own}, **options), theirs(z, labels)
    torch.testing.assert_close(ours, witness, rtol=1e-4, atol=1e-4)
    got, want = gradient_of(ours, raw, own), gradient_of(witness, raw, weights)
    torch.testing.assert_close(got[0], want[0], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(got[1], want[1] if key == "proxies" else want[1].T, rtol=1e-3, atol=1e-3)
