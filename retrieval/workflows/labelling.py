"""Labelling in a sitting: how far one is and what to do next, pages of images, and the answers that a person gives."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from retrieval.catalog import AUTOMATIC, PERSON, TRUSTED, Entry, Tally
from retrieval.core.errors import NoSuchPath, disk_full_is_said
from retrieval.core.settings import Settings
from retrieval.core.text import shown
from retrieval.core.types import Filters, Ids, ImageRecord
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.label_table import clean_label
from retrieval.workflows.labels import LabelReport

ENOUGH = 8
"""Images of a label, from which something can be learned: the fewest of which the grouped split (70, 15 and 15 of a
hundred) has one to choose by, one to prove with, and several to learn from."""

LEAST_LABELS = 2
"""Labels with ``ENOUGH`` images, from which a gallery can be taught: a single one can be confused with nothing."""

PAGE = 48
"""Images a page; the multiple of two, three, four, six and eight columns."""

RECENT = 9
"""How many of the last labels are at hand: as many as there are digits."""

NEXT_LABELS = 3
"""How many labels a piece of advice names."""

Step = Literal["index", "begin", "more", "teach", "done"]


@dataclass(frozen=True, slots=True)
class LastChange:
    """The newest change of labels that can be taken back.

    Attributes:
        operation: its number, for ``labels.undo``.
        kind: ``"set"``, ``"unset"``, ``"import"``, ``"folders"``, ``"automatic"`` or ``"carry"``.
        labels: the first of those that it gave, or else took away.
        distinct: how many there are in all.
        images: of how many images.
    """

    operation: int
    kind: str
    labels: tuple[str, ...]
    distinct: int
    images: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the labelling is.

    Attributes:
        images: in the gallery.
        labelled: of these, labelled by a person, a table or a folder.
        automatic: labelled automatically only.
        labels: (label, images), most frequent first.
        thin: those with fewer than ``ENOUGH``, the ones that lack least first: (label, images).
        step: what to do next. ``"index"``: there is no image. ``"begin"``: give two labels. ``"more"``: give the
            labels in ``missing`` more. ``"teach"``: there is enough. ``"done"``: and every image has a label.
        missing: (label, how many images more): with these the gallery can be taught. At most ``NEXT_LABELS``.
        last: what an undo would take back; None for nothing.
        recent: the labels that people gave last, newest first, and then the most frequent ones; at most ``RECENT``.
    """

    images: int
    labelled: int
    automatic: int
    labels: tuple[tuple[str, int], ...]
    thin: tuple[tuple[str, int], ...]
    step: Step
    missing: tuple[tuple[str, int], ...]
    last: LastChange | None
    recent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tile:
    """An image, as one labels it.

    Attributes:
        id: its number.
        name: of its file, as ``os.fsdecode`` gives it; empty where no file is left.
        labels: that somebody gave, in alphabetical order.
        automatic: (label, confidence) of an automatic one; None where there is none.
        offline: no file of it can be reached just now.
    """

    id: int
    name: str
    labels: tuple[str, ...]
    automatic: tuple[str, float] | None
    offline: bool


@dataclass(frozen=True, slots=True)
class Shelf:
    """Which images to look at. All conditions hold together.

    Attributes:
        show: all of them, those that nobody labelled, those with an automatic label, or those of ``label``.
        label: for ``"label"``.
        under: an absolute folder; empty for all.
    """

    show: Literal["all", "unlabelled", "automatic", "label"] = "unlabelled"
    label: str = ""
    under: str = ""

    def filters(self) -> Filters:
        """The same, as searches take it; ``"automatic"`` cannot be said in it and is not."""
        return Filters(
            labels=(self.label,) if self.show == "label" else (),
            under=(self.under,) if self.under else (),
            labelled=False if self.show == "unlabelled" else None,
        )


@dataclass(frozen=True, slots=True)
class TilePage:
    """A page of images.

    Attributes:
        tiles: at most ``PAGE``, in the order in which they were indexed.
        number: of the page, from 1.
        pages: how many there are, at least 1.
        total: images on all of them.
    """

    tiles: tuple[Tile, ...]
    number: int
    pages: int
    total: int


def progress(folder: Path, settings: Settings | None = None) -> Progress:
    """How far the labelling of a gallery is. Raises EmptyGallery where there is no gallery."""
    with Gallery(folder, settings) as gallery:
        space = gallery.catalog.spaces.live()
        if space is None:
            return Progress(0, 0, 0, (), (), "index", (), None)
        tally = gallery.catalog.tallies.tally(space.id)
        thin = tuple(sorted((one for one in tally.labels if one[1] < ENOUGH), key=lambda one: (-one[1], one[0])))
        step, missing = _next(tally, thin)
        recent = dict.fromkeys((*gallery.catalog.tallies.recent(RECENT), *(label for label, _ in tally.labels)))
        return Progress(
            images=tally.images,
            labelled=tally.labelled,
            automatic=tally.automatic,
            labels=tally.labels,
            thin=thin,
            step=step,
            missing=missing,
            last=_last(gallery),
            recent=tuple(recent)[:RECENT],
        )


def _next(tally: Tally, thin: Sequence[tuple[str, int]]) -> tuple[Step, tuple[tuple[str, int], ...]]:
    if not tally.images:
        return "index", ()
    lacking = tuple((label, ENOUGH - images) for label, images in thin)
    ready = len(tally.labels) - len(thin)
    if ready >= LEAST_LABELS:
        return ("done" if tally.labelled == tally.images else "teach"), lacking[:NEXT_LABELS]
    if len(tally.labels) < LEAST_LABELS:
        return "begin", lacking[:NEXT_LABELS]
    return "more", lacking[: LEAST_LABELS - ready]


def _last(gallery: Gallery) -> LastChange | None:
    found = gallery.catalog.labels.last_in_effect()
    if found is None:
        return None
    return LastChange(found.id, found.kind, *gallery.catalog.tallies.named(found.id, NEXT_LABELS))


def tile_page(folder: Path, shelf: Shelf, number: int = 1, settings: Settings | None = None) -> TilePage:
    """A page of the gallery's images; a number beyond the last page gives the last.

    Raises:
        EmptyGallery: nothing is indexed.
    """
    with Gallery(folder, settings) as gallery:
        ids = _on_shelf(gallery, shelf)
        pages = max(1, -(-len(ids) // PAGE))
        number = min(max(1, number), pages)
        some = ids[(number - 1) * PAGE : number * PAGE].tolist()
        return TilePage(_tiles(gallery, some), number, pages, len(ids))


def tiles(folder: Path, ids: Sequence[int], settings: Settings | None = None) -> tuple[Tile, ...]:
    """These images, in this order; those that are not known are left out. Raises EmptyGallery."""
    with Gallery(folder, settings) as gallery:
        return _tiles(gallery, ids)


def _on_shelf(gallery: Gallery, shelf: Shelf) -> Ids:
    ids = gallery.catalog.images.passing(gallery.live_space().id, shelf.filters())
    if shelf.show != "automatic":
        return ids
    marked = sorted({event.image_id for event in gallery.catalog.labels.standing(sources=[AUTOMATIC])})
    return np.intersect1d(ids, np.array(marked, np.int64))


def _tiles(gallery: Gallery, ids: Sequence[int]) -> tuple[Tile, ...]:
    records = gallery.catalog.images.records(ids)
    given: dict[int, set[str]] = {}
    automatic: dict[int, tuple[str, float]] = {}
    for event in gallery.catalog.labels.standing(ids):
        if event.source == AUTOMATIC:
            automatic[event.image_id] = (event.label, event.confidence or 0.0)
        else:
            given.setdefault(event.image_id, set()).add(event.label)
    return tuple(_tile(records[i], given.get(i, set()), automatic.get(i)) for i in ids if i in records)


def _tile(record: ImageRecord, given: set[str], automatic: tuple[str, float] | None) -> Tile:
    return Tile(
        id=record.id,
        name=os.path.basename(record.paths[0]) if record.paths else "",
        labels=tuple(sorted(given)),
        automatic=automatic,
        offline=all(file.offline or file.state != "present" for file in record.files),
    )


def answer(
    folder: Path, labels: Mapping[int, str], *, only: bool = False, settings: Settings | None = None
) -> LabelReport:
    """Say what images show, as a person: one operation, and one ``undo``. Automatic labels of these images go: they
    were questions, and these are the answers.

    Args:
        folder: the gallery's.
        labels: by image id; spaces around a label are left out.
        only: take all their other labels away as well.
        settings: from the environment by default.

    Raises:
        NoSuchPath: one of the images is not in the gallery; nothing was changed.
        BadValue: an empty label.
        GalleryBusy: another process is writing.
    """
    cleaned = {image_id: clean_label(label.strip()) for image_id, label in labels.items()}
    with disk_full_is_said(str(folder)), Gallery(folder, settings) as gallery, gallery.writing():
        _refuse_unknown(gallery, list(cleaned))
        sources = (AUTOMATIC, *(TRUSTED if only else ()))
        standing = gallery.catalog.labels.standing(list(cleaned), sources)
        gone = [e.id for e in standing if e.source == AUTOMATIC or e.label != cleaned[e.image_id]]
        entries = [Entry(image_id, label, PERSON) for image_id, label in cleaned.items()]
        change = gallery.catalog.labels.change("set", entries, gone)
        gallery.catalog.seal()
        return LabelReport(change.operation, change.added, change.unchanged, change.removed)


def take_away(
    folder: Path, image_ids: Sequence[int], label: str | None = None, settings: Settings | None = None
) -> LabelReport:
    """Say that images do not carry a label, whoever gave it; None stands for all their labels.

    Raises:
        NoSuchPath: one of the images is not in the gallery; nothing was changed.
        GalleryBusy: another process is writing.
    """
    with disk_full_is_said(str(folder)), Gallery(folder, settings) as gallery, gallery.writing():
        _refuse_unknown(gallery, image_ids)
        standing = gallery.catalog.labels.standing(image_ids)
        change = gallery.catalog.labels.change("unset", remove=[e.id for e in standing if label in (None, e.label)])
        gallery.catalog.seal()
        return LabelReport(change.operation, change.added, change.unchanged, change.removed)


def _refuse_unknown(gallery: Gallery, ids: Sequence[int]) -> None:
    unknown = sorted(set(ids) - gallery.catalog.images.records(ids).keys())
    if unknown:
        raise NoSuchPath(f"The gallery has no image {shown(str(unknown[0]))}.", "Open the page again.")
