"""Diagnose an encoder on a folder or a gallery: is its embedding sound, and what does it tell apart?"""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.core.errors import BadValue, Interrupted
from retrieval.core.settings import Settings, available_cores, load_settings
from retrieval.core.text import shown
from retrieval.core.types import Ids, Pixels
from retrieval.evaluation.diagnosis import Diagnosis, diagnose
from retrieval.evaluation.diagnosis_alarms import Reading, read_alarms
from retrieval.evaluation.diagnosis_figures import Measured, measured
from retrieval.evaluation.invariance import SAMPLE as CHANGED
from retrieval.evaluation.invariance import Changed, invariance
from retrieval.evaluation.looks import LOOKS
from retrieval.functional.diagnostics import sample
from retrieval.images.jobs import ReadFile
from retrieval.images.pool import DecodePool
from retrieval.models.card import ModelCard
from retrieval.models.encoder import Encoder
from retrieval.models.resolve import resolve_model
from retrieval.workflows.diagnosis_report import Drawn, write_diagnosis
from retrieval.workflows.embedded_dataset import Embedding
from retrieval.workflows.embedding_sets import runtime_of
from retrieval.workflows.hooks import Hooks
from retrieval.workflows.labelled_sets import GALLERY
from retrieval.workflows.pictures_of import PictureSet, picture_set
from retrieval.workflows.run_report import small_pictures
from retrieval.workflows.words import count

__all__ = ["DiagnoseReport", "DiagnoseRequest", "diagnose_model"]


@dataclass(frozen=True)
class DiagnoseRequest:
    """What to look at.

    Attributes:
        dataset: a folder, with class folders or without, a CSV, or ``gallery``.
        model: the encoder.
        against: another one, to stand beside it.
        out: the page to write; None writes none.
        gallery: the gallery's folder, for ``gallery``.
        workers: decoding processes.
        seed: of the intervals and of draws.
    """

    dataset: str
    model: str
    against: str | None = None
    out: Path | None = None
    gallery: Path | None = None
    workers: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class DiagnoseReport:
    """What was found.

    Attributes:
        dataset: as the user named it.
        model, against: names of the encoders.
        found, beside: their diagnoses; ``beside`` is that of ``against``.
        classes: the labels.
        paths: of the images, for people.
        of: how many images there are, of which those were looked at.
        unreadable: how many could not be read.
        out: the page that was written, or None.
        seed: of the intervals.
        fingerprint: of ``model``.
        ids: of the gallery's images; None where others were looked at.
    """

    dataset: str
    model: str
    against: str | None
    found: Diagnosis
    beside: Diagnosis | None
    classes: list[str]
    paths: list[str]
    of: int
    unreadable: int
    out: Path | None
    seed: int
    fingerprint: str = ""
    ids: list[int] | None = None

    @property
    def figures(self) -> list[Measured]:
        """The single figures, with differences where there are two models."""
        return measured(self.found, self.beside, self.seed)

    @property
    def alarms(self) -> list[Reading]:
        """Every alarm, of ``model``."""
        return read_alarms(self.found)

    @property
    def hubs(self) -> list[dict[str, int]]:
        """Images of the gallery that are found most often: ``id`` and ``occurrence``; none of other images."""
        often = self.found.hubness
        if self.ids is None:
            return []
        return [{"id": self.ids[row], "occurrence": int(often.occurrence[row])} for row in often.strongest()]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        beside = None
        if self.beside is not None:
            alarms = [one.to_dict() for one in read_alarms(self.beside)]
            beside = {"model": self.against, "alarms": alarms, **self.beside.to_dict(self.classes, self.paths)}
        return {
            "dataset": self.dataset,
            "model": self.model,
            "of": self.of,
            "unreadable": self.unreadable,
            "seed": self.seed,
            "page": None if self.out is None else str(self.out),
            "figures": {one.figure.key: one.to_dict() for one in self.figures},
            "alarms": [one.to_dict() for one in self.alarms],
            **self.found.to_dict(self.classes, self.paths),
            "fingerprint": self.fingerprint,
            "hubs": self.hubs,
            "against": beside,
        }


def diagnose_model(
    request: DiagnoseRequest, *, settings: Settings | None = None, hooks: Hooks | None = None
) -> DiagnoseReport:
    """Embed, look from all sides, and write the page where one is wanted.

    Raises:
        NoSuchPath, BadValue, EmptyGallery: there is nothing to look at.
        Interrupted: ``hooks.stop`` said so.
        ModelUnavailable, ModelDamaged, ModelUnsafe: see ``models.resolve_model``.
        DiskFull: there is no space for the page.
    """
    return _Diagnosing(request, settings or load_settings(), hooks or Hooks()).go()


@dataclass(frozen=True)
class _Model:
    """One encoder with what it makes of the images."""

    encoder: Encoder
    card: ModelCard
    pictures: PictureSet


@dataclass(frozen=True)
class _Diagnosing:
    request: DiagnoseRequest
    settings: Settings
    hooks: Hooks

    def go(self) -> DiagnoseReport:
        if self.request.out is not None and not self.request.out.expanduser().absolute().parent.is_dir():
            raise BadValue(f"There is no folder for {self.request.out}.", "Make it, or give another --out.")
        names = [self.request.model] + ([self.request.against] if self.request.against is not None else [])
        models = [self._open(name) for name in names]
        if len(models) == 2:
            models = self._common(models)
        pictures = models[0].pictures
        if len(pictures.images) < 2:
            raise BadValue("Fewer than two images can be read with both encoders.", "Give more images.")
        self._say_sizes(pictures)
        places = sample(len(pictures.images), CHANGED).numpy()
        found, example = [], None
        for model in models:
            if self.hooks.stop():
                raise Interrupted("Stopped before everything was measured.", "The same command starts again.")
            one = self._diagnosed(model)
            changes, first = self._changed(model, places)
            example = example if example is not None else first
            found.append(replace(one, invariance=changes))
        report = self._report(models, found)
        if report.out is not None:
            self.hooks.working("Drawing the page", 0, 1)
            names = [name for name in (report.model, report.against) if name is not None]
            drawn = [Drawn(name, m.pictures, d) for name, m, d in zip(names, models, found, strict=True)]
            write_diagnosis(report.out, self._title(), drawn, self._facts(models), example, self._pictures)
        return report

    def _open(self, name: str) -> _Model:
        encoder, card = resolve_model(name, announce=self.hooks.say)
        embedding = Embedding(self.settings, self.hooks, self.request.gallery, self.request.workers)
        # Pictures are changed and shown, and both models are to look at the same ones: their files must be there.
        return _Model(encoder, card, picture_set(self.request.dataset, encoder, card, embedding, on_disk=True))

    def _common(self, models: list[_Model]) -> list[_Model]:
        """Both models on the images that both could read, in one order."""
        shared = set.intersection(*({image.path for image in one.pictures.images} for one in models))
        return [replace(one, pictures=one.pictures.only(shared)) for one in models]

    def _say_sizes(self, pictures: PictureSet) -> None:
        looked = len(pictures.images)
        if pictures.of > looked + pictures.failures:
            self.hooks.say(f"{looked:,} of {pictures.of:,} images are looked at: a sample, the same every time.")

    def _diagnosed(self, model: _Model) -> Diagnosis:
        pictures = model.pictures
        self.hooks.working(f"Measuring {model.card.name}", 0, 1)
        numbers = pictures.numbers if pictures.classes else None
        return diagnose(pictures.vectors, numbers, pictures.subclasses, seed=self.request.seed)

    def _changed(self, model: _Model, places: Ids) -> tuple[list[Changed], Pixels | None]:
        """What changes do to some pictures, and the input that the first of those gives."""
        spec = model.card.preprocessing
        pixels, read = [], []
        with DecodePool(self.request.workers or available_cores(), self.settings.limits, self.settings.plugins) as pool:
            jobs = [pool.submit(ReadFile(model.pictures.images[i].path, spec)) for i in places.tolist()]
            for place, job in zip(places.tolist(), jobs, strict=True):
                file = job.result()
                if file.pixels is not None:
                    pixels.append(file.pixels)
                    read.append(place)
        if not pixels:
            self.hooks.say("No picture can be read again now: what changes do to it is not measured.")
            return [], None
        runtime = runtime_of(model.encoder, model.card, self.settings)

        def before_each(number: int) -> None:
            if self.hooks.stop():
                raise Interrupted("Stopped before everything was measured.", "The same command starts again.")
            self.hooks.working(f"Changed pictures, {model.card.name}", number, len(LOOKS))

        changes = invariance(
            np.stack(pixels),
            np.array(read, np.int64),
            model.pictures.vectors,
            runtime.embed,
            looks=LOOKS,
            before_each=before_each,
            seed=self.request.seed,
        )
        return changes, pixels[0]

    def _title(self) -> str:
        """The dataset's own name, without the folders above it."""
        return Path(self.request.dataset).expanduser().absolute().name if self.request.dataset != GALLERY else GALLERY

    def _facts(self, models: list[_Model]) -> dict[str, str]:
        pictures = models[0].pictures
        facts = {f"Model{' beside' if n else ''}": _named(one.card) for n, one in enumerate(models)}
        labels = count(len(pictures.classes), "label") if pictures.classes else "none"
        return facts | {
            "Images": f"{len(pictures.images):,} of {pictures.of:,}; {pictures.failures:,} could not be read",
            "Labels": labels,
            "Seed": f"{self.request.seed}, of the intervals and of draws",
        }

    def _pictures(self, paths: list[bytes], side: int) -> dict[bytes, bytes]:
        return small_pictures(paths, self.settings, self.request.workers, side)

    def _report(self, models: list[_Model], found: list[Diagnosis]) -> DiagnoseReport:
        pictures, out = models[0].pictures, self.request.out
        return DiagnoseReport(
            dataset=self.request.dataset,
            model=models[0].card.name,
            against=models[1].card.name if len(models) == 2 else None,
            found=found[0],
            beside=found[1] if len(found) == 2 else None,
            classes=[shown(label) for label in pictures.classes],
            paths=[shown(os.fsdecode(image.path)) for image in pictures.images],
            of=pictures.of,
            unreadable=pictures.failures,
            out=None if out is None else out.expanduser().absolute(),
            seed=self.request.seed,
            fingerprint=models[0].card.fingerprint,
            ids=None if pictures.ids is None else pictures.ids.tolist(),
        )


def _named(card: ModelCard) -> str:
    return f"{card.name}, {card.dimension} dimensions, {card.fingerprint[:12]}"
