"""What a recipe would cost on this gallery and this machine: measured on a few steps, given as an honest range."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from torch import nn

from retrieval.core.errors import BadValue
from retrieval.core.settings import Settings, available_cores, load_settings
from retrieval.core.types import Ids, Vectors
from retrieval.evaluation.retrieval import retrieve
from retrieval.evaluation.vectors import LabelledVectors
from retrieval.functional.batch import Batch
from retrieval.images.jobs import MakeView
from retrieval.images.pool import DecodePool
from retrieval.methods.metric_learning import MetricLearning
from retrieval.models.card import ModelCard
from retrieval.models.encoder import Encoder, Projection
from retrieval.models.resolve import resolve_model
from retrieval.models.threads import torch_threads
from retrieval.training.devices import device_kind, resolved_precision
from retrieval.workflows.fit_part import in_precision
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.labelled_sets import gallery_set
from retrieval.workflows.projecting import head_method
from retrieval.workflows.readiness import Readiness, readiness
from retrieval.workflows.recipes import Recipe

AROUND = (4.0, 20.0)
"""Seconds for starting a process, the proof's intervals and the report page, at the least and at the most."""

AT_MOST = 2.0
"""What is measured on a few steps is exceeded: by logs, checkpoints, and by what else the machine does."""

_TRIED = 4
"""Images that the whole encoder is tried with."""

_TRIES, _PATIENCE = 8, 1.5
"""So often a step is tried, and so many seconds long."""

_QUERIES, _BASE = 200, 4000
"""At most, of a validation that is tried."""

_PROCESS = 400_000_000
"""Bytes that Python, torch and the catalog take; measured on Linux: 370 MB."""


@dataclass(frozen=True, slots=True)
class LessonCost:
    """The costs of a training run on a gallery's labels.

    Attributes:
        recipe: its name.
        scope: ``"head"`` (nothing is decoded) or ``"full"``.
        images: that train.
        epochs: at most.
        seconds_low: where validation ends every part as early as it may.
        seconds_high: all epochs, at half the measured pace.
        bytes: of memory, about.
        device: ``"cpu"``, ``"cuda"`` or ``"mps"``.
    """

    recipe: str
    scope: str
    images: int
    epochs: int
    seconds_low: float
    seconds_high: float
    bytes: int
    device: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


def lesson_cost(
    folder: Path, recipe: Recipe, *, ready: Readiness | None = None, settings: Settings | None = None
) -> LessonCost:
    """What a recipe would cost; a few steps are tried on made-up values, a few pictures decoded. Takes seconds.

    Args:
        folder: the gallery's.
        recipe: as it would train.
        ready: what there is to learn from, where it is known already.
        settings: from the environment by default.

    Raises:
        BadValue: there is too little to learn from, or the recipe cannot be.
        EmptyGallery: nothing is indexed.
        ModelDamaged: the gallery's encoder cannot be loaded (scope ``"full"``).
    """
    settings = settings or load_settings()
    ready = ready or readiness(folder, settings)
    if ready.lack is not None:
        raise BadValue("There is too little to learn from.", "Label more images.")
    with torch_threads(settings.threads):
        return LessonTrial(folder, recipe, ready, settings).cost()


@dataclass(frozen=True)
class LessonTrial:
    """A few steps of a recipe, tried.

    Attributes:
        folder: the gallery's.
        recipe: as it would train.
        ready: what there is to learn from.
        settings: threads and limits.
    """

    folder: Path
    recipe: Recipe
    ready: Readiness
    settings: Settings

    def cost(self) -> LessonCost:
        """The whole of it."""
        with Gallery(self.folder, self.settings) as gallery:
            features = gallery.live_space().dimension
        low, high = (around + part for around, part in zip(AROUND, self._head(features), strict=True))
        known = self.ready.train + self.ready.choose + self.ready.prove
        memory = _PROCESS + 4 * known * 3 * features
        device, epochs = "cpu", self.recipe.loop.epochs
        if self.recipe.scope == "full":
            device = device_kind(self.recipe.loop.device)
            least, most, more = self._whole(device)
            low, high, memory = low + least, high + most, memory + more
        return LessonCost(
            self.recipe.name, self.recipe.scope, self.ready.train, epochs, round(low, 1), round(high, 1), memory, device
        )

    def pace(self) -> tuple[float, float]:
        """Seconds of a step of the projection's training, and of a validation of it."""
        with Gallery(self.folder, self.settings) as gallery:
            features = gallery.live_space().dimension
        with torch_threads(self.settings.threads):
            return self._step_seconds(features), self._validation_seconds(features)

    # -- the projection -------------------------------------------------------------------------------------------

    def _head(self, features: int) -> tuple[float, float]:
        """Seconds of the projection's epochs, all trials together."""
        recipe, loop = self.recipe, self.recipe.loop
        epochs = loop.epochs if recipe.scope == "head" else recipe.head_epochs
        every = loop.validate_every if recipe.scope == "head" else max(1, recipe.head_epochs // 20)
        epoch = self._steps * self._step_seconds(features) + self._validation_seconds(features) / every
        return self._range(epoch, epochs, every, len(recipe.trials))

    def _range(self, epoch: float, epochs: int, every: int, times: int = 1) -> tuple[float, float]:
        patience = self.recipe.loop.patience
        least = epochs if patience is None else min(epochs, (patience + 1) * every)
        return times * least * epoch, AT_MOST * times * epochs * epoch

    @property
    def _steps(self) -> int:
        return max(1, round(self.ready.train / self._batch))

    @property
    def _batch(self) -> int:
        per_class = self.recipe.per_class
        return max(2 * per_class, min(self.recipe.batch_size, self.ready.train, self.ready.classes * per_class))

    def _step_seconds(self, features: int) -> float:
        projection = Projection(features, min(self.recipe.dimension, features))
        rows = torch.from_numpy(_made_up(self._batch, features))
        numbers = np.arange(self._batch) // self.recipe.per_class
        return _seconds_a_step(head_method(projection, self.recipe.first_terms, numbers, 0), rows, numbers)

    def _validation_seconds(self, features: int) -> float:
        """One validation, from a smaller one: it grows with queries times images."""
        choose, train = self.ready.choose, self.ready.train
        queries, base = min(choose, _QUERIES), min(train, _BASE)
        projection = Projection(features, min(self.recipe.dimension, features))
        width = projection.out_features
        vectors = _made_up(base, width)
        numbers = np.arange(base, dtype=np.int64) // 4
        asked = np.arange(queries) % (numbers[-1] + 1)
        asking = LabelledVectors(_made_up(queries, width), asked, base + np.arange(queries))
        started = monotonic()
        retrieve(vectors, numbers, np.arange(base), asking, resamples=1)
        return (monotonic() - started) * max(1.0, choose * train / (queries * base))

    # -- the whole encoder ----------------------------------------------------------------------------------------

    def _whole(self, device: str) -> tuple[float, float, int]:
        """Seconds at the least and at the most, and bytes of memory."""
        with Gallery(self.folder, self.settings) as gallery:
            encoder, card = resolve_model(str(gallery.layout.model(gallery.live_space().fingerprint)))
            paths = [image.path for image in gallery_set(gallery, on_disk=True).labelled.images[: _TRIED + 1]]
        decoding = self._decoding_seconds(paths)
        training, looking, activations = self._encoder_seconds(encoder, card, device)
        ready, loop = self.ready, self.recipe.loop
        # Pictures are decoded once for training, and again, as a gallery would, at every validation.
        looked_at = ready.choose if ready.new_classes else ready.choose + ready.train
        check = looked_at * (decoding + looking) / loop.validate_every
        once = (ready.train + ready.train + ready.choose + ready.prove) * (decoding + looking)
        low, high = self._range(ready.train * training + check, loop.epochs, loop.validate_every)
        # Weights, gradients, two moments, the average, the start; and what the backward pass needs of a batch.
        memory = 6 * 4 * card.parameters + activations * (loop.chunk or self._batch)
        return low + once, high + AT_MOST * once, memory

    def _decoding_seconds(self, paths: list[bytes]) -> float:
        """An image, with all cores at it."""
        cores = available_cores()
        with DecodePool(cores, self.settings.limits, self.settings.plugins) as pool:
            for future in [pool.submit(MakeView(path=path)) for path in paths[:1]]:
                future.result()
            started = monotonic()
            for future in [pool.submit(MakeView(path=path)) for path in paths[1:]]:
                future.result()
        return (monotonic() - started) / max(1, len(paths) - 1)

    def _encoder_seconds(self, encoder: Encoder, card: ModelCard, device: str) -> tuple[float, float, int]:
        """Seconds an image for training and for looking, and bytes of activations an image."""
        side = card.preprocessing.input_size
        # As the training lays them out; other layouts take several times as long.
        pixels = torch.randn(_TRIED, 3, side, side, device=device)
        if device != "mps":
            pixels = pixels.to(memory_format=torch.channels_last)
            encoder = encoder.to(memory_format=torch.channels_last)
        precision = resolved_precision(in_precision(self.recipe.loop, self.settings).precision, device)
        half = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)
        numbers = np.arange(_TRIED) // 2
        method = MetricLearning(encoder, self.recipe.first_terms, 2, examples=_TRIED, seed=0).to(device)
        encoder.requires_grad_(True)
        with torch.autocast(device, dtype=half, enabled=half is not None):
            step = _seconds_a_step(method, pixels, numbers)
            encoder.eval()
            with torch.inference_mode():
                counted = _activations(encoder, pixels)
                looks = _timed(lambda: encoder(pixels), _TRIES)
        return step / _TRIED, looks / _TRIED, counted // _TRIED


def _made_up(rows: int, width: int) -> Vectors:
    """[rows, width] random unit vectors."""
    drawn = np.random.default_rng(0).standard_normal((rows, width), np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


def _seconds_a_step(method: MetricLearning, rows: torch.Tensor, numbers: Ids) -> float:
    labels = torch.from_numpy(numbers.astype(np.int64)).to(rows.device)
    batch = Batch(rows, labels, torch.arange(len(rows), device=rows.device))
    optimiser = torch.optim.AdamW([one for one in method.parameters() if one.requires_grad], lr=1e-6)

    def step() -> None:
        optimiser.zero_grad()
        method.training_step(batch).loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    try:
        return _timed(step, _TRIES)
    except ValueError as error:
        raise BadValue(f"The recipe cannot be: {error}", "`retrieval recipes NAME` shows its keys.") from error


def _timed(work: Callable[[], object], times: int) -> float:
    """The fewest seconds of ``work`` in several tries, after one that does not count: what else the machine is doing
    for a moment is no property of the work."""
    work()
    found: list[float] = []
    started = monotonic()
    while len(found) < times and (not found or monotonic() - started < _PATIENCE):
        start = monotonic()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        found.append(monotonic() - start)
    return min(found)


def _activations(encoder: nn.Module, pixels: torch.Tensor) -> int:
    """Bytes that the layers give out in a forward pass: about what the backward pass needs of it."""
    counted = [0]

    def count(_: nn.Module, __: object, given: object) -> None:
        if isinstance(given, torch.Tensor):
            counted[0] += given.nbytes

    leaves = [module for module in encoder.modules() if not list(module.children())]
    hooks = [module.register_forward_hook(count) for module in leaves]
    encoder(pixels)
    for hook in hooks:
        hook.remove()
    return counted[0]
