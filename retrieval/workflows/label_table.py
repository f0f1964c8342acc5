"""Label tables as CSV files: ``path,label`` and, if wanted, ``split``."""

import csv
import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from retrieval.core.errors import BadValue, NoSuchPath
from retrieval.core.files import write_atomically
from retrieval.core.text import shown
from retrieval.datasets.parts import part_of

_DELIMITERS = (",", ";", "\t", "|")
_NEEDED = ("path", "label")


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One row.

    Attributes:
        line: that it ends on.
        path: absolute, as the system's bytes.
        label: as it stands in the file, made safe to be shown.
        part: ``"train"``, ``"val"`` or ``"test"``; None where nothing is said.
    """

    line: int
    path: bytes
    label: str
    part: str | None


def clean_label(text: str) -> str:
    """A label as it is stored: one line that can be shown everywhere. Raises BadValue for an empty one."""
    if not text.strip():
        raise BadValue("A label cannot be empty.", "Give it a name.")
    return shown(text)


def read_labels(path: Path) -> list[LabelRow]:
    """The rows of a table, as ``datasets.table.from_csv`` reads them, but an image may have several labels, and one
    label for all is a label too. Rows without a path or label are left out.

    Raises:
        NoSuchPath: there is no such file.
        BadValue: it has no such columns, cannot be read, or has an unknown split.
    """
    where = shown(str(path))
    names, rows = table_rows(_content(path), where)
    return list(_rows(where, names, rows, os.path.dirname(os.path.abspath(os.fsencode(path)))))


def table_rows(content: bytes, where: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """A table, taken apart.

    Args:
        content: of the file.
        where: what an error calls it.

    Returns:
        (names of the columns in lower case, [(line that the row ends on, its fields)] without that of the names).

    Raises:
        BadValue: it has no columns ``path`` and ``label``, or cannot be read.
    """
    text = _text(content)
    first = next((line for line in text.splitlines() if line.strip()), "")
    for delimiter in _DELIMITERS:
        names = [name.strip().lower() for name in next(csv.reader([first], delimiter=delimiter), [])]
        if set(_NEEDED) <= set(names):
            break
    else:
        raise BadValue(
            f"{where} has no columns path and label; its first line is {shown(first, 80)!r}.",
            "The first line must name the columns: path,label or path,label,split",
        )
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        rows = [(reader.line_num, fields) for fields in reader if fields]
    except csv.Error as error:
        raise BadValue(f"{where} cannot be read as a table: {error}.", "Save it again as CSV.") from error
    return names, rows[1:]


def _rows(where: str, names: list[str], rows: list[tuple[int, list[str]]], folder: bytes) -> Iterator[LabelRow]:
    for line, fields in rows:
        values = dict(zip(names, fields, strict=False))
        if not values.get("path") or not values.get("label", "").strip():
            continue
        try:
            raw = os.fsencode(values["path"])
        except UnicodeEncodeError as error:
            raise BadValue(f"{where}, line {line}: the path cannot be a file's name here.") from error
        split = values.get("split", "").strip()
        part = part_of(split) if split else None
        if split and part is None:
            raise BadValue(
                f"{where}, line {line}: the split {shown(split, 40)!r} is not known.",
                "Use train, val or test, or leave it empty.",
            )
        yield LabelRow(line, os.path.normpath(os.path.join(folder, raw)), clean_label(values["label"]), part)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NoSuchPath(f"{shown(str(path))} does not exist.", "Check the spelling.") from error
    except OSError as error:
        raise BadValue(f"{shown(str(path))} cannot be read: {error.strerror}.", "Give a CSV file.") from error


def _text(content: bytes) -> str:
    # What a spreadsheet calls Unicode; bytes that are not UTF-8 survive as they do in file names.
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    return content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")


def write_labels(path: Path, rows: Iterable[tuple[str, ...]], columns: tuple[str, ...]) -> int:
    """Write a table: all of it or nothing. Returns how many rows. Paths are text as ``os.fsdecode`` gives it."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    count = 0
    for row in rows:
        writer.writerow(row)
        count += 1
    try:
        write_atomically(path, out.getvalue().encode("utf-8", "surrogateescape"))
    except FileNotFoundError as error:
        raise NoSuchPath(f"There is no folder {shown(str(path.parent))}.", "Make it first.") from error
    return count
