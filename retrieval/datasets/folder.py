"""A folder of class folders as a labelled dataset."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from retrieval.core.errors import BadValue
from retrieval.core.labelled import UNLABELLED, Labelled, LabelledImage
from retrieval.core.text import shown
from retrieval.datasets.checks import Note, no_notes, require_pictures, require_usable
from retrieval.datasets.parts import part_of
from retrieval.images.scan import classify, is_skipped, scan

_SEPARATOR = os.sep.encode()


def from_folder(path: Path, note: Note = no_notes, *, alone: bool = True) -> Labelled:
    """Every image below ``path``, labelled by the class folder that it lies in.

    Two layouts are understood:

    - ``PATH/CLASS/…/IMAGE``: the first folder below ``path`` is the class, whatever lies deeper belongs to it;
    - ``PATH/PART/CLASS/…/IMAGE`` where two or more of ``path``'s folders are called train, val (validation, valid,
      dev) or test: they become the images' ``part``, and so does any other folder beside them, by its own name.

    A label is the folder's name as ``os.fsdecode`` gives it: undecodable bytes, line breaks and blanks survive.
    Images are sorted by path. Hidden files and what is no image are passed over, as in indexing; nothing is decoded.

    Args:
        path: the folder.
        note: called with one line where images lie in no class folder, or a folder cannot be read.
        alone: whether the dataset must suffice to learn from; one half of queries and database need not.

    Raises:
        NoSuchPath: ``path`` does not exist.
        BadValue: it is no folder, or holds nothing to learn from (see ``checks.require_usable``).
    """
    root = _root(path)
    everything = _all(root, note)
    images = [image for image in everything if image.label != UNLABELLED]
    if len(images) < len(everything):
        place = "in no class folder" if not _has_parts(root) else "in no class folder of their part"
        note(f"{len(everything) - len(images):,} images in {shown(str(path))} lie {place} and are left out.")
    labelled = Labelled(images, os.fsdecode(root))
    _require_classes(root, labelled, alone)
    if alone:
        require_usable(labelled)
    return labelled


def pictures_in_folder(path: Path, note: Note = no_notes) -> Labelled:
    """Every image below ``path``, wherever it lies; with a label where ``from_folder`` would see one.

    Args:
        path: the folder.
        note: called with one line where a folder cannot be read.

    Raises:
        NoSuchPath: ``path`` does not exist.
        BadValue: it is no folder, or holds fewer than two images.
    """
    root = _root(path)
    pictures = Labelled(_all(root, note), os.fsdecode(root))
    require_pictures(pictures)
    return pictures


def images_below(path: Path, note: Note = no_notes) -> list[bytes]:
    """Absolute paths of all images below a folder, sorted; hidden files and what is no image are passed over.

    Args:
        path: the folder.
        note: called with one line where a folder cannot be read.

    Raises:
        NoSuchPath: ``path`` does not exist.
    """
    root = os.path.abspath(os.fsencode(path))
    return [os.path.join(root, relpath) for relpath in sorted(_images(root, note))]


def _root(path: Path) -> bytes:
    root = os.path.abspath(os.fsencode(path))
    if os.path.exists(root) and not os.path.isdir(root):
        raise BadValue(f"{shown(str(path))} is not a folder.", "Give a folder of class folders, or a CSV file.")
    return root


def _all(root: bytes, note: Note) -> list[LabelledImage]:
    """Every image below ``root``, sorted by path."""
    relpaths = sorted(_images(root, note))
    return list(_labelled(root, relpaths, _has_parts(root)))


def _images(root: bytes, note: Note) -> Iterator[bytes]:
    def unreadable(path: bytes, error: OSError) -> None:
        note(f"{shown(os.fsdecode(path))} cannot be looked at: {error.strerror or error}.")

    for file in scan(root, on_error=unreadable):
        if classify(os.path.join(root, file.relpath), os.path.basename(file.relpath)) == "image":
            yield file.relpath


def _has_parts(root: bytes) -> bool:
    # One class may well be called "test"; two such names are no accident.
    found = {part_of(os.fsdecode(name)) for name in _folders(root)} - {None}
    return len(found) >= 2


def _folders(root: bytes) -> list[bytes]:
    try:
        with os.scandir(root) as entries:
            return sorted(entry.name for entry in entries if not is_skipped(entry.name) and entry.is_dir())
    except OSError:  # the scan has said so
        return []


def _labelled(root: bytes, relpaths: Iterable[bytes], has_parts: bool) -> Iterator[LabelledImage]:
    for relpath in relpaths:
        *folders, _ = relpath.split(_SEPARATOR)
        part = None
        if has_parts and folders:
            name = os.fsdecode(folders.pop(0))
            part = part_of(name) or name
        label = os.fsdecode(folders[0]) if folders else UNLABELLED
        yield LabelledImage(os.path.join(root, relpath), label, part)


def _require_classes(root: bytes, labelled: Labelled, alone: bool) -> None:
    """The usual mistake has a line of its own: the folder above or below the one that was meant."""
    where = shown(os.fsdecode(root))
    if len(labelled.classes) == 1 and alone:
        inner = os.path.join(root, os.fsencode(labelled.classes[0]))
        if len(_folders(inner)) >= 2:
            raise BadValue(
                f"{where} holds a single folder, which would be the only class.",
                f"Did you mean {shown(os.fsdecode(inner))}?",
            )
    if not labelled.images:
        raise BadValue(
            f"There is no image in a class folder of {where}.",
            "Put the images of each class into a folder of its own: DATASET/CLASS/IMAGE.",
        )
