"""Distillation against loops from the paper's formula, and what its sums mean."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax

from retrieval.losses.distillation import distillation, labelled_term, soft_term
from retrieval.losses.feature_distillation import cosine_term, similarity_term
from tests.losses import loops


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LABELS = torch.tensor([0, -1, 2, 1, -1, -1, 0])


def log_share(logits, y, tau=1.0):
    return logits[y] / tau - loops.log_sum_exp([v / tau for v in logits])


def by_the_paper(student, teacher, labels, alpha, tau):
    labelled = math.fsum(-log_share(s, y) for s, y in zip(student, labels, strict=True) if y != -1)
    soft = -math.fsum(
        math.exp(log_share(t, y, tau)) * log_share(s, y, tau)
        for s, t in zip(student, teacher, strict=True)
        for y in range(len(s))
    )
    return ((1 - alpha) * labelled + alpha * soft) / len(student)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("tau", [0.1, 1.0, 4.0])
def test_equals_the_paper(alpha, tau):
    student, teacher = 2 * drawn(7, 4), 2 * drawn(7, 4, seed=1)
    expected = by_the_paper(student.tolist(), teacher.tolist(), LABELS.tolist(), alpha, tau)
    loss = distillation(student, teacher, LABELS, alpha=alpha, temperature=tau)
    assert loss.item() == pytest.approx(expected, rel=1e-10)


def test_agrees_with_torchs_own_terms():
    student, teacher = drawn(7, 4), drawn(7, 4, seed=1)
    known = LABELS >= 0
    mean = cross_entropy(student[known], LABELS[known])
    torch.testing.assert_close(labelled_term(student, LABELS), mean * known.sum() / len(known))
    gap = kl_div(log_softmax(student / 2, 1), softmax(teacher / 2, 1), reduction="batchmean")
    torch.testing.assert_close(soft_term(student, teacher, 2.0) - soft_term(teacher, teacher, 2.0), gap)


def test_few_labels_weigh_little():
    """The paper's two sums run over the labelled part and over everything: half the labels, half the term."""
    student = drawn(8, 4).repeat(2, 1)
    labels = torch.arange(16) % 4
    half = torch.where(torch.arange(16) < 8, labels, -1)
    torch.testing.assert_close(labelled_term(student, half), labelled_term(student, labels) / 2)


def test_the_gradients_are_the_derivatives():
    student, teacher = drawn(7, 4).requires_grad_(), drawn(7, 4, seed=1)
    assert torch.autograd.gradcheck(lambda s: distillation(s, teacher, LABELS, alpha=0.4, temperature=0.5), student)
    assert torch.autograd.gradcheck(lambda s: cosine_term(s, teacher), student)
    assert torch.autograd.gradcheck(lambda s: similarity_term(s, drawn(7, 9, seed=2)), student)


def test_features_equal_their_formulas():
    student, teacher, wide = drawn(6, 4), drawn(6, 4, seed=1), drawn(6, 9, seed=2)
    ours, theirs, broad = ([loops.unit(row) for row in z.tolist()] for z in (student, teacher, wide))
    cosine = loops.mean([1 - loops.dot(a, b) for a, b in zip(ours, theirs, strict=True)])
    assert cosine_term(3 * student, 0.5 * teacher).item() == pytest.approx(cosine, rel=1e-10)
    gaps = [
        (loops.dot(ours[i], ours[j]) - loops.dot(broad[i], broad[j])) ** 2 for i in range(6) for j in range(6) if i != j
    ]
    assert similarity_term(3 * student, 0.5 * wide).item() == pytest.approx(loops.mean(gaps), rel=1e-10)


def test_a_rotated_teacher_has_the_same_similarities_and_other_directions():
    teacher = drawn(6, 4)
    rotation = torch.linalg.qr(drawn(4, 4, seed=3)).Q
    assert similarity_term(teacher @ rotation, teacher) < 1e-20
    assert cosine_term(teacher @ rotation, teacher) > 0.1
    assert cosine_term(2 * teacher, teacher) < 1e-10


@pytest.mark.parametrize("rows", [0, 1])
def test_where_there_is_nothing_to_compare_loss_and_gradient_are_zero(rows):
    student, teacher = drawn(rows, 4).requires_grad_(), drawn(rows, 4, seed=1)
    (gradient,) = torch.autograd.grad(similarity_term(student, teacher), student)
    assert not gradient.any()
    if not rows:
        for loss in (cosine_term(student, teacher), distillation(student, teacher, LABELS[:0], alpha=0.5)):
            assert loss == 0
            assert not torch.autograd.grad(loss, student)[0].any()
    unlabelled = labelled_term(student, torch.full((rows,), -1))
    assert unlabelled == 0
    assert not torch.autograd.grad(unlabelled, student)[0].any()


def test_half_precision_and_autocast_are_computed_in_float32():
    student, teacher = drawn(7, 4).bfloat16(), drawn(7, 4, seed=1).bfloat16()
    for loss in (lambda s, t: distillation(s, t, LABELS, alpha=0.5), cosine_term, similarity_term):
        plain = loss(student.float(), teacher.float())
        assert plain.dtype == torch.float32
        assert torch.equal(loss(student, teacher), plain)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(loss(student.float(), teacher.float()), plain)


def test_zero_rows_stay_finite():
    student = torch.zeros(3, 4, requires_grad=True)
    for loss in (cosine_term(student, torch.ones(3, 4)), similarity_term(student, torch.ones(3, 4))):
        (gradient,) = torch.autograd.grad(loss, student)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="there are 4"):
        distillation(drawn(7, 4), drawn(7, 4), LABELS + 2)
    with pytest.raises(ValueError, match="do not fit"):
        distillation(drawn(7, 4), drawn(7, 5), LABELS)
    with pytest.raises(ValueError, match="do not fit"):
        cosine_term(drawn(7, 4), drawn(7, 5))
    with pytest.raises(ValueError, match="7 embeddings of the student and 6"):
        similarity_term(drawn(7, 4), drawn(6, 4))
