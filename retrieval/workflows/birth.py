"""A gallery's first run: if it fails before there is an embedding space, nothing of the gallery is left."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from retrieval.core.errors import RetrievalError
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.layout import Layout
from retrieval.workflows.leftovers import LOCK


class Birth:
    """Knows what was there before a run, and takes back what the run has made for a gallery that never came to be.

    Args:
        folder: the gallery's; to be asked before it is opened.
    """

    def __init__(self, folder: Path) -> None:
        folder = folder.absolute()
        self._is_first = not Layout(folder).catalog.exists()
        self._made = [path for path in (folder, *folder.parents) if not path.exists()]

    @contextmanager
    def of(self, gallery: Gallery) -> Iterator[None]:
        """The run. The caller holds the write lock: what another process has made of the gallery is seen, and kept."""
        try:
            yield
        except BaseException:
            if self._is_first and _has_no_space(gallery):
                gallery.close()
                self._take_back(gallery)
            raise

    def _take_back(self, gallery: Gallery) -> None:
        catalog = gallery.layout.catalog
        for path in catalog.parent.glob(f"{catalog.name}*"):
            path.unlink(missing_ok=True)
        shutil.rmtree(gallery.folder / "models", ignore_errors=True)
        # Windows removes no file that is open, and the lock is held.
        with suppress(OSError):
            (gallery.folder / LOCK).unlink(missing_ok=True)
            for folder in self._made:
                folder.rmdir()


def _has_no_space(gallery: Gallery) -> bool:
    try:
        return not gallery.catalog.spaces.all()
    except RetrievalError:
        # What cannot be asked is not thrown away.
        return False
