"""Train an encoder on labelled images, prove it on held-out ones, and leave a run folder that says how."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import numpy as np
import torch
from torch import nn

from retrieval.core.errors import BadValue
from retrieval.core.labelled import Labelled, Split
from retrieval.core.settings import Settings, load_settings
from retrieval.core.text import path_text
from retrieval.core.types import Vectors
from retrieval.datasets.checks import describe_split, require_measurable, require_usable
from retrieval.datasets.leaks import leaks
from retrieval.datasets.sides import KINDS
from retrieval.functional.batch import Batch
from retrieval.methods.metric_learning import MetricLearning, Term
from retrieval.models.card import ModelCard
from retrieval.models.create import describe, with_projection
from retrieval.models.encoder import Encoder
from retrieval.models.resolve import resolve_model
from retrieval.models.threads import torch_threads
from retrieval.training.loop import Fitted
from retrieval.workflows.embedding_sets import (
    EmbeddedSet,
    embed_labelled,
    load_vectors,
    runtime_of,
    save_vectors,
)
from retrieval.workflows.evaluating import split_store
from retrieval.workflows.fitting import HEAD, WHOLE, Fitting
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.labelled_sets import GALLERY, embedded_gallery, open_dataset
from retrieval.workflows.projecting import projected
from retrieval.workflows.proof import Proof, prove
from retrieval.workflows.recipes import Recipe
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.run_report import small_pictures, write_run_report
from retrieval.workflows.saving import save_result
from retrieval.workflows.start_model import start_model
from retrieval.workflows.train_request import Request, TrainingHooks, TrainReport

__all__ = ["Request", "TrainReport", "TrainingHooks", "train"]

VERSION = 1


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
        return _Training(request, run, settings, hooks).go()


@dataclass
class _Training:
    request: Request
    run: RunFolder
    settings: Settings
    hooks: TrainingHooks
    started: float = field(default_factory=monotonic)

    def go(self) -> TrainReport:
        _try_losses(self.request.recipe)
        encoder, card, data = self._start()
        labelled = data.labelled
        require_usable(labelled)
        split = self._split(labelled)
        self._remember(card, labelled, split)
        trained, trained_card, after, fitted = self._train(encoder, card, data, split)
        proof = prove(labelled, data.vectors, after, split)
        saved = self._save(trained, trained_card, card)
        metrics = self._metrics(labelled, split, proof, fitted, card, saved)
        self.run.write("metrics.json", metrics)
        if proof.calibration is not None:
            self.run.write("calibration.json", proof.calibration.to_dict())
        report = self._report(data, split, metrics, card, saved)
        write_run_report(self.run, report.to_dict(), self.request.recipe, labelled, proof, fitted, self._pictures())
        return report

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
        return encoder, card, self._embedded(encoder, card, labelled)

    def _embedded(self, encoder: Encoder, card: ModelCard, labelled: Labelled) -> EmbeddedSet:
        path = self.run.folder / "start.npz"
        kept = load_vectors(path, labelled, card.fingerprint) if self.request.resume else None
        if kept is not None:
            return kept
        made = embed_labelled(
            labelled,
            runtime_of(encoder, card, self.settings),
            card.preprocessing,
            self.settings,
            workers=self.request.workers,
            what="Embedding with the start encoder",
            progress=self.hooks.working,
            stop=self.hooks.stop,
        )
        if made.failures:
            self.hooks.say(f"{len(made.failures)} of {len(labelled)} images cannot be read and are left out.")
        save_vectors(path, made, card.fingerprint)
        return made

    def _split(self, labelled: Labelled) -> Split:
        store = split_store(self.settings, self.request.dataset, self.request.gallery)
        split = store.split(labelled, self.request.split, self.request.recipe.loop.seed)
        require_measurable(labelled, split)
        self.hooks.say(f"{describe_split(labelled, split)}.")
        return split

    def _remember(self, card: ModelCard, labelled: Labelled, split: Split) -> None:
        """Write what this run is, or see that the run that is resumed is the same."""
        digests = b"".join(image.digest or image.path for image in labelled.images)
        labels = "\0".join(image.label for image in labelled.images).encode(errors="surrogatepass")
        parts = b"".join(ids.tobytes() for ids in (split.train, split.val, split.test))
        said = {
            "version": VERSION,
            "recipe": self.request.recipe.to_dict(),
            "dataset": self.request.dataset,
            "start": {"name": card.name, "fingerprint": card.fingerprint},
            "data": hashlib.sha256(digests + labels + parts).hexdigest(),
        }
        self.run.remember(said, self.request.resume)
        names = {
            part: [path_text(labelled.images[i].path) for i in getattr(split, part).tolist()]
            for part in ("train", "val", "test")
        }
        self.run.write("split.json", {"kind": split.kind, "seed": split.seed, **names})

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
        after = embed_labelled(
            data.labelled,
            runtime_of(longer, described, self.settings),
            card.preprocessing,
            self.settings,
            workers=self.request.workers,
            what="Embedding with the trained encoder",
            progress=self.hooks.working,
            stop=self.hooks.stop,
        )
        if len(after.labelled) != len(data.labelled):
            raise BadValue("Images of the dataset changed or vanished during the training.", "Train again.")
        return longer, described, after.vectors, runs

    # -- after ----------------------------------------------------------------------------------------------------

    def _save(self, encoder: Encoder, card: ModelCard, start: ModelCard) -> ModelCard:
        name = self.request.recipe.name
        return save_result(self.run, encoder, card, start, name, f"trained with {name}", again=self.request.resume)

    def _metrics(
        self, labelled: Labelled, split: Split, proof: Proof, fitted: list[tuple[str, Fitted]],
        start: ModelCard, result: ModelCard,
    ) -> dict[str, Any]:  # fmt: skip
        comparison = proof.comparison
        names = labelled.classes
        return {
            "before": comparison.before.to_dict(),
            "after": comparison.after.to_dict(),
            "comparison": comparison.to_dict(),
            "verdict": comparison.verdict,
            "way": proof.way,
            "classes": [
                {"label": names[c.number], "queries": c.queries, "before": c.before, "after": c.after}
                for c in comparison.classes()
            ],
            "calibration": None if proof.confirmed is None else proof.confirmed.to_dict(),
            "split": {
                "kind": split.kind,
                "seed": split.seed,
                "leaks": len(leaks(labelled, split)),
                **{part: len(getattr(split, part)) for part in ("train", "val", "test")},
            },
            "training": [
                {
                    "part": what, "stopped": one.stopped, "epochs": one.epochs, "steps": one.steps,
                    "start_value": one.start_value, "best_value": one.best_value, "best_epoch": one.best_epoch,
                }
                for what, one in fitted
            ],
            "start": {"name": start.name, "fingerprint": start.fingerprint},
            "result": {"name": result.name, "fingerprint": result.fingerprint},
        }  # fmt: skip

    def _report(
        self, data: EmbeddedSet, split: Split, metrics: dict[str, Any], start: ModelCard, result: ModelCard
    ) -> TrainReport:
        parts = {part: len(getattr(split, part)) for part in ("train", "val", "test")}
        return TrainReport(
            out=str(self.run.folder),
            recipe=self.request.recipe.name,
            dataset=self.request.dataset,
            start=start.name,
            images=len(data.labelled),
            classes=len(data.labelled.classes),
            unreadable=len(data.failures),
            parts=parts,
            left_out=len(data.labelled) - sum(parts.values()),
            split=split.kind,
            metrics=metrics,
            better=metrics["verdict"] == "better",
            fingerprint=result.fingerprint,
            seconds=round(monotonic() - self.started, 2),
        )

    def _pictures(self) -> Callable[[list[bytes]], dict[bytes, bytes]]:
        return lambda paths: small_pictures(paths, self.settings, self.request.workers)


def _try_losses(recipe: Recipe) -> None:
    """One step on made-up embeddings, before anything costly: a value that a loss refuses is said now.

    Raises:
        BadValue: a loss or miner cannot take its options, or gives what is no number.
    """
    try:
        losses = [_tried(terms, recipe.loop.seed) for terms in (recipe.terms, recipe.first_terms)]
    except ValueError as error:
        raise BadValue(
            f"The recipe {recipe.name!r} cannot be: {error}", "`retrieval recipes NAME` shows its keys."
        ) from error
    if not all(map(math.isfinite, losses)):
        raise BadValue(
            f"With these values the loss of the recipe {recipe.name!r} is not a number.",
            "Look at margins, scales and temperatures: `retrieval recipes NAME` shows them.",
        )


def _tried(terms: Sequence[Term], seed: int) -> float:
    """The loss of one step on made-up embeddings of three classes."""
    method = MetricLearning(Encoder(nn.Identity(), nn.Identity(), 4), terms, 3, examples=6, seed=seed)
    embeddings = torch.from_numpy(np.random.default_rng(0).standard_normal((6, 4), np.float32))
    batch = Batch(embeddings, torch.arange(6) // 2, torch.arange(6))
    return float(method.training_step(batch).loss.detach())
