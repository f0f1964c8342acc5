"""A CSV as a dataset: ``path,label`` and, if wanted, ``split``; ``path`` alone where no labels are needed."""

import codecs
import csv
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from retrieval.core.errors import BadValue, NoSuchPath
from retrieval.core.labelled import UNLABELLED, Labelled, LabelledImage
from retrieval.core.text import shown
from retrieval.datasets.checks import Note, no_notes, require_pictures, require_usable
from retrieval.datasets.parts import KNOWN_NAMES, part_of

_DELIMITERS = (",", ";", "\t", "|")
_NEEDED = ("path", "label")
_COLUMNS = (*_NEEDED, "split")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def from_csv(path: Path, note: Note = no_notes, *, alone: bool = True) -> Labelled:
    """The images that a table lists.

    The first row names the columns: ``path`` and ``label``, and optionally ``split`` with train, val (validation,
    valid, dev), test or nothing in it; in any order and case, other columns are ignored. Fields are separated by a
    comma, semicolon, tab or bar. Paths are taken relative to the table's folder. UTF-8 with or without BOM, or UTF-16
    with one; bytes that are not UTF-8 survive as they do in file names. A label is taken as it stands, blanks included.

    Rows without a path or label are left out. Files that do not exist stay listed, so that whoever reads them accounts
    for them; only a table of which no file exists is refused.

    Args:
        path: the table.
        note: called with one line for each kind of row that is left out, repeated or leads nowhere.
        alone: whether the dataset must suffice to learn from; one half of queries and database need not.

    Raises:
        NoSuchPath: the table does not exist, or none of the files that it lists.
        BadValue: no such columns, an unknown split, a path with two labels, a table that cannot be read, or nothing
            to learn from (see ``checks.require_usable``).
    """
    labelled = _read(path, note, _NEEDED)
    if alone:
        require_usable(labelled)
    return labelled


def pictures_in_csv(path: Path, note: Note = no_notes) -> Labelled:
    """The images that a table lists, as in ``from_csv``, where ``label`` and what stands in it may be missing.

    Args:
        path: the table; its first row names the column ``path``, and ``label`` and ``split`` if there are any.
        note: as for ``from_csv``.

    Raises:
        NoSuchPath, BadValue: as ``from_csv``; fewer than two images are listed.
    """
    pictures = _read(path, note, ("path",))
    require_pictures(pictures)
    return pictures


def _read(path: Path, note: Note, needed: tuple[str, ...]) -> Labelled:
    where = shown(str(path))
    table = _Table(where, os.path.dirname(os.path.abspath(os.fsencode(path))), note, needed)
    try:
        images = table.images(_text(path))
    except csv.Error as error:
        raise BadValue(f"{where} cannot be read as a table: {error}.", "Save it again as CSV.") from error
    _require_files(where, images, note)
    return Labelled([row.image for row in images], os.path.abspath(path))


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    image: LabelledImage


@dataclass(frozen=True, slots=True)
class _Table:
    where: str
    folder: bytes
    note: Note
    needed: tuple[str, ...]

    def images(self, text: str) -> list[_Row]:
        delimiter, columns = self._header(text)
        kept: dict[bytes, _Row] = {}
        empty = repeated = 0
        for line, fields in _rows(text, delimiter):
            image = self._image(line, columns, fields)
            if image is None:
                empty += 1
            elif image.path not in kept:
                kept[image.path] = _Row(line, image)
            else:
                self._refuse_contradiction(line, image, kept[image.path])
                repeated += 1
        if empty:
            missing = " or no ".join(self.needed)
            self.note(f"{empty:,} rows of {self.where} have no {missing} and are left out.")
        if repeated:
            self.note(f"{repeated:,} rows of {self.where} repeat an earlier one and are left out.")
        return list(kept.values())

    def _header(self, text: str) -> tuple[str, dict[str, int]]:
        first = text.lstrip("\r\n").splitlines()[:1]
        if not first:
            raise BadValue(f"{self.where} is empty.", f"Its first line must be: {','.join(self.needed)}")
        names: list[str] = []
        for delimiter in _DELIMITERS:
            names = [name.strip().lower() for name in next(csv.reader(first, delimiter=delimiter), [])]
            if set(self.needed) <= set(names):
                return delimiter, {name: names.index(name) for name in _COLUMNS if name in names}
        missing = [name for name in self.needed if name not in first[0].lower()] or list(self.needed)
        raise BadValue(
            f"{self.where} has no column {' and no column '.join(map(repr, missing))}; "
            f"its first line is {shown(first[0], 80)!r}.",
            f"The first line must name the columns: {','.join(self.needed)} or path,label,split",
        )

    def _image(self, line: int, columns: dict[str, int], fields: list[str]) -> LabelledImage | None:
        values = {name: fields[at] if at < len(fields) else "" for name, at in columns.items()}
        label = values.get("label", "") if values.get("label", "").strip() else UNLABELLED
        if not values["path"] or (label == UNLABELLED and "label" in self.needed):
            return None
        try:
            relpath = os.fsencode(values["path"])
        except UnicodeEncodeError as error:
            raise BadValue(f"{self.where}, line {line}: the path cannot be a file's name here.") from error
        part = self._part(line, values.get("split", ""))
        return LabelledImage(os.path.normpath(os.path.join(self.folder, relpath)), label, part)

    def _part(self, line: int, name: str) -> str | None:
        if not name.strip():
            return None
        part = part_of(name)
        if part is None:
            near = get_close_matches(name.strip().lower(), KNOWN_NAMES, 1)
            hint = f"Did you mean {near[0]!r}?" if near else "Use train, val or test, or leave it empty."
            raise BadValue(f"{self.where}, line {line}: the split {shown(name, 40)!r} is not known.", hint)
        return part

    def _refuse_contradiction(self, line: int, image: LabelledImage, earlier: _Row) -> None:
        for what, one, other in (
            ("label", image.label, earlier.image.label),
            ("split", image.part or "", earlier.image.part or ""),
        ):
            if one != other:
                raise BadValue(
                    f"{self.where}, line {line}: {shown(os.fsdecode(image.path), 120)} has the {what} "
                    f"{shown(one, 40)!r}, line {earlier.line} says {shown(other, 40)!r}.",
                    "Keep one of the two rows.",
                )


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise NoSuchPath(f"{shown(str(path))} does not exist.", "Check the spelling.") from error
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or error
        raise BadValue(f"{shown(str(path))} cannot be read: {words}.", "Give a CSV file that you may read.") from error
    if content.startswith(_UTF16):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError as error:
            raise BadValue(f"{shown(str(path))} is cut short: it is not UTF-16.", "Save it again as UTF-8.") from error
    return content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each row below the header that is not blank, with the number of the line that it ends on."""
    # newline="" keeps line breaks inside quotes as they are.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header_seen = False
    for fields in reader:
        if fields and header_seen:
            yield reader.line_num, fields
        header_seen = header_seen or bool(fields)


def _require_files(where: str, rows: list[_Row], note: Note) -> None:
    missing = [row for row in rows if not _exists(row.image.path)]
    if not missing:
        return
    first = f"line {missing[0].line}: {shown(os.fsdecode(missing[0].image.path), 160)}"
    if len(missing) == len(rows):
        raise NoSuchPath(
            f"None of the {len(rows):,} files in {where} exists; the first is {first}.",
            "Paths are taken relative to the folder of the CSV.",
        )
    exist = "file does" if len(missing) == 1 else "files do"
    note(f"{len(missing):,} of {len(rows):,} {exist} not exist that {where} lists; the first is {first}.")


def _exists(path: bytes) -> bool:
    try:
        return os.path.exists(path)
    except ValueError:  # a zero byte in the name
        return False
