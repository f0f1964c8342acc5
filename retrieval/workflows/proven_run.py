"""A run on labelled images: start embeddings and a split before it, the proof on held-out labels after it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.core.errors import BadValue
from retrieval.core.labelled import Labelled, Split
from retrieval.core.settings import Settings
from retrieval.core.types import Vectors
from retrieval.datasets.checks import describe_split, require_measurable
from retrieval.datasets.leaks import leaks
from retrieval.models.card import ModelCard
from retrieval.models.encoder import Encoder
from retrieval.training.loop import Fitted
from retrieval.workflows import run_parts
from retrieval.workflows.alarm_notes import alarms_of
from retrieval.workflows.embedding_sets import (
    EmbeddedSet,
    Embeds,
    embed_labelled,
    load_vectors,
    runtime_of,
    save_vectors,
)
from retrieval.workflows.evaluating import split_store
from retrieval.workflows.proof import Proof, prove
from retrieval.workflows.query_changes import FILE as QUERIES
from retrieval.workflows.query_changes import query_changes
from retrieval.workflows.recipes import Recipe, ViewRecipe
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.run_report import small_pictures, write_run_report
from retrieval.workflows.run_time import RunTime
from retrieval.workflows.train_request import TrainingHooks, TrainReport

VERSION = 1

Parts = Sequence[tuple[str, Fitted]]
"""Title and course of each part of the training."""


@dataclass
class ProvenRun:
    """What every run on labelled images does before and after its training.

    Attributes:
        run: its folder, locked by the caller.
        dataset: its name, as the user gave it.
        gallery: of the dataset ``gallery``, for its split.
        settings, hooks, workers: of the run.
        time: its clock.
        resume: it may go on from what is in the folder.
    """

    run: RunFolder
    dataset: str
    gallery: Path | None
    settings: Settings
    hooks: TrainingHooks
    time: RunTime
    workers: int | None = None
    resume: bool = False

    def before(self, encoder: Encoder, card: ModelCard, labelled: Labelled) -> EmbeddedSet:
        """The embeddings by the start encoder; kept in the folder for when the run is resumed."""
        path = self.run.folder / "start.npz"
        kept = load_vectors(path, labelled, card.fingerprint) if self.resume else None
        if kept is not None:
            return kept
        made = self.embed(runtime_of(encoder, card, self.settings), card, labelled, "Embedding with the start encoder")
        if made.failures:
            self.hooks.say(made.left_out())
        save_vectors(path, made, card.fingerprint)
        return made

    def after(self, encoder: Encoder, card: ModelCard, labelled: Labelled) -> Vectors:
        """[N, D] embeddings of the same images by the trained encoder. Raises BadValue where one cannot be read."""
        runtime = runtime_of(encoder, card, self.settings)
        made = self.embed(runtime, card, labelled, "Embedding with the trained encoder")
        if len(made.labelled) != len(labelled):
            raise BadValue("Images of the dataset changed or vanished during the training.", "Train again.")
        return made.vectors

    def split(self, labelled: Labelled, kind: str, seed: int) -> Split:
        """The stored split of the dataset, which must be one to learn and to measure with; said in one line."""
        split = split_store(self.settings, self.dataset, self.gallery).split(labelled, kind, seed)
        require_measurable(labelled, split)
        self.hooks.say(f"{describe_split(labelled, split)}.")
        return split

    def remember(
        self, recipe: Recipe | ViewRecipe, card: ModelCard, labelled: Labelled, split: Split, **more: Any
    ) -> None:
        """Write what this run is, or see that the run that is resumed is the same; ``more`` belongs to it too."""
        digests = b"".join(image.digest or image.path for image in labelled.images)
        labels = "\0".join(image.label for image in labelled.images).encode(errors="surrogatepass")
        parts = b"".join(ids.tobytes() for ids in (split.train, split.val, split.test))
        said = {
            "version": VERSION,
            "recipe": recipe.to_dict(),
            "dataset": self.dataset,
            "start": {"name": card.name, "fingerprint": card.fingerprint},
            "data": hashlib.sha256(digests + labels + parts).hexdigest(),
        }
        self.run.remember(said | more, self.resume)
        self.run.write(run_parts.FILE, run_parts.split_document(labelled, split))

    def proven(
        self,
        recipe: Recipe | ViewRecipe,
        data: EmbeddedSet,
        after: Vectors,
        split: Split,
        fitted: Parts,
        start: ModelCard,
        result: ModelCard,
        *,
        more: Mapping[str, Any] | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> TrainReport:
        """Prove the result on the test part, and write metrics, calibration and report.

        Args:
            recipe: of the run.
            data: the dataset with the embeddings of the start.
            after: [N, D] those of the result.
            split: of the dataset.
            fitted: the course of the training.
            start, result: the encoders' cards.
            more: further keys of ``metrics.json``.
            facts: further lines of the report.
        """
        labelled = data.labelled
        proof = prove(labelled, data.vectors, after, split)
        metrics = proof_metrics(labelled, split, proof, fitted, start, result) | dict(more or {})
        self.run.write("metrics.json", metrics)
        self.run.write(QUERIES, query_changes(labelled, proof.comparison))
        if proof.calibration is not None:
            self.run.write("calibration.json", proof.calibration.to_dict())
        parts = {part: len(getattr(split, part)) for part in ("train", "val", "test")}
        report = TrainReport(
            out=str(self.run.folder),
            recipe=recipe.name,
            dataset=self.dataset,
            start=start.name,
            images=len(labelled),
            classes=len(labelled.classes),
            unreadable=len(data.failures),
            parts=parts,
            left_out=len(labelled) - sum(parts.values()),
            split=split.kind,
            metrics=metrics,
            better=metrics["verdict"] == "better",
            fingerprint=result.fingerprint,
            seconds=self.time.seconds(),
        )
        write_run_report(self.run, report.to_dict(), recipe, labelled, proof, fitted, self._pictures, facts or {})
        return report

    def _pictures(self, paths: list[bytes]) -> dict[bytes, bytes]:
        return small_pictures(paths, self.settings, self.workers)

    def embed(self, encoder: Embeds, card: ModelCard, labelled: Labelled, what: str) -> EmbeddedSet:
        """What an encoder gives for the files of some images; ``what`` is the word for the progress."""
        return embed_labelled(
            labelled,
            encoder,
            card.preprocessing,
            self.settings,
            workers=self.workers,
            what=what,
            progress=self.hooks.working,
            stop=self.hooks.stop,
        )


def proof_metrics(
    labelled: Labelled, split: Split, proof: Proof, fitted: Parts, start: ModelCard, result: ModelCard
) -> dict[str, Any]:
    """What ``metrics.json`` holds, JSON-ready."""
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
                "alarms": alarms_of(one),
            }
            for what, one in fitted
        ],
        "start": {"name": start.name, "fingerprint": start.fingerprint},
        "result": {"name": result.name, "fingerprint": result.fingerprint},
    }  # fmt: skip
