"""Where everything lies in a gallery's folder, and the lock that writers hold."""

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from retrieval.core.errors import GalleryBusy
from retrieval.core.files import sync_folder
from retrieval.core.types import EmbeddingSpace


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below a gallery's folder.

    ===========================  ======================================
    ``catalog.sqlite3``          the catalog, its seal beside it
    ``spaces/FINGERPRINT/``      a space's vectors
    ``index/FINGERPRINT/``       snapshots of the index, derived
    ``models/FINGERPRINT/``      the encoder
    ``writing.lock``             held while something is written
    ===========================  ======================================
    """

    folder: Path

    @property
    def catalog(self) -> Path:
        """The database."""
        return self.folder / "catalog.sqlite3"

    def vectors(self, space: EmbeddingSpace) -> Path:
        """Folder of a space's vector files."""
        return self.folder / "spaces" / space.fingerprint[:16]

    def index(self, space: EmbeddingSpace) -> Path:
        """Folder of the snapshots of a space's index."""
        return self.folder / "index" / space.fingerprint[:16]

    def model(self, fingerprint: str) -> Path:
        """Folder of an encoder."""
        return self.folder / "models" / fingerprint[:16]

    def before_restore(self, stamp: str) -> Path:
        """Where a restore moves this gallery to."""
        return self.folder.absolute().with_name(f"{self.folder.absolute().name}.before-restore-{stamp}")

    def restored(self, stamp: str) -> Path:
        """Where the gallery that a restore made waits, whole and checked, until the old one has moved."""
        return self.folder.absolute().with_name(f".{self.folder.absolute().name}.restored-{stamp}")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the write lock. The system releases it when the process dies, however it dies.

        Raises:
            GalleryBusy: another process holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "writing.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise GalleryBusy(
                f"Another process is writing to the gallery {self.folder}.",
                "Wait until it has finished, or stop it; searching goes on meanwhile.",
            ) from error
        try:
            yield
        finally:
            lock.release()


def finish_restore(folder: Path) -> None:
    """Where a restore has moved the old gallery aside, put the new one in its place; otherwise do nothing."""
    if folder.exists():
        return
    layout = Layout(folder)
    prefix = layout.restored("").name
    for ready in layout.restored("").parent.glob(f"{glob.escape(prefix)}*"):
        if layout.before_restore(ready.name.removeprefix(prefix)).exists():
            # Two may want to finish it at once.
            with suppress(FileNotFoundError):
                os.replace(ready, folder)
            sync_folder(folder.absolute().parent)
            return
