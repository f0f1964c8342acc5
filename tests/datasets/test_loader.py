"""The same batches whatever the number of threads and wherever one begins."""

import threading
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
import torch

from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import Limits
from retrieval.datasets.folder import from_folder
from retrieval.datasets.loader import FeatureSource, ImageSource
from retrieval.datasets.prepared import Prepared, prepare
from retrieval.functional.batch import Batch
from retrieval.images.pool import DecodePool
from retrieval.models.augment import Augmentation
from tests.conftest import draw

SPEC = Preprocessing(input_size=24)


class Fixed:
    """A sampler that gives these batches, in another order every epoch."""

    def __init__(self, *batches: list[int]) -> None:
        self._batches = [np.array(batch, np.int64) for batch in batches]

    def __len__(self) -> int:
        return len(self._batches)

    def batches(self, epoch: int) -> list[np.ndarray]:
        return self._batches[epoch % 2 :] + self._batches[: epoch % 2]


SAMPLER = Fixed([0, 5, 3], [1, 2, 4, 6, 7], [11], [8, 9, 10, 0])


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    base = tmp_path_factory.mktemp("loader")
    for number, label in enumerate(("apple", "pear", "plum")):
        for n in range(4):
            draw(base / "photos" / label / f"{n}\n.jpg", 10 * number + n)
    with DecodePool(1, Limits()) as pool:
        yield prepare(from_folder(base / "photos"), pool, base / "cache", 32, workers=1)


def source(
    prepared: Prepared, workers: int = 0, seed: int = 0, sampler: Fixed = SAMPLER, preset="strong"
) -> ImageSource:
    return ImageSource(prepared, prepared.labelled.numbers, sampler, Augmentation(SPEC, preset), seed, workers)


def same(one: list[Batch], other: list[Batch]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a, b)
        for left, right in zip(one, other, strict=True)
        for a, b in zip((*left[:3], *left.others), (*right[:3], *right.others), strict=True)
    )


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_threads_change_nothing(prepared: Prepared, workers: int) -> None:
    alone, threaded = source(prepared), source(prepared, workers)
    for epoch in range(2):
        assert same(list(alone.batches(epoch)), list(threaded.batches(epoch)))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("start", [0, 1, 3, 4])
def test_beginning_in_the_middle_gives_the_rest(prepared: Prepared, workers: int, start: int) -> None:
    images = source(prepared, workers)
    assert same(list(images.batches(1, start)), list(images.batches(1))[start:])
    assert images.steps(1) == 4


def test_a_batch_holds_what_the_sampler_asked_for(prepared: Prepared) -> None:
    batches = list(source(prepared, 2).batches(0))
    assert [batch.ids.tolist() for batch in batches] == [[0, 5, 3], [1, 2, 4, 6, 7], [11], [8, 9, 10, 0]]
    assert [batch.labels.tolist() for batch in batches] == [[0, 1, 0], [0, 0, 1, 1, 1], [2], [2, 2, 2, 0]]
    for batch in batches:
        assert batch.inputs.shape == (len(batch.ids), 3, 24, 24)
        assert (batch.inputs.dtype, batch.ids.dtype, batch.labels.dtype) == (torch.float32, torch.int64, torch.int64)
        assert batch.inputs.is_contiguous()


def test_a_look_depends_on_seed_epoch_and_image_alone(prepared: Prepared) -> None:
    def look(image: int, batch: list[int], seed: int = 0, epoch: int = 0) -> torch.Tensor:
        (only,) = source(prepared, 2, seed, Fixed(batch)).batches(epoch)
        return only.inputs[batch.index(image)]

    first = look(4, [4])
    assert torch.equal(first, look(4, [7, 1, 4, 2]))
    assert not torch.equal(first, look(4, [4], seed=1))
    assert not torch.equal(first, look(4, [4], epoch=1))


def test_an_image_that_fills_up_a_batch_is_looked_at_differently(prepared: Prepared) -> None:
    (batch,) = source(prepared, 2, sampler=Fixed([4, 1, 4, 4])).batches(0)
    views = batch.inputs[[0, 2, 3]]
    assert all(not torch.equal(views[a], views[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_without_augmentation_it_is_the_picture_normalised(prepared: Prepared) -> None:
    (batch,) = source(prepared, 0, sampler=Fixed([3]), preset="none").batches(0)
    picture = prepared.picture(3)
    width, height = picture.size
    left = (width - height) / 2
    small = np.asarray(picture.resize((24, 24), 3, (left, 0, left + height, height)), float)
    wanted = (small / 255 - np.array(SPEC.mean)) / np.array(SPEC.std)
    np.testing.assert_allclose(batch.inputs[0].permute(1, 2, 0).numpy(), wanted, atol=1e-5)


def test_leaving_early_ends_the_threads(prepared: Prepared) -> None:
    before = threading.active_count()
    batches = source(prepared, 2).batches(0)
    assert len(list(islice(batches, 1))) == 1
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_what_goes_wrong_in_a_thread_is_raised(prepared: Prepared) -> None:
    with pytest.raises(IndexError):
        list(source(prepared, 2, sampler=Fixed([0, 99])).batches(0))


def test_examples_have_names_that_can_be_shown(prepared: Prepared) -> None:
    first, second = source(prepared).describe(torch.tensor([4, 0]))
    assert first.endswith("pear/0\\n.jpg")
    assert second.endswith("apple/0\\n.jpg")


def test_what_does_not_fit_is_refused(prepared: Prepared) -> None:
    numbers = prepared.labelled.numbers
    with pytest.raises(ValueError, match="class numbers"):
        ImageSource(prepared, numbers[:-1], SAMPLER, Augmentation(SPEC), 0)
    with pytest.raises(ValueError, match="negative"):
        ImageSource(prepared, numbers, SAMPLER, Augmentation(SPEC), -1)
    with pytest.raises(ValueError, match="class numbers"):
        FeatureSource(np.zeros((3, 2), np.float32), numbers, SAMPLER)


def test_features_come_as_they_are() -> None:
    vectors = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float16)
    numbers = np.arange(12) % 3 - 1
    features = FeatureSource(vectors, numbers, SAMPLER)
    for epoch, start in ((0, 0), (1, 0), (1, 2)):
        batches = list(features.batches(epoch, start))
        assert len(batches) == features.steps(epoch) - start
        for batch, ids in zip(batches, SAMPLER.batches(epoch)[start:], strict=True):
            assert batch.ids.tolist() == ids.tolist()
            np.testing.assert_array_equal(batch.inputs.numpy(), vectors[ids].astype(np.float32))
            np.testing.assert_array_equal(batch.labels.numpy(), numbers[ids])
            assert batch.inputs.dtype == torch.float32
    assert features.describe(torch.tensor([3])) == ["example 3"]
    assert FeatureSource(vectors, numbers, SAMPLER, lambda i: f"file {i}").describe(torch.tensor([3])) == ["file 3"]
