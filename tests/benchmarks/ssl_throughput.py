"""Throughput of learning without labels, beside the bare step on ready tensors and what the cores allow.

- the bare step: forward of both views, the loss, backward and optimiser on a batch that is ready, on all cores;
- the bound: that, and beside it the seconds that an image takes for decoding and for its two views (one thread alone)
  divided by the cores;
- ours: ``training.loop.fit`` from prepared pictures, with diagnostics, alarms, log and checkpoint, a whole epoch.

SimCLR with the views of its paper on flowers90's training images, batches of 64: MobileNetV2 at 96 and at 224 pixels.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from retrieval.core.labelled import Labelled
from retrieval.core.settings import available_cores
from retrieval.datasets.view_sources import ViewSource
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.mining.shuffled import Shuffled
from retrieval.models.batch_augment import BatchAugment
from retrieval.models.folder import load_encoder
from retrieval.training.config import LoopConfig
from retrieval.training.loop import fit
from retrieval.workflows.methods_at_work import build_method
from retrieval.workflows.recipes import ViewRecipe, load_pretrain_recipe
from tests.benchmarks.support import mobilenet, show
from tests.benchmarks.tasks import flowers
from tests.benchmarks.throughput import BATCH, prepared_from, seconds_a_look, seconds_a_step

SIDES = (96, 224)
IMAGES = {96: 1024, 224: 512}


def run(quick: bool = False) -> None:
    """Print the table."""
    rows = []
    for side in SIDES[:1] if quick else SIDES:
        rows += _measured(side, 3 if quick else 10, 192 if quick else IMAGES[side])
    show(
        f"SimCLR with MobileNetV2, two views, batches of {BATCH}",
        ["pixels", "", "measured", "of the bare step", "of the bound"],
        rows,
    )


def _measured(side: int, steps: int, count: int) -> list[list[str]]:
    images = list(flowers(mobilenet()).train.images)
    card = load_encoder(mobilenet())[1]
    prepared = prepared_from(Labelled(images[:: max(1, len(images) // count)][:count], "flowers90"), card)
    recipe = load_pretrain_recipe("simclr", settings={"batch_size": BATCH, "epochs": 1})
    augment = BatchAugment(recipe.views_at(side), card.preprocessing.mean, card.preprocessing.std)

    def source(workers: int) -> ViewSource:
        return ViewSource(prepared, Shuffled(len(prepared), BATCH, 0), augment, 0, workers)

    looks = seconds_a_look(source(0), 2)
    bare = _seconds_a_step(source(0), recipe, len(prepared), steps)
    ours = _rate(source(available_cores()), recipe, len(prepared))
    bound = 1 / (looks / available_cores() + bare)
    return [
        [str(side), "decode and two views, one thread", f"{1e3 * looks:.2f} ms an image", "", ""],
        [str(side), "the bare step, all cores", f"{1 / bare:.1f} images/s", "1.00", ""],
        [str(side), "bound: both, on all cores", f"{bound:.1f} images/s", f"{bound * bare:.2f}", "1.00"],
        [str(side), "**the loop**", f"{ours:.1f} images/s", f"{ours * bare:.2f}", f"{ours / bound:.2f}"],
    ]


def _method(recipe: ViewRecipe, examples: int) -> SelfSupervised:
    encoder = load_encoder(mobilenet())[0]
    encoder.requires_grad_(True)
    return build_method(recipe, encoder, examples)


def _seconds_a_step(source: ViewSource, recipe: ViewRecipe, examples: int, steps: int) -> float:
    method, batch = _method(recipe, examples), next(iter(source.batches(0)))
    views = (batch.inputs, *batch.others)
    return seconds_a_step(method, recipe.loop, lambda laid: method.loss_of_views(laid, batch)[0], views, steps)


def _rate(source: ViewSource, recipe: ViewRecipe, examples: int) -> float:
    """Images a second of a whole epoch in the loop."""
    loop: LoopConfig = replace(recipe.loop, epochs=1)
    images = source.steps(0) * BATCH
    with tempfile.TemporaryDirectory(prefix="throughput-") as folder:
        start = perf_counter()
        fit(_method(recipe, examples), source, loop, folder=Path(folder))
        return images / (perf_counter() - start)
