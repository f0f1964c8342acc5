"""Choosing a folder to index: which folders there are on this machine, and what one of them would cost.

Nothing here reads a file's content on its own, lists a file's name, or changes anything.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from retrieval.catalog import Catalog
from retrieval.core.errors import BadValue
from retrieval.core.settings import Settings
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.index_report import Estimate, Hooks
from retrieval.workflows.indexing import estimate_index
from retrieval.workflows.layout import Layout
from retrieval.workflows.own_files import refuse_own_files
from retrieval.workflows.planning import Planner, Spool
from retrieval.workflows.scopes import scopes_for

NAMES = 24
"""So many folders are named at once."""

LOOK_SECONDS = 20.0
"""A look at a folder ends after so long, whatever there is left to see."""

_BYTES_A_FILE = 2 * 1280 + 16 + 900
"""In a gallery, with an encoder of 1280 dimensions, as the usual one has; see ``indexing``."""

_ENTRIES = 5_000
"""So many entries of a folder are looked at; more are not needed to go on typing."""


@dataclass(frozen=True, slots=True)
class Completion:
    """How a path that somebody is typing may go on.

    Attributes:
        paths: folders, absolute, as ``os.fsdecode`` gives them; by name.
        more: there are others.
        is_folder: what was typed is a folder itself.
    """

    paths: tuple[str, ...] = ()
    more: bool = False
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class FolderLook:
    """What indexing a folder would do.

    Attributes:
        path: absolute, as ``os.fsdecode`` gives it.
        found: image files.
        to_read: of these, how many are new or changed.
        skipped: files that are no images.
        bytes_to_read: size of the files to read.
        seconds: that it would take; None where nothing must be read, or where it cannot be known yet.
        disk: bytes that the gallery would take in addition.
        free: bytes that are free where the gallery lies.
        whole: everything was looked at; otherwise the numbers are the least there can be.
    """

    path: str
    found: int
    to_read: int
    skipped: int
    bytes_to_read: int
    seconds: float | None
    disk: int
    free: int
    whole: bool


def complete_folder(typed: str, most: int = NAMES) -> Completion:
    """Folders whose path begins with what was typed; hidden ones only where their dot was typed.

    Args:
        typed: any text; ``~`` is the user's own folder. Nothing comes of a path that is not absolute.
        most: so many paths at most.
    """
    path = os.path.expanduser(typed.strip())
    if not os.path.isabs(path) or "\0" in path:
        return Completion()
    is_folder = os.path.isdir(path)
    parent, start = os.path.split(path)
    if is_folder and start:
        parent, start = path, ""
    names, cut = _folders_in(parent, start)
    paths = tuple(os.path.join(parent, name) for name in names[:most])
    return Completion(paths, cut or len(names) > most, is_folder)


def _folders_in(parent: str, start: str) -> tuple[list[str], bool]:
    """(names of the folders that begin so, whether there may be more)."""
    wanted = start.casefold()
    found: list[str] = []
    try:
        with os.scandir(parent) as entries:
            for seen, entry in enumerate(entries):
                if seen >= _ENTRIES:
                    return sorted(found, key=str.casefold), True
                hidden = entry.name.startswith(".") and not start.startswith(".")
                if not hidden and entry.name.casefold().startswith(wanted) and _is_folder(entry):
                    found.append(entry.name)
    except OSError:
        # Not there, or not for us to see: then nothing is offered.
        return [], False
    return sorted(found, key=str.casefold), False


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def typed_folder(typed: str) -> Path:
    """The folder that was typed.

    Raises:
        BadValue: the path is not absolute, or no folder.
    """
    path = os.path.expanduser(typed.strip())
    if not path or not os.path.isabs(path):
        raise BadValue("This is not a full path.", "Write it from the root of the drive, e.g. /home/anna/Photos.")
    if "\0" not in path and os.path.isfile(path):
        raise BadValue("This is a file, not a folder.", "Choose the folder that it lies in.")
    if "\0" in path or not os.path.isdir(path):
        raise BadValue("There is no such folder, or it may not be read.", "Check the spelling, or connect the drive.")
    return Path(os.path.normpath(path))


def look_at_folder(
    gallery: Path,
    typed: str,
    *,
    workers: int | None = None,
    seconds: float = LOOK_SECONDS,
    settings: Settings | None = None,
) -> FolderLook:
    """What indexing a folder would do and cost; see ``estimate_index``. Nothing is changed.

    Where the gallery has no encoder yet, none is fetched for a look: then the time is not known.

    Args:
        gallery: the gallery's folder.
        typed: an absolute path.
        workers: decoding processes.
        seconds: to look around at most; measuring the speed of this machine comes on top.
        settings: from the environment by default.

    Raises:
        BadValue: it is no folder, or lies in a gallery.
        GalleryDamaged, …: see ``estimate_index``.
    """
    path = typed_folder(typed)
    refuse_own_files(gallery, [path])
    until = monotonic() + seconds
    cut = False

    def late() -> bool:
        nonlocal cut
        cut = cut or monotonic() > until
        return cut

    hooks = replace(Hooks(), stop=late)
    if _has_encoder(gallery, settings):
        found = estimate_index(gallery, [path], workers=workers, settings=settings, hooks=hooks)
    else:
        found = _scanned(path, late)
    plan = found.plan
    return FolderLook(
        path=str(path),
        found=plan.found,
        to_read=plan.to_read,
        skipped=plan.skipped,
        bytes_to_read=plan.bytes_to_read,
        seconds=found.seconds,
        disk=found.bytes,
        free=_free(gallery),
        whole=not cut,
    )


def _has_encoder(gallery: Path, settings: Settings | None) -> bool:
    if not Layout(gallery).catalog.exists():
        return False
    with Gallery(gallery, settings) as opened:
        return opened.catalog.spaces.live() is not None


def _scanned(path: Path, stop: Callable[[], bool]) -> Estimate:
    """The files of a folder of which nothing is known yet."""
    with tempfile.TemporaryDirectory(prefix="retrieval-") as scratch, Spool() as spool:
        catalog = Catalog(Path(scratch) / "catalog.sqlite3")
        try:
            planner = Planner(catalog, spool, lambda _: None, stop=stop, dry=())
            for scope in scopes_for(catalog, (), [path], record=False):
                planner.scan(scope)
        finally:
            catalog.close()
    return Estimate(planner.plan, 0, None, planner.plan.to_read * _BYTES_A_FILE)


def _free(gallery: Path) -> int:
    """Bytes free on the gallery's disk; of the nearest folder above where there is no gallery yet."""
    place = gallery.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free
