"""The images of a folder, a table or a gallery with their embeddings, whether they have labels or not."""

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from retrieval.core.errors import BadValue, NoSuchPath
from retrieval.core.labelled import Labelled, LabelledImage
from retrieval.core.types import EmbeddingSpace, Ids, Vectors
from retrieval.datasets.checks import Note, no_notes
from retrieval.datasets.folder import from_folder, images_below
from retrieval.datasets.table import from_csv
from retrieval.functional.diagnostics import sample
from retrieval.models.card import ModelCard
from retrieval.models.encoder import Encoder
from retrieval.workflows.embedded_dataset import Embedding
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.labelled_sets import GALLERY, stored_vectors

MOST = 10_000
"""Images that are looked at; of more, a sample, always the same."""

NO_LABEL = ""
"""The label of an image that has none."""


@dataclass(frozen=True)
class PictureSet:
    """Images with their embeddings.

    Attributes:
        images: whose label is ``NO_LABEL`` where they have none.
        vectors: [N, D] float32, unit norm, in the same order.
        classes: the labels, sorted.
        numbers: [N] class numbers, -1 for none.
        subclasses: [N] numbers of the sub-folders that the classes have, -1 for images without a label; None where
            none has two.
        of: how many images there are in all.
        failures: how many could not be read.
        ids: [N] of the gallery's images; None for others.
    """

    images: list[LabelledImage]
    vectors: Vectors
    classes: list[str]
    numbers: Ids
    subclasses: Ids | None
    of: int
    failures: int
    ids: Ids | None = None

    def only(self, paths: Collection[bytes]) -> "PictureSet":
        """The images with these paths, in the same order; classes keep their numbers."""
        rows = np.array([i for i, image in enumerate(self.images) if image.path in paths], np.int64)
        finer = None if self.subclasses is None else self.subclasses[rows]
        images = [self.images[i] for i in rows.tolist()]
        ids = None if self.ids is None else self.ids[rows]
        vectors, numbers = self.vectors[rows], self.numbers[rows]
        return replace(self, images=images, vectors=vectors, numbers=numbers, subclasses=finer, ids=ids)


def open_pictures(name: str, note: Note = no_notes) -> tuple[list[LabelledImage], Path | None]:
    """The images that a user named, and the folder whose class folders label them; None where none does.

    Args:
        name: a folder of class folders (or of parts with class folders in them), any other folder of images, or a CSV.
            Class folders count as labels where there are two or more and one holds two images or more.
        note: told about what is left out.

    Raises:
        NoSuchPath: there is nothing at that path.
        BadValue: it holds no image.
    """
    path = Path(name).expanduser()
    if not os.path.lexists(path):
        raise NoSuchPath(f"There is no folder {path}.", "Give a folder of images, or the word gallery.")
    if not path.is_dir():
        return list(from_csv(path, note, alone=False).images), None
    heard: list[str] = []
    try:
        labelled: Labelled | None = from_folder(path, heard.append, alone=False)
    except BadValue:
        labelled = None
    if labelled is not None and 1 < len(labelled.classes) < len(labelled):
        for line in heard:
            note(line)
        return list(labelled.images), path
    images = [LabelledImage(found, NO_LABEL) for found in images_below(path, note)]
    if not images:
        raise BadValue(f"There is no image in {path}.", "Give a folder with images in it, at any depth.")
    return images, None


def picture_set(name: str, encoder: Encoder, card: ModelCard, embedding: Embedding, *, on_disk: bool) -> PictureSet:
    """The images that a user named with their embeddings; at most ``MOST`` of them.

    Args:
        name: as for ``open_pictures``, or ``gallery``: its images, with or without a label.
        encoder, card: embed what no gallery holds.
        embedding: knows the gallery, the settings and whom to tell.
        on_disk: leave out images of the gallery whose files cannot be reached now.

    Raises:
        NoSuchPath, BadValue, EmptyGallery: there is nothing to look at, or fewer than two images.
        Interrupted: ``hooks.stop`` said so.
    """
    if name == GALLERY:
        return _of_gallery(encoder, card, embedding, on_disk)
    images, root = open_pictures(name, embedding.hooks.say)
    return _embedded(images, root, encoder, card, embedding)


def _embedded(
    images: list[LabelledImage], root: Path | None, encoder: Encoder, card: ModelCard, embedding: Embedding
) -> PictureSet:
    chosen = [images[i] for i in sample(len(images), MOST).tolist()]
    made = embedding.labelled(Labelled(chosen, "the images"), encoder, card)
    return _put_together(list(made.labelled.images), made.vectors, root, len(images), len(made.failures))


def _of_gallery(encoder: Encoder, card: ModelCard, embedding: Embedding, on_disk: bool) -> PictureSet:
    with embedding.opened() as gallery:
        live = gallery.live_space()
        space = next((s for s in gallery.catalog.spaces.all() if s.fingerprint == card.fingerprint), None)
        ids = gallery.catalog.spaces.findable((space or live).id)[0]
        chosen = ids[sample(len(ids), MOST).numpy()]
        images, kept = _images(gallery, chosen, on_disk, embedding)
        if space is not None:
            vectors, there = _stored(gallery, space, kept)
            found = _put_together([images[i] for i in there.tolist()], vectors, None, len(ids), 0)
            return replace(found, ids=kept[there])
    made = _embedded(images, None, encoder, card, embedding)
    return replace(made, of=len(ids))


def _stored(gallery: Gallery, space: EmbeddingSpace, ids: Ids) -> tuple[Vectors, Ids]:
    vectors, there = stored_vectors(gallery, space, ids)
    # Stored as half floats: what is computed here takes unit norm at its word.
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / norms, np.float32), there


def _images(gallery: Gallery, ids: Ids, on_disk: bool, embedding: Embedding) -> tuple[list[LabelledImage], Ids]:
    """The images at these ids, and the ids of those that have a file."""
    label_of = gallery.catalog.labels.chosen()
    images, kept, away = [], [], 0
    for start in range(0, len(ids), 1000):
        some = [int(i) for i in ids[start : start + 1000]]
        records = gallery.catalog.images.records(some)
        for image_id in some:
            paths = records[image_id].paths if image_id in records else ()
            path = next((p for p in paths if not on_disk or os.path.exists(p)), None)
            if path is None:
                away += 1
                continue
            images.append(LabelledImage(os.fsencode(path), label_of.get(image_id, NO_LABEL)))
            kept.append(image_id)
    if away:
        embedding.hooks.say(f"{away:,} of {len(ids):,} images cannot be reached now and are left out.")
    return images, np.array(kept, np.int64)


def _put_together(images: list[LabelledImage], vectors: Vectors, root: Path | None, of: int, bad: int) -> PictureSet:
    if len(images) < 2:
        raise BadValue(f"{len(images)} image cannot be compared with others.", "Give a folder with more images in it.")
    classes = sorted({image.label for image in images} - {NO_LABEL})
    number = {label: n for n, label in enumerate(classes)}
    numbers = np.array([number.get(image.label, -1) for image in images], np.int64)
    return PictureSet(images, vectors, classes, numbers, _subclasses(images, numbers, root), of, bad)


def _subclasses(images: list[LabelledImage], numbers: Ids, root: Path | None) -> Ids | None:
    """Numbers of the folders that hold the images, within their classes; None where no class has two."""
    if root is None:
        return None
    found = [(n, os.path.dirname(image.path)) for n, image in zip(numbers.tolist(), images, strict=True)]
    # The same folder below two parts (train/pear/ripe, test/pear/ripe) is one sub-class.
    below = [_below_class(folder, images[i].label) for i, (_, folder) in enumerate(found)]
    names = sorted({(n, sub) for (n, _), sub in zip(found, below, strict=True)})
    if len({n for n, _ in names}) == len(names):
        return None
    place = {name: i for i, name in enumerate(names)}
    return np.array([place[n, sub] for (n, _), sub in zip(found, below, strict=True)], np.int64)


def _below_class(folder: bytes, label: str) -> bytes:
    """What follows the class's own folder in a path."""
    parts = folder.split(os.sep.encode())
    last = len(parts) - 1 - parts[::-1].index(os.fsencode(label)) if os.fsencode(label) in parts else len(parts) - 1
    return os.sep.encode().join(parts[last + 1 :])
