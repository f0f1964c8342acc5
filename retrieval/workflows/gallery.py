"""``Gallery``: catalog, vector stores, index and encoder of one folder, opened together."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from retrieval.catalog import Catalog
from retrieval.core.errors import BadValue, EmptyGallery, disk_full_is_said
from retrieval.core.settings import Settings, load_settings
from retrieval.core.types import EmbeddingSpace
from retrieval.vectors import VectorStore
from retrieval.workflows.layout import Layout, finish_restore


class Gallery:
    """An opened gallery. Several processes may have the same one open; one at a time writes.

    Args:
        folder: the gallery's folder.
        settings: limits and threads; from the environment by default.
        create: make the folder and an empty catalog if there is none.

    Raises:
        EmptyGallery: there is no gallery in the folder, and ``create`` is False.
        BadValue: the folder holds other things.
        GalleryTooNew, GalleryDamaged: see ``Catalog``.

    Attributes:
        layout: where the files lie.
        catalog: the truth about images and files.
    """

    def __init__(self, folder: Path, settings: Settings | None = None, *, create: bool = False) -> None:
        self.settings = settings or load_settings()
        self.layout = Layout(folder)
        finish_restore(folder)
        if not self.layout.catalog.exists():
            if not create:
                raise nothing_indexed(folder)
            refuse_strangers(folder)
            with disk_full_is_said(str(folder)):
                folder.mkdir(parents=True, exist_ok=True)
        self.catalog = Catalog(self.layout.catalog)

    @property
    def folder(self) -> Path:
        """The gallery's folder."""
        return self.layout.folder

    def live_space(self) -> EmbeddingSpace:
        """The space that searches use. Raises EmptyGallery before the first index."""
        space = self.catalog.spaces.live()
        if space is None:
            raise nothing_indexed(self.folder)
        return space

    def store(self, space: EmbeddingSpace) -> VectorStore:
        """The vectors of a space, as far as they are committed."""
        return VectorStore(self.layout.vectors(space), space.dimension, space.rows)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the write lock. A catalog that is damaged is not written to: its seal could tell nothing any more.

        Raises:
            GalleryBusy: another process holds it.
            GalleryDamaged: the catalog is not what was written.
        """
        with self.layout.writing():
            self.catalog.refuse_damage()
            yield

    def close(self) -> None:
        """Give back the database connections."""
        self.catalog.close()

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def nothing_indexed(folder: Path) -> EmptyGallery:
    """The error for a gallery without images."""
    return EmptyGallery(f"Nothing is indexed in the gallery {folder} yet.", "Run `retrieval index FOLDER` first.")


def refuse_strangers(folder: Path) -> None:
    """A gallery is a folder of its own: a folder of photos given by mistake must not be filled with our files.

    Raises:
        BadValue: the folder has other files in it, or is a file.
    """
    if folder.is_dir():
        strangers = [p.name for p in folder.iterdir() if p.name not in ("writing.lock",) and not p.name.startswith(".")]
        if strangers:
            raise BadValue(
                f"The folder {folder} is not a gallery: it has other files in it and no catalog.",
                "Give an empty or new folder to --gallery; for a gallery that lost its catalog, restore a backup.",
            )
    elif folder.exists():
        raise BadValue(f"{folder} is a file, not a gallery.", "Give a folder to --gallery.")
