"""The probe reaches the optimum of its loss, and chooses on training images only."""

import numpy as np
import pytest
import torch

from retrieval.core.errors import RetrievalError
from retrieval.evaluation import linear_probe as module
from retrieval.evaluation.linear_probe import linear_probe
from retrieval.evaluation.vectors import LabelledVectors


@pytest.fixture(autouse=True)
def _one_thread():
    """Matrices this small gain nothing from a second thread, and wait for it on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def blobs(count, seed, classes=4, dimension=6, spread=0.6):
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(1).standard_normal((classes, dimension))
    numbers = random.integers(classes, size=count) * 3 + 2
    vectors = centres[(numbers - 2) // 3] + spread * random.standard_normal((count, dimension))
    return LabelledVectors(vectors.astype(np.float32), numbers)


def loss_and_gradient(weights, inputs, member, penalty):
    """The probe's loss in float64 loops, and its gradient."""
    total, gradient = 0.0, np.zeros_like(weights)
    for row, target in zip(inputs, member, strict=True):
        logits = row @ weights[:-1] + weights[-1]
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        total -= np.log(shares[target]) / len(inputs)
        shares[target] -= 1
        gradient[:-1] += np.outer(row, shares) / len(inputs)
        gradient[-1] += shares / len(inputs)
    gradient[:-1] += penalty * weights[:-1]
    return total + penalty / 2 * (weights[:-1] ** 2).sum(), gradient


@pytest.mark.parametrize("penalty", [1e-2, 0.5])
def test_the_fit_is_the_optimum_of_its_loss(penalty):
    """Convex: where the gradient of the formula vanishes, there is the one minimum."""
    train = blobs(60, 0)
    names, member = np.unique(train.numbers, return_inverse=True)
    inputs = torch.from_numpy(train.vectors)
    weights = module._fit(inputs, torch.from_numpy(member), len(names), penalty, 500).double().numpy()
    reached, gradient = loss_and_gradient(weights, train.vectors.astype(np.float64), member, penalty)
    assert np.abs(gradient).max() < 1e-4
    start, _ = loss_and_gradient(np.zeros_like(weights), train.vectors.astype(np.float64), member, penalty)
    assert reached < start


def test_it_learns_what_can_be_learned_and_repeats():
    train, test = blobs(200, 0), blobs(100, 5)
    one, two = (linear_probe(train, test, penalties=[0.1, 1.0]) for _ in range(2))
    assert one.classified.accuracy.mean > 0.8
    assert one.classified.accuracy == two.classified.accuracy
    assert one.penalty in one.held_out
    assert one.held_out[one.penalty] == max(one.held_out.values())
    assert set(one.classified.predictions.tolist()) <= set(train.numbers.tolist())


def test_scale_and_shift_of_the_embeddings_do_not_matter():
    train, test = blobs(100, 0), blobs(50, 5)
    moved = [LabelledVectors((part.vectors * 50 + 7).astype(np.float32), part.numbers) for part in (train, test)]
    before, after = linear_probe(train, test, penalties=[0.01]), linear_probe(*moved, penalties=[0.01])
    assert before.classified.predictions.tolist() == after.classified.predictions.tolist()


def test_the_penalty_is_chosen_without_the_test_images():
    train, test = blobs(100, 0), blobs(50, 5)
    shuffled = LabelledVectors(test.vectors, np.random.default_rng(0).permutation(test.numbers))
    one, other = (linear_probe(train, part, penalties=[0.1, 1.0]) for part in (test, shuffled))
    assert one.penalty == other.penalty
    assert one.held_out == other.held_out
    assert linear_probe(train, test, penalties=[0.5]).held_out == {}


def test_a_fifth_of_each_class_is_held_out_and_never_all():
    member = np.repeat(np.arange(4), [1, 2, 10, 25])
    held = module._held_out(member, seed=0)
    assert [int(held[member == number].sum()) for number in range(4)] == [0, 1, 2, 5]
    assert not np.array_equal(held, module._held_out(member, seed=1))


def test_constant_dimensions_are_harmless():
    train, test = blobs(60, 0), blobs(30, 5)
    wide = [
        LabelledVectors(np.hstack([part.vectors, np.full((len(part), 1), 3.0, np.float32)]), part.numbers)
        for part in (train, test)
    ]
    plain, padded = linear_probe(train, test, penalties=[0.01]), linear_probe(*wide, penalties=[0.01])
    assert plain.classified.predictions.tolist() == padded.classified.predictions.tolist()


def test_classes_that_were_never_shown_are_left_out_and_counted():
    train, test = blobs(60, 0), blobs(30, 5)
    numbers = test.numbers.copy()
    numbers[:7] = 99
    assert linear_probe(train, LabelledVectors(test.vectors, numbers), penalties=[0.01]).classified.excluded == 7


def test_what_cannot_be_probed_is_refused():
    train, test = blobs(60, 0), blobs(30, 5)
    one = LabelledVectors(train.vectors, np.zeros(60, np.int64))
    with pytest.raises(RetrievalError, match="two labels"):
        linear_probe(one, test)
    with pytest.raises(RetrievalError, match="nothing to measure"):
        linear_probe(train, LabelledVectors(test.vectors, np.full(30, 99)), penalties=[0.01])
    with pytest.raises(ValueError, match="penalties"):
        linear_probe(train, test, penalties=[])
    with pytest.raises(ValueError, match="penalties"):
        linear_probe(train, test, penalties=[-1])
    with pytest.raises(ValueError, match="do not fit"):
        linear_probe(train, LabelledVectors(test.vectors[:, :3], test.numbers))
    broken = train.vectors.copy()
    broken[0, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        linear_probe(LabelledVectors(broken, train.numbers), test)
