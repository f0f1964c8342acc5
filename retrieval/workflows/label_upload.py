"""A table of labels that somebody sends: what can be used is used, and every other row is answered for."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from retrieval.catalog import CSV, Catalog, Entry, Root
from retrieval.core.errors import BadValue, disk_full_is_said
from retrieval.core.settings import Settings
from retrieval.core.text import shown
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.label_table import clean_label, table_rows
from retrieval.workflows.labels import LabelReport, image_ids

MOST_ROWS = 200_000
"""Rows of a table that is sent; ``labels import`` in a terminal takes any number."""

Why = Literal["no_path", "no_label", "unknown", "bad_path"]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be used.

    Attributes:
        line: in the file, from 1.
        why: ``"no_path"``, ``"no_label"``: the field is empty. ``"unknown"``: the gallery has no such image.
            ``"bad_path"``: it cannot be the name of a file here.
        value: what stands there instead, made safe to be shown.
    """

    line: int
    why: Why
    value: str


@dataclass(frozen=True, slots=True)
class UploadReport:
    """What a table did.

    Attributes:
        report: what was changed.
        rows: in the table.
        bad: those that could not be used, in order.
    """

    report: LabelReport
    rows: int
    bad: tuple[BadRow, ...]


def import_upload(folder: Path, content: bytes, settings: Settings | None = None) -> UploadReport:
    """Give the labels of a table with the columns ``path`` and ``label``; other columns are left alone.

    A path is absolute, or relative to any of the indexed folders. Labels that other sources gave stay.

    Args:
        folder: the gallery's.
        content: of the file.
        settings: from the environment by default.

    Raises:
        BadValue: it is no such table, or a longer one than ``MOST_ROWS``.
        GalleryBusy: another process is writing.
    """
    names, rows = table_rows(content, "The table")
    if len(rows) > MOST_ROWS:
        raise BadValue(
            f"The table has {len(rows):,} rows; {MOST_ROWS:,} can be sent at once.",
            "Send it in parts, or run `retrieval labels import FILE`.",
        )
    with disk_full_is_said(str(folder)), Gallery(folder, settings) as gallery, gallery.writing():
        entries, bad = _entries(gallery.catalog, names, rows)
        change = gallery.catalog.labels.change("import", entries)
        gallery.catalog.seal()
        report = LabelReport(change.operation, change.added, change.unchanged, change.removed)
        return UploadReport(report, len(rows), tuple(bad))


def _entries(
    catalog: Catalog, names: Sequence[str], rows: Sequence[tuple[int, list[str]]]
) -> tuple[list[Entry], list[BadRow]]:
    roots = catalog.roots.all()
    wanted: list[tuple[int, str, str, list[bytes]]] = []
    bad: list[BadRow] = []
    for line, fields in rows:
        values = dict(zip(names, fields, strict=False))
        path, label = values.get("path", "").strip(), values.get("label", "")
        if not path:
            bad.append(BadRow(line, "no_path", shown(label, 80)))
        elif not label.strip():
            bad.append(BadRow(line, "no_label", shown(path, 160)))
        elif (places := _places(path, roots)) is None:
            bad.append(BadRow(line, "bad_path", shown(path, 160)))
        else:
            wanted.append((line, path, clean_label(label.strip()), places))
    known = image_ids(catalog, {place for *_, places in wanted for place in places})
    entries = []
    for line, path, label, places in wanted:
        found = next((known[place] for place in places if place in known), None)
        if found is None:
            bad.append(BadRow(line, "unknown", shown(path, 160)))
        else:
            entries.append(Entry(found, label, CSV))
    return entries, sorted(bad, key=lambda row: row.line)


def _places(path: str, roots: Sequence[Root]) -> list[bytes] | None:
    """Where the file may lie; None where no file can be called so."""
    try:
        raw = os.fsencode(path)
    except UnicodeEncodeError:
        return None
    if b"\0" in raw:
        return None
    if os.path.isabs(raw):
        return [os.path.normpath(raw)]
    return [os.path.normpath(os.path.join(root.path, raw)) for root in roots]
