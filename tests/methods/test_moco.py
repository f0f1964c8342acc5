"""MoCo: controlled logits, what enters the queue and when, the twin, and batch-norm in parts."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from retrieval.functional.batch import Batch
from retrieval.losses.info_nce_queries import info_nce_queries
from retrieval.methods.moco import MoCo
from tests.methods.views import BATCH, TinyViews, tiny_encoder, tiny_method

K = 40
"""Rows of the tiny queue: two batches and a half."""


def moco(batch_norm: bool = False, **options: object) -> MoCo:
    method = tiny_method("moco", batch_norm, **options)
    assert isinstance(method, MoCo)
    return method


def batches() -> list[Batch]:
    return list(TinyViews().batches(0, 0))


def keys_of(method: MoCo, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        projected = method.key_projector(method.key_encoder(images).raw)  # type: ignore[attr-defined]
    assert isinstance(projected, torch.Tensor)
    return normalize(projected, dim=1)


@pytest.mark.parametrize(("positive", "expected"), [(0.0, 10.5), (0.5, 3.4), (0.9, 0.1)])
def test_the_loss_at_the_start(positive: float, expected: float) -> None:
    """K = 16384 random negatives, tau = 0.07, and a controlled cosine of the positive."""
    generator = torch.Generator().manual_seed(0)
    negatives = normalize(torch.randn(16384, 128, generator=generator), dim=1)
    queries = normalize(torch.randn(64, 128, generator=generator), dim=1)
    other = torch.randn(64, 128, generator=generator)
    other = normalize(other - (other * queries).sum(1, keepdim=True) * queries, dim=1)
    keys = positive * queries + math.sqrt(1 - positive**2) * other
    loss = info_nce_queries(queries, keys, negatives, temperature=0.07, in_batch=False)
    assert loss.item() == pytest.approx(expected, abs=0.1)


def test_is_the_papers_algorithm() -> None:
    """Algorithm 1: l_pos and l_neg, cross-entropy with label 0."""
    method, given = moco(temperature=0.2), batches()[0]
    q = normalize(method.projector(method.encoder(given.inputs).raw), dim=1)
    k = keys_of(method, given.others[0])
    l_pos, l_neg = torch.einsum("nc,nc->n", q, k), torch.einsum("nc,kc->nk", q, method.queue.rows)
    logits = torch.cat([l_pos[:, None], l_neg], dim=1) / 0.2
    expected = cross_entropy(logits, torch.zeros(BATCH, dtype=torch.int64))
    step = method.training_step(given)
    torch.testing.assert_close(step.loss, expected)
    torch.testing.assert_close(step.logs["positive"], l_pos.detach().mean())
    torch.testing.assert_close(step.logs["negative"], l_neg.detach().mean())


def test_the_logits_come_before_the_enqueue() -> None:
    """A step's own keys are no negatives of it, and enter the queue in its ``after_step``."""
    method, given = moco(), batches()[0]
    start, keys = method.queue.rows.clone(), keys_of(method, given.others[0])
    first = method.training_step(given).loss
    assert torch.equal(method.queue.rows, start)
    method.after_step()
    torch.testing.assert_close(method.queue.rows[:BATCH], keys)
    assert torch.equal(method.queue.rows[BATCH:], start[BATCH:])
    assert method.training_step(given).loss > first + 0.01


def test_the_queue_wraps_where_it_is_no_multiple_of_the_batch() -> None:
    method = moco()
    seen = []
    for given in batches():
        seen.append(keys_of(method, given.others[0]))
        method.training_step(given)
        method.after_step()
    latest = torch.cat(seen)[-K:]
    pointer = 3 * BATCH % K
    assert int(method.queue.pointer) == pointer == 8
    torch.testing.assert_close(method.queue.rows.roll(-pointer, 0), latest)


def test_accumulated_batches_all_enter() -> None:
    method, (one, two, _) = moco(), batches()
    expected = [keys_of(method, given.others[0]) for given in (one, two)]
    method.training_step(one)
    method.training_step(two)
    method.after_step()
    torch.testing.assert_close(method.queue.rows[: 2 * BATCH], torch.cat(expected))
    method.after_step()
    assert int(method.queue.pointer) == 2 * BATCH


def test_the_twin_follows_and_gets_no_gradient() -> None:
    method = moco(momentum=0.75)
    before = {name: value.clone() for name, value in method.key_projector.copy.named_parameters()}
    with torch.no_grad():
        for parameter in method.projector.parameters():
            parameter += 1
    method.after_step()
    for name, value in method.key_projector.copy.named_parameters():
        torch.testing.assert_close(value, before[name] + 0.25)
        assert not value.requires_grad
    trained = {id(p) for group in method.groups() for p in group.parameters}
    assert trained == {id(p) for p in (*method.encoder.parameters(), *method.projector.parameters())}


def test_symmetric_is_the_mean_of_both_ways() -> None:
    given = batches()[0]
    there = moco().training_step(given).loss
    back = moco().training_step(given._replace(inputs=given.others[0], others=(given.inputs,))).loss
    method = moco(symmetric=True)
    keys = [keys_of(method, view) for view in (given.others[0], given.inputs)]
    step = method.training_step(given)
    torch.testing.assert_close(step.loss, (there + back) / 2)
    assert len(step.embeddings) == 2 * BATCH
    method.after_step()
    torch.testing.assert_close(method.queue.rows[: 2 * BATCH], torch.cat(keys))


def test_both_versions_of_the_head() -> None:
    second, first = moco(), moco(layers=1)
    assert [type(layer) for layer in second.projector] == [nn.Linear, nn.ReLU, nn.Linear]
    assert [type(layer) for layer in first.projector] == [nn.Linear]
    defaults = MoCo(tiny_encoder(), queue=8)
    assert (defaults.temperature, defaults.momentum) == (0.2, 0.999)


def test_collapse_stands_at_the_constant_once_the_queue_is_full() -> None:
    method, given = moco(), batches()[0]
    alike = given._replace(inputs=torch.ones_like(given.inputs), others=(torch.ones_like(given.inputs),))
    for _ in range(3):
        method.training_step(alike)
        # Random rows are left in the queue: a healthy run's loss rises as they go.
        assert method.chance_constants() == {}
        method.after_step()
    logs = method.training_step(alike).logs
    assert method.chance_constants() == {"moco": math.log(K + 1)}
    assert float(logs["moco"]) == pytest.approx(math.log(K + 1), rel=1e-4)
    assert float(logs["negative"]) == pytest.approx(1, abs=1e-4)


def test_queries_and_keys_do_not_share_batch_norm_statistics() -> None:
    """The shortcut: with whole batches both sides' statistics are those of the same images."""
    given = batches()[0]
    same = given._replace(others=(given.inputs,))
    whole, parts = (moco(batch_norm=True, splits=splits).training_step(same) for splits in (1, 2))
    assert float(whole.logs["positive"]) == pytest.approx(1, abs=1e-5)
    assert float(parts.logs["positive"]) < 1 - 1e-5


def test_every_key_comes_back_to_its_image() -> None:
    """The keys' batch in the drawn order, part by part, and each key put where its image stands."""
    method, twin = moco(batch_norm=True), moco(batch_norm=True)
    given = batches()[0]
    order = torch.randperm(BATCH, generator=method.draws()).tolist()
    method.training_step(given)
    method.after_step()
    for part in (order[: BATCH // 2], order[BATCH // 2 :]):
        keys = keys_of(twin, given.others[0][part])
        for place, key in zip(part, keys, strict=True):
            torch.testing.assert_close(method.queue.rows[place], key)


def test_frozen_batch_norm_needs_no_parts() -> None:
    given = batches()[0]
    same = given._replace(others=(given.inputs,))
    method = moco(batch_norm=True, splits=16)
    method.encoder.eval()
    assert float(method.training_step(same).logs["positive"]) == pytest.approx(1, abs=1e-5)


def test_the_twins_statistics_are_its_own() -> None:
    """They move by what the twin is shown, once a step, and are not averaged with the encoder's."""
    method, given = moco(batch_norm=True, splits=1), batches()[0]
    norm = method.key_encoder.copy.backbone.norm
    assert isinstance(norm, nn.BatchNorm2d)
    method.training_step(given._replace(inputs=given.inputs + 3))
    seen = norm.state_dict()
    shown = method.key_encoder.copy.backbone.stem(given.others[0])
    torch.testing.assert_close(seen["running_mean"], 0.1 * shown.mean(dim=(0, 2, 3)))
    before = seen["running_mean"].clone()
    method.after_step()
    assert torch.equal(norm.state_dict()["running_mean"], before)
