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

import numpy as np
import torch

from retrieval.core.labelled import Labelled
from retrieval.core.settings import available_cores, load_settings
from retrieval.datasets.prepared import Prepared, prepare, side_for
from retrieval.datasets.view_sources import ViewSource
from retrieval.images.pool import DecodePool
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.mining.shuffled import Shuffled
from retrieval.models.batch_augment import BatchAugment
from retrieval.models.folder import load_encoder
from retrieval.training.config import LoopConfig
from retrieval.training.devices import laid_out, start_fabric
from retrieval.training.loop import fit
from retrieval.training.optim import make_optimiser
from retrieval.training.policies import apply_policies
from retrieval.workflows.methods_at_work import build_method
from retrieval.workflows.recipes import ViewRecipe, load_pretrain_recipe
from tests.benchmarks.support import CACHE, mobilenet, show
from tests.benchmarks.tasks import flowers

BATCH, SIDES = 64, (96, 224)
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
    prepared = _prepared(Labelled(images[:: max(1, len(images) // count)][:count], "flowers90"))
    recipe = load_pretrain_recipe("simclr", settings={"batch_size": BATCH, "epochs": 1})
    spec = load_encoder(mobilenet())[1].preprocessing
    augment = BatchAugment(recipe.views_at(side), spec.mean, spec.std)

    def source(workers: int) -> ViewSource:
        return ViewSource(prepared, Shuffled(len(prepared), BATCH, 0), augment, 0, workers)

    looks = _seconds_a_look(source(0), 2)
    bare = _seconds_a_step(source(0), recipe, len(prepared), steps)
    ours = _rate(source(available_cores()), recipe, len(prepared))
    bound = 1 / (looks / available_cores() + bare)
    return [
        [str(side), "decode and two views, one thread", f"{1e3 * looks:.2f} ms an image", "", ""],
        [str(side), "the bare step, all cores", f"{1 / bare:.1f} images/s", "1.00", ""],
        [str(side), "bound: both, on all cores", f"{bound:.1f} images/s", f"{bound * bare:.2f}", "1.00"],
        [str(side), "**the loop**", f"{ours:.1f} images/s", f"{ours * bare:.2f}", f"{ours / bound:.2f}"],
    ]


def _prepared(labelled: Labelled) -> Prepared:
    spec = load_encoder(mobilenet())[1].preprocessing
    with DecodePool(available_cores(), load_settings().limits) as pool:
        return prepare(labelled, pool, CACHE / "prepared", side_for(spec), workers=available_cores())


def _seconds_a_look(source: ViewSource, batches: int) -> float:
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


def _method(recipe: ViewRecipe, examples: int) -> SelfSupervised:
    encoder = load_encoder(mobilenet())[0]
    encoder.requires_grad_(True)
    return build_method(recipe, encoder, examples)


def _seconds_a_step(source: ViewSource, recipe: ViewRecipe, examples: int, steps: int) -> float:
    """On one ready batch: the same policies, optimiser, precision and layout in memory as in the loop."""
    method, loop = _method(recipe, examples), recipe.loop
    fabric = start_fabric(loop)
    laid_out(fabric, method.encoder)
    apply_policies(method, loop, 0)
    optimiser = make_optimiser(method, loop)
    batch = next(iter(source.batches(0)))
    views = [laid_out(fabric, view) for view in (batch.inputs, *batch.others)]
    seconds = []
    for _ in range(steps + 2):
        start = perf_counter()
        with fabric.autocast():
            loss = method.loss_of_views(views, batch)[0]
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        method.after_step()
        seconds.append((perf_counter() - start) / BATCH)
    return float(np.median(seconds[2:]))


def _rate(source: ViewSource, recipe: ViewRecipe, examples: int) -> float:
    """Images a second of a whole epoch in the loop."""
    loop: LoopConfig = replace(recipe.loop, epochs=1)
    images = source.steps(0) * BATCH
    with tempfile.TemporaryDirectory(prefix="throughput-") as folder:
        start = perf_counter()
        fit(_method(recipe, examples), source, loop, folder=Path(folder))
        return images / (perf_counter() - start)
