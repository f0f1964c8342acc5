"""A run on views of images without labels: from the images and a start encoder to a run folder that says what changed.

No label chooses anything: there is no validation, and the last weights are kept. Where labels are known they measure
start and result beside each other, leave one out, on images that were trained on without them (but for a recipe that
says otherwise: ``ViewRecipe.learns_labels``).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from retrieval.core.errors import BadValue
from retrieval.core.labelled import UNLABELLED, Labelled
from retrieval.core.settings import Settings, available_cores
from retrieval.core.types import Ids
from retrieval.datasets.prepared import Prepared
from retrieval.datasets.view_sources import ViewSource
from retrieval.evaluation.comparison import Comparison, compare
from retrieval.evaluation.retrieval import retrieve
from retrieval.functional.diagnostics import sample
from retrieval.mining.shuffled import Shuffled
from retrieval.models.batch_augment import BatchAugment
from retrieval.models.card import ModelCard
from retrieval.models.encoder import Encoder
from retrieval.models.looks import Look
from retrieval.training.loop import Fitted, Source
from retrieval.workflows.alarm_notes import alarms_of
from retrieval.workflows.embedding_sets import EmbeddedSet, embed_labelled, load_vectors, runtime_of, save_vectors
from retrieval.workflows.fit_part import fit_part, in_precision
from retrieval.workflows.kept_targets import larger, taught_source
from retrieval.workflows.label_free import LabelFree, TwoLooks, label_free, sampled
from retrieval.workflows.methods_at_work import build_method, cannot_be, fitted_to, learned_beside, require_enough
from retrieval.workflows.prepared_pictures import prepared_pictures
from retrieval.workflows.pretrain_report import Embedded, write_pretrain_report
from retrieval.workflows.pretrain_request import PretrainReport
from retrieval.workflows.recipes import ViewRecipe
from retrieval.workflows.run_folder import METHOD, WITHOUT_LABELS, RunFolder
from retrieval.workflows.run_report import small_pictures
from retrieval.workflows.run_time import RunTime
from retrieval.workflows.saving import save_result
from retrieval.workflows.seen_contents import keep_contents
from retrieval.workflows.train_request import TrainingHooks
from retrieval.workflows.words import count, verb

VERSION = 1

MEASURED = 10_000
"""Most labelled images that start and result are measured on; of more, so many are drawn."""


@dataclass(frozen=True)
class _Seen:
    """What an encoder makes of the images that are looked at."""

    embedded: EmbeddedSet
    free: LabelFree


@dataclass
class ViewRun:
    """A run on views of images without labels.

    Attributes:
        run: its folder, locked by the caller.
        recipe: how.
        dataset: its name, as the user gave it.
        words: how the encoder is trained, for its card, e.g. ``"trained without labels with simclr"``.
        settings, hooks, workers: of the run.
        resume: it may go on from what is in the folder.
        handed: what the method gets beside the encoder, as ``methods_at_work.build_method`` takes it.
        more: what else the run is, for ``recipe.json``.
        teacher: of a recipe that keeps what its teacher says, that one and its card; else it is among ``handed``.
    """

    run: RunFolder
    recipe: ViewRecipe
    dataset: str
    words: str
    settings: Settings
    hooks: TrainingHooks
    time: RunTime
    workers: int | None = None
    resume: bool = False
    handed: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    teacher: tuple[Encoder, ModelCard] | None = None

    def go(self, pictures: Labelled, encoder: Encoder, card: ModelCard) -> PretrainReport:
        """Train ``encoder``, in place, on ``pictures``; measure, save and report.

        Raises:
            BadValue: the recipe or the images cannot be used, or the run that is resumed is another one.
            TrainingFailed, Interrupted, DiskFull: see ``training.fit``.
        """
        # Before anything costly: a value that the method refuses, a view that the encoder cannot take.
        looks = self._looks(encoder, card)
        require_enough(self.recipe, len(pictures))
        build_method(self.recipe, encoder, len(pictures), **self._handed)
        prepared = self._prepared(pictures, card)
        self._remember(card, prepared)
        places = _looked_at(prepared.labelled, self.recipe.loop.seed)
        before = self._see(encoder, card, prepared, places, keep=True)
        fitted = self._fit(encoder, card, prepared, looks)
        saved = self._save(encoder, card)
        after = self._see(encoder, saved, prepared, places)
        comparison = self._compared(before.embedded, after.embedded)
        metrics = self._metrics(before, after, comparison, fitted, card, saved)
        self.run.write("metrics.json", metrics)
        report = self._report(prepared, fitted, metrics, card, saved)
        both = Embedded(after.embedded.labelled, before.embedded.vectors, after.embedded.vectors)
        write_pretrain_report(self.run, report.to_dict(), self.recipe, both, comparison, fitted, self._pictures)
        return report

    @property
    def _handed(self) -> dict[str, Any]:
        """What the method gets beside the encoder, before the teacher has said anything."""
        return dict(self.handed) | ({} if self.teacher is None else {"teacher": self.teacher[0]})

    # -- before ---------------------------------------------------------------------------------------------------

    def _looks(self, encoder: Encoder, card: ModelCard) -> tuple[Look, ...]:
        """The views that the recipe makes. Raises BadValue where the encoder takes no pictures of their size."""
        looks = self.recipe.views_at(self.recipe.view_size or card.preprocessing.input_size)
        for side in sorted({look.size for look in looks} - {card.preprocessing.input_size}):
            try:
                with torch.inference_mode():
                    encoder(torch.zeros(1, 3, side, side))
            except Exception as error:  # each architecture refuses in its own way
                raise BadValue(
                    f"{card.name} takes no views of {side} pixels, which {self.recipe.preset} has.",
                    "Leave the small ones out with --set crops=0, or start from a convolutional backbone.",
                ) from error
        return looks

    def _prepared(self, pictures: Labelled, card: ModelCard) -> Prepared:
        spec = card.preprocessing
        prepared = prepared_pictures(
            pictures,
            spec if self.teacher is None else larger(self.teacher[1].preprocessing, spec),
            self.settings,
            self.hooks,
            workers=self.workers,
            needs_labels=False,
        )
        broken = len(prepared.unreadable)
        if broken:
            self.hooks.say(
                f"{broken} of {count(len(pictures), 'image')} cannot be read and {verb(broken)} left out; "
                f"the first: {prepared.unreadable[0]}"
            )
        return prepared

    def _remember(self, card: ModelCard, prepared: Prepared) -> None:
        digests = b"".join(image.digest or image.path for image in prepared.labelled.images)
        said = {
            "version": VERSION,
            "kind": WITHOUT_LABELS,
            "recipe": self.recipe.to_dict(),
            "dataset": self.dataset,
            "start": {"name": card.name, "fingerprint": card.fingerprint},
            "data": hashlib.sha256(digests).hexdigest(),
        }
        self.run.remember(said | dict(self.more), self.resume)
        keep_contents(self.run, prepared.labelled, labels=self.recipe.learns_labels)

    # -- training -------------------------------------------------------------------------------------------------

    def _fit(self, encoder: Encoder, card: ModelCard, prepared: Prepared, looks: tuple[Look, ...]) -> Fitted:
        """Train the encoder, in place."""
        recipe, spec = fitted_to(self.recipe, len(prepared), self.hooks.say), card.preprocessing
        size = min(recipe.batch_size, len(prepared))
        if size < recipe.batch_size:
            self.hooks.say(f"There are only {count(size, 'image')}: they are one batch.")
        augment = BatchAugment(looks, spec.mean, spec.std)
        source: Source
        if self.teacher is None:
            handed = dict(self.handed)
            sampler = Shuffled(len(prepared), size, recipe.loop.seed)
            source = ViewSource(prepared, sampler, augment, recipe.loop.seed, available_cores())
        else:
            source, taught_by = taught_source(prepared, *self.teacher, augment, recipe, size, self.settings, self.hooks)
            handed = dict(self.handed) | {"teacher": taught_by}
        method = build_method(recipe, encoder, len(prepared), **handed)
        loop = in_precision(recipe.loop, self.settings, min(look.size for look in looks))
        try:
            fitted = fit_part(
                f"Without labels ({recipe.name})",
                method,
                source,
                loop,
                run=self.run,
                folder=self.run.folder,
                resume=self.resume,
                hooks=self.hooks,
            )
        except ValueError as error:
            # What a method refuses shows in its first step; later it would be a fault of the program.
            if int(method.batches) > loop.accumulate:
                raise
            raise cannot_be(recipe, error) from error
        encoder.cpu().eval().requires_grad_(False)
        self.run.write_bytes(METHOD, learned_beside(method))
        return fitted

    # -- after ----------------------------------------------------------------------------------------------------

    def _pictures(self, paths: list[bytes]) -> dict[bytes, bytes]:
        return small_pictures(paths, self.settings, self.workers)

    def _save(self, encoder: Encoder, start: ModelCard) -> ModelCard:
        return save_result(self.run, encoder, start, start, self.recipe.name, self.words, again=self.resume)

    def _see(self, encoder: Encoder, card: ModelCard, prepared: Prepared, places: Ids, *, keep: bool = False) -> _Seen:
        """Look at an encoder; ``keep`` its embeddings for when the run is resumed."""
        wanted = prepared.labelled.subset(places)
        path = self.run.folder / "start.npz"
        embedded = load_vectors(path, wanted, card.fingerprint) if keep and self.resume else None
        if embedded is None or len(embedded.labelled) != len(wanted):
            embedded = embed_labelled(
                wanted,
                runtime_of(encoder, card, self.settings),
                card.preprocessing,
                self.settings,
                workers=self.workers,
                what=f"Embedding with {card.name}",
                progress=self.hooks.working,
                stop=self.hooks.stop,
            )
            if embedded.failures:
                raise BadValue("Images of the dataset changed or vanished during the training.", "Train again.")
            if keep:
                save_vectors(path, embedded, card.fingerprint)
        chosen = sampled(len(prepared), self.recipe.loop.seed)
        rows = embedded.vectors[np.searchsorted(places, chosen)]
        return _Seen(embedded, label_free(encoder, rows, TwoLooks(prepared, chosen, card, self.recipe)))

    def _compared(self, before: EmbeddedSet, after: EmbeddedSet) -> Comparison | None:
        """Start against result on the labels that are known, leave one out; None where there are too few."""
        numbers = before.labelled.numbers
        ids = _measurable(before.labelled)
        if not len(ids):
            return None
        seed = self.recipe.loop.seed
        results = [retrieve(one.vectors[ids], numbers[ids], ids, seed=seed) for one in (before, after)]
        return compare(results[0], results[1], seed=seed)

    def _metrics(
        self,
        before: _Seen,
        after: _Seen,
        comparison: Comparison | None,
        fitted: Fitted,
        start: ModelCard,
        result: ModelCard,
    ) -> dict[str, Any]:
        return {
            "kind": WITHOUT_LABELS,
            "label_free": {"before": before.free.to_dict(), "after": after.free.to_dict()},
            "labelled": None
            if comparison is None
            else _with_labels(comparison, after.embedded.labelled, self.recipe.learns_labels),
            "alarms": alarms_of(fitted),
            "training": {"stopped": fitted.stopped, "epochs": fitted.epochs, "steps": fitted.steps},
            "start": {"name": start.name, "fingerprint": start.fingerprint},
            "result": {"name": result.name, "fingerprint": result.fingerprint},
        }

    def _report(
        self, prepared: Prepared, fitted: Fitted, metrics: dict[str, Any], start: ModelCard, result: ModelCard
    ) -> PretrainReport:
        return PretrainReport(
            out=str(self.run.folder),
            recipe=self.recipe.name,
            method=self.recipe.method,
            dataset=self.dataset,
            start=start.name,
            images=len(prepared),
            labelled=sum(image.label != UNLABELLED for image in prepared.labelled.images),
            unreadable=len(prepared.unreadable),
            epochs=fitted.epochs,
            steps=fitted.steps,
            metrics=metrics,
            fingerprint=result.fingerprint,
            seconds=self.time.seconds(),
        )


def _looked_at(pictures: Labelled, seed: int) -> Ids:
    """Places of the images that start and result embed, ascending: the diagnostics' sample, and those with labels."""
    labelled = _measurable(pictures)
    drawn = labelled[sample(len(labelled), MEASURED, seed).numpy()]
    return np.union1d(sampled(len(pictures), seed), drawn)


def _measurable(pictures: Labelled) -> Ids:
    """[n] places of the images with a label, where there are two labels and one of them has two images."""
    places = np.flatnonzero(pictures.numbers >= 0).astype(np.int64)
    sizes = np.bincount(pictures.numbers[places])
    return places if np.count_nonzero(sizes) > 1 and sizes.max() > 1 else places[:0]


def _with_labels(comparison: Comparison, labelled: Labelled, learned: bool) -> dict[str, Any]:
    names = labelled.classes
    return {
        "used_to_choose": False,
        "learned": learned,
        "images": comparison.after.database,
        "way": f"among each other, leave one out; all were trained on, {'with' if learned else 'without'} their labels",
        "before": comparison.before.to_dict(),
        "after": comparison.after.to_dict(),
        "comparison": comparison.to_dict(),
        "verdict": comparison.verdict,
        "classes": [
            {"label": names[c.number], "queries": c.queries, "before": c.before, "after": c.after}
            for c in comparison.classes()
        ],
    }
