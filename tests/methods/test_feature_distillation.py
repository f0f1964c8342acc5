"""Distillation of features: its terms, what each teaches, and the teacher that stays as it is."""

import math
from typing import Any

import pytest
import torch

from retrieval.functional.batch import Batch
from retrieval.losses.feature_distillation import cosine_term, similarity_term
from retrieval.methods.feature_distillation import FeatureDistillation
from retrieval.models.encoder import Encoder
from tests.methods.collapse import run
from tests.methods.views import FEATURES, TinyViews, tiny_encoder, tiny_method


def batches() -> list[Batch]:
    return list(TinyViews().batches(0, 0))


def test_feature_distillation_is_its_terms() -> None:
    method, batch = tiny_method("feature_distillation", cosine=2.0, similarity=3.0), batches()[0]
    assert isinstance(method, FeatureDistillation)
    raw, wanted = method.encoder(batch.inputs).raw, tiny_encoder(seed=5)(batch.inputs).raw
    expected = 2 * cosine_term(method.projector(raw), wanted) + 3 * similarity_term(raw, wanted)
    torch.testing.assert_close(method.training_step(batch).loss, expected)


@pytest.mark.parametrize("term", ["cosine", "similarity"])
def test_each_term_alone_brings_the_student_nearer(term: str) -> None:
    weights = {"cosine": 0.0, "similarity": 0.0, term: 1.0}
    method = tiny_method("feature_distillation", **weights)
    before = float(method.training_step(batches()[0]).logs[term])
    after, alarms = run(method, batches(), steps=60, rate=0.02)
    assert after[term] < before / 2
    assert not alarms


def test_a_collapsed_student_is_told_by_the_similarities() -> None:
    """Cosine alone can be low where the teacher's embeddings are all near one another; similarities are then not."""
    teacher = torch.nn.functional.normalize(torch.randn(32, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    assert float(similarity_term(torch.ones(32, 8), teacher)) > 0.8


@pytest.mark.parametrize("name", ["distillation", "feature_distillation"])
def test_the_teacher_stays_as_it_is(name: str) -> None:
    """In eval mode whatever the method's mode, out of the optimiser, and in the state."""
    method = tiny_method(name, batch_norm=True)
    teacher: Any = method.teacher
    method.train()
    assert not any(module.training for module in teacher.modules())
    assert method.encoder.training
    inside = {id(p) for p in teacher.parameters()}
    assert not any(id(p) in inside for group in method.groups() for p in group.parameters)
    assert not any(p.requires_grad for p in teacher.parameters())
    assert any(key.startswith("teacher.") for key in method.state_dict())


def test_a_wider_teacher_is_projected_onto() -> None:
    wide = Encoder(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 20)), torch.nn.Identity(), 20)
    method = FeatureDistillation(tiny_encoder(), teacher=wide, layers=2, hidden=10)
    assert method.projector(torch.randn(4, FEATURES)).shape == (4, 20)
    method.training_step(batches()[0]).loss.backward()  # type: ignore[no-untyped-call]


def test_weights_that_teach_nothing() -> None:
    weights = ({"cosine": 0.0, "similarity": 0.0}, "nothing is learned"), ({"cosine": -1.0}, "cosine is at least 0")
    for values, said in weights:
        with pytest.raises(ValueError, match=said):
            tiny_method("feature_distillation", **values)


def test_what_a_batch_brings_is_learned_and_the_teacher_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    method, batch = tiny_method("feature_distillation", cosine=2.0, similarity=3.0), batches()[0]
    assert isinstance(method, FeatureDistillation)
    wanted = torch.randn(len(batch.ids), tiny_encoder(seed=5).dimension, generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr(method.teacher, "forward", _fails)
    raw = method.encoder(batch.inputs).raw
    expected = 2 * cosine_term(method.projector(raw), wanted) + 3 * similarity_term(raw, wanted)
    torch.testing.assert_close(method.training_step(batch._replace(targets=wanted)).loss, expected)


def test_labels_are_learned_where_their_term_has_a_weight() -> None:
    batch = batches()[0]
    labels = torch.arange(len(batch.ids)) // 2
    labels[-1] = -1
    plain, taught = (tiny_method("feature_distillation", supervised=weight, temperature=0.2) for weight in (0.0, 0.5))
    own = taught.encoder(batch.inputs).normalised
    expected = _supervised(own.detach().double(), labels, 0.2)
    difference = taught.training_step(batch._replace(labels=labels)).loss - plain.training_step(batch).loss
    assert float(difference.detach()) == pytest.approx(0.5 * expected, rel=1e-4)
    assert "supervised" not in plain.training_step(batch).logs


def _supervised(rows: torch.Tensor, labels: torch.Tensor, temperature: float) -> float:
    """Khosla et al., equation 2, one anchor after the other."""
    losses = []
    known = [i for i in range(len(labels)) if labels[i] >= 0]
    for a in known:
        others = [i for i in known if i != a]
        positives = [i for i in others if labels[i] == labels[a]]
        if positives:
            logits = {i: float(rows[a] @ rows[i]) / temperature for i in others}
            total = math.log(sum(math.exp(value) for value in logits.values()))
            losses.append(sum(total - logits[p] for p in positives) / len(positives))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("option", ["supervised", "temperature"])
def test_weights_of_the_labels_that_cannot_be(option: str) -> None:
    with pytest.raises(ValueError, match=option):
        tiny_method("feature_distillation", **{option: -0.1})


def _fails(*_: Any) -> Any:
    raise AssertionError("the teacher was asked")


def test_without_a_projector_the_embedding_itself_lies_as_the_teachers() -> None:
    method, batch = tiny_method("feature_distillation", layers=0, similarity=0.0), batches()[0]
    assert isinstance(method, FeatureDistillation)
    expected = cosine_term(method.encoder(batch.inputs).raw, tiny_encoder(seed=5)(batch.inputs).raw)
    torch.testing.assert_close(method.training_step(batch).loss, expected)
    assert list(method.learned()) == []
    wide = Encoder(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 20)), torch.nn.Identity(), 20)
    with pytest.raises(ValueError, match="layers = 0"):
        FeatureDistillation(tiny_encoder(), teacher=wide, layers=0)
