"""A gallery in one file, made while it is in use, and back.

The file is a plain tar archive: a manifest with the SHA-256 of every member, the catalog (copied through SQLite's
backup), the committed rows of every vector store, and the encoders. Index and maps are derived and stay out. So do
training runs (what the gallery was switched to is among the encoders), kept photos of searches, and jobs.
"""

import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from stat import S_IMODE
from typing import IO, Any

from retrieval.catalog import Catalog
from retrieval.core.errors import BadValue, GalleryDamaged, GalleryTooNew, NoSuchPath, disk_full_is_said
from retrieval.core.files import sync_folder
from retrieval.core.settings import Settings
from retrieval.vectors import row_bytes
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.layout import Layout, finish_restore
from retrieval.workflows.leftovers import sweep_working_folders, working_folder

FORMAT = 1
WORKING = ".retrieval-backup-"
"""Prefix of the folders, beside the backup, that backups are made in."""

_MANIFEST = "manifest.json"
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a backup: name inside, source, and how many bytes of it belong to the backup."""

    name: str
    source: Path
    size: int


def backup(folder: Path, target: Path, settings: Settings | None = None) -> int:
    """Write a gallery to ``target``; searching and indexing may go on meanwhile.

    Returns:
        Size of the file in bytes.

    Raises:
        EmptyGallery: there is no gallery.
        BadValue: ``target`` exists, or its folder does not.
        DiskFull: no space is left; nothing stays behind.
    """
    if os.path.lexists(target):
        raise BadValue(f"{target} exists already.", "Give another name; a backup never overwrites anything.")
    if not target.parent.is_dir():
        raise NoSuchPath(f"There is no folder {target.parent}.", "Make it first.")
    with disk_full_is_said(str(target)), Gallery(folder, settings) as gallery:
        sweep_working_folders(target.parent, WORKING)
        with working_folder(target.parent, WORKING, mode=0o700) as scratch:
            made = scratch.path / "backup.tar"
            _write(made, list(_members(gallery, scratch.path)))
            os.replace(made, target)
    sync_folder(target.parent)
    return target.stat().st_size


def _members(gallery: Gallery, scratch: Path) -> Iterator[Member]:
    copy = scratch / "catalog.sqlite3"
    # The catalog first: rows that are committed later are simply not part of this backup.
    gallery.catalog.copy_to(copy)
    yield Member("catalog.sqlite3", copy, copy.stat().st_size)
    catalog = Catalog(copy)
    spaces = catalog.spaces.all()
    catalog.close()
    for space in spaces:
        vectors = gallery.layout.vectors(space)
        for name, size in row_bytes(space.dimension).items():
            if space.rows:
                yield Member(
                    f"{vectors.relative_to(gallery.folder).as_posix()}/{name}", vectors / name, size * space.rows
                )
        model = gallery.layout.model(space.fingerprint)
        for file in sorted(model.iterdir()) if model.is_dir() else []:
            yield Member(f"{model.relative_to(gallery.folder).as_posix()}/{file.name}", file, file.stat().st_size)


def _write(path: Path, members: list[Member]) -> None:
    digests = {}
    with open(path, "wb") as raw:
        with tarfile.open(fileobj=raw, mode="w") as archive:
            for member in members:
                info = tarfile.TarInfo(member.name)
                info.size = member.size
                try:
                    with open(member.source, "rb") as file:
                        hashed = _Hashing(file)
                        archive.addfile(info, hashed)
                except OSError as error:
                    # Missing, or shorter than the catalog says; a full disk keeps its own words.
                    if isinstance(error, FileNotFoundError) or error.errno is None:
                        raise _incomplete(member.source) from error
                    raise
                digests[member.name] = hashed.digest.hexdigest()
            # Last, so that every byte is read once.
            manifest = {"format": FORMAT, "made": datetime.now(UTC).isoformat(timespec="seconds"), "sha256": digests}
            content = json.dumps(manifest, indent=2, sort_keys=True).encode()
            info = tarfile.TarInfo(_MANIFEST)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        raw.flush()
        os.fsync(raw.fileno())


def _incomplete(file: Path) -> GalleryDamaged:
    return GalleryDamaged(
        f"{file} is missing or cut short: a backup of the gallery would not be whole.",
        "Run `retrieval status --check --repair` and `retrieval index` first.",
    )


class _Hashing(io.RawIOBase):
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self.digest.update(block)
        return block


def restore(source: Path, folder: Path, settings: Settings | None = None) -> Path | None:
    """Make the gallery in ``folder`` what it was when the backup was made.

    A gallery that is there already is moved aside, never deleted; until then its write lock is held, so that nobody
    indexes into what is about to be moved.

    Returns:
        Where the former gallery went; None where there was none.

    Raises:
        NoSuchPath: there is no file ``source``.
        GalleryDamaged: it is not a backup, or it is damaged; nothing was changed.
        BadValue: in ``folder`` lies something that is no gallery.
        GalleryTooNew: a newer version made it.
        GalleryBusy: another process is writing to the gallery.
        DiskFull: no space is left; nothing was changed.
    """
    if not source.is_file():
        raise NoSuchPath(f"There is no backup {source}.", "Check the spelling.")
    folder = folder.absolute()
    _refuse_strangers(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with disk_full_is_said(str(folder)), ExitStack() as held:
        present = folder.exists() and any(folder.iterdir())
        mode = S_IMODE(folder.stat().st_mode) if folder.exists() else None
        if present:
            held.enter_context(Layout(folder).writing())
        with working_folder(folder.parent, Layout(folder).restoring, mode) as fresh:
            _unpack(source, fresh.path)
            _check(fresh.path, source, settings)
            fresh.unlock()
            if present:
                return _exchange(fresh.path, folder, held)
            _put(fresh.path, folder)
            return None


def _refuse_strangers(folder: Path) -> None:
    """Unlike ``gallery.refuse_strangers`` this lets a gallery pass that has lost its catalog: a backup heals it."""
    if folder.is_dir() and not Layout(folder).catalog.exists():
        if not all(Layout.has_name(path.name) for path in folder.iterdir()):
            raise BadValue(
                f"The folder {folder} is not a gallery: it has other files in it.",
                "Give an empty or new folder to --gallery.",
            )
    elif os.path.lexists(folder) and not folder.is_dir():
        raise BadValue(f"{folder} is a file, not a gallery.", "Give a folder to --gallery.")


def _unpack(source: Path, fresh: Path) -> None:
    try:
        with tarfile.open(source, "r:") as archive:
            digests = {}
            manifest: Any = None
            for info in archive:
                # Looked at before it is opened: a link would be followed.
                file = archive.extractfile(info) if info.isreg() and _is_ours(info.name) else None
                if file is None:
                    raise _no_backup(source, f"it has a member {info.name!r} that no backup has")
                if info.name == _MANIFEST:
                    manifest = json.load(file)
                    continue
                target = fresh / info.name
                target.parent.mkdir(parents=True, exist_ok=True)
                digests[info.name] = _copy(file, target)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise _no_backup(source, str(error)) from error
    if manifest is None:
        raise _no_backup(source, "its end is missing")
    number = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(number, int):
        raise _no_backup(source, "its manifest is not one of ours")
    if number > FORMAT:
        raise GalleryTooNew(
            f"The backup {source} was made by a newer version of retrieval.", "Update with `pip install -U retrieval`."
        )
    if manifest.get("sha256") != digests:
        raise _no_backup(source, "its content is not what was written (a checksum differs)")


_OURS = re.compile(r"manifest\.json|catalog\.sqlite3|(spaces|models)/[0-9a-f]{16}/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
"""Every name that a member may have: none leads out of the gallery, and none is of anything else in it."""


def _is_ours(name: str) -> bool:
    return _OURS.fullmatch(name) is not None


def _copy(file: IO[bytes], target: Path) -> str:
    digest = hashlib.sha256()
    with open(target, "wb") as out:
        while block := file.read(_BLOCK):
            digest.update(block)
            out.write(block)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def _check(fresh: Path, source: Path, settings: Settings | None) -> None:
    catalog = Layout(fresh).catalog
    if not catalog.exists() or not catalog.stat().st_size:
        raise _no_backup(source, "it holds no catalog")
    with Gallery(fresh, settings) as gallery:
        gallery.catalog.seal()


def _put(fresh: Path, folder: Path) -> None:
    with suppress(FileNotFoundError):
        folder.rmdir()
    os.replace(fresh, folder)
    sync_folder(folder.parent)


def _exchange(fresh: Path, folder: Path, held: ExitStack) -> Path:
    """``held`` has the write lock of the gallery in ``folder``."""
    aside, ready = _free_names(folder)
    # No system exchanges two folders at once: whoever opens the gallery finishes what a crash leaves from here on.
    os.replace(fresh, ready)
    if os.name == "nt":
        held.close()  # Windows renames no folder in which a file is open.
    try:
        os.replace(folder, aside)
    except OSError:
        os.replace(ready, fresh)
        raise
    finish_restore(folder)
    return aside


def _free_names(folder: Path) -> tuple[Path, Path]:
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    layout = Layout(folder)
    if layout.before_restore(stamp).exists() or layout.restored(stamp).exists():
        stamp = f"{stamp}-{os.getpid()}"
    return layout.before_restore(stamp), layout.restored(stamp)


def _no_backup(source: Path, why: str) -> GalleryDamaged:
    return GalleryDamaged(
        f"{source} is not a backup that can be used: {why}.", "Nothing was changed; give another backup."
    )
