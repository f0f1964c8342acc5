"""What every loss must hold. A new one joins by its line in the table."""

import inspect
import json
import sys
from dataclasses import replace

import pytest
import torch
from torch import multiprocessing
from torch.nn.functional import normalize

from retrieval.functional.labels import negative_mask, positive_mask
from retrieval.functional.mined import Pairs, Triplets
from retrieval.losses import LOSSES, held, rows
from tests.losses.cases import ALL, CLASSES, DIMENSION, make, named, parameters
from tests.losses.processes import compare

LABELLED = [case for case in ALL if LOSSES[case[0]].inputs == "labels"]
STATELESS = [case for case in LABELLED if not LOSSES[case[0]].state]
NEEDS_NEGATIVES = ("triplet", "circle", "circle_batch", "info_nce")
NEEDS_POSITIVES = (*NEEDS_NEGATIVES, "supervised_contrastive")

every = pytest.mark.parametrize("case", ALL, ids=named)
labelled = pytest.mark.parametrize("case", LABELLED, ids=named)
stateless = pytest.mark.parametrize("case", STATELESS, ids=named)


def close(one, other, rtol=1e-9, atol=1e-10):
    torch.testing.assert_close(one, other, rtol=rtol, atol=atol)


@pytest.mark.parametrize("name", LOSSES)
def test_the_line_in_the_table_is_true(name):
    spec = LOSSES[name]
    signature = inspect.signature(spec.function).parameters
    assert spec.function.__module__ == f"retrieval.losses.{name}"
    assert ("mined" in signature) == (spec.mined is not None)
    assert set(spec.state) <= {key for key, one in signature.items() if one.kind is one.KEYWORD_ONLY}
    assert inspect.Parameter.empty not in spec.options.values()
    assert spec.options.keys() | spec.state.keys() <= signature.keys()
    document = sys.modules[spec.function.__module__].__doc__
    assert "equation" in document or "figure" in document
    assert "Args:" in spec.function.__doc__
    assert "Returns:" in spec.function.__doc__
    assert spec.summary
    assert spec.paper
    if spec.active is not None:
        assert inspect.signature(spec.active).parameters.keys() == signature.keys()


@pytest.mark.parametrize("name", [name for name in LOSSES if LOSSES[name].state])
def test_the_state_has_its_shape_and_repeats_with_its_seed(name):
    for key, spec in LOSSES[name].state.items():
        one, two = (spec.initial(3, 5, 7, torch.Generator().manual_seed(0)) for _ in range(2))
        assert one.shape == spec.shape(3, 5, 7), key
        assert one.dtype == torch.float32
        assert torch.equal(one, two)
        assert one.any() == (spec.initialisation != "zeros")
        if spec.initialisation == "sphere":
            torch.testing.assert_close(one.norm(dim=1), torch.ones(len(one)))
        assert spec.rate > 0


@every
def test_autocast_changes_nothing(case):
    one = make(*case).to(torch.float32).with_gradient()
    plain = one.loss()
    expected = torch.autograd.grad(plain, one.leaves())
    with torch.autocast("cpu", torch.bfloat16):
        loss = one.loss()
    gradients = torch.autograd.grad(loss, one.leaves())
    assert loss.dtype == torch.float32
    assert torch.equal(loss, plain)
    for got, want in zip(gradients, expected, strict=True):
        close(got, want, rtol=1e-6, atol=1e-6)


@every
def test_half_precision_inputs_are_computed_in_float32(case):
    half = make(*case).to(torch.bfloat16)
    loss, gradients = half.gradients()
    wide, expected = half.to(torch.float32).gradients()
    assert loss.dtype == torch.float32
    close(loss, wide, rtol=1e-6, atol=1e-6)
    scale = max(one.abs().max() for one in expected)
    for got, want in zip(gradients, expected, strict=True):
        assert got.dtype == torch.bfloat16
        close(got.float(), want, rtol=2**-7, atol=2**-7 * float(scale))


@every
def test_float32_is_near_float64(case):
    exact, single = make(*case), make(*case).to(torch.float32)
    loss, gradients = single.gradients()
    want, expected = exact.gradients()
    assert want.dtype == torch.float64
    close(loss.double(), want, rtol=1e-5, atol=1e-5)
    scale = max(1.0, *(float(one.abs().max()) for one in expected))
    for one, two in zip(gradients, expected, strict=True):
        close(one.double(), two, rtol=1e-4, atol=1e-5 * scale)


class Holding:
    """In place of ``held``: at every later point the n-th values of a call are those of the first call."""

    def __init__(self):
        self.values, self.places = [], iter(())

    def __call__(self, values):
        place = next(self.places, None)
        if place is None:
            self.values.append(values.detach().clone())
            return self.values[-1]
        assert values.shape == self.values[place].shape
        return self.values[place]

    def again(self):
        self.places = iter(range(len(self.values)))


@every
def test_the_gradient_is_the_derivative(case, monkeypatch):
    """Where a loss weighs its gradient by values that are no path for it, with these held where they are."""
    holding = Holding()
    monkeypatch.setattr(held, "held", holding)
    one = make(*case).with_gradient()
    leaves = one.leaves()
    sides = len(one.embeddings)

    def loss(*values):
        holding.again()
        state = one.state | dict(zip(parameters(one.name), values[sides:], strict=True))
        return replace(one, embeddings=list(values[:sides]), state=state).loss()

    assert torch.autograd.gradcheck(loss, leaves)
    if holding.values:
        # And they are no constants: without being held the derivative is another.
        monkeypatch.undo()
        assert not torch.autograd.gradcheck(loss, leaves, raise_exception=False)


@every
def test_blocks_change_nothing(case, monkeypatch):
    loss, gradients = make(*case).gradients()
    for values in (1, 30, 100):
        monkeypatch.setattr(rows, "CACHE_VALUES", values)
        other, others = make(*case).gradients()
        close(other, loss)
        close(others, gradients)


@every
def test_without_a_gradient_the_value_is_the_same(case):
    loss, _ = make(*case).gradients()
    one = make(*case).with_gradient()
    with torch.no_grad():
        value = one.loss()
    assert not value.requires_grad
    assert value.shape == ()
    close(value, loss)
    assert value >= LOSSES[case[0]].lowest


@every
def test_the_order_of_the_batch_is_of_no_account(case):
    one = make(*case)
    loss, gradients = one.gradients()
    order = torch.randperm(len(one.embeddings[0]), generator=torch.Generator().manual_seed(1))
    other, others = one.rows(order).gradients()
    close(other, loss)
    sides = len(one.embeddings)
    for got, want in zip(others[:sides], gradients[:sides], strict=True):
        close(got, want[order])
    close(others[sides:], gradients[sides:])


def duplicates(one):
    return one.rows(torch.arange(12) // 2)


def identical(one):
    return one.rows(torch.zeros(12, dtype=torch.long))


def alike(one):
    """Every embedding is the same, the labels are not."""
    return replace(one, embeddings=[e[:1].expand_as(e).clone() for e in one.embeddings])


def opposite(one):
    signs = torch.tensor([1.0, -1.0]).repeat(6)[:, None]
    return replace(one, embeddings=[e[:1] * signs.to(e.dtype) for e in one.embeddings])


def one_class(one):
    return replace(one, labels=None if one.labels is None else torch.zeros_like(one.labels))


def singletons(one):
    return one.rows(torch.arange(CLASSES))


def one_row(one):
    return one.rows(torch.arange(1))


def nothing(one):
    return one.rows(torch.arange(0))


def unlabelled(one):
    wanted = one.labels is not None and LOSSES[one.name].inputs == "labels"
    return replace(one, labels=torch.full_like(one.labels, -1) if wanted else one.labels)


DEGENERATE = [duplicates, identical, alike, opposite, one_class, singletons, one_row, nothing, unlabelled]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@every
def test_degenerate_batches_stay_finite(case, dtype):
    for shape in DEGENERATE:
        loss, gradients = shape(make(*case)).to(dtype).gradients()
        assert torch.isfinite(loss), shape
        # Unit rows have another length in bf16.
        assert loss >= 1.01 * LOSSES[case[0]].lowest, shape
        for gradient in gradients:
            assert torch.isfinite(gradient).all(), shape
            # A root near 0 or an angle near 1 would give numbers in the thousands and beyond.
            assert not gradient.numel() or gradient.abs().max() < 1e3, shape


@labelled
def test_where_nothing_can_be_learned_loss_and_gradient_are_zero(case):
    shapes = [nothing, unlabelled]
    if not LOSSES[case[0]].state:
        shapes.append(one_row)
    if case[0] in NEEDS_POSITIVES:
        shapes.append(singletons)
    if case[0] in NEEDS_NEGATIVES:
        shapes.append(one_class)
    for shape in shapes:
        loss, gradients = shape(make(*case)).gradients()
        assert loss == 0, shape
        assert not any(gradient.any() for gradient in gradients), shape


@stateless
def test_labels_may_be_any_number(case):
    one = make(*case)
    loss, gradients = one.gradients()
    numbers = torch.tensor([-(2**63), 2**63 - 1, 2**62, 2**62 + 1])
    other, others = replace(one, labels=numbers[one.labels]).gradients()
    close(other, loss)
    close(others, gradients)


@labelled
def test_rows_without_a_label_are_as_if_they_were_not_there(case):
    one = make(*case)
    loss, gradients = one.gradients()
    places = torch.tensor([5, 0, 1, 2, 6, 3, 4, 7, 8, 7, 9, 10, 11])
    foreign = torch.tensor([0, 4, 9])
    labels = one.labels[places].clone()
    labels[foreign] = -1
    kept = torch.tensor([n for n in range(len(places)) if n not in foreign])
    fewer = one.rows(places[kept])
    loss, gradients = fewer.gradients()
    other, others = replace(one.rows(places), labels=labels).gradients()
    close(other, loss)
    close(others[0][kept], gradients[0])
    assert not others[0][foreign].any()
    close(others[1:], gradients[1:])


@pytest.mark.parametrize("case", [case for case in LABELLED if LOSSES[case[0]].state], ids=named)
def test_a_label_beyond_the_classes_is_refused(case):
    one = make(*case)
    for wrong in (CLASSES, -2):
        with pytest.raises(ValueError, match=f"there are {CLASSES}"):
            replace(one, labels=one.labels.clone().index_fill_(0, torch.tensor([3]), wrong)).loss()


def every_pair(labels):
    return Pairs(positive_mask(labels).nonzero(), negative_mask(labels).nonzero())


def every_triplet(labels):
    chosen = positive_mask(labels)[:, :, None] & negative_mask(labels)[:, None, :]
    return Triplets(*chosen.nonzero(as_tuple=True))


@pytest.mark.parametrize("case", [case for case in ALL if LOSSES[case[0]].mined], ids=named)
def test_mining_everything_is_no_mining(case):
    if case[0] == "triplet":
        case = (case[0], {**case[1], "select": "all"})
    one = make(*case)
    mined = (every_pair if LOSSES[case[0]].mined == "pairs" else every_triplet)(one.labels)
    loss, gradients = one.gradients()
    other, others = one.gradients(mined=mined)
    close(other, loss)
    close(others, gradients)


@pytest.mark.parametrize("case", [case for case in ALL if LOSSES[case[0]].mined], ids=named)
def test_nothing_mined_is_nothing_learned(case):
    one = make(*case)
    none = torch.empty(0, dtype=torch.long)
    mined = Pairs(none.view(0, 2), none.view(0, 2)) if LOSSES[case[0]].mined == "pairs" else Triplets(none, none, none)
    loss, (gradient,) = one.gradients(mined=mined)
    assert loss == 0
    assert not gradient.any()


@pytest.mark.parametrize("case", [case for case in ALL if LOSSES[case[0]].active], ids=named)
def test_the_active_share_is_a_share(case):
    one = make(*case)
    active = LOSSES[case[0]].active
    for shape in (lambda same: same, *DEGENERATE):
        for dtype in (torch.float64, torch.bfloat16):
            changed = shape(one).to(dtype).with_gradient()
            share = active(*changed.embeddings, changed.labels, **changed.options)
            assert 0 <= share <= 1
            assert not share.requires_grad
            if shape in (one_row, nothing, unlabelled):
                assert share == 0


@pytest.mark.parametrize("case", [case for case in ALL if LOSSES[case[0]].active], ids=named)
def test_the_active_share_is_the_same_under_autocast(case):
    one = make(*case).to(torch.float32)
    active = LOSSES[case[0]].active
    plain = active(*one.embeddings, one.labels, **one.options)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(active(*one.embeddings, one.labels, **one.options), plain)


def test_two_processes_have_the_gradient_of_one(tmp_path):
    multiprocessing.spawn(compare, args=(str(tmp_path),), nprocs=2)
    for rank in range(2):
        differences = json.loads((tmp_path / f"{rank}.json").read_text())
        assert len(differences) == len(ALL)
        assert {name: value for name, value in differences.items() if not value < 1e-9} == {}


def test_a_gradient_can_be_scaled_and_asked_for_twice():
    """The way back of a block-wise loss is a product, and leaves what it keeps as it was."""
    z = normalize(torch.randn(8, DIMENSION, dtype=torch.float64), dim=1).requires_grad_()
    loss = LOSSES["triplet"].function(z, torch.arange(8) % 2)
    (once,) = torch.autograd.grad(loss, z, retain_graph=True)
    (thrice,) = torch.autograd.grad(3 * loss, z)
    close(thrice, 3 * once)
    assert once.any()
