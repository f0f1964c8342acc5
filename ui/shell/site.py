"""What a page is built from."""

from dataclasses import dataclass
from pathlib import Path

from retrieval.core.errors import ReadOnly
from retrieval.workflows.jobs import Jobs
from ui.addresses import Addresses
from ui.ports import Searches


@dataclass(frozen=True, slots=True)
class Site:
    """The gallery that is served, as pages see it.

    Attributes:
        title: of the application.
        searcher: the gallery to search in.
        addresses: of pictures.
        max_upload_bytes: larger uploads are refused.
        gallery: its folder, for workflows; None where only searching is offered.
        jobs: its jobs; there wherever the folder is.
        may_write: visitors may change the gallery, and start and stop jobs.
        shows_paths: visitors may see where files lie on this machine.
    """

    title: str
    searcher: Searches
    addresses: Addresses
    max_upload_bytes: int
    gallery: Path | None = None
    jobs: Jobs | None = None
    may_write: bool = True
    shows_paths: bool = True

    @property
    def leads_on(self) -> bool:
        """Whether the pages that live on folders are there (Library, Labels, Teach), so that others may lead there."""
        return self.gallery is not None and self.shows_paths

    @property
    def may_add(self) -> bool:
        """Whether a visitor can add a folder: the Library page is there, and may change something."""
        return self.leads_on and self.may_write

    def require_may_write(self) -> None:
        """Raises ReadOnly: whoever asks may look, and change nothing."""
        if not self.may_write:
            raise ReadOnly("Here one may look, and change nothing.", "Ask whoever owns the gallery.")
