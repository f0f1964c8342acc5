"""Where everything lies in a gallery's folder, and the lock that writers hold."""

import glob
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from retrieval.core.errors import GalleryBusy
from retrieval.core.files import sync_folder
from retrieval.core.types import EmbeddingSpace
from retrieval.workflows.leftovers import LOCK, is_older_than_a_day, sweep_encoders, sweep_working_folders

CATALOG = "catalog.sqlite3"
"""The database's name: what makes a folder a gallery. What lies beside it is named after it."""

PARTS = {
    "vectors": "spaces",
    "index": "index",
    "maps": "maps",
    "models": "models",
    "history": "history",
    "runs": "runs",
    "jobs": ".jobs",
}
"""The folders in a gallery, by what they hold."""

_PATIENCE = 2.0
"""Seconds to wait for the write lock: a switch that embeds holds it for a moment after every batch."""

_ATTEMPTS = 5
"""To get a lock while restores exchange the gallery."""

_STAMP = re.compile(r"[0-9]{8}-[0-9]{6}(-[0-9]+)?")
"""Of a restore; see ``Layout.restored``."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below a gallery's folder.

    ===========================  ======================================
    ``catalog.sqlite3``          the catalog, its seal beside it
    ``spaces/FINGERPRINT/``      a space's vectors
    ``index/FINGERPRINT/``       snapshots of the index, derived
    ``maps/FINGERPRINT.npz``     the map of a space, derived
    ``models/FINGERPRINT/``      the encoder
    ``history/``                 photos that were searched with, small
    ``writing.lock``             held while something is written
    ``runs/``                    training runs that were started as jobs
    ``.jobs/``                   the jobs, and what they said; may be there before the gallery is
    ===========================  ======================================
    """

    folder: Path

    @property
    def catalog(self) -> Path:
        """The database."""
        return self.folder / CATALOG

    def vectors(self, space: EmbeddingSpace) -> Path:
        """Folder of a space's vector files."""
        return self.folder / PARTS["vectors"] / space.fingerprint[:16]

    def index(self, space: EmbeddingSpace) -> Path:
        """Folder of the snapshots of a space's index."""
        return self.folder / PARTS["index"] / space.fingerprint[:16]

    def map(self, space: EmbeddingSpace) -> Path:
        """File of a space's map."""
        return self.folder / PARTS["maps"] / f"{space.fingerprint[:16]}.npz"

    def model(self, fingerprint: str) -> Path:
        """Folder of an encoder."""
        return self.folder / PARTS["models"] / fingerprint[:16]

    @property
    def runs(self) -> Path:
        """Folder of training runs."""
        return self.folder / PARTS["runs"]

    @property
    def history(self) -> Path:
        """Folder of the photos that were searched with."""
        return self.folder / PARTS["history"]

    @property
    def jobs(self) -> Path:
        """Folder of jobs."""
        return self.folder / PARTS["jobs"]

    def before_restore(self, stamp: str) -> Path:
        """Where a restore moves this gallery to."""
        return self.folder.absolute().with_name(f"{self.folder.absolute().name}.before-restore-{stamp}")

    def restored(self, stamp: str) -> Path:
        """Where the gallery that a restore made waits, whole and checked, until the old one has moved."""
        return self.folder.absolute().with_name(f".{self.folder.absolute().name}.restored-{stamp}")

    @property
    def restoring(self) -> str:
        """Prefix of the folders, beside this gallery, that restores unpack into."""
        return f".{self.folder.absolute().name}.restoring-"

    @staticmethod
    def has_name(name: str) -> bool:
        """Whether a gallery's folder may have a file or folder of this name in it; all that is hidden may be ours."""
        return name.startswith((".", CATALOG)) or name == LOCK or name in PARTS.values()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the write lock. The system releases it when the process dies, however it dies.

        What killed runs have left of their own is removed first.

        Raises:
            GalleryBusy: another process holds it.
        """
        lock = self._locked()
        try:
            self._sweep()
            yield
        finally:
            lock.release()

    def _locked(self) -> FileLock:
        for _ in range(_ATTEMPTS):
            finish_restore(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            before = _identity(self.folder)
            lock = FileLock(self.folder / LOCK)
            try:
                lock.acquire(timeout=_PATIENCE)
            except Timeout as error:
                raise self._busy() from error
            # A restore may have put another gallery here since, or be about to: then this is the lock of another one.
            if before == _identity(self.folder) and (self.catalog.exists() or _waiting(self.folder) is None):
                return lock
            lock.release()
        raise self._busy()

    def _busy(self) -> GalleryBusy:
        return GalleryBusy(
            f"Another process is writing to the gallery {self.folder}.",
            "Wait until it has finished, or stop it; searching goes on meanwhile.",
        )

    def _sweep(self) -> None:
        folder = self.folder.absolute()
        sweep_encoders(folder / PARTS["models"])
        sweep_working_folders(folder.parent, self.restoring)
        for stamp, ready in _restored(self):
            # One that has the old gallery beside it is somebody's only copy of what was restored.
            alone = not self.before_restore(stamp).exists()
            if alone and _STAMP.fullmatch(stamp) and not ready.is_symlink() and is_older_than_a_day(ready):
                shutil.rmtree(ready, ignore_errors=True)


def finish_restore(folder: Path) -> None:
    """Where a restore has moved the old gallery aside, put the new one in its place; otherwise do nothing."""
    if not _is_free(folder):
        return
    ready = _waiting(folder)
    if ready is None:
        return
    # Two may want to finish it at once.
    with suppress(FileNotFoundError):
        if folder.exists():
            # A writer who came between the two renames made the folder anew, for its lock.
            (folder / LOCK).unlink(missing_ok=True)
            folder.rmdir()
        os.replace(ready, folder)
    sync_folder(folder.absolute().parent)


def _is_free(folder: Path) -> bool:
    """Whether nothing lies at a gallery's place, or nothing but a lock."""
    try:
        return all(path.name == LOCK for path in folder.iterdir())
    except FileNotFoundError:
        return True
    except NotADirectoryError:
        return False


def _waiting(folder: Path) -> Path | None:
    """The gallery that a restore has made and not yet put in its place, though the old one has moved."""
    layout = Layout(folder)
    return next((ready for stamp, ready in _restored(layout) if layout.before_restore(stamp).exists()), None)


def _restored(layout: Layout) -> Iterator[tuple[str, Path]]:
    """(stamp, folder) of the galleries that restores have made and not put in their place."""
    prefix = layout.restored("").name
    for ready in layout.restored("").parent.glob(f"{glob.escape(prefix)}*"):
        yield ready.name.removeprefix(prefix), ready


def _identity(folder: Path) -> tuple[int, int] | None:
    """What tells a folder from another one under the same name; None where there is none."""
    with suppress(OSError):
        found = folder.stat()
        return (found.st_dev, found.st_ino)
    return None
