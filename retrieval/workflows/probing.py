"""Probe an encoder: how well its frozen embeddings tell classes apart, by neighbours and by a linear classifier."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.core.errors import BadValue, Interrupted, RetrievalError
from retrieval.core.labelled import Labelled
from retrieval.core.settings import Settings, load_settings
from retrieval.core.types import Ids
from retrieval.datasets.checks import require_usable
from retrieval.datasets.parts import VAL
from retrieval.datasets.sides import CLASS_DISJOINT, GIVEN, GROUPED, natural_kind
from retrieval.evaluation.classified import Classified
from retrieval.evaluation.few_labels import DRAWS, SHARES, FewLabels, few_labels, labels_per_class
from retrieval.evaluation.knn import knn_accuracy
from retrieval.evaluation.linear_probe import ProbeResult, linear_probe
from retrieval.evaluation.vectors import LabelledVectors
from retrieval.functional.metrics import Interval
from retrieval.models.resolve import resolve_model
from retrieval.workflows.embedded_dataset import Embedding
from retrieval.workflows.evaluating import split_store
from retrieval.workflows.hooks import Hooks
from retrieval.workflows.words import count

__all__ = ["ProbeReport", "ProbeRequest", "probe"]

NEIGHBOURS = (1, 5, 20)
"""The k of the kNN accuracies."""

_STORE = "probe"


@dataclass(frozen=True)
class ProbeRequest:
    """What to probe, on what.

    Attributes:
        dataset: a folder of class folders (or of parts with class folders in them), a CSV, or ``gallery``.
        model: the encoder.
        gallery: the gallery's folder, for ``gallery``.
        workers: decoding processes.
        seed: of the draws of few labels and of the intervals; the split does not depend on it.
    """

    dataset: str
    model: str
    gallery: Path | None = None
    workers: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class ProbeReport:
    """What was measured.

    Attributes:
        model: the encoder's name.
        kind: of the split.
        train, test: images that were learned from and that were measured.
        classes: labels that were learned.
        excluded: test images whose label was not learned; left out of every figure.
        unreadable: images that could not be read.
        knn: answers by the number of neighbours.
        linear: the linear probe with all labels.
        few: the linear probe with shares of them.
        seed: of the first draw and of the intervals.
    """

    model: str
    kind: str
    train: int
    test: int
    classes: int
    excluded: int
    unreadable: int
    knn: dict[int, Classified]
    linear: ProbeResult
    few: tuple[FewLabels, ...]
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "model": self.model,
            "split": self.kind,
            "train": self.train,
            "test": self.test,
            "classes": self.classes,
            "excluded": self.excluded,
            "unreadable": self.unreadable,
            "seed": self.seed,
            "knn": {str(k): _interval(found.accuracy) for k, found in self.knn.items()},
            "linear": _probe(self.linear),
            "few_labels": [
                {
                    "share": one.share,
                    "labels_per_class": one.per_class,
                    "labels": one.labels,
                    "labels_share": one.labels / one.of,
                    **_interval(one.accuracy),
                    "draws": [{"seed": draw.seed, **_probe(draw.probe)} for draw in one.draws],
                }
                for one in self.few
            ],
        }


def probe(request: ProbeRequest, *, settings: Settings | None = None, hooks: Hooks | None = None) -> ProbeReport:
    """Embed, split and probe.

    Images that name their parts are split by them: the training part is learned from, the test part measured, a
    validation part left alone. Otherwise the grouped split of the dataset is taken, with its validation part among what
    is learned from (nothing is chosen on it): the one that training has stored, or else one of the probe's own, drawn
    once and kept.

    Raises:
        NoSuchPath, BadValue: the dataset cannot be used, or has too few labels.
        Interrupted: ``hooks.stop`` said so.
        ModelUnavailable, ModelDamaged, ModelUnsafe: see ``models.resolve_model``.
    """
    settings, hooks = settings or load_settings(), hooks or Hooks()
    encoder, card = resolve_model(request.model, announce=hooks.say)
    data = Embedding(settings, hooks, request.gallery, request.workers).dataset(request.dataset, encoder, card)
    require_usable(data.labelled)
    learned, measured, kind = _sides(request, data.labelled, settings, hooks)
    _require_enough(data.labelled, learned, measured)
    numbers = data.labelled.numbers
    train, test = (LabelledVectors(data.vectors[ids], numbers[ids], ids) for ids in (learned, measured))
    try:
        knn, linear, few = _measure(train, test, request.seed, hooks)
    except RetrievalError as error:
        if isinstance(error, Interrupted):
            raise
        raise BadValue(error.message, error.hint) from error
    return ProbeReport(
        model=card.name,
        kind=kind,
        train=len(learned),
        test=len(measured),
        classes=len(np.unique(train.numbers)),
        excluded=linear.classified.excluded,
        unreadable=len(data.failures),
        knn=knn,
        linear=linear,
        few=few,
        seed=request.seed,
    )


def _sides(request: ProbeRequest, labelled: Labelled, settings: Settings, hooks: Hooks) -> tuple[Ids, Ids, str]:
    """Places of the images to learn from and to measure, and the kind of the split."""
    trained = split_store(settings, request.dataset, request.gallery)
    own = split_store(settings, request.dataset, request.gallery, _STORE)
    kind = GIVEN if natural_kind(labelled) == GIVEN else GROUPED
    # A split that training has drawn knows which images no trained encoder has seen. One that is drawn here must not
    # be the first that training finds: it would take it for its own.
    split = (trained if kind in trained.kinds else own).split(labelled, kind)
    if kind == GROUPED and CLASS_DISJOINT in trained.kinds:
        hooks.say(
            "Encoders that were trained on this dataset have seen some of the test images: "
            "a class-disjoint split sets whole labels aside, a probe needs each label on both sides."
        )
    validates = split.val[[kind != GIVEN or labelled.images[i].part != VAL for i in split.val.tolist()]]
    return np.sort(np.concatenate([split.train, validates])), split.test, kind


def _require_enough(labelled: Labelled, learned: Ids, measured: Ids) -> None:
    numbers = labelled.numbers
    classes = len(np.unique(numbers[learned]))
    if classes < 2:
        raise BadValue(
            f"Only {count(classes, 'label')} among the {count(len(learned), 'image')} to learn from.",
            "A probe tells labels apart: label images of two or more.",
        )
    if not len(measured):
        raise BadValue(
            "No image is left to measure with: all are needed to learn from.",
            "Label more images: about seven a label leave one to measure with.",
        )
    if not np.isin(numbers[measured], numbers[learned]).any():
        raise BadValue(
            "None of the test images has a label that is learned.",
            "A probe needs the same labels in both parts; `retrieval evaluate` measures labels that were never seen.",
        )


def _measure(
    train: LabelledVectors, test: LabelledVectors, seed: int, hooks: Hooks
) -> tuple[dict[int, Classified], ProbeResult, tuple[FewLabels, ...]]:
    knn = {k: knn_accuracy(train, test, k=k, seed=seed) for k in NEIGHBOURS}
    _go_on(hooks, "The linear probe", 0, 1)
    linear = linear_probe(train, test, seed=seed)
    few = []
    for share in _shares(train, hooks):
        what = f"The linear probe with {share:.0%} of the labels"

        def before_each(number: int, what: str = what) -> None:
            _go_on(hooks, what, number, DRAWS)

        few.append(few_labels(train, test, share, seed=seed, before_each=before_each))
    return knn, linear, tuple(few)


def _shares(train: LabelledVectors, hooks: Hooks) -> list[float]:
    """The shares that are worth a draw: each with fewer labels than the one before."""
    kept: list[float] = []
    before = int(np.unique(train.numbers, return_counts=True)[1].max())
    for share in SHARES:
        each = labels_per_class(train.numbers, share)
        if each < before:
            kept.append(share)
        else:
            hooks.say(
                f"{share:.0%} of the {count(len(train), 'training label')} is not measured: it is less than one a "
                "label, and one a label is measured already."
            )
        before = min(before, each)
    return kept


def _go_on(hooks: Hooks, what: str, done: int, total: int) -> None:
    if hooks.stop():
        raise Interrupted("Stopped before everything was measured.", "The same command starts again.")
    hooks.working(what, done, total)


def _interval(found: Interval) -> dict[str, Any]:
    return asdict(found)


def _probe(found: ProbeResult) -> dict[str, Any]:
    return {**_interval(found.classified.accuracy), "penalty": found.penalty}
