"""The method: sums of losses, what they own, and how labelled batches become their arguments."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import normalize

from retrieval.core.errors import BadValue
from retrieval.functional.batch import Batch
from retrieval.losses import LOSSES, LossSpec, StateSpec
from retrieval.methods import terms as terms_module
from retrieval.methods.inputs import INSTANCE_NOISE, NOISE, arguments
from retrieval.methods.loss_state import LossState
from retrieval.methods.metric_learning import MetricLearning, Term
from retrieval.methods.pairing import class_pairs
from retrieval.methods.terms import resolve
from retrieval.models.encoder import Encoder
from tests.training.tiny import CLASSES, TinySource, tiny_encoder


def batch() -> Batch:
    return next(TinySource().batches(0, 0))


def learning(*terms: Term, **options: Any) -> MetricLearning:
    values: dict[str, Any] = {"examples": 60, "measure_every": 1, **options}
    return MetricLearning(tiny_encoder(), terms, CLASSES, **values)


def test_is_the_weighted_sum() -> None:
    model = learning(
        Term("triplet", 2.0, options={"margin": 0.3}),
        Term("center", 0.5),
        Term("contrastive", 0.0),
        Term("triplet", 1.0),
    )
    step = model.training_step(batch())
    output = model.embed(batch().inputs)
    triplet, centre = LOSSES["triplet"].function, LOSSES["center"].function
    expected = (
        2.0 * triplet(output.normalised, batch().labels, margin=0.3)
        + 0.5 * centre(output.raw, batch().labels, centres=torch.zeros(CLASSES, 4))
        + triplet(output.normalised, batch().labels)
    )
    torch.testing.assert_close(step.loss, expected)
    assert set(step.logs) == {"triplet", "center", "contrastive", "triplet#2", "active", "raw_norm"}
    assert all(not value.requires_grad for value in step.logs.values())
    torch.testing.assert_close(step.embeddings, output.normalised)
    assert not step.embeddings.requires_grad


def test_a_miner_shares_the_margin_of_its_loss() -> None:
    mined = learning(Term("triplet", miner="semihard", options={"margin": 0.4})).training_step(batch()).loss
    own = learning(Term("triplet", options={"margin": 0.4, "select": "semihard"})).training_step(batch()).loss
    torch.testing.assert_close(mined, own)
    other = Term("triplet", miner="semihard", options={"margin": 0.4}, miner_options={"margin": 0.05})
    assert learning(other).training_step(batch()).loss != own


@pytest.mark.parametrize("normalise", [True, False])
def test_normalisation_can_be_switched_off(normalise: bool) -> None:
    model = learning(Term("contrastive"), normalise=normalise)
    output = model.embed(batch().inputs)
    embeddings = output.normalised if normalise else output.raw
    expected = LOSSES["contrastive"].function(embeddings, batch().labels)
    torch.testing.assert_close(model.training_step(batch()).loss, expected)


def test_groups_hold_every_parameter_once_with_its_rate() -> None:
    model = learning(Term("proxy_anchor"), Term("softmax"))
    groups = list(model.groups())
    ids = [id(p) for group in groups for p in group.parameters]
    assert len(ids) == len(set(ids))
    assert set(ids) == {id(p) for p in model.parameters()}
    rates = {(g.name, g.rate, g.decay) for g in groups}
    assert {("loss", 100.0, True), ("loss", 1.0, True), ("loss", 1.0, False), ("backbone", 1.0, True)} <= rates
    assert [p.shape for g in groups if g.rate == 100 for p in g.parameters] == [(CLASSES, 4)]


def test_features_need_no_backbone() -> None:
    encoder = Encoder(nn.Identity(), nn.Linear(6, 4), 4)
    model = MetricLearning(encoder, [Term("triplet")], CLASSES)
    assert {group.name for group in model.groups()} == {"head"}
    assert model.training_step(batch()).loss.requires_grad


def test_centres_follow_their_rule_after_the_step() -> None:
    """Wen's rule as a loop; with two batches accumulated, all their rows count together."""
    model = learning(Term("triplet"), Term("center"), centre_rate=0.25)
    two = list(TinySource().batches(0, 0))[:2]
    centres = np.zeros((CLASSES, 4))
    raw = []
    for one in two:
        step = model.training_step(one)
        assert not bool(model.state_dict()["states.1.centres"].any())
        raw += [
            (int(y), x.double().numpy()) for y, x in zip(one.labels, model.embed(one.inputs).raw.detach(), strict=True)
        ]
        step.loss.backward()  # type: ignore[no-untyped-call]
    model.after_step()
    for j in range(CLASSES):
        rows = [x for y, x in raw if y == j]
        centres[j] -= 0.25 * sum(centres[j] - x for x in rows) / (1 + len(rows))
    np.testing.assert_allclose(model.state_dict()["states.1.centres"], centres, rtol=1e-5, atol=1e-6)
    model.after_step()
    np.testing.assert_allclose(model.state_dict()["states.1.centres"], centres, rtol=1e-5, atol=1e-6)


def test_a_step_that_was_skipped_moves_nothing_later_either() -> None:
    one, other = list(TinySource().batches(0, 0))[:2]
    model, plain = (learning(Term("center"), Term("nce_instance")) for _ in range(2))
    model.training_step(one)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.skipped_step()
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    for each in (model, plain):
        each.training_step(other)
        each.after_step()
    for name in ("states.0.centres", "states.1.bank"):
        assert torch.equal(model.state_dict()[name], plain.state_dict()[name]), name


def test_exact_centres() -> None:
    model = learning(Term("center"))
    embeddings, labels = torch.randn(30, 4), torch.arange(30) % CLASSES
    model.set_exact_centres(embeddings, labels)
    for j in range(CLASSES):
        torch.testing.assert_close(model.state_dict()["states.0.centres"][j], embeddings[labels == j].mean(0))


def test_the_bank_remembers_the_last_of_an_image() -> None:
    model = learning(Term("nce_instance"))
    start = model.state_dict()["states.0.bank"].clone()
    given = batch()
    repeated = Batch(given.inputs[[0, 1, 2, 0]], given.labels[[0, 1, 2, 0]], torch.tensor([7, 3, 5, 7]))
    shown = repeated._replace(inputs=torch.cat([repeated.inputs[:3], -repeated.inputs[:1]]))
    model.training_step(shown)
    embeddings = model.embed(shown.inputs).normalised.detach()
    model.after_step()
    bank = model.state_dict()["states.0.bank"]
    for image, row in ((3, 1), (5, 2), (7, 3)):
        torch.testing.assert_close(bank[image], normalize((start[image] + embeddings[row]) / 2, dim=0))
    untouched = [i for i in range(60) if i not in (3, 5, 7)]
    assert torch.equal(bank[untouched], start[untouched])


@pytest.mark.parametrize("name", ["nce", "nce_instance"])
def test_the_normaliser_is_estimated_once(name: str) -> None:
    model = learning(Term(name, options={"temperature": 0.2}))
    key = "states.0.log_z"
    assert float(model.state_dict()[key]) == 0
    model.training_step(batch())
    first = float(model.state_dict()[key])
    assert math.log(60) - 5 < first < math.log(60) + 5
    model.training_step(batch())
    assert float(model.state_dict()[key]) == first


def test_instance_normaliser_is_its_formula() -> None:
    """n times the mean of exp(s / tau) over the noise that was drawn."""
    model = learning(Term("nce_instance", options={"temperature": 0.2}), seed=4)
    bank = model.state_dict()["states.0.bank"].double().numpy()
    generator = torch.Generator().manual_seed(4 * 1_000_003)
    drawn = torch.randint(60, (60,), generator=generator).numpy()
    embeddings = model.embed(batch().inputs).normalised.detach().double().numpy()
    expected = math.log(60 * np.mean(np.exp(embeddings @ bank[drawn].T / 0.2)))
    model.training_step(batch())
    assert float(model.state_dict()["states.0.log_z"]) == pytest.approx(expected, rel=1e-5)


@settings(deadline=None)
@given(labels=st.lists(st.integers(-1, 4), max_size=30))
def test_class_pairs_are_a_matching(labels: list[int]) -> None:
    first, second = (rows.tolist() for rows in class_pairs(torch.tensor(labels, dtype=torch.int64)))
    used = first + second
    assert len(used) == len(set(used))
    assert all(labels[a] == labels[b] >= 0 and a < b for a, b in zip(first, second, strict=True))
    for label in set(labels) - {-1}:
        rows = [i for i, y in enumerate(labels) if y == label]
        pairs = [(a, b) for a, b in zip(first, second, strict=True) if labels[a] == label]
        assert pairs == list(zip(rows[0::2], rows[1::2], strict=False))


PAIRED = [name for name, spec in LOSSES.items() if spec.against_others]


def test_losses_that_tell_a_pair_from_all_others_say_so() -> None:
    queries = {name for name, spec in LOSSES.items() if spec.inputs == "queries"}
    assert queries | {"nt_xent"} == set(PAIRED)


@pytest.mark.parametrize("name", PAIRED)
def test_a_second_pair_of_a_class_is_noise_to_the_first(name: str) -> None:
    model = MetricLearning(Encoder(nn.Identity(), nn.Identity(), 4), [Term(name)], CLASSES, examples=60)
    apart, twice = torch.eye(4).repeat_interleave(2, 0), torch.eye(4)[:2].repeat_interleave(4, 0)
    given = [Batch(rows, rows.argmax(dim=1), torch.arange(8)) for rows in (apart, twice)]
    clean, foul = (float(model.training_step(one).loss) for one in given)
    assert foul > clean + 0.1


def noise_of(count: int, examples: int = 100) -> tuple[Tensor, Tensor]:
    """Keys that are their own numbers, and the noise that NCE gets for each."""
    keys = torch.arange(2.0 * count)[:, None]
    labels = torch.arange(count).repeat_interleave(2)
    generator = torch.Generator().manual_seed(0)
    (_, keys, noise), extra = arguments(LOSSES["nce"], keys, labels, labels, examples, generator)
    assert extra == {"noise_probability": 1 / examples}
    return keys[:, 0], noise[:, :, 0]


@pytest.mark.parametrize("count", [2, 5, 64, 80])
def test_noise_is_other_keys(count: int) -> None:
    keys, noise = noise_of(count)
    assert noise.shape == (count, min(NOISE, count - 1))
    for key, others in zip(keys.tolist(), noise.tolist(), strict=True):
        assert key not in others
        assert len(set(others)) == len(others)
        assert set(others) <= set(keys.tolist())


def test_noise_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="there are 1 pairs"):
        noise_of(1)
    with pytest.raises(ValueError, match="how many images"):
        noise_of(4, examples=0)
    with pytest.raises(ValueError, match="how many there are"):
        learning(Term("nce_instance"), examples=0)


def test_instance_noise_is_bounded_and_drawn_anew() -> None:
    generator = torch.Generator().manual_seed(0)
    draw = lambda n: arguments(LOSSES["nce_instance"], torch.ones(2, 1), torch.zeros(2), torch.zeros(2), n, generator)  # noqa: E731
    _, first = draw(10**6)
    _, second = draw(10**6)
    assert first["noise"].shape == (INSTANCE_NOISE,)
    assert not torch.equal(first["noise"], second["noise"])
    assert int(draw(5)[1]["noise"].max()) < 5


@pytest.mark.parametrize("name", ["triplet", "nce", "nce_instance"])
def test_the_global_random_state_is_left_alone(name: str) -> None:
    miner = "distance_weighted" if name == "triplet" else None
    torch.manual_seed(3)
    model = learning(Term(name, miner=miner))
    model.training_step(batch())
    model.after_step()
    left = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), left)


def test_draws_depend_on_the_seed_and_the_batch_number() -> None:
    term = Term("nce_instance")
    losses = [
        [float(m.training_step(batch()).loss.detach()) for _ in range(3)] for m in (learning(term), learning(term))
    ]
    assert losses[0] == losses[1]
    assert len(set(losses[0])) == 3
    again = learning(term)
    again.load_state_dict({**again.state_dict(), "batches": torch.tensor(2)})
    changed = learning(term, seed=1)
    changed.load_state_dict(again.state_dict())
    assert float(again.training_step(batch()).loss.detach()) != float(changed.training_step(batch()).loss.detach())


def test_the_active_share_is_measured_now_and_then() -> None:
    model = learning(Term("triplet"), measure_every=3)
    measured = ["active" in model.training_step(batch()).logs for _ in range(7)]
    assert measured == [True, False, False, True, False, False, True]
    share = learning(Term("triplet")).training_step(batch()).logs["active"]
    assert 0 < float(share) <= 1


def test_constants_of_the_alarm() -> None:
    model = learning(
        Term("triplet", options={"margin": 0.3}),
        Term("triplet", options={"soft": True}),
        Term("contrastive"),
        Term("circle"),
    )
    assert model.collapse_constants() == {"triplet": 0.3, "triplet#2": math.log(2)}


def test_a_collapsed_batch_stands_at_the_constant() -> None:
    """What the alarm leans on: all embeddings alike, batch-hard, plain and soft."""
    for options in ({"margin": 0.3}, {"soft": True}, {"margin": 0.1, "squared": True}):
        model = learning(Term("triplet", miner="batch_hard", options=options))
        alike = batch()._replace(inputs=torch.ones(12, 6))
        value = float(model.training_step(alike).logs["triplet"])
        assert value == pytest.approx(model.collapse_constants()["triplet"], rel=1e-4)


def test_where_embeddings_tell_nothing_the_loss_is_at_chance() -> None:
    """For every loss that declares it: all embeddings alike, and all unrelated; as of the last batch."""
    names = [name for name, spec in LOSSES.items() if spec.chance is not None]
    assert "nt_xent" in names
    for name in names:
        model = learning(Term(name))
        assert model.chance_constants() == {}
        for rows in (12, 7):
            alike = batch()._replace(inputs=torch.ones(rows, 6), labels=batch().labels[:rows], ids=torch.arange(rows))
            value = float(model.training_step(alike).logs[name])
            assert value == pytest.approx(model.chance_constants()[name], rel=1e-5)
        assert model.chance_constants() == {"nt_xent": pytest.approx(math.log(2 * 3 - 1))}
    assert learning(Term("triplet")).chance_constants() == {}


def test_the_length_of_raw_embeddings_is_logged() -> None:
    model = learning(Term("triplet"))
    raw = model.embed(batch().inputs).raw.detach()
    step = model.training_step(batch())
    assert float(step.logs["raw_norm"]) == pytest.approx(float(raw.norm(dim=1).mean()))


def test_labels_that_are_missing() -> None:
    given = batch()
    some = given._replace(labels=torch.where(torch.arange(12) < 6, given.labels, -1))
    for name, spec in LOSSES.items():
        if spec.inputs == "labels":
            model = learning(Term(name))
            step = model.training_step(some)
            step.loss.backward()  # type: ignore[no-untyped-call]
            model.after_step()
            assert math.isfinite(float(step.loss.detach()))


WRONG = {
    "no terms": ([], "at least one"),
    "loss": ([Term("tripplet")], "Did you mean triplet"),
    "loss without labels": ([Term("soft_cross_entropy")], "no loss called 'soft_cross_entropy'"),
    "strange loss": ([Term("zzz")], "There are: "),
    "option": ([Term("triplet", options={"margn": 1})], "Did you mean margin"),
    "input as option": ([Term("nce", options={"noise_probability": 1})], "no option of nce called 'noise_probability'"),
    "state as option": ([Term("center", options={"centres": 1})], "no option of center called 'centres'"),
    "weight": ([Term("triplet", -1.0)], "0 or more"),
    "miner": ([Term("triplet", miner="semihrd")], "Did you mean semihard"),
    "needless miner": ([Term("softmax", miner="semihard")], "takes no miner"),
    "wrong miner": ([Term("triplet", miner="all_pairs")], "takes triplets, but all_pairs gives pairs"),
    "miner option": ([Term("triplet", miner="batch_hard", miner_options={"limit": 1})], "no option of batch_hard"),
}


@pytest.mark.parametrize("case", WRONG)
def test_terms_that_cannot_be(case: str) -> None:
    terms, words = WRONG[case]
    with pytest.raises(BadValue) as caught:
        resolve(terms)
    assert words in str(caught.value)


def test_a_state_without_a_rule_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = LossSpec(
        LOSSES["triplet"].function, "normalised", "labels", "", "",
        state={"queue": StateSpec("rule", lambda classes, dimension, n: (2,), "zeros")},
    )  # fmt: skip
    with pytest.raises(ValueError, match="no rule by which 'queue'"):
        LossState(spec, 3, 4, 0, torch.Generator())
    monkeypatch.setitem(terms_module.LOSSES, "queued", spec)
    assert resolve([Term("queued")])[0].spec is spec
