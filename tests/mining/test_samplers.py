"""Samplers over random tables of class sizes."""

import inspect
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from retrieval.core.errors import BadValue
from retrieval.mining import SAMPLERS, ClassBalanced, MPerClass, Shuffled
from retrieval.mining.epochs import generator, schedule, spread

SIZES = st.lists(st.one_of(st.integers(1, 12), st.integers(1, 80)), min_size=2, max_size=14)


def labels_of(sizes, seed=0, unlabelled=0):
    labels = np.concatenate([np.repeat(np.arange(len(sizes)), sizes), np.full(unlabelled, -1)])
    return np.random.default_rng(seed).permutation(labels).astype(np.int64)


def shown(sampler, epoch=0):
    return Counter(np.concatenate(sampler.batches(epoch)).tolist())


def everybody(make, world, epoch=0):
    """The batches of all ranks, in the order of the steps."""
    ranks = [make(rank, world) for rank in range(world)]
    assert len({len(sampler) for sampler in ranks}) == 1
    each = [sampler.batches(epoch) for sampler in ranks]
    assert all(len(batches) == len(ranks[0]) for batches in each)
    return [batch for step in zip(*each, strict=True) for batch in step]


def fewest(images, size, world):
    """Batches of all ranks together that hold so many images."""
    return math.ceil(math.ceil(images / size) / world) * world


@st.composite
def m_per_class(draw):
    """(labels, sizes that can be used, arguments) that fit."""
    sizes = draw(SIZES)
    singletons = draw(st.sampled_from(["drop", "keep"]))
    usable = {c: n for c, n in enumerate(sizes) if n > 1 or singletons == "keep"}
    assume(len(usable) >= 2)
    per_class = draw(st.integers(2, 5))
    slots = draw(st.integers(2, len(usable)))
    labels = labels_of(sizes, seed=draw(st.integers(0, 99)), unlabelled=draw(st.sampled_from([0, 5])))
    arguments = {"batch_size": slots * per_class, "per_class": per_class, "singletons": singletons}
    return labels, usable, {**arguments, "seed": draw(st.integers(0, 99))}


@settings(max_examples=150, deadline=None)
@given(m_per_class(), st.integers(1, 3), st.integers(0, 3))
def test_m_per_class(case, world, epoch):
    labels, sizes, arguments = case
    size, per_class = arguments["batch_size"], arguments["per_class"]
    batches = everybody(lambda rank, world: MPerClass(labels, rank=rank, world=world, **arguments), world, epoch)

    for batch in batches:
        assert batch.dtype == np.int64
        groups = labels[batch].reshape(-1, per_class)
        # Class by class, M of each, no class twice.
        assert np.all(groups == groups[:, :1])
        assert len(set(groups[:, 0])) == size // per_class
        for ids in batch.reshape(-1, per_class):
            # An image twice in a batch: only where the class has fewer than M.
            assert len(set(ids)) == min(per_class, sizes[labels[ids[0]]])

    counts = Counter(np.concatenate(batches).tolist())
    # Every image of a class that can be used, and nothing else.
    assert set(counts) == {i for i, label in enumerate(labels.tolist()) if label in sizes}
    for label in sizes:
        times = [counts[i] for i in np.flatnonzero(labels == label)]
        assert max(times) - min(times) <= 1

    # The smallest number of batches that can show all groups, no class twice in one.
    groups = {label: math.ceil(n / per_class) for label, n in sizes.items()}
    need = max(math.ceil(sum(groups.values()) * per_class / size), max(groups.values()))
    assert len(batches) == math.ceil(need / world) * world
    if max(groups.values()) * size <= sum(groups.values()) * per_class:
        # No class is larger than the epoch: the fill-up is less than one batch a rank, shared out evenly.
        further = {
            label: sum(labels[b[::per_class]].tolist().count(label) for b in batches) - g for label, g in groups.items()
        }
        assert sum(further.values()) < world * size // per_class
        assert max(further.values()) <= math.ceil(sum(further.values()) / len(sizes))


@pytest.mark.parametrize("sizes", [[8] * 12, [4] * 24])
def test_m_per_class_without_a_remainder_shows_everything_exactly_once(sizes):
    sampler = MPerClass(labels_of(sizes), batch_size=16, per_class=4, seed=0)
    assert len(sampler) == 6
    assert set(shown(sampler).values()) == {1}
    assert len(shown(sampler)) == 96


def test_m_per_class_mixes_classes():
    """Over epochs every class meets every other in a batch."""
    labels = labels_of([8] * 8)
    sampler = MPerClass(labels, batch_size=8, per_class=4, seed=0)
    met = {tuple(sorted(set(labels[batch].tolist()))) for epoch in range(30) for batch in sampler.batches(epoch)}
    assert len(met) == 28


def test_m_per_class_fills_up_with_other_images_in_other_epochs():
    labels = labels_of([5, 5])
    sampler = MPerClass(labels, batch_size=8, per_class=4, seed=0)
    twice = set()
    for epoch in range(40):
        twice |= {i for i, times in shown(sampler, epoch).items() if times == 2}
    assert twice == set(range(10))


@pytest.mark.parametrize(
    ("sizes", "arguments", "message"),
    [
        ([4, 4, 4], {"batch_size": 16}, "3 classes with two or more images, but a batch of 16 with 4 a class needs 4"),
        ([4, 4, 4, 1], {"batch_size": 16, "singletons": "drop"}, "3 classes with two or more images, but a batch"),
        ([4], {}, "1 class with two or more images: there is nothing to tell apart"),
        ([1, 1], {"singletons": "drop"}, "0 classes with two or more images: there is nothing"),
        ([4, 1, 4, 1], {}, r"2 of 4 classes have a single image, .* \(class numbers 1, 3\)"),
        ([1] * 9, {}, "9 of 9 classes have a single image, .*0, 1, 2, 3, 4, ..."),
        ([4, 4], {"batch_size": 10}, "A batch of 10 cannot hold two or more classes with 4"),
        ([4, 4], {"batch_size": 4}, "A batch of 4 cannot hold two or more classes with 4"),
        ([4, 4], {"per_class": 1}, "1 images a class leave an image without a positive"),
        ([4, 4], {"batch_size": 1}, "A batch size of 1 leaves nothing to compare"),
        ([4, 4], {"singletons": "perhaps"}, "Unknown policy 'perhaps'"),
    ],
)
def test_m_per_class_refuses(sizes, arguments, message):
    with pytest.raises(BadValue, match=message) as error:
        MPerClass(labels_of(sizes), **{"batch_size": 8, "per_class": 4, "seed": 0, **arguments})
    assert error.value.hint


def test_no_labels_at_all():
    for labels in (np.full(9, -1), np.empty(0, np.int64)):
        with pytest.raises(BadValue, match="0 classes"):
            MPerClass(labels, batch_size=8, per_class=4, seed=0)
        with pytest.raises(BadValue, match="0 classes"):
            ClassBalanced(labels, batch_size=8, seed=0)


def test_the_hint_of_too_few_classes_works():
    labels = labels_of([4, 4, 4])
    with pytest.raises(BadValue) as error:
        MPerClass(labels, batch_size=16, per_class=4, seed=0)
    assert "at most 12" in error.value.hint
    assert len(MPerClass(labels, batch_size=12, per_class=4, seed=0)) == 1


@settings(max_examples=100, deadline=None)
@given(SIZES, st.integers(2, 40), st.integers(1, 3), st.integers(0, 99), st.sampled_from(["drop", "keep"]))
def test_class_balanced(sizes, size, world, seed, singletons):
    usable = {c: n for c, n in enumerate(sizes) if n > 1 or singletons == "keep"}
    assume(len(usable) >= 2)
    labels = labels_of(sizes, seed=seed, unlabelled=3)

    def make(rank, world):
        return ClassBalanced(labels, size, seed, rank=rank, world=world, singletons=singletons)

    batches = everybody(make, world)
    assert len(batches) == fewest(sum(usable.values()), size, world)
    for batch in batches:
        times = Counter(labels[batch].tolist())
        # In every batch: as often as any other, give or take one; with fewer places than classes, at most once.
        assert set(times) <= set(usable)
        assert len(batch) == size
        assert {times[label] for label in usable} <= {size // len(usable), math.ceil(size / len(usable))}
    together = np.concatenate(batches)
    times = Counter(labels[together].tolist())
    assert min(times[label] for label in usable) >= max(1, max(times.values()) - 1)
    counts = Counter(together.tolist())
    for label in usable:
        each = [counts[i] for i in np.flatnonzero(labels == label)]
        assert max(each) - min(each) <= 1


def test_class_balanced_is_fair_to_images_where_classes_are_equal():
    assert set(shown(ClassBalanced(labels_of([6] * 8), batch_size=16, seed=0)).values()) == {1}


def test_class_balanced_shows_all_of_a_large_class_over_epochs():
    labels = labels_of([40, 4])
    sampler = ClassBalanced(labels, batch_size=4, seed=0)
    assert len(shown(sampler)) < 44
    assert set().union(*(shown(sampler, epoch) for epoch in range(10))) == set(range(44))


def test_class_balanced_refuses():
    with pytest.raises(BadValue, match="1 class: there is nothing to balance"):
        ClassBalanced(labels_of([4]), batch_size=4, seed=0)
    with pytest.raises(BadValue, match="single image"):
        ClassBalanced(labels_of([4, 1]), batch_size=4, seed=0, singletons="error")


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 200), st.integers(2, 40), st.integers(1, 4), st.integers(0, 99))
def test_shuffled(n, size, world, seed):
    assume(n >= size)
    batches = everybody(lambda rank, world: Shuffled(n, size, seed, rank, world), world)
    assert len(batches) == fewest(n, size, world)
    assert all(len(batch) == len(set(batch)) == size for batch in batches)
    counts = Counter(np.concatenate(batches).tolist())
    assert set(counts) == set(range(n))
    assert max(counts.values()) - min(counts.values()) <= 1
    assert len(batches) * size - n < size * world


def test_shuffled_refuses():
    with pytest.raises(BadValue, match="3 images do not fill a batch of 4") as error:
        Shuffled(3, 4, 0)
    assert "at most 3" in error.value.hint


EVERY = pytest.mark.parametrize("name", SAMPLERS)


def make(name, sizes=(8, 5, 3, 9, 30, 4), **changes):
    return SAMPLERS[name].make(labels_of(sizes), **{"batch_size": 8, "seed": 7, **changes})


@EVERY
def test_every_sampler_is_a_function_of_seed_and_epoch(name):
    first = make(name)
    second = make(name)
    # Asked in another order, and twice.
    ahead = [np.stack(second.batches(epoch)) for epoch in (3, 1, 0, 1)]
    for epoch, batches in zip((3, 1, 0, 1), ahead, strict=True):
        assert np.array_equal(np.stack(first.batches(epoch)), batches)
    assert not np.array_equal(ahead[0], ahead[1])
    assert not np.array_equal(ahead[1], np.stack(make(name, seed=8).batches(1)))


@EVERY
@pytest.mark.parametrize("world", [2, 3, 5])
def test_every_sampler_shares_out_its_batches(name, world):
    together = everybody(lambda rank, world: make(name, rank=rank, world=world), world)
    ids = set(np.concatenate(together).tolist())
    if name != "class_balanced":
        assert ids == set(range(59))
    # No two ranks get the same batch.
    assert len({tuple(batch.tolist()) for batch in together}) == len(together)


@EVERY
def test_every_sampler_checks_its_run(name):
    for wrong in ({"rank": 2, "world": 2}, {"rank": -1}, {"seed": -1}):
        with pytest.raises(ValueError, match="must be at least 0"):
            make(name, **wrong)
    with pytest.raises(ValueError, match="Epoch -1"):
        make(name).batches(-1)
    with pytest.raises(BadValue):
        make(name, batch_size=1)


@EVERY
def test_the_options_are_what_it_takes(name):
    options = SAMPLERS[name].options
    assert len(make(name, **options)) == len(make(name))
    types = {"m_per_class": MPerClass, "class_balanced": ClassBalanced, "shuffled": Shuffled}
    run = {"labels", "n", "batch_size", "seed", "rank", "world"}
    parameters = inspect.signature(types[name]).parameters
    assert set(options) == set(parameters) - run
    for option, value in options.items():
        assert parameters[option].default in (value, inspect.Parameter.empty)


@pytest.mark.parametrize("labels", [np.zeros(4), np.zeros((2, 2), np.int64), ["a", "b"]])
def test_labels_are_one_axis_of_integers(labels):
    for sampler in (MPerClass, ClassBalanced):
        arguments = {"per_class": 2} if sampler is MPerClass else {}
        with pytest.raises(ValueError, match="one axis of integers"):
            sampler(labels, batch_size=4, seed=0, **arguments)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 12), st.integers(0, 8), st.integers(0, 99), st.data())
def test_schedule(batches, slots, seed, data):
    classes = data.draw(st.integers(max(1, slots), 12))
    # Any table of copies that can be met: nobody more often than there are batches.
    start = np.array(data.draw(st.lists(st.integers(0, batches), min_size=classes, max_size=classes)))
    while start.sum() > batches * slots:
        start[np.argmax(start)] -= 1
    random = generator(seed, 0)
    copies = spread(start, batches * slots, batches, random)
    assert copies.sum() == batches * slots
    assert np.all((copies >= start) & (copies <= batches))
    rows = schedule(copies, batches, slots, random)
    assert rows.shape == (batches, slots)
    assert all(len(set(row)) == slots for row in rows.tolist())
    assert np.array_equal(np.bincount(rows.ravel(), minlength=classes), copies)


def test_schedule_does_not_crowd_the_large_ones_together():
    """Two that stand in 90 of 100 batches each meet in some 81, as by chance; put off to the end, they would in 90."""
    copies = np.array([90, 90] + [1] * 120)
    met = []
    for seed in range(10):
        rows = schedule(copies, 100, 3, generator(seed, 0))
        met.append(sum(0 in row and 1 in row for row in rows.tolist()))
    assert 79 < np.mean(met) < 85
