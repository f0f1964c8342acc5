"""Training throughput of the whole encoder, beside what the cores allow for the same work.

- the bound: the seconds that an image takes for decoding and augmentation of its prepared picture (one thread alone)
  divided by the cores, plus those of the bare forward, backward and optimiser step on ready batches (all cores);
- ours: ``training.loop.fit`` from prepared pictures, with loss, diagnostics, log and checkpoint, over whole epochs.

MobileNetV2 at 224 pixels, batches of 64, the recipe ``triplet-center``, on flowers90's training images.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from retrieval.core.labelled import Labelled
from retrieval.core.settings import available_cores, load_settings
from retrieval.datasets.loader import ImageSource
from retrieval.datasets.prepared import Prepared, prepare, side_for
from retrieval.images.pool import DecodePool
from retrieval.methods.method import Method
from retrieval.methods.metric_learning import MetricLearning
from retrieval.mining.samplers import MPerClass
from retrieval.models.augment import Augmentation
from retrieval.models.card import ModelCard
from retrieval.models.encoder import Encoder
from retrieval.models.folder import load_encoder
from retrieval.training.config import LoopConfig
from retrieval.training.devices import laid_out, start_fabric
from retrieval.training.loop import Source, fit
from retrieval.training.optim import make_optimiser
from retrieval.training.policies import apply_policies
from retrieval.workflows.recipes import RECIPES
from tests.benchmarks.support import CACHE, mobilenet, show
from tests.benchmarks.tasks import flowers

BATCH, PER_CLASS = 64, 4


def run(quick: bool = False) -> None:
    """Print the table."""
    task = flowers(mobilenet())
    images, numbers = list(task.train.images), task.train.numbers
    if quick:
        keep = np.flatnonzero(numbers < BATCH // PER_CLASS + 4)
        images, numbers = [images[i] for i in keep], numbers[keep]
    _, card = load_encoder(mobilenet())
    prepared = prepared_from(Labelled(images, "flowers90"), card)
    augment = Augmentation(card.preprocessing, RECIPES["triplet-center"].augment)

    def source(workers: int) -> ImageSource:
        sampler = MPerClass(numbers, BATCH, PER_CLASS, 0, singletons="drop")
        return ImageSource(prepared, numbers, sampler, augment, 0, workers)

    looks = seconds_a_look(source(0), 4)
    steps = _seconds_a_step(source(0), numbers, 3 if quick else 10)
    ours = _rate(source(available_cores()), numbers, 1)
    bound = 1 / (looks / available_cores() + steps)
    rows = [
        ["decode and augment, one thread", f"{1e3 * looks:.2f} ms an image", ""],
        ["forward, backward, step, all cores", f"{1e3 * steps:.2f} ms an image", ""],
        ["bound: both, on all cores", f"{bound:.1f} images/s", "1.00"],
        ["**the loop**", f"{ours:.1f} images/s", f"{ours / bound:.2f}"],
    ]
    show(f"Training MobileNetV2 at 224 pixels, batches of {BATCH}", ["", "measured", "of the bound"], rows)


def prepared_from(labelled: Labelled, card: ModelCard) -> Prepared:
    """The images as files that are quick to decode; kept in the cache."""
    settings = load_settings()
    with DecodePool(available_cores(), settings.limits) as pool:
        side = side_for(card.preprocessing)
        return prepare(labelled, pool, CACHE / "prepared", side, workers=available_cores())


def seconds_a_look(source: Source, batches: int) -> float:
    """Seconds an image of decoding and augmentation on one thread; ``source`` has no workers."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    given = source.batches(0)
    next(given)
    start = perf_counter()
    for _ in range(batches):
        next(given)
    seconds = (perf_counter() - start) / (batches * BATCH)
    torch.set_num_threads(threads)
    return seconds


def _method(numbers: np.ndarray) -> MetricLearning:
    encoder: Encoder = load_encoder(mobilenet())[0]
    encoder.requires_grad_(True)
    recipe = RECIPES["triplet-center"]
    return MetricLearning(encoder, recipe.terms, int(numbers.max()) + 1, examples=len(numbers))


def _seconds_a_step(source: ImageSource, numbers: np.ndarray, steps: int) -> float:
    method, batch = _method(numbers), next(iter(source.batches(0)))

    def loss_of(laid: list[Tensor]) -> Tensor:
        return method.loss_of(method.embed(laid[0]), batch._replace(inputs=laid[0])).loss

    return seconds_a_step(method, RECIPES["triplet-center"].loop, loss_of, [batch.inputs], steps)


def seconds_a_step(
    method: Method, loop: LoopConfig, loss_of: Callable[[list[Tensor]], Tensor], inputs: Sequence[Tensor], steps: int
) -> float:
    """Seconds an image of the bare step on one ready batch: policies, optimiser, precision and layout of the loop."""
    fabric = start_fabric(loop)
    laid_out(fabric, method.encoder)
    apply_policies(method, loop, 0)
    optimiser = make_optimiser(method, loop)
    laid = [laid_out(fabric, one) for one in inputs]
    seconds = []
    for _ in range(steps + 2):
        start = perf_counter()
        with fabric.autocast():
            loss = loss_of(laid)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        method.after_step()
        seconds.append((perf_counter() - start) / BATCH)
    return float(np.median(seconds[2:]))


def _rate(source: ImageSource, numbers: np.ndarray, epochs: int) -> float:
    """Images a second of whole epochs in the loop, without validation."""
    loop = replace(RECIPES["triplet-center"].loop, epochs=epochs, patience=None)
    images = sum(source.steps(epoch) for epoch in range(epochs)) * BATCH
    with tempfile.TemporaryDirectory(prefix="throughput-") as folder:
        start = perf_counter()
        fit(_method(numbers), source, loop, folder=Path(folder))
        return images / (perf_counter() - start)
