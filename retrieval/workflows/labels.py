"""Teaching a gallery labels: from tables, folder names and people; taking them back; offering them to saved copies."""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.catalog import (
    AUTOMATIC,
    CSV,
    FOLDER,
    PERSON,
    TRUSTED,
    Catalog,
    Change,
    Entry,
    Operation,
    deepest,
    inside,
)
from retrieval.catalog.membership import folder_label
from retrieval.core.errors import BadValue, NoSuchPath, disk_full_is_said
from retrieval.core.settings import Settings
from retrieval.core.text import shown
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.label_table import clean_label, read_labels, write_labels

_CHUNK = 1_000
_COLUMNS = ("path", "label", "split", "source", "confidence")
SPLIT = "labels"
"""The name under which splits of imported tables are kept."""

_NEAR_BITS = 4
"""Most bits of 64 in which the perceptual hashes of a picture and its re-saved copy differ. Of 600 photos of
caltech101, flowers90 and grocery, saved again as JPEG of quality 60 or 80 or scaled by half, at least 99.8 % stay
within 4 bits; no other photo among them came as near."""

_TELLING_BITS = 8
"""A hash with fewer bits set, or fewer not set, is that of an even picture, and says nothing."""


@dataclass(frozen=True, slots=True)
class LabelReport:
    """What teaching labels did.

    Attributes:
        operation: its number, for ``undo``; None where nothing had to be changed.
        added: labels that were given.
        unchanged: that stood already.
        removed: that were taken away.
        unknown: paths of which the gallery has no image, as ``os.fsdecode`` gives them.
        split: contents that were given to a part of the split now; what had one keeps it.
    """

    operation: int | None
    added: int
    unchanged: int
    removed: int
    unknown: tuple[str, ...] = ()
    split: int = 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class LabelCount:
    """A label, and how many images carry it, in all and by source."""

    label: str
    images: int
    sources: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Offer:
    """Labels of an image that has no file any more, for one that looks the same: probably it was saved again.

    Attributes:
        image_id, path: the image that would get them.
        labels: from people and tables.
        old_id: the image that has them.
        bits: in which their perceptual hashes differ, of 64.
    """

    image_id: int
    path: str
    labels: tuple[str, ...]
    old_id: int
    bits: int


def import_csv(folder: Path, table: Path, settings: Settings | None = None) -> LabelReport:
    """Give the labels of a CSV table, ``path,label[,split]``; paths are relative to the table.

    Labels that other sources gave stay. A split is kept by content, under the name ``SPLIT``, and never redrawn.

    Raises:
        NoSuchPath: there is no such file, or not one of its paths is in the gallery.
        BadValue: it is no such table.
        GalleryBusy: another process is writing.
    """
    rows = read_labels(table)
    with disk_full_is_said(str(folder)), Gallery(folder, settings) as gallery, gallery.writing():
        images = image_ids(gallery.catalog, [row.path for row in rows])
        known = [row for row in rows if row.path in images]
        if rows and not known:
            raise NoSuchPath(
                f"None of the {len(rows):,} paths in {shown(str(table))} is in the gallery; the first is "
                f"{shown(os.fsdecode(rows[0].path), 160)}.",
                "Paths are taken relative to the folder of the table; index the images first.",
            )
        parts = _parts(gallery.catalog, {images[row.path]: row.part for row in known if row.part})
        change = gallery.catalog.labels.change("import", [Entry(images[row.path], row.label, CSV) for row in known])
        split = gallery.catalog.splits.add(SPLIT, parts)
        gallery.catalog.seal()
        unknown = dict.fromkeys(os.fsdecode(row.path) for row in rows if row.path not in images)
        return _report(change, tuple(unknown), split)


def _parts(catalog: Catalog, parts: dict[int, str]) -> dict[bytes, str]:
    records = catalog.images.records(list(parts))
    return {bytes.fromhex(record.digest): parts[image_id] for image_id, record in records.items()}


def import_folders(folder: Path, under: Sequence[Path] = (), settings: Settings | None = None) -> LabelReport:
    """Label images with the names of the folders that hold them, also where such a label was taken away before.

    Indexing does this for new images by itself; this brings back what was undone.

    Args:
        folder: the gallery's.
        under: only files in these folders; none means all.
        settings: from the environment by default.

    Raises:
        GalleryBusy: another process is writing.
    """
    wanted = [os.path.abspath(os.fsencode(path)) for path in under]
    with disk_full_is_said(str(folder)), Gallery(folder, settings) as gallery, gallery.writing():
        entries = []
        for root in gallery.catalog.roots.all():
            for image_id, relpath in gallery.catalog.files.images_below(root.id):
                label = folder_label(relpath)
                path = os.path.join(root.path, relpath)
                if label is not None and (not wanted or any(inside(path, one) for one in wanted)):
                    entries.append(Entry(image_id, label, FOLDER))
        change = gallery.catalog.labels.change("folders", entries)
        gallery.catalog.seal()
        return _report(change)


def set_label(
    folder: Path,
    images: Sequence[str | int],
    label: str,
    *,
    remove: bool = False,
    only: bool = False,
    settings: Settings | None = None,
) -> LabelReport:
    """Say that images carry a label, or that they do not.

    Args:
        folder: the gallery's.
        images: paths of indexed files, or image ids in digits; a number is always an id.
        label: not empty.
        remove: take it away, whoever gave it; the folder's name does not bring it back.
        only: take all other labels away.
        settings: from the environment by default.

    Raises:
        NoSuchPath: one of the images is not in the gallery; nothing was changed.
        BadValue: an empty label.
        GalleryBusy: another process is writing.
    """
    label = clean_label(label)
    with disk_full_is_said(str(folder)), Gallery(folder, settings) as gallery, gallery.writing():
        ids = named_images(gallery.catalog, images)
        standing = list(gallery.catalog.labels.standing(ids))
        if remove:
            gone = [event.id for event in standing if event.label == label]
            change = gallery.catalog.labels.change("unset", remove=gone)
        else:
            gone = [event.id for event in standing if only and event.label != label]
            change = gallery.catalog.labels.change("set", [Entry(i, label, PERSON) for i in ids], gone)
        gallery.catalog.seal()
        return _report(change)


def named_images(catalog: Catalog, images: Sequence[str | int]) -> list[int]:
    """Ids of images that are named by a path or an id, each once. Raises NoSuchPath for one that is not there."""
    paths = {name: os.path.abspath(os.fsencode(name)) for name in images if isinstance(name, str)}
    by_path = image_ids(catalog, list(paths.values()))
    numbers = {name: int(name) for name in images if isinstance(name, int) or (name.isdecimal() and len(name) < 19)}
    known = catalog.images.records(list(numbers.values()))
    ids = []
    for name in images:
        found = by_path.get(paths[name]) if name in paths else None
        if found is None and numbers.get(name) in known:
            found = numbers[name]
        if found is None:
            raise NoSuchPath(
                f"The gallery has no image {shown(str(name))}.",
                "Give the path of a file that was indexed, or an id as searches show it.",
            )
        ids.append(found)
    return list(dict.fromkeys(ids))


def image_ids(catalog: Catalog, paths: Iterable[bytes]) -> dict[bytes, int]:
    """The images that files hold, by absolute path; paths that are not known are left out."""
    roots = catalog.roots.all()
    by_root: dict[int, dict[bytes, bytes]] = defaultdict(dict)
    for path in paths:
        root = deepest(roots, path)
        if root is not None and path != root.path:
            by_root[root.id][os.path.relpath(path, root.path)] = path
    return {
        asked[relpath]: file.image_id
        for root_id, asked in by_root.items()
        for relpath, file in catalog.files.known(root_id, list(asked)).items()
        if file.image_id is not None
    }


def undo(folder: Path, operation: int | None = None, settings: Settings | None = None) -> tuple[Operation, LabelReport]:
    """Take back what an operation did to labels: by default the newest that still has an effect.

    Raises:
        BadValue: there is no such operation, or nothing of it is in effect.
        GalleryBusy: another process is writing.
    """
    with disk_full_is_said(str(folder)), Gallery(folder, settings) as gallery, gallery.writing():
        labels = gallery.catalog.labels
        if operation is None:
            found = labels.last_in_effect()
            if found is None:
                raise BadValue(
                    "No person or table has changed a label that could be taken back.",
                    "`retrieval labels list --history` numbers all operations, those of indexing too; "
                    "`retrieval labels undo NUMBER` takes back any of them.",
                )
        else:
            found = next((one for one in labels.history() if one.id == operation), None)
            if found is None:
                raise BadValue(
                    f"There is no operation {operation} on labels.", "`retrieval labels list --history` shows them."
                )
        change = labels.undo(found.id)
        if change.operation is None:
            raise BadValue(
                f"Nothing of operation {found.id} is in effect any more.", "`retrieval labels list --history` shows it."
            )
        gallery.catalog.seal()
        return found, _report(change)


def history(folder: Path, settings: Settings | None = None) -> list[Operation]:
    """The operations on labels, newest first."""
    with Gallery(folder, settings) as gallery:
        return gallery.catalog.labels.history()


def list_labels(folder: Path, settings: Settings | None = None) -> list[LabelCount]:
    """Every label in use, most frequent first."""
    images: dict[str, set[int]] = defaultdict(set)
    sources: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    with Gallery(folder, settings) as gallery:
        for event in gallery.catalog.labels.standing():
            images[event.label].add(event.image_id)
            sources[event.label][event.source].add(event.image_id)
    counted = [
        LabelCount(label, len(ids), {source: len(some) for source, some in sorted(sources[label].items())})
        for label, ids in images.items()
    ]
    return sorted(counted, key=lambda entry: (-entry.images, entry.label))


def export_csv(folder: Path, table: Path, *, automatic: bool = False, settings: Settings | None = None) -> int:
    """Write the labels as a table that ``import_csv`` and ``train`` read: a row for each image, label and source.

    Args:
        folder: the gallery's.
        table: must not exist.
        automatic: with those that nobody has confirmed.
        settings: from the environment by default.

    Returns:
        How many rows were written.

    Raises:
        BadValue: the table exists already.
        NoSuchPath: its folder does not.
    """
    if os.path.lexists(table):
        raise BadValue(
            f"{shown(str(table))} exists already.", "Give another name; an export never overwrites anything."
        )
    with disk_full_is_said(str(table)), Gallery(folder, settings) as gallery:
        return write_labels(table, _exported(gallery.catalog, automatic), _COLUMNS)


def _exported(catalog: Catalog, automatic: bool) -> Iterable[tuple[str, ...]]:
    parts = catalog.splits.parts(SPLIT)
    events = list(catalog.labels.standing(sources=(*TRUSTED, *((AUTOMATIC,) if automatic else ()))))
    for start in range(0, len(events), _CHUNK):
        some = events[start : start + _CHUNK]
        records = catalog.images.records(sorted({event.image_id for event in some}))
        for event in some:
            record = records.get(event.image_id)
            if record is None or not record.paths:
                continue
            confidence = "" if event.confidence is None else f"{event.confidence:.6f}"
            part = parts.get(bytes.fromhex(record.digest), "")
            yield (record.paths[0], event.label, part, event.source, confidence)


def offers(folder: Path, settings: Settings | None = None) -> list[Offer]:
    """Labels whose image has no file any more, offered to the image that looks most like it; nothing is changed.

    A file that was saved again is another content, and so another image: the label stays with the old one.
    """
    with Gallery(folder, settings) as gallery:
        return _offers(gallery.catalog)


def carry(folder: Path, accepted: Sequence[Offer], settings: Settings | None = None) -> LabelReport:
    """Give offered labels, as a person's.

    Raises:
        GalleryBusy: another process is writing.
    """
    with disk_full_is_said(str(folder)), Gallery(folder, settings) as gallery, gallery.writing():
        entries = [Entry(offer.image_id, label, PERSON) for offer in accepted for label in offer.labels]
        change = gallery.catalog.labels.change("carry", entries)
        gallery.catalog.seal()
        return _report(change)


def _offers(catalog: Catalog) -> list[Offer]:
    lost = catalog.labels.lost()
    if not lost:
        return []
    ids, hashes = catalog.images.all_phashes(present=True)
    old_ids, old_hashes = catalog.images.all_phashes(present=False)
    found = []
    for old_id, phash in zip(old_ids.tolist(), old_hashes, strict=True):
        ones = int(np.bitwise_count(phash))
        if old_id not in lost or not len(ids) or not _TELLING_BITS <= ones <= 64 - _TELLING_BITS:
            continue
        bits = np.bitwise_count(hashes ^ phash)
        nearest = int(bits.argmin())
        if bits[nearest] <= _NEAR_BITS:
            found.append((old_id, int(ids[nearest]), int(bits[nearest])))
    records = catalog.images.records([image_id for _, image_id, _ in found])
    made = []
    for old_id, image_id, distance in found:
        carried = {e.label for e in catalog.labels.standing([image_id], (PERSON, CSV))}
        missing = tuple(sorted(lost[old_id] - carried))
        if missing:
            made.append(Offer(image_id, records[image_id].paths[0], missing, old_id, distance))
    return sorted(made, key=lambda offer: offer.path)


def _report(change: Change, unknown: tuple[str, ...] = (), split: int = 0) -> LabelReport:
    return LabelReport(change.operation, change.added, change.unchanged, change.removed, unknown, split)
