"""SimCLRv2's stages after the first: fine-tuning and distillation."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from retrieval.functional.batch import Batch
from retrieval.losses.distillation import distillation
from retrieval.methods.distillation import Distillation
from retrieval.methods.fine_tuning import FineTuning
from retrieval.methods.simclr import SimCLR
from retrieval.models.classifier import classifier_layer
from retrieval.models.encoder import Encoder
from retrieval.models.first_layer import first_layer
from tests.methods.collapse import run
from tests.methods.views import CLASSES, TinyViews, tiny_classifier, tiny_encoder, tiny_method


def batches() -> list[Batch]:
    return list(TinyViews().batches(0, 0))


def test_the_three_stages_one_after_the_other() -> None:
    """Views, then labels from the projector's first layer, then a student that never sees a label."""
    first = SimCLR(tiny_encoder(), hidden=24, dimension=8, layers=3)
    run(first, batches(), steps=30, rate=0.02)
    encoder = Encoder(first.encoder.backbone, first_layer(first.projector), 24)
    second = FineTuning(encoder, classes=CLASSES)
    start = second.training_step(batches()[0]).loss
    assert float(start.detach()) == pytest.approx(math.log(CLASSES), abs=0.1)
    taught, _ = run(second, batches(), steps=100, rate=0.02)
    assert taught["accuracy"] > 0.9
    teacher = second.teacher()
    answers = {name: value.clone() for name, value in teacher.state_dict().items()}
    student = Distillation(tiny_encoder(seed=1), classes=CLASSES, teacher_classifier=teacher)
    unlabelled = [batch._replace(labels=torch.full_like(batch.labels, -1)) for batch in batches()]
    untaught = float(student.training_step(unlabelled[0]).logs["agreement"])
    learned, _ = run(student, unlabelled, steps=200, rate=0.03)
    assert learned["agreement"] > max(0.75, untaught)
    assert learned["labelled"] == 0
    assert learned["teacher_entropy"] <= learned["soft"]
    assert all(torch.equal(value, answers[name]) for name, value in teacher.state_dict().items())


def test_fine_tuning_is_the_cross_entropy_of_labelled_rows() -> None:
    method, batch = tiny_method("fine_tuning"), batches()[0]
    assert isinstance(method, FineTuning)
    logits = method.teacher()(batch.inputs)
    known = batch.labels >= 0
    assert 0 < known.sum() < len(known)
    step = method.training_step(batch)
    torch.testing.assert_close(step.loss, cross_entropy(logits[known], batch.labels[known]))
    right = (logits.argmax(1) == batch.labels)[known].float().mean()
    torch.testing.assert_close(step.logs["accuracy"], right)
    assert step.labels is not None
    assert torch.equal(step.labels, batch.labels)


def test_a_batch_without_labels_teaches_nothing() -> None:
    batch = batches()[0]
    step = tiny_method("fine_tuning").training_step(batch._replace(labels=torch.full_like(batch.labels, -1)))
    assert step.loss == 0
    assert step.logs["accuracy"] == 0


@pytest.mark.parametrize(("alpha", "temperature"), [(0.3, 2.0), (1.0, 0.5)])
def test_distillation_is_its_loss(alpha: float, temperature: float) -> None:
    method, batch = tiny_method("distillation", alpha=alpha, temperature=temperature), batches()[0]
    assert isinstance(method, Distillation)
    student, teacher = method.classifier(method.encoder(batch.inputs).raw), tiny_classifier()(batch.inputs)
    expected = distillation(student, teacher, batch.labels, alpha=alpha, temperature=temperature)
    torch.testing.assert_close(method.training_step(batch).loss, expected)


def test_values_that_cannot_be() -> None:
    for options, said in (({"alpha": 1.1}, "alpha is at least 0"), ({"temperature": 0.0}, "temperature is above 0")):
        with pytest.raises(ValueError, match=said):
            tiny_method("distillation", **options)
    with pytest.raises(ValueError, match="two classes"):
        classifier_layer(4, 1)
    batch = batches()[0]
    with pytest.raises(ValueError, match=f"there are {CLASSES}"):
        tiny_method("fine_tuning").training_step(batch._replace(labels=batch.labels + CLASSES + 1))
