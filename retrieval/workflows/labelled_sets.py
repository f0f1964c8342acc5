"""The datasets that commands take, with labels or without: a folder, a CSV, or the gallery itself."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from retrieval.core.errors import BadValue, NoSuchPath
from retrieval.core.labelled import UNLABELLED, Labelled, LabelledImage
from retrieval.core.types import EmbeddingSpace, Filters, Ids, Vectors
from retrieval.datasets.checks import Note, no_notes, require_pictures
from retrieval.datasets.folder import from_folder, pictures_in_folder
from retrieval.datasets.grouping import near_duplicate_groups
from retrieval.datasets.table import from_csv, pictures_in_csv
from retrieval.models.card import ModelCard
from retrieval.workflows.embedding_sets import EmbeddedSet
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.labels import SPLIT
from retrieval.workflows.words import count, verb

GALLERY = "gallery"


@dataclass(frozen=True)
class GallerySet:
    """The labelled images of a gallery.

    Attributes:
        labelled: with one label each: a person's before a CSV's before a folder's, the newest first.
        ids: [N] their ids in the gallery.
    """

    labelled: Labelled
    ids: Ids


def open_dataset(name: str, gallery: Gallery | None = None, *, note: Note = no_notes, alone: bool = True) -> Labelled:
    """The dataset that a user named.

    Args:
        name: a folder of class folders (or of parts ``train``, ``val``, ``test`` with class folders in them), a CSV
            with the columns ``path,label[,split]``, or ``gallery``.
        gallery: for ``gallery``.
        note: told about what is left out.
        alone: whether it must suffice to learn from; one half of queries and database need not.

    Raises:
        NoSuchPath: there is nothing at that path.
        BadValue: it holds no labels, or only one class.
        EmptyGallery: nothing is indexed.
    """
    if name == GALLERY and gallery is not None:
        return gallery_set(gallery, on_disk=True, note=note).labelled
    path = _existing(name, "Give a folder of class folders, a CSV with path,label, or the word gallery.")
    return from_folder(path, note, alone=alone) if path.is_dir() else from_csv(path, note, alone=alone)


def open_pictures(name: str, gallery: Gallery | None = None, *, note: Note = no_notes) -> Labelled:
    """The images that a user named, of all parts of a split; a label is ``UNLABELLED`` where there is none.

    Args:
        name: a folder, a CSV with the column ``path``, or ``gallery``: all its images.
        gallery: for ``gallery``.
        note: told about what is left out.

    Raises:
        NoSuchPath: there is nothing at that path.
        BadValue: it holds fewer than two images.
        EmptyGallery: nothing is indexed.
    """
    if name == GALLERY and gallery is not None:
        return gallery_pictures(gallery, note)
    path = _existing(name, "Give a folder with images, a CSV with a column path, or the word gallery.")
    return pictures_in_folder(path, note) if path.is_dir() else pictures_in_csv(path, note)


def _existing(name: str, hint: str) -> Path:
    path = Path(name).expanduser()
    if not os.path.lexists(path):
        raise NoSuchPath(f"There is no dataset {path}.", hint)
    return path


def gallery_set(gallery: Gallery, *, on_disk: bool = False, note: Note = no_notes) -> GallerySet:
    """The labelled images of a gallery, with the parts of a split that a table has given them.

    Args:
        gallery: opened.
        on_disk: leave out images none of whose files can be reached, as those of a drive that is not there.
        note: told how many those are.

    Raises:
        BadValue: fewer than two labels are in use.
        EmptyGallery: nothing is indexed.
    """
    gallery.live_space()
    label_of = gallery.catalog.labels.chosen()
    ids = np.array(sorted(label_of), np.int64)
    images, kept, away = _files(gallery, ids, label_of, on_disk=on_disk)
    if away:
        note(f"{count(away, 'labelled image')} cannot be reached now and {verb(away)} left out.")
    labelled = Labelled(images, f"the labels of {gallery.folder}")
    if len(labelled.classes) < 2:
        raise BadValue(
            f"The gallery {gallery.folder} has labels of {len(labelled.classes)} classes; training takes two or more.",
            "Label images with `retrieval labels set`, or take them from folder names with `retrieval labels import`.",
        )
    return GallerySet(labelled, np.array(kept, np.int64))


def gallery_pictures(gallery: Gallery, note: Note = no_notes) -> Labelled:
    """All images of a gallery that can be reached now, labelled or not, with the labels that ``gallery_set`` gives.

    Raises:
        BadValue: fewer than two images can be reached.
        EmptyGallery: nothing is indexed.
    """
    ids = gallery.catalog.images.passing(gallery.live_space().id, Filters())
    images, _, away = _files(gallery, ids, gallery.catalog.labels.chosen(), on_disk=True)
    if away:
        note(f"{count(away, 'image')} cannot be reached now and {verb(away)} left out.")
    pictures = Labelled(images, f"the gallery {gallery.folder}")
    require_pictures(pictures)
    return pictures


def _files(
    gallery: Gallery, ids: Ids, label_of: Mapping[int, str], *, on_disk: bool
) -> tuple[list[LabelledImage], list[int], int]:
    """Images with their files, the ids of those, and how many have no file that can be reached."""
    parts = gallery.catalog.splits.parts(SPLIT)
    images, kept, away = [], [], 0
    for start in range(0, len(ids), 1000):
        some = [int(i) for i in ids[start : start + 1000]]
        records = gallery.catalog.images.records(some)
        for image_id in some:
            record = records.get(image_id)
            if record is None or not record.paths:
                continue
            path = next((p for p in record.paths if os.path.exists(p)), None) if on_disk else record.paths[0]
            if path is None:
                away += 1
                continue
            digest, label = bytes.fromhex(record.digest), label_of.get(image_id, UNLABELLED)
            images.append(LabelledImage(os.fsencode(path), label, parts.get(digest), digest=digest))
            kept.append(image_id)
    return images, kept, away


def stored_vectors(gallery: Gallery, space: EmbeddingSpace, ids: Ids) -> tuple[Vectors, Ids]:
    """([n, D] sound vectors that the space holds, [n] places in ``ids`` of those): no image is decoded."""
    store = gallery.store(space)
    lost = store.missing(ids)
    damaged = np.concatenate([np.empty(0, np.int64), lost, *store.damaged(np.setdiff1d(ids, lost))])
    there = np.flatnonzero(~np.isin(ids, damaged))
    return store.read(ids[there]), there.astype(np.int64)


def embedded_gallery(
    gallery: Gallery, card: ModelCard, *, on_disk: bool = False, note: Note = no_notes
) -> EmbeddedSet | None:
    """The labelled images of a gallery with the vectors that its spaces hold; None where no space is the encoder's.

    Args:
        gallery: opened.
        card: of the encoder whose embeddings are wanted.
        on_disk, note: see ``gallery_set``; vectors alone do not suffice to train or measure another encoder.
    """
    space = next((s for s in gallery.catalog.spaces.all() if s.fingerprint == card.fingerprint), None)
    if space is None:
        return None
    found = gallery_set(gallery, on_disk=on_disk, note=note)
    vectors, there = stored_vectors(gallery, space, found.ids)
    images = [found.labelled.images[i] for i in there.tolist()]
    return EmbeddedSet(Labelled(grouped(gallery, images, found.ids[there]), found.labelled.source), vectors, [])


def grouped(gallery: Gallery, images: Sequence[LabelledImage], ids: Ids) -> list[LabelledImage]:
    """Images of a gallery with their groups of near-duplicates, by the perceptual hashes that the catalog holds.

    Args:
        gallery: opened.
        images: [n] of it.
        ids: [n] their ids in it.
    """
    phashes = gallery.catalog.images.phashes([int(i) for i in ids])
    groups = near_duplicate_groups(
        np.array([phashes[int(i)] for i in ids], np.int64), [image.digest for image in images]
    )
    sizes = np.bincount(groups, minlength=len(groups))
    return [
        replace(image, group=int(group) if sizes[group] > 1 else None)
        for image, group in zip(images, groups, strict=True)
    ]
