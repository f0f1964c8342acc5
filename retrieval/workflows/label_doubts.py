"""What a person says to doubted labels: that another one is right, or that this one is. The doubts of a check are kept
beside its job; which of them still wait for an answer, the labels themselves tell.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from retrieval.catalog import AUTOMATIC, PERSON, Entry
from retrieval.core.errors import BadValue, disk_full_is_said
from retrieval.core.files import write_atomically
from retrieval.core.settings import Settings
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.label_check import Doubt, LabelCheck, Outlier
from retrieval.workflows.labels import LabelReport


def keep_check(found: LabelCheck, path: Path) -> None:
    """Write what a check found to a file, all of it or nothing. Raises OSError."""
    write_atomically(path, json.dumps(asdict(found)).encode())


def kept_check(path: Path) -> LabelCheck | None:
    """What ``keep_check`` wrote; None where there is no such file, or it cannot be read."""
    try:
        values = json.loads(path.read_text("utf-8"))
        doubts = tuple(Doubt(**one) for one in values.pop("doubts"))
        outliers = tuple(Outlier(**one) for one in values.pop("outliers"))
        return LabelCheck(doubts=doubts, outliers=outliers, **values)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def open_doubts(folder: Path, doubts: Sequence[Doubt], settings: Settings | None = None) -> list[Doubt]:
    """Those that still wait for an answer: the image carries the doubted label, and nobody has confirmed it.

    Args:
        folder: the gallery's.
        doubts: of an earlier check.
        settings: from the environment by default.

    Raises:
        EmptyGallery: there is no gallery.
    """
    with Gallery(folder, settings) as gallery:
        return _open(gallery, doubts)


def correct(folder: Path, doubt: Doubt, settings: Settings | None = None) -> LabelReport:
    """Say, as a person, that the neighbours are right: their label in the place of the doubted one. Other labels of the
    image stay. One operation, and one ``undo``.

    Raises:
        BadValue: the doubt does not wait for an answer any more; nothing was changed.
        GalleryBusy: another process is writing.
    """
    return _answered(folder, doubt, doubt.instead, settings)


def confirm(folder: Path, doubt: Doubt, settings: Settings | None = None) -> LabelReport:
    """Say, as a person, that the doubted label is right: it is not doubted again. One operation, and one ``undo``.

    Raises:
        BadValue: the doubt does not wait for an answer any more; nothing was changed.
        GalleryBusy: another process is writing.
    """
    return _answered(folder, doubt, doubt.label, settings)


def _answered(folder: Path, doubt: Doubt, label: str, settings: Settings | None) -> LabelReport:
    with disk_full_is_said(str(folder)), Gallery(folder, settings) as gallery, gallery.writing():
        if not _open(gallery, [doubt]):
            raise BadValue("This label is not in doubt any more.", "Look at the list again.")
        labels = gallery.catalog.labels
        standing = list(labels.standing([doubt.image_id]))
        # A label that is right keeps its origin: only what a person said is said anew.
        gone = [
            event.id
            for event in standing
            if event.source == AUTOMATIC
            or (event.label == doubt.label and (event.source == PERSON or label != doubt.label))
        ]
        change = labels.change("set", [Entry(doubt.image_id, label, PERSON)], gone)
        gallery.catalog.seal()
        return LabelReport(change.operation, change.added, change.unchanged, change.removed)


def _open(gallery: Gallery, doubts: Sequence[Doubt]) -> list[Doubt]:
    ids = [doubt.image_id for doubt in doubts]
    standing, confirmed = gallery.catalog.labels.chosen(image_ids=ids), gallery.catalog.labels.confirmed(ids)
    return [
        doubt
        for doubt in doubts
        if standing.get(doubt.image_id) == doubt.label and (doubt.image_id, doubt.label) not in confirmed
    ]
