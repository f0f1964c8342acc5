"""The retrieval tasks on which training is measured, and their embeddings, kept in the cache.

- flowers90, class-disjoint: the first half of the classes trains (its last fifth chooses), the second half proves,
  leave one out;
- omniglot, class-disjoint: characters of ``background`` train (the last fifth of them chooses), those of
  ``evaluation`` prove, leave one out; of every character the first eight drawings;
- grocery: its own parts; photos of ``test`` search among those of ``train`` (grocery) or among the studio shots
  (grocery-iconic); ``val`` against ``train`` chooses.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.core.labelled import Labelled, LabelledImage
from retrieval.core.settings import load_settings
from retrieval.core.types import Vectors
from retrieval.models.folder import load_encoder
from retrieval.workflows.embedding_sets import EmbeddedSet, embed_labelled, load_vectors, runtime_of, save_vectors
from tests.benchmarks.support import CACHE, unpacked

Ints = NDArray[np.int64]
OMNIGLOT_DRAWINGS = 8
EVERY = {"omniglot": 4}
"""Of omniglot every fourth background character trains or chooses: of all of them a head takes two minutes of the
processor, a few hundred times, and the whole encoder two cores six minutes an epoch. The proof is whole."""


@dataclass(frozen=True)
class Part:
    """Some images of a task: where they are, their embeddings by the start encoder, and their labels."""

    images: Sequence[LabelledImage]
    vectors: Vectors
    numbers: Ints


@dataclass(frozen=True)
class Task:
    """One way to train, to choose and to prove.

    Attributes:
        name: of the data set.
        train: what trains; class numbers 0 to C - 1.
        val: what chooses: searched within itself, or in ``train`` if ``val_in_train``.
        proofs: for each kind of proof its queries, and the database (None: the queries themselves, leave one out).
        val_in_train: see ``val``.
    """

    name: str
    train: Part
    val: Part
    proofs: dict[str, tuple[Part, Part | None]]
    val_in_train: bool


def tasks(model: Path) -> list[Task]:
    """All three, embedded with the encoder in a folder."""
    return [flowers(model), omniglot(model), grocery(model)]


def thinned(task: Task) -> Task:
    """The task with the classes that ``EVERY`` leaves it for training and choosing."""
    every = EVERY.get(task.name, 1)
    return task if every == 1 else replace(task, train=_some(task.train, every), val=_some(task.val, every))


def _some(part: Part, every: int) -> Part:
    """Every so many-th class, numbered anew."""
    rows = np.flatnonzero(part.numbers % every == 0)
    return Part([part.images[row] for row in rows], part.vectors[rows], part.numbers[rows] // every)


def flowers(model: Path) -> Task:
    """Class-disjoint flowers90."""
    images = _folder(unpacked("flowers90"))
    classes = sorted({image.label for image in images})
    half = len(classes) // 2
    return _disjoint("flowers90", model, images, classes[:half], classes[half:])


def omniglot(model: Path) -> Task:
    """Background characters against evaluation characters."""
    root = unpacked("omniglot")
    parts = [_folder(root / part, OMNIGLOT_DRAWINGS) for part in ("background", "evaluation")]
    classes = [sorted({image.label for image in part}) for part in parts]
    return _disjoint("omniglot", model, [*parts[0], *parts[1]], *classes)


def grocery(model: Path) -> Task:
    """Grocery photos: the same classes in all parts."""
    parts = {name: _folder(unpacked("grocery") / name) for name in ("train", "val", "test", "iconic")}
    names = sorted({image.label for part in parts.values() for image in part})
    made = {name: _part(f"grocery-{name}", model, images, names) for name, images in parts.items()}
    proofs: dict[str, tuple[Part, Part | None]] = {
        "grocery": (made["test"], made["train"]),
        "grocery-iconic": (made["test"], made["iconic"]),
    }
    return Task("grocery", made["train"], made["val"], proofs, val_in_train=True)


def _disjoint(name: str, model: Path, images: list[LabelledImage], learn: Sequence[str], prove: Sequence[str]) -> Task:
    choose = set(learn[len(learn) - len(learn) // 5 :])
    train = [image for image in images if image.label in set(learn) - choose]
    val = [image for image in images if image.label in choose]
    test = [image for image in images if image.label in set(prove)]
    parts = {
        part: _part(f"{name}-{part}", model, some, sorted({image.label for image in some}))
        for part, some in (("train", train), ("val", val), ("test", test))
    }
    return Task(name, parts["train"], parts["val"], {name: (parts["test"], None)}, val_in_train=False)


def _folder(folder: Path, each: int | None = None) -> list[LabelledImage]:
    images = []
    for directory in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(path for path in directory.iterdir() if path.suffix in (".jpg", ".png"))[:each]
        images += [LabelledImage(bytes(file), directory.name) for file in files]
    return images


def _part(name: str, model: Path, images: list[LabelledImage], names: Sequence[str]) -> Part:
    embedded = _embedded(name, model, Labelled(images, name))
    assert not embedded.failures
    numbers = np.array([names.index(image.label) for image in embedded.labelled.images], np.int64)
    return Part(embedded.labelled.images, embedded.vectors, numbers)


def _embedded(name: str, model: Path, labelled: Labelled) -> EmbeddedSet:
    encoder, card = load_encoder(model)
    folder = CACHE / "embeddings"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{card.fingerprint[:12]}.npz"
    kept = load_vectors(path, labelled, card.fingerprint)
    if kept is not None and len(kept.labelled) == len(labelled):
        return kept
    settings = load_settings()
    made = embed_labelled(labelled, runtime_of(encoder, card, settings), card.preprocessing, settings)
    save_vectors(path, made, card.fingerprint)
    return made
