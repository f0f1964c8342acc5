"""Views for methods without labels: the same whatever the threads, from memory and from files."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import pytest
import torch

from retrieval.core.settings import Limits
from retrieval.datasets.folder import from_folder
from retrieval.datasets.prepared import Prepared, prepare
from retrieval.datasets.view_sources import TensorSource, ViewSource
from retrieval.functional.batch import Batch
from retrieval.functional.counter import keys_of
from retrieval.images.pool import DecodePool
from retrieval.mining.shuffled import Shuffled
from retrieval.models.batch_augment import BatchAugment
from retrieval.models.looks import looks_for
from tests.conftest import draw
from tests.datasets.test_loader import SAMPLER, Fixed

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
SIDE = 24


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    base = tmp_path_factory.mktemp("views")
    for label in ("apple", "pear", "plum"):
        for n in range(4):
            draw(base / "photos" / label / f"{n}\n.jpg", 10 * len(label) + n)
    with DecodePool(1, Limits()) as pool:
        yield prepare(from_folder(base / "photos"), pool, base / "cache", 32, workers=1)


PICTURES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (12, 3, 32, 32), dtype=np.uint8))


def augment(preset: str = "swav-multi-crop") -> BatchAugment:
    return BatchAugment(looks_for(preset, SIDE), MEAN, STD)


@pytest.fixture(params=["tensor", "files"])
def make(request: pytest.FixtureRequest, prepared: Prepared):
    def source(workers: int = 0, seed: int = 0, sampler=SAMPLER, preset: str = "swav-multi-crop"):
        if request.param == "tensor":
            return TensorSource(PICTURES, sampler, augment(preset), seed, workers)
        return ViewSource(prepared, sampler, augment(preset), seed, workers)

    return source


def tensors(batch: Batch) -> list[torch.Tensor]:
    return [*batch[:3], *batch.others]


def same(one: list[Batch], other: list[Batch]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a, b)
        for left, right in zip(one, other, strict=True)
        for a, b in zip(tensors(left), tensors(right), strict=True)
    )


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_threads_change_nothing(make, workers: int) -> None:
    for epoch in range(2):
        assert same(list(make().batches(epoch)), list(make(workers).batches(epoch)))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("start", [0, 1, 3, 4])
def test_beginning_in_the_middle_gives_the_rest(make, workers: int, start: int) -> None:
    views = make(workers)
    assert same(list(views.batches(1, start)), list(views.batches(1))[start:])
    assert views.steps(1) == 4


def test_a_batch_holds_the_views_of_what_the_sampler_asked_for(make) -> None:
    batches = list(make(2).batches(0))
    assert [batch.ids.tolist() for batch in batches] == [ids.tolist() for ids in SAMPLER.batches(0)]
    for batch in batches:
        count = len(batch.ids)
        assert batch.labels.tolist() == [-1] * count
        assert (batch.labels.dtype, batch.ids.dtype) == (torch.int64, torch.int64)
        sides = [view.shape for view in (batch.inputs, *batch.others)]
        assert sides == [(count, 3, side, side) for side in [SIDE] * 2 + [SIDE // 2] * 6]
        assert all(view.dtype == torch.float32 for view in (batch.inputs, *batch.others))


def test_views_depend_on_seed_epoch_and_example_alone(make) -> None:
    def views(image: int, ids: list[int], seed: int = 0, epoch: int = 0) -> list[torch.Tensor]:
        (only,) = make(2, seed, Fixed(ids)).batches(epoch)
        return [view[ids.index(image)] for view in (only.inputs, *only.others)]

    first = views(4, [4])
    assert all(torch.equal(a, b) for a, b in zip(first, views(4, [7, 1, 4, 2]), strict=True))
    for other in (views(4, [4], seed=1), views(4, [4], epoch=1)):
        assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_an_example_that_stands_twice_in_a_batch_is_looked_at_differently(make) -> None:
    (batch,) = make(2, sampler=Fixed([4, 1, 4, 4])).batches(0)
    views = batch.inputs[[0, 2, 3]]
    assert all(not torch.equal(views[a], views[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_the_shuffling_sampler_fills_up_the_last_batch(make) -> None:
    source = make(1, sampler=Shuffled(12, 5, seed=3))
    batches = list(source.batches(0))
    assert [len(batch.ids) for batch in batches] == [5, 5, 5]
    assert source.steps(0) == 3
    assert set(torch.cat([batch.ids for batch in batches]).tolist()) == set(range(12))


def test_views_are_those_of_the_pictures() -> None:
    (batch,) = TensorSource(PICTURES, Fixed([3, 8]), augment("byol"), seed=5, workers=0).batches(0)
    wanted = augment("byol")(PICTURES[[3, 8]], keys_of(5, 0, np.array([3, 8]), 0))
    assert all(torch.equal(a, b) for a, b in zip((batch.inputs, *batch.others), wanted, strict=True))


def test_views_are_those_of_the_files(prepared: Prepared) -> None:
    (batch,) = ViewSource(prepared, Fixed([3, 8]), augment("byol"), seed=5, workers=0).batches(0)
    pictures = [torch.from_numpy(np.array(prepared.picture(i))).permute(2, 0, 1) for i in (3, 8)]
    wanted = augment("byol")(pictures, keys_of(5, 0, np.array([3, 8]), 0))
    assert all(torch.equal(a, b) for a, b in zip((batch.inputs, *batch.others), wanted, strict=True))


def test_its_threads_compute_alone_and_no_other_thread_is_changed() -> None:
    seen: list[int] = []

    class Watching(BatchAugment):
        def fill(self, *arguments) -> None:
            seen.append(torch.get_num_threads())
            super().fill(*arguments)

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        source = TensorSource(PICTURES, SAMPLER, Watching(looks_for("byol", SIDE), MEAN, STD), 0, workers=2)
        batches = source.batches(0)
        next(batches)
        here = torch.get_num_threads()
        with ThreadPoolExecutor(1) as later:
            there = later.submit(torch.get_num_threads).result()
        list(batches)
    finally:
        torch.set_num_threads(before)
    assert (here, there) == (3, 3)
    assert seen == [1] * 4


def test_leaving_early_ends_the_threads(make) -> None:
    before = threading.active_count()
    batches = make(2).batches(0)
    assert len(list(islice(batches, 1))) == 1
    batches.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("ids", [[0, 99], [-1, 2]])
def test_what_is_not_there_is_said(make, workers: int, ids: list[int]) -> None:
    with pytest.raises(IndexError, match="of 12 pictures"):
        list(make(workers, sampler=Fixed(ids)).batches(0))


def test_what_goes_wrong_in_a_thread_is_raised(prepared: Prepared) -> None:
    class Broken(BatchAugment):
        def fill(self, *_: object) -> None:
            raise ZeroDivisionError("on purpose")

    with pytest.raises(ZeroDivisionError, match="on purpose"):
        list(TensorSource(PICTURES, SAMPLER, Broken(looks_for("byol", SIDE), MEAN, STD), 0).batches(0))


def test_examples_have_names_that_can_be_shown(prepared: Prepared) -> None:
    first, second = ViewSource(prepared, SAMPLER, augment(), 0).describe(torch.tensor([4, 0]))
    assert first.endswith("pear/0\\n.jpg")
    assert second.endswith("apple/0\\n.jpg")
    assert TensorSource(PICTURES, SAMPLER, augment(), 0).describe(torch.tensor([3])) == ["example 3"]


def test_what_does_not_fit_is_refused(make) -> None:
    with pytest.raises(ValueError, match="negative"):
        make(seed=-1)
    with pytest.raises(ValueError, match="negative"):
        make(workers=-1)
    for pictures in (PICTURES.float(), PICTURES[:, :1], PICTURES[0]):
        with pytest.raises(ValueError, match=r"\[N, 3, H, W\] uint8"):
            TensorSource(pictures, SAMPLER, augment(), 0)
