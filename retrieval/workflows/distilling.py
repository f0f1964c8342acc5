"""Distil a smaller encoder from a frozen teacher: what it lays out where, and with labels what it answers.

Without labels the student takes over the teacher's embeddings and their similarities (``feature_distillation``). With
labels and a teacher that has a classifier it then takes over its answers too, the third stage of SimCLRv2: Chen et al.,
"Big Self-Supervised Models are Strong Semi-Supervised Learners", NeurIPS 2020: https://arxiv.org/abs/2006.10029
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.core.errors import BadValue
from retrieval.core.labelled import UNLABELLED, Labelled, Split
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import Settings, available_cores, load_settings
from retrieval.core.types import Ids
from retrieval.datasets.checks import require_usable
from retrieval.datasets.prepared import Prepared
from retrieval.datasets.sides import KINDS
from retrieval.datasets.view_sources import ViewSource
from retrieval.methods.distillation import Distillation
from retrieval.mining.shuffled import Shuffled
from retrieval.models.batch_augment import BatchAugment
from retrieval.models.card import ModelCard
from retrieval.models.classifier import Classifier
from retrieval.models.encoder import Encoder
from retrieval.models.folder import load_encoder
from retrieval.models.resolve import resolve_model
from retrieval.models.threads import torch_threads
from retrieval.training.loop import Fitted
from retrieval.workflows.classifying import (
    Teacher,
    WithLabels,
    accuracy_of,
    classifier_of,
    in_words,
    labelled_dataset,
    split_kind,
)
from retrieval.workflows.fit_part import fit_part, in_precision
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.labelled_sets import GALLERY, open_pictures
from retrieval.workflows.live_index import Say
from retrieval.workflows.methods_at_work import build_method, learned_beside
from retrieval.workflows.prepared_pictures import prepared_pictures
from retrieval.workflows.pretrain_request import PretrainReport
from retrieval.workflows.proven_run import ProvenRun
from retrieval.workflows.recipes import ViewRecipe
from retrieval.workflows.run_folder import METHOD, RunFolder
from retrieval.workflows.run_time import RunTime
from retrieval.workflows.saving import save_result
from retrieval.workflows.seen_contents import contents, count_seen
from retrieval.workflows.train_request import TrainingHooks, TrainReport
from retrieval.workflows.view_run import ViewRun

FEATURES = "features"
"""Folder, within a run with labels, of the part without them: a run of its own."""

TITLE = "The teacher's answers"


@dataclass(frozen=True)
class DistilRequest:
    """What to distil, from what, and where to.

    Attributes:
        teacher: a run's folder, an encoder folder, or a timm name; with ``labels`` the folder of a fine-tuned run.
        student: a timm name, ``untrained:BACKBONE``, or an encoder folder; takes the teacher's pictures; with
            ``views_kept`` a folder may have a way of its own, such as smaller ones.
        dataset: a folder, a CSV with the column ``path``, or ``gallery``; its labels only measure, unless the recipe
            of the features learns them.
        features: recipe of the part that needs no labels.
        out: the run's folder.
        labels: a labelled dataset, for the second part; None: there is none.
        answers: recipe of the second part.
        gallery: the gallery's folder, where a dataset is ``gallery``.
        split: of ``labels``; see ``FinetuneRequest``.
        workers: decoding processes.
        resume: go on with the run that is in ``out``.
    """

    teacher: str
    student: str
    dataset: str
    features: ViewRecipe
    out: Path
    labels: str | None = None
    answers: ViewRecipe | None = None
    gallery: Path | None = None
    split: str = "auto"
    workers: int | None = None
    resume: bool = False


def distil(
    request: DistilRequest, *, settings: Settings | None = None, hooks: TrainingHooks | None = None
) -> PretrainReport | TrainReport:
    """Train, measure or prove, and save.

    Returns:
        Without labels what ``pretrain`` reports; with labels what ``train`` does, on the test part of ``labels``, with
        ``metrics["classification"]`` and ``metrics["teacher_classification"]``. The part without labels is then a run
        of its own in the folder ``features``.

    Raises:
        NoSuchPath, BadValue: a dataset, the teacher, the student or the folder cannot be used.
        TrainingFailed, Interrupted, DiskFull: see ``training.train``.
        ModelUnavailable, ModelDamaged, ModelUnsafe: see ``models.resolve_model``.
    """
    if request.split not in (*KINDS, "auto"):
        raise BadValue(f"There is no split {request.split!r}.", f"Use one of: {', '.join(KINDS)}, auto.")
    run, hooks, settings = RunFolder(request.out), hooks or TrainingHooks(), settings or load_settings()
    with run.going(request.resume, hooks.say), torch_threads(settings.threads):
        time = RunTime(run, request.resume)
        with time.ticking(hooks) as ticking:
            made = _Distilling(request, run, settings, ticking, time)
            return made.features(run, time) if request.labels is None else made.answers(request.labels)


@dataclass
class _Distilling:
    request: DistilRequest
    run: RunFolder
    settings: Settings
    hooks: TrainingHooks
    time: RunTime

    def features(self, run: RunFolder, time: RunTime) -> PretrainReport:
        """The part without labels, into ``run``, whose clock is ``time``."""
        teacher, teacher_card = resolve_model(_encoder_of(self.request.teacher), announce=self.hooks.say)
        kept = self.request.features.views_kept > 0
        student, card = student_like(self.request.student, teacher_card.preprocessing, self.hooks.say, own_way=kept)
        made = ViewRun(
            run,
            self.request.features,
            self.request.dataset,
            f"distilled from {teacher_card.name} {teacher_card.fingerprint[:12]} {_labels(self.request.features)}",
            self.settings,
            self.hooks,
            time,
            self.request.workers,
            resume=self.request.resume,
            handed={} if kept else {"teacher": teacher},
            teacher=(teacher, teacher_card) if kept else None,
            more={"teacher": {"name": teacher_card.name, "fingerprint": teacher_card.fingerprint}},
        )
        return made.go(self._pictures, student, card)

    def answers(self, labels: str) -> TrainReport:
        """Both parts, and the proof on the test part of the labels."""
        request = self.request
        teacher = classifier_of(Path(request.teacher).expanduser())
        given = labelled_dataset(labels, request.gallery, self.settings, self.hooks.say)
        require_usable(given)
        unknown = sorted(set(given.classes) - set(teacher.classes))
        if unknown:
            raise BadValue(
                f"The teacher does not know {len(unknown)} of the labels in {labels}, such as {unknown[0]!r}.",
                "Give the labels that it was fine-tuned with.",
            )
        part = RunFolder(self.run.folder / FEATURES)
        with part.going(request.resume, lambda _: None):
            self._part(part)
        return self._second(labels, given, teacher, part)

    def _part(self, part: RunFolder) -> None:
        """``features`` as a run of its own within this one: both clocks tick."""
        time = RunTime(part, self.request.resume)
        with time.ticking(self.hooks) as ticking:
            replace(self, hooks=ticking).features(part, time)

    def _second(self, labels: str, given: Labelled, teacher: Teacher, part: RunFolder) -> TrainReport:
        request, recipe = self.request, self.request.answers
        assert recipe is not None
        around = ProvenRun(
            self.run, labels, request.gallery, self.settings, self.hooks, self.time, request.workers, request.resume
        )
        start, start_card = load_encoder(part.encoder)
        data = around.before(start, start_card, given)
        labelled = data.labelled
        split = around.split(labelled, split_kind(labelled, request.split), recipe.loop.seed)
        numbers = _numbers(labelled, teacher.classes)
        taught = {"name": teacher.card.name, "fingerprint": teacher.card.fingerprint}
        around.remember(recipe, start_card, labelled, split, teacher=taught, classes=teacher.classes)
        prepared = self._both(labelled, split, start_card)
        student, _ = load_encoder(part.encoder)
        method, fitted = self._fit(recipe, student, start_card, prepared, teacher)
        words = f"distilled from the answers of {teacher.card.name} {teacher.card.fingerprint[:12]}"
        saved = save_result(self.run, student, start_card, start_card, recipe.name, words, again=request.resume)
        after = around.after(student, saved, labelled)
        test, shown = split.test, numbers[split.train]
        own, theirs = (
            accuracy_of(classifier, card, labelled.subset(test), numbers[test], shown, around, seed=split.seed)
            for classifier, card in (
                (Classifier(student, method.classifier), saved),
                (teacher.classifier, teacher.card),
            )
        )
        return around.proven(
            recipe,
            data,
            after,
            split,
            [(TITLE, fitted)],
            start_card,
            saved,
            more={
                "classification": own,
                "teacher_classification": theirs,
                "teacher": taught,
                "seen_without_labels": count_seen(labelled, test, contents(prepared.labelled)),
            },
            facts={"Classification": in_words(own), "The teacher's": in_words(theirs)},
        )

    def _fit(
        self, recipe: ViewRecipe, student: Encoder, card: ModelCard, prepared: Prepared, teacher: Teacher
    ) -> tuple[Distillation, Fitted]:
        spec, resume = card.preprocessing, self.request.resume
        handed: Mapping[str, Any] = {"classes": len(teacher.classes), "teacher_classifier": teacher.classifier}
        method = build_method(recipe, student, len(prepared), **handed)
        assert isinstance(method, Distillation)
        sampler = Shuffled(len(prepared), min(recipe.batch_size, len(prepared)), recipe.loop.seed)
        augment = BatchAugment(recipe.views_at(recipe.view_size or spec.input_size), spec.mean, spec.std)
        source = ViewSource(prepared, sampler, augment, recipe.loop.seed, available_cores())
        fitted = fit_part(
            TITLE,
            method,
            WithLabels(source, _numbers(prepared.labelled, teacher.classes)),
            in_precision(recipe.loop, self.settings),
            run=self.run,
            folder=self.run.folder,
            resume=resume,
            hooks=self.hooks,
        )
        method.cpu().eval().requires_grad_(False)
        self.run.write_bytes(METHOD, learned_beside(method))
        return method, fitted

    def _both(self, labelled: Labelled, split: Split, card: ModelCard) -> Prepared:
        """The training part with its labels, and all other images without, each once."""
        train = labelled.subset(split.train).images
        known = {image.path for image in train}
        others = [replace(image, label=UNLABELLED) for image in self._pictures.images if image.path not in known]
        return prepared_pictures(
            Labelled([*train, *others], f"{labelled.source} and {self.request.dataset}"),
            card.preprocessing,
            self.settings,
            self.hooks,
            workers=self.request.workers,
            needs_labels=False,
        )

    @cached_property
    def _pictures(self) -> Labelled:
        request = self.request
        if request.dataset != GALLERY:
            return open_pictures(request.dataset, note=self.hooks.say)
        if request.gallery is None:
            raise BadValue("The dataset `gallery` needs a gallery.", "Give it with --gallery DIR.")
        with Gallery(request.gallery, self.settings) as gallery:
            return open_pictures(GALLERY, gallery, note=self.hooks.say)


def student_like(name: str, spec: Preprocessing, say: Say, *, own_way: bool = False) -> tuple[Encoder, ModelCard]:
    """The student that a user named, for the pictures of a teacher: both see the same pixels.

    Args:
        name: as in ``DistilRequest``.
        spec: the teacher's.
        say: told about downloads.
        own_way: an encoder folder may make its pictures in another way, such as smaller ones.

    Raises:
        BadValue: an encoder folder whose pictures are made in another way, where that is not allowed.
        NoSuchPath, ModelUnavailable, ModelDamaged, ModelUnsafe: see ``models.resolve_model``.
    """
    student, card = resolve_model(name, announce=say, like=spec)
    own = card.preprocessing
    if not own_way and (own.input_size, own.mean, own.std) != (spec.input_size, spec.mean, spec.std):
        raise BadValue(
            f"{card.name} takes pictures of {own.input_size} pixels with mean {own.mean} and std {own.std}; the "
            f"teacher's have {spec.input_size}, {spec.mean} and {spec.std}.",
            "Make one with the teacher's: `retrieval model create --input-size ... --mean ... --std ...`; or keep the "
            "teacher's answers with --set views_kept=8, then it may differ.",
        )
    return student, card


def _labels(recipe: ViewRecipe) -> str:
    return "with labels" if recipe.learns_labels else "without labels"


def _encoder_of(teacher: str) -> str:
    """What ``models.resolve_model`` takes: of a run its encoder."""
    run = RunFolder(Path(teacher).expanduser())
    return str(run.encoder.absolute()) if run.encoder.is_dir() else teacher


def _numbers(labelled: Labelled, classes: list[str]) -> Ids:
    """[N] the teacher's class number of each image; -1 without a label."""
    number = {label: i for i, label in enumerate(classes)}
    return np.array([number.get(image.label, -1) for image in labelled.images], np.int64)
