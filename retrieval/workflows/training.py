"""Train an encoder on labelled images, prove it on held-out ones, and leave a run folder that says how."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn

from retrieval.core.errors import BadValue
from retrieval.core.labelled import Split
from retrieval.core.settings import Settings, load_settings
from retrieval.core.types import Vectors
from retrieval.datasets.checks import require_usable
from retrieval.datasets.sides import KINDS
from retrieval.functional.batch import Batch
from retrieval.losses import LOSSES
from retrieval.methods.metric_learning import MetricLearning, Term
from retrieval.models.card import ModelCard
from retrieval.models.create import describe, with_projection
from retrieval.models.encoder import Encoder
from retrieval.models.resolve import resolve_model
from retrieval.models.threads import torch_threads
from retrieval.training.loop import Fitted
from retrieval.workflows.embedding_sets import (
    EmbeddedSet,
)
from retrieval.workflows.fitting import HEAD, WHOLE, Fitting
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.labelled_sets import GALLERY, embedded_gallery, open_dataset
from retrieval.workflows.projecting import projected
from retrieval.workflows.proven_run import ProvenRun
from retrieval.workflows.recipes import Recipe
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.run_time import RunTime
from retrieval.workflows.saving import save_result
from retrieval.workflows.start_model import start_model
from retrieval.workflows.train_request import Request, TrainingHooks, TrainReport

__all__ = ["Request", "TrainReport", "TrainingHooks", "train"]


def train(request: Request, *, settings: Settings | None = None, hooks: TrainingHooks | None = None) -> TrainReport:
    """Train, prove and save.

    Raises:
        NoSuchPath, BadValue: the dataset, the labels, the split or the folder cannot be used.
        TrainingFailed: the loss is not a number any more.
        Interrupted: ``hooks.stop`` said so; ``resume`` goes on from there.
        DiskFull: no space is left; the last checkpoint is whole.
    """
    if request.split not in (*KINDS, "auto"):
        raise BadValue(f"There is no split {request.split!r}.", f"Use one of: {', '.join(KINDS)}, auto.")
    run, hooks = RunFolder(request.out), hooks or TrainingHooks()
    settings = settings or load_settings()
    # All of it, not the loop alone: embedding leaves its own number of threads set, and the proof computes too.
    with run.going(request.resume, hooks.say), torch_threads(settings.threads):
        time = RunTime(run, request.resume)
        with time.ticking(hooks) as ticking:
            return _Training(request, run, settings, ticking, time).go()


@dataclass
class _Training:
    request: Request
    run: RunFolder
    settings: Settings
    hooks: TrainingHooks
    time: RunTime

    @cached_property
    def around(self) -> ProvenRun:
        """What comes before and after the training."""
        asked = self.request
        clock, workers = self.time, asked.workers
        return ProvenRun(
            self.run, asked.dataset, asked.gallery, self.settings, self.hooks, clock, workers, asked.resume
        )

    def go(self) -> TrainReport:
        recipe = self.request.recipe
        _try_losses(recipe)
        encoder, card, data = self._start()
        labelled = data.labelled
        require_usable(labelled)
        split = self.around.split(labelled, self.request.split, recipe.loop.seed)
        self.around.remember(recipe, card, labelled, split)
        trained, trained_card, after, fitted = self._train(encoder, card, data, split)
        saved = self._save(trained, trained_card, card)
        return self.around.proven(recipe, data, after, split, fitted, card, saved)

    # -- before ---------------------------------------------------------------------------------------------------

    def _start(self) -> tuple[Encoder, ModelCard, EmbeddedSet]:
        """The start encoder, its card, and its embeddings of the dataset."""
        request = self.request
        if request.dataset == GALLERY:
            if request.gallery is None:
                raise BadValue("The dataset `gallery` needs a gallery.", "Give it with --gallery DIR.")
            with Gallery(request.gallery, self.settings) as gallery:
                model = request.model or str(gallery.layout.model(gallery.live_space().fingerprint))
                encoder, card = resolve_model(model, announce=self.hooks.say)
                kept = embedded_gallery(gallery, card, on_disk=request.recipe.scope == "full", note=self.hooks.say)
                if kept is not None:
                    return encoder, card, kept
                labelled = open_dataset(request.dataset, gallery, note=self.hooks.say)
        else:
            labelled = open_dataset(request.dataset, note=self.hooks.say)
            model = request.model or start_model(request.gallery, self.settings, self.hooks.say)
            encoder, card = resolve_model(model, announce=self.hooks.say)
        require_usable(labelled)
        return encoder, card, self.around.before(encoder, card, labelled)

    # -- training -------------------------------------------------------------------------------------------------

    def _train(
        self, encoder: Encoder, card: ModelCard, data: EmbeddedSet, split: Split
    ) -> tuple[Encoder, ModelCard, Vectors, list[tuple[str, Fitted]]]:
        """The trained encoder, its card (not yet described), its embeddings of all images, and how it went."""
        fitting = Fitting(self.request, self.run, self.settings, self.hooks)
        projection, method, fitted = fitting.head(data, split)
        longer, longer_card = with_projection(encoder, card, projection)
        runs = [(HEAD, fitted)]
        if self.request.recipe.scope == "head":
            return longer, longer_card, projected(projection, data.vectors), runs
        runs.append((WHOLE, fitting.whole(longer, longer_card, data, split, method)))
        described = describe(longer, longer_card)
        return longer, described, self.around.after(longer, described, data.labelled), runs

    # -- after ----------------------------------------------------------------------------------------------------

    def _save(self, encoder: Encoder, card: ModelCard, start: ModelCard) -> ModelCard:
        name = self.request.recipe.name
        return save_result(self.run, encoder, card, start, name, f"trained with {name}", again=self.request.resume)


def _try_losses(recipe: Recipe) -> None:
    """One step on made-up embeddings, before anything costly: a value that a loss refuses is said now.

    Raises:
        BadValue: a loss or miner cannot take its options or the recipe's batches, or gives what is no number.
    """
    try:
        losses = [_tried(terms, recipe) for terms in (recipe.terms, recipe.first_terms)]
    except ValueError as error:
        raise BadValue(
            f"The recipe {recipe.name!r} cannot be: {error}", "`retrieval recipes NAME` shows its keys."
        ) from error
    _refuse_own_class_as_noise(recipe)
    if not all(map(math.isfinite, losses)):
        raise BadValue(
            f"With these values the loss of the recipe {recipe.name!r} is not a number.",
            "Look at margins, scales and temperatures: `retrieval recipes NAME` shows them.",
        )


def _refuse_own_class_as_noise(recipe: Recipe) -> None:
    """Raises BadValue where a loss that tells a pair from all others of the batch would find its own class among them:
    see ``methods.pairing.class_pairs``."""
    if recipe.sampler == "m_per_class" and recipe.per_class == 2 and not recipe.mine_every:
        return
    for term in (*recipe.terms, *recipe.first_terms):
        if LOSSES[term.loss].against_others:
            raise BadValue(
                f"{term.loss} takes every other pair of a batch for another class, but the batches of the recipe "
                f"{recipe.name!r} hold several pairs of a class.",
                "Set per_class=2, sampler=m_per_class and mine_every=0.",
            )


def _tried(terms: Sequence[Term], recipe: Recipe) -> float:
    """The loss of one step on made-up embeddings of three classes."""
    encoder, seed = Encoder(nn.Identity(), nn.Identity(), 4), recipe.loop.seed
    method = MetricLearning(encoder, terms, 3, examples=6, normalise=recipe.normalise, seed=seed)
    embeddings = torch.from_numpy(np.random.default_rng(0).standard_normal((6, 4), np.float32))
    batch = Batch(embeddings, torch.arange(6) // 2, torch.arange(6))
    return float(method.training_step(batch).loss.detach())
