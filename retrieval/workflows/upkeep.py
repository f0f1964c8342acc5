"""Looking after a gallery: its roots, files that are gone, and files that failed. Only these ever forget anything."""

import os
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from retrieval.catalog import FailedFile, Root, inside
from retrieval.core.errors import NoSuchPath
from retrieval.core.settings import Settings
from retrieval.core.text import shown
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.last_run import scanned
from retrieval.workflows.live_index import LiveIndex
from retrieval.workflows.scopes import expected_files, look_at_roots, why_offline


@dataclass(frozen=True, slots=True)
class RootStatus:
    """A root and what is in it.

    Attributes:
        id: the catalog's number.
        path: as ``os.fsdecode`` gives it.
        online: it can be reached; otherwise ``why`` says why not.
        whole: it was indexed as a folder, not only single files in it.
        present, missing, failed: its files by state.
        scanned: when all of it was last looked at, in seconds since the epoch; None where that is not known.
    """

    id: int
    path: str
    online: bool
    why: str
    whole: bool
    present: int
    missing: int
    failed: int
    scanned: float | None = None


def list_roots(folder: Path, settings: Settings | None = None) -> list[RootStatus]:
    """Every root of a gallery, looked at just now."""
    with Gallery(folder, settings) as gallery:
        counts, looked = gallery.catalog.roots.counts(), scanned(gallery.catalog)
        roots = look_at_roots(gallery.catalog, remember=False)
        return [replace(_root_status(root, counts), scanned=looked.get(str(root.id))) for root in roots]


def can_reach(folder: Path, least: int, settings: Settings | None = None) -> bool:
    """Whether ``least`` pictures or more lie in roots that can be reached just now; copies of one are one picture.

    Raises:
        EmptyGallery: nothing is indexed.
    """
    found: set[int] = set()
    with Gallery(folder, settings) as gallery:
        for root in look_at_roots(gallery.catalog, remember=False):
            for image_id, _ in gallery.catalog.files.images_below(root.id) if root.online else ():
                found.add(image_id)
                if len(found) >= least:
                    return True
    return False


def _root_status(root: Root, counts: Mapping[int, Mapping[str, int]]) -> RootStatus:
    why = why_offline(root, expected_files(counts, root))
    present, missing, failed = (counts.get(root.id, {}).get(state, 0) for state in ("present", "missing", "failed"))
    return RootStatus(root.id, os.fsdecode(root.path), not why, why, root.whole, present, missing, failed)


def left_behind(folder: Path, settings: Settings | None = None) -> list[RootStatus]:
    """Roots that a drive has left for another place: nothing but failures, or nothing at all, is known of them.

    Such a root is offline, and its failed files are all known at the same places below one root that is online.
    """
    with Gallery(folder, settings) as gallery:
        counts = gallery.catalog.roots.counts()
        return [_root_status(root, counts) for root in _left_behind(gallery)]


def _left_behind(gallery: Gallery) -> list[Root]:
    catalog = gallery.catalog
    roots, counts = look_at_roots(catalog, remember=False), catalog.roots.counts()
    failed: dict[int, list[bytes]] = {}
    for file in catalog.files.failures():
        failed.setdefault(file.root_id, []).append(file.relpath)
    online = [root for root in roots if root.online]
    empty = [root for root in roots if not root.online and set(counts.get(root.id, {})) <= {"failed"}]
    return [root for root in empty if _are_known(gallery, failed.get(root.id, []), online)]


def _are_known(gallery: Gallery, relpaths: Sequence[bytes], roots: Sequence[Root]) -> bool:
    known = gallery.catalog.files.known
    return not relpaths or any(len(known(root.id, relpaths)) == len(relpaths) for root in roots)


def remove_root(folder: Path, path: Path, settings: Settings | None = None) -> int:
    """Forget a root and the records of its files; the files themselves are not touched.

    Returns:
        How many files were forgotten.

    Raises:
        NoSuchPath: no root has this path.
        GalleryBusy: another process is writing.
    """
    wanted = os.path.abspath(os.fsencode(path))
    with Gallery(folder, settings) as gallery, gallery.writing():
        root = next((r for r in gallery.catalog.roots.all() if r.path == wanted), None)
        if root is None:
            raise NoSuchPath(
                f"{shown(os.fsdecode(wanted))} is not a root of this gallery.", "`retrieval roots` lists them."
            )
        forgotten = gallery.catalog.roots.remove(root.id)
        _publish(gallery)
    return forgotten


def missing_files(folder: Path, settings: Settings | None = None) -> list[str]:
    """Paths of the files that are gone from roots that can be reached."""
    with Gallery(folder, settings) as gallery:
        return [path for _, path in _gone(gallery)]


def prune(folder: Path, settings: Settings | None = None, *, only: Container[str] | None = None) -> int:
    """Forget the files that are gone from roots that can be reached, and the roots that were ``left_behind``.

    Args:
        folder: the gallery's.
        settings: from the environment by default.
        only: the paths, of files and of roots, that were agreed to; what went missing since then stays. None forgets
            all.

    Returns:
        How many files were forgotten; failed ones in roots that were left behind are counted.

    Raises:
        GalleryBusy: another process is writing.
    """
    with Gallery(folder, settings) as gallery, gallery.writing():
        look_at_roots(gallery.catalog, remember=True)
        gone = [file_id for file_id, path in _gone(gallery) if only is None or path in only]
        forgotten = gallery.catalog.files.forget(gone)
        for root in _left_behind(gallery):
            if only is None or os.fsdecode(root.path) in only:
                forgotten += gallery.catalog.roots.remove(root.id)
        _publish(gallery)
    return forgotten


def _gone(gallery: Gallery) -> list[tuple[int, str]]:
    """(id, path) of the missing files; not those that came back since the last `retrieval index`."""
    offline = [root.path for root in look_at_roots(gallery.catalog, remember=False) if not root.online]
    return [
        (file_id, path)
        for file_id, path in gallery.catalog.files.missing()
        if not os.path.lexists(os.fsencode(path)) and not any(inside(os.fsencode(path), root) for root in offline)
    ]


@dataclass(frozen=True, slots=True)
class FailurePage:
    """Some of the failed files.

    Attributes:
        reasons: how many there are of each, by ``core.errors.Reason``; the most frequent first.
        files: those of the page, by path.
        first: place of the first of them among all that were asked for, from 0.
        total: how many were asked for.
    """

    reasons: Mapping[str, int]
    files: Sequence[FailedFile]
    first: int
    total: int


def failure_page(
    folder: Path, first: int = 0, most: int = 20, reason: str | None = None, settings: Settings | None = None
) -> FailurePage:
    """A page of the failed files; the others are counted, not read.

    Args:
        folder: the gallery's.
        first: place of the first one; beyond the end the last page is given.
        most: files a page, at least 1.
        reason: only those that failed for it.
        settings: from the environment by default.
    """
    with Gallery(folder, settings) as gallery:
        reasons = gallery.catalog.files.failure_counts()
        total = sum(reasons.values()) if reason is None else reasons.get(reason, 0)
        start = min(max(0, first), max(0, total - 1)) // most * most
        found = gallery.catalog.files.failures(first=start, most=most, reason=reason)
        return FailurePage(reasons, found, start, total)


def failures(folder: Path, settings: Settings | None = None) -> list[FailedFile]:
    """Every failed file with its reason, by path."""
    with Gallery(folder, settings) as gallery:
        return gallery.catalog.files.failures()


def _publish(gallery: Gallery) -> None:
    space = gallery.catalog.spaces.live()
    if space is not None:
        LiveIndex(gallery, space).publish()
    gallery.catalog.seal()
