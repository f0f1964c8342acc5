"""The temperature study: one head a temperature and seed, on frozen embeddings, measured on the validation images."""

import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.core.errors import BadValue, Interrupted
from retrieval.core.labelled import Split
from retrieval.core.settings import Settings, load_settings
from retrieval.core.text import shown
from retrieval.core.types import Vectors
from retrieval.datasets.checks import describe_split, require_measurable, require_usable
from retrieval.datasets.loader import FeatureSource
from retrieval.evaluation.report import write_page
from retrieval.evaluation.retrieval import RetrievalResult
from retrieval.evaluation.temperature import (
    AtTemperature,
    Penalty,
    Recommendation,
    Trial,
    compared,
    effective_negatives,
    penalty,
    recommend,
    trial,
)
from retrieval.evaluation.temperature_page import TemperaturePage, render
from retrieval.methods.metric_learning import Term
from retrieval.mining.samplers import MPerClass
from retrieval.models.card import ModelCard
from retrieval.models.resolve import resolve_model
from retrieval.training.hooks import TrainHooks
from retrieval.training.loop import fit
from retrieval.workflows.embedded_dataset import Embedding
from retrieval.workflows.embedding_sets import EmbeddedSet
from retrieval.workflows.evaluating import split_store
from retrieval.workflows.hooks import Hooks
from retrieval.workflows.labelled_sets import GALLERY
from retrieval.workflows.projecting import head_method, pca_projection, projected, start_losses
from retrieval.workflows.proof import retrieve_quietly
from retrieval.workflows.recipes import RECIPES
from retrieval.workflows.start_model import start_model

__all__ = ["TemperatureReport", "TemperatureRequest", "study_temperature"]

VALUES = (0.01, 0.02, 0.05, 0.07, 0.1, 0.2, 0.5, 1.0)
SEEDS = 3
STEPS = 300
"""Of one training: the same for every temperature, without a stop in between, so that none chooses its moment."""

LEAST, MOST = 1e-3, 10.0
RECIPE = "quick-head"
"""Whose loss, projection, batches and rate are taken."""

_LOSS = "supervised_contrastive"


@dataclass(frozen=True)
class TemperatureRequest:
    """What to study.

    Attributes:
        dataset: a folder of class folders, a CSV, or ``gallery``.
        model: the encoder; None: the gallery's, or the default one.
        values: the temperatures.
        out: the page to write; None writes none.
        gallery: the gallery's folder.
        workers: decoding processes.
        seed: of the first training and of the intervals.
    """

    dataset: str
    model: str | None = None
    values: Sequence[float] = VALUES
    out: Path | None = None
    gallery: Path | None = None
    workers: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class TemperatureReport:
    """What was found.

    Attributes:
        dataset: as the user named it.
        model: the encoder's name.
        split: in words.
        kind: of the split.
        train, queries: images that train, and validation queries that are counted.
        steps: of each training.
        found: by rising temperature.
        penalty: of the start embedding.
        recommended: which to take.
        out: the page that was written, or None.
    """

    dataset: str
    model: str
    split: str
    kind: str
    train: int
    queries: int
    steps: int
    found: tuple[AtTemperature, ...]
    penalty: Penalty
    recommended: Recommendation
    out: Path | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "dataset": self.dataset,
            "model": self.model,
            "split": self.kind,
            "train": self.train,
            "queries": self.queries,
            "steps": self.steps,
            "page": None if self.out is None else str(self.out),
            "recommendation": self.recommended.to_dict(),
            "temperatures": [one.to_dict() for one in self.found],
            "penalty": self.penalty.to_dict(),
        }


def study_temperature(
    request: TemperatureRequest, *, settings: Settings | None = None, hooks: Hooks | None = None
) -> TemperatureReport:
    """Train, measure, compare, and write the page where one is wanted.

    The split is the one that training takes, and its test part stays closed: temperatures are chosen on validation.

    Raises:
        NoSuchPath, BadValue, EmptyGallery: the dataset or a temperature cannot be used.
        Interrupted: ``hooks.stop`` said so.
        TrainingFailed: a loss is not a number any more.
        ModelUnavailable, ModelDamaged, ModelUnsafe: see ``models.resolve_model``.
        DiskFull: there is no space for the page.
    """
    return _Study(_checked(request), settings or load_settings(), hooks or Hooks()).go()


def _checked(request: TemperatureRequest) -> TemperatureRequest:
    """The request with its temperatures in order, each once."""
    if len(set(request.values)) < 2:
        raise BadValue("A study compares two temperatures or more.", "Give them as --values 0.05,0.1,0.2.")
    for value in request.values:
        if not (math.isfinite(value) and LEAST <= value <= MOST):
            raise BadValue(f"The temperature {value:g} is not between {LEAST:g} and {MOST:g}.", "Leave it out.")
    if request.out is not None and not request.out.expanduser().absolute().parent.is_dir():
        raise BadValue(f"There is no folder for {request.out}.", "Make it, or give another --out.")
    return replace(request, values=tuple(sorted(set(request.values))))


@dataclass(frozen=True)
class _Study:
    request: TemperatureRequest
    settings: Settings
    hooks: Hooks

    def go(self) -> TemperatureReport:
        card, data, split = self._opened()
        labelled = data.labelled
        trials, classes = [], np.empty(0, np.int64)
        count = len(self.request.values) * SEEDS
        seeds = range(self.request.seed, self.request.seed + SEEDS)
        for number, (tau, seed) in enumerate((tau, seed) for tau in self.request.values for seed in seeds):
            self._go_on(f"Temperature {tau:g}", number, count)
            one, result = self._trial(data, split, tau, seed)
            trials.append(one)
            classes = result.classes
        start = self._start(data, split)[split.val]
        numbers = labelled.numbers[split.val]
        before = {tau: effective_negatives(start, numbers, tau) for tau in self.request.values}
        found = tuple(compared(trials, classes, before, self.request.seed))
        report = TemperatureReport(
            dataset=self.request.dataset,
            model=card.name,
            split=describe_split(labelled, split),
            kind=split.kind,
            train=len(split.train),
            queries=found[0].precision.queries,
            steps=self._steps(data, split)[1],
            found=found,
            penalty=penalty(start, numbers, self.request.values),
            recommended=recommend(found),
            out=None if self.request.out is None else self.request.out.expanduser().absolute(),
        )
        if report.out is not None:
            write_page(report.out, render(self._page(report, card)))
        return report

    def _opened(self) -> tuple[ModelCard, EmbeddedSet, Split]:
        request = self.request
        embedding = Embedding(self.settings, self.hooks, request.gallery, request.workers)
        model = request.model or start_model(request.gallery, self.settings, self.hooks.say)
        encoder, card = resolve_model(model, announce=self.hooks.say)
        data = embedding.dataset(request.dataset, encoder, card)
        require_usable(data.labelled)
        split = split_store(self.settings, request.dataset, request.gallery).split(data.labelled)
        require_measurable(data.labelled, split)
        self.hooks.say(f"{describe_split(data.labelled, split)}.")
        _require_pairs(data.labelled.numbers[split.val])
        self._sampler(data, split, 0)
        return card, data, split

    def _trial(self, data: EmbeddedSet, split: Split, tau: float, seed: int) -> tuple[Trial, RetrievalResult]:
        """Train a head with one temperature, and measure it."""
        vectors, numbers = data.vectors[split.train], _numbered(data, split)
        recipe = RECIPES[RECIPE]
        projection = pca_projection(vectors, recipe.dimension, seed, recipe.whitening)
        method = head_method(projection, [Term(_LOSS, 1.0, None, {"temperature": tau})], numbers, seed)
        start_losses(method, projection, vectors, numbers)
        epochs, _ = self._steps(data, split)
        loop = replace(
            recipe.loop, epochs=epochs, patience=None, validate_every=max(1, epochs), log_every=10**6, seed=seed,
            device="cpu", save_seconds=1e9,
        )  # fmt: skip
        source = FeatureSource(vectors, numbers, self._sampler(data, split, seed))
        # A head is trained in seconds: what would let it go on after a crash is not kept.
        with tempfile.TemporaryDirectory(prefix="retrieval-") as folder:
            fitted = fit(method, source, loop, folder=Path(folder), hooks=TrainHooks(stop=self.hooks.stop))
        if fitted.stopped == "interrupted":
            raise Interrupted("Stopped before everything was measured.", "The same command starts again.")
        after = projected(projection, data.vectors)
        result = retrieve_quietly(data.labelled, after, split)
        return trial(tau, seed, after[split.val], data.labelled.numbers[split.val], result), result

    def _start(self, data: EmbeddedSet, split: Split) -> Vectors:
        """[N, D] what the projection gives before any training: the same for every temperature."""
        recipe = RECIPES[RECIPE]
        projection = pca_projection(data.vectors[split.train], recipe.dimension, self.request.seed, recipe.whitening)
        return projected(projection, data.vectors)

    def _sampler(self, data: EmbeddedSet, split: Split, seed: int) -> MPerClass:
        recipe, numbers = RECIPES[RECIPE], _numbered(data, split)
        usable = int(np.count_nonzero(np.bincount(numbers) > 1))
        if usable < 2:
            raise BadValue(
                f"Only {usable} of the classes that train have two images or more.",
                "Label at least two images each of two classes.",
            )
        batch = max(2 * recipe.per_class, min(recipe.batch_size, usable * recipe.per_class))
        return MPerClass(numbers, batch - batch % recipe.per_class, recipe.per_class, seed, singletons="drop")

    def _steps(self, data: EmbeddedSet, split: Split) -> tuple[int, int]:
        """Epochs of a training, and the steps that those are."""
        each = len(self._sampler(data, split, 0))
        epochs = max(1, round(STEPS / each))
        return epochs, epochs * each

    def _go_on(self, what: str, done: int, total: int) -> None:
        if self.hooks.stop():
            raise Interrupted("Stopped before everything was measured.", "The same command starts again.")
        self.hooks.working(what, done, total)

    def _page(self, report: TemperatureReport, card: ModelCard) -> TemperaturePage:
        recipe = RECIPES[RECIPE]
        name = self.request.dataset
        title = name if name == GALLERY else os.path.basename(os.path.abspath(os.path.expanduser(name)))
        facts = {
            "Encoder": f"{card.name}, {card.dimension} dimensions, frozen, {card.fingerprint[:12]}",
            "Head": f"a projection to {min(recipe.dimension, card.dimension)} dimensions, started from PCA",
            "Loss": "supervised contrastive (Khosla et al. 2020)",
            "Training": f"{report.steps} steps, batches of {self._batch()}, as in {RECIPE}",
            "Split": report.split,
            "Seeds": f"{self.request.seed} to {self.request.seed + SEEDS - 1}",
            "Intervals": "95 %, labels resampled, then queries; paired for differences",
        }
        return TemperaturePage(
            shown(title), shown(report.model), report.found, report.penalty, report.recommended,
            {key: shown(value) for key, value in facts.items()}, report.queries,
        )  # fmt: skip

    def _batch(self) -> str:
        recipe = RECIPES[RECIPE]
        return f"up to {recipe.batch_size} images, {recipe.per_class} of a label"


def _require_pairs(numbers: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> None:
    """Refuse validation images among which nothing can be pulled together and pushed apart. Raises BadValue."""
    images = np.unique(numbers, return_counts=True)[1]
    if len(images) < 2 or images.max() < 2:
        raise BadValue(
            f"The validation part has {len(numbers):,} images of {len(images):,} classes: a temperature is measured "
            "on two or more of one class beside others.",
            "Label more images, of more classes.",
        )


def _numbered(data: EmbeddedSet, split: Split) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """[n] class numbers 0 to C - 1 of the training images, numbered among themselves."""
    return np.unique(data.labelled.numbers[split.train], return_inverse=True)[1].astype(np.int64)
