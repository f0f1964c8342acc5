"""Measure an encoder on labelled images, alone or beside another one."""

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.core.errors import BadValue, RetrievalError
from retrieval.core.labelled import Labelled, LabelledImage, Split
from retrieval.core.settings import Settings, load_settings
from retrieval.core.text import path_text, shown
from retrieval.core.types import Ids, Vectors
from retrieval.datasets.splits import SplitStore
from retrieval.evaluation.comparison import Comparison, compare
from retrieval.evaluation.retrieval import RetrievalResult, retrieve
from retrieval.evaluation.vectors import LabelledVectors
from retrieval.models.card import ModelCard
from retrieval.models.encoder import Encoder
from retrieval.models.resolve import resolve_model
from retrieval.workflows.embedded_dataset import Embedding
from retrieval.workflows.encoder_runs import recorded_run, run_around
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.hooks import Hooks
from retrieval.workflows.labelled_sets import GALLERY, open_dataset
from retrieval.workflows.proof import search_part
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.words import count, verb

__all__ = ["PARTS", "EvaluateReport", "EvaluateRequest", "evaluate", "split_store"]

PARTS = ("all", "train", "val", "test")


@dataclass(frozen=True)
class EvaluateRequest:
    """What to measure, with what.

    Attributes:
        dataset: a folder of class folders, a CSV, or ``gallery``; None where queries and database are given.
        model: the encoder.
        against: another one to compare it with: the start, so to speak.
        queries, database: two labelled folders or CSVs: the images of the one search among those of the other.
        part: one of ``PARTS``: all images, leave one out, or a part of the dataset's stored split.
        gallery: the gallery's folder, for ``gallery``.
        workers: decoding processes.
        seed: of the intervals.
    """

    dataset: str | None
    model: str
    against: str | None = None
    queries: str | None = None
    database: str | None = None
    part: str = "all"
    gallery: Path | None = None
    workers: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class EvaluateReport:
    """What was measured.

    Attributes:
        model, against: names of the encoders.
        result: of ``model``.
        comparison: ``against`` before, ``model`` after; None without ``against``.
        images: in the database.
        unreadable: images that could not be read.
        way: how the queries searched, in words.
    """

    model: str
    against: str | None
    result: RetrievalResult
    comparison: Comparison | None
    images: int
    unreadable: int
    way: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "model": self.model,
            "against": self.against,
            "way": self.way,
            "images": self.images,
            "unreadable": self.unreadable,
            **self.result.to_dict(),
            "comparison": None if self.comparison is None else self.comparison.to_dict(),
            "verdict": None if self.comparison is None else self.comparison.verdict,
        }


def evaluate(
    request: EvaluateRequest, *, settings: Settings | None = None, hooks: Hooks | None = None
) -> EvaluateReport:
    """Embed, search and measure.

    Raises:
        NoSuchPath, BadValue: the dataset or the values cannot be used.
        ModelUnavailable, ModelDamaged, ModelUnsafe: see ``models.resolve_model``.
    """
    run = _Evaluation(request, settings or load_settings(), hooks or Hooks())
    _check(request)
    names = [request.model] + ([request.against] if request.against is not None else [])
    measured = [run.measure(name) for name in names]
    first = measured[0]
    comparison = None
    if len(measured) == 2:
        if first.paths != measured[1].paths:
            raise BadValue("Not the same images could be read with both encoders.", "Try again.")
        comparison = compare(measured[1].result, first.result, seed=request.seed)
    return EvaluateReport(
        model=first.name,
        against=measured[1].name if comparison is not None else None,
        result=first.result,
        comparison=comparison,
        images=first.result.database,
        unreadable=first.unreadable,
        way=first.way,
    )


def _check(request: EvaluateRequest) -> None:
    if (request.queries is None) != (request.database is None):
        raise BadValue("Queries and database belong together.", "Give both --queries and --database, or neither.")
    if (request.dataset is None) == (request.queries is None):
        raise BadValue(
            "There is no dataset to measure on, or two.", "Give a dataset, or both --queries and --database."
        )
    if request.part not in PARTS:
        raise BadValue(f"There is no part {request.part!r}.", f"Use one of: {', '.join(PARTS)}.")
    if request.queries is not None and request.part != "all":
        raise BadValue("Queries and database have no parts.", "Leave --split out.")


@dataclass(frozen=True)
class _Measured:
    name: str
    result: RetrievalResult
    unreadable: int
    way: str
    paths: list[bytes]


@dataclass(frozen=True)
class _Evaluation:
    request: EvaluateRequest
    settings: Settings
    hooks: Hooks

    def measure(self, model: str) -> _Measured:
        """One encoder on the request's images."""
        encoder, card = resolve_model(model, announce=self.hooks.say)
        if self.request.dataset is None:
            return self._apart(encoder, card)
        # Beside another encoder both are measured on what both can read.
        both = self.request.against is not None

        def opened(labelled: Labelled) -> None:
            if self.request.part == "all":
                self._warn_of_training(model, card, labelled)

        data = self._embedding().dataset(self.request.dataset, encoder, card, on_disk=both, opened=opened)
        if self.request.part == "test":
            # A split that was drawn later than the run's own, or of another store, holds out other images.
            self._warn_of_training(model, card, data.labelled.subset(self._split(data.labelled).test))
        result, way = self._search(data.labelled, data.vectors)
        return _Measured(card.name, result, len(data.failures), way, [image.path for image in data.labelled.images])

    def _warn_of_training(self, model: str, card: ModelCard, labelled: Labelled) -> None:
        """Images that an encoder has learned from flatter it. A split that was only drawn has taught nobody."""
        run = self._run_of(model, card)
        learned = set() if run is None else _trained_on(run)
        known = sum(path_text(image.path) in learned for image in labelled.images)
        if run is None or not known:
            return
        assert self.request.dataset is not None
        drawn = split_store(self.settings, self.request.dataset, self.request.gallery).exists
        held_out = drawn and self.request.part == "all"
        advice = "`--split test` measures on those held out." if held_out else "measure it on images that have not."
        have = verb(known, "has", "have")
        self.hooks.say(
            f"{known:,} of {count(len(labelled), 'image')} {have} trained {card.name}, in the run "
            f"{shown(str(run.folder))}; {advice}"
        )

    def _run_of(self, model: str, card: ModelCard) -> RunFolder | None:
        """The training run that made an encoder, as far as its place or the gallery tells."""
        run = run_around(Path(model).expanduser(), card.fingerprint)
        if run is not None or self.request.gallery is None:
            return run
        # A gallery that cannot be opened can say nothing of runs; that is no reason not to measure.
        with suppress(RetrievalError), Gallery(self.request.gallery, self.settings) as gallery:
            return recorded_run(gallery, card.fingerprint)
        return None

    def _embedding(self) -> Embedding:
        return Embedding(self.settings, self.hooks, self.request.gallery, self.request.workers)

    def _search(self, labelled: Labelled, vectors: Vectors) -> tuple[RetrievalResult, str]:
        if self.request.part == "all":
            return _said(vectors, labelled, self.request.seed), "all images, leave one out"
        split = replace(self._split(labelled), seed=self.request.seed)
        part = getattr(split, self.request.part)
        return search_part(labelled, vectors, split, part), f"the part {self.request.part} ({split.kind} split)"

    def _split(self, labelled: Labelled) -> Split:
        assert self.request.dataset is not None
        return split_store(self.settings, self.request.dataset, self.request.gallery).split(labelled)

    def _apart(self, encoder: Encoder, card: ModelCard) -> _Measured:
        """Queries and database are two datasets; a label means the same in both."""
        assert self.request.queries is not None
        assert self.request.database is not None
        queries, database = (
            open_dataset(name, note=self.hooks.say, alone=False)
            for name in (self.request.queries, self.request.database)
        )
        both = Labelled([*queries.images, *database.images], f"{queries.source} and {database.source}")
        made = self._embedding().labelled(both, encoder, card)
        # What cannot be read is left out wherever it stands, so that the queries are the first of those that are left.
        read = {image.path for image in made.labelled.images}
        asking = sum(image.path in read for image in queries.images)
        rows = np.arange(len(made.labelled)) < asking
        ids = _same_ids(made.labelled.images, asking)
        numbers = made.labelled.numbers
        searched = ~rows
        same = int(np.isin(ids[rows], ids[searched]).sum())
        if same:
            stand = verb(same, "stands", "stand")
            self.hooks.say(f"{count(same, 'query', 'queries')} {stand} in the database too: no match for itself.")
        asked = LabelledVectors(made.vectors[rows], numbers[rows], ids[rows])
        try:
            result = retrieve(made.vectors[searched], numbers[searched], ids[searched], asked, seed=self.request.seed)
        except RetrievalError as error:
            raise BadValue(error.message, error.hint) from error
        way = f"{asking:,} queries among {int(searched.sum()):,} images"
        return _Measured(card.name, result, len(made.failures), way, [image.path for image in made.labelled.images])


def _same_ids(images: Sequence[LabelledImage], asking: int) -> Ids:
    """Numbers of queries, the first ``asking`` of the images, and of a database: a query that stands in the database,
    as the same file or as a copy of it, has the number of what it is there."""
    ids = np.arange(len(images), dtype=np.int64)
    database = list(enumerate(images))[asking:]
    files = {image.path: number for number, image in database}
    contents = {image.digest: number for number, image in reversed(database) if image.digest is not None}
    for number, image in enumerate(images[:asking]):
        ids[number] = files.get(image.path, contents.get(image.digest or b"", number))
    return ids


def _said(vectors: Vectors, labelled: Labelled, seed: int) -> RetrievalResult:
    try:
        return retrieve(vectors, labelled.numbers, seed=seed)
    except RetrievalError as error:
        raise BadValue(error.message, error.hint) from error


def _trained_on(run: RunFolder) -> set[str]:
    """The images that a run has learned from, as ``path_text``; none where the run does not say."""
    try:
        return set(run.read("split.json")["train"])
    except (RetrievalError, KeyError, TypeError):
        return set()


def split_store(settings: Settings, dataset: str, gallery: Path | None, purpose: str = "") -> SplitStore:
    """Where the splits of a dataset or gallery are kept: they are made once and never redrawn.

    Those of a gallery are kept in its catalog, those of a folder or table in the user's data folder, by its path.

    Args:
        settings: name the folder.
        dataset: as the user named it.
        gallery: the gallery's folder, for the dataset ``gallery``.
        purpose: of a store beside the one that training uses: what training finds there first decides for it.
    """
    suffix = f"-{purpose}" if purpose else ""
    if dataset == GALLERY and gallery is not None:
        return SplitStore(_InCatalog(gallery, settings, f"splits{suffix}"))
    name = hashlib.sha256(os.fsencode(Path(dataset).expanduser().absolute())).hexdigest()
    return SplitStore(settings.data / "splits" / f"{name[:24]}{suffix}.json")


@dataclass(frozen=True)
class _InCatalog:
    """A gallery's splits lie in its catalog, so that they go where the gallery goes, and into its backups."""

    folder: Path
    settings: Settings
    key: str

    def __str__(self) -> str:
        return f"of {self.folder}"

    def read(self) -> bytes | None:
        """As they were written; None where there are none."""
        with Gallery(self.folder, self.settings) as gallery:
            kept = gallery.catalog.get(self.key)
        return None if kept is None else str(kept).encode()

    def write(self, content: bytes) -> None:
        """Raises GalleryBusy where another process is writing."""
        with Gallery(self.folder, self.settings) as gallery, gallery.writing():
            gallery.catalog.put(self.key, content.decode())
            gallery.catalog.seal()
