"""Classifiers in runs: labels for views, answers for image files, and a fine-tuned run as a teacher."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from retrieval.core.errors import BadValue, ModelDamaged, RetrievalError
from retrieval.core.labelled import Labelled
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import Settings
from retrieval.core.types import Ids, Pixels, Vectors
from retrieval.datasets.sides import CLASS_DISJOINT, GROUPED, natural_kind
from retrieval.datasets.view_sources import ViewSource
from retrieval.evaluation.classified import classified
from retrieval.functional.batch import Batch
from retrieval.models.card import ModelCard
from retrieval.models.classifier import Classifier, classifier_layer
from retrieval.models.folder import load_encoder
from retrieval.models.weights import load_strictly, read_safetensors
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.labelled_sets import GALLERY, open_dataset
from retrieval.workflows.live_index import Say
from retrieval.workflows.proven_run import ProvenRun
from retrieval.workflows.run_folder import METHOD, RECIPE, RunFolder
from retrieval.workflows.words import count

CLASSIFIER = "classifier."
"""Before the names of a classifier's tensors in ``METHOD``."""


class WithLabels:
    """A source of views with the labels of its examples.

    Args:
        source: of the views.
        numbers: [N] class number of each example; -1 for none.
    """

    def __init__(self, source: ViewSource, numbers: Ids) -> None:
        self._source, self._numbers = source, torch.from_numpy(np.asarray(numbers, np.int64))

    def steps(self, epoch: int) -> int:
        """Batches in an epoch."""
        return self._source.steps(epoch)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from number ``start`` on."""
        batches = self._source.batches(epoch, start)
        try:
            for batch in batches:
                yield batch._replace(labels=self._numbers[batch.ids])
        finally:
            # The threads of the source end with the epoch, not whenever it is collected.
            if hasattr(batches, "close"):
                batches.close()

    def describe(self, ids: Tensor) -> list[str]:
        """What these examples are called."""
        return self._source.describe(ids)


@dataclass(frozen=True)
class Answers:
    """A classifier in the place of an encoder: where that gives an embedding, it gives logits.

    Attributes:
        classifier: on the CPU, in eval mode.
        spec: of its encoder.
        batch, parallel_calls: see ``embedding_sets.Embeds``.
    """

    classifier: nn.Module
    spec: Preprocessing
    batch: int = 32
    parallel_calls: int = 1

    def embed(self, pixels: Pixels) -> Vectors:
        """[n, S, S, 3] uint8 to [n, C] logits."""
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.spec.mean, self.spec.std))
        images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            logits: Vectors = self.classifier((images - mean) / std).numpy()
        return logits


@dataclass(frozen=True)
class Teacher:
    """What ``retrieval finetune`` has made.

    Attributes:
        classifier: encoder and linear layer.
        card: of the encoder.
        classes: the labels, by number.
    """

    classifier: Classifier
    card: ModelCard
    classes: list[str]


def classifier_of(folder: Path) -> Teacher:
    """The classifier of a fine-tuned run.

    Raises:
        NoSuchPath: there is no such run.
        BadValue: the run has no classifier.
        ModelDamaged, ModelUnsafe, ModelUnavailable: see ``models.load_encoder``.
    """
    run = RunFolder(folder)
    said = run.read(RECIPE)
    classes = said.get("classes") if isinstance(said, dict) else None
    if not isinstance(classes, list) or not (folder / METHOD).is_file():
        raise BadValue(
            f"The run {folder} has no classifier.", "Make one with `retrieval finetune`, or leave --labels out."
        )
    encoder, card = load_encoder(run.encoder)
    tensors = read_safetensors(folder / METHOD)
    own = {name.removeprefix(CLASSIFIER): value for name, value in tensors.items() if name.startswith(CLASSIFIER)}
    if "weight" not in own or len(own["weight"]) != len(classes):
        raise ModelDamaged(f"{folder / METHOD} holds no classifier of {len(classes)} classes.", "Fine-tune again.")
    layer = classifier_layer(encoder.dimension, len(classes))
    load_strictly(layer, own, str(folder / METHOD))
    return Teacher(Classifier(encoder, layer).eval().requires_grad_(False), card, [str(name) for name in classes])


def accuracy_of(
    classifier: nn.Module,
    card: ModelCard,
    images: Labelled,
    numbers: Ids,
    shown: Ids,
    around: ProvenRun,
    *,
    seed: int,
) -> dict[str, Any]:
    """How many image files a classifier names rightly.

    Args:
        classifier: images to logits, on the CPU, in eval mode.
        card: of its encoder.
        images: held out.
        numbers: [N] the class of each, as the classifier numbers them.
        shown: the classes that it has learned; images of others are left out and counted.
        around: of the run.
        seed: of the interval.

    Returns:
        JSON-ready: ``accuracy`` with its 95 % interval, None where no image is of a class that was shown.

    Raises:
        BadValue: an image cannot be read any more.
    """
    answers = around.embed(Answers(classifier, card.preprocessing), card, images, "Classifying")
    if answers.failures:
        raise BadValue("Images of the dataset changed or vanished during the training.", "Train again.")
    answerable = np.isin(numbers, shown)
    said = {"queries": int(answerable.sum()), "excluded": int((~answerable).sum())}
    try:
        found = classified(answers.vectors.argmax(axis=1), numbers, answerable, seed).accuracy
    except RetrievalError:
        return said | {"accuracy": None}
    return said | {"accuracy": {"mean": found.mean, "low": found.low, "high": found.high}}


def in_words(classification: Mapping[str, Any]) -> str:
    """The accuracy with its interval, and on what it rests, for people."""
    accuracy = classification["accuracy"]
    if accuracy is None:
        return "not measured: no held-out image is of a class that was shown"
    interval = f"{accuracy['low']:.3f} to {accuracy['high']:.3f}"
    return f"accuracy {accuracy['mean']:.3f} ({interval}) on {count(classification['queries'], 'held-out image')}"


def labelled_dataset(name: str, folder: Path | None, settings: Settings, say: Say) -> Labelled:
    """The labelled dataset that a user named; ``folder`` is the gallery's. Raises as ``labelled_sets.open_dataset``."""
    if name != GALLERY:
        return open_dataset(name, note=say)
    if folder is None:
        raise BadValue("The dataset `gallery` needs a gallery.", "Give it with --gallery DIR.")
    with Gallery(folder, settings) as gallery:
        return open_dataset(GALLERY, gallery, note=say)


def split_kind(labelled: Labelled, wanted: str) -> str:
    """The kind of split for a classifier: what is wanted, else the given one, else ``grouped``, so that it is measured
    on classes that it has learned."""
    kind = natural_kind(labelled) if wanted == "auto" else wanted
    return GROUPED if kind == CLASS_DISJOINT and wanted == "auto" else kind
