"""``Catalog``: one database file and what can be asked of it, by subject."""

from pathlib import Path
from typing import Any

from retrieval.catalog import health
from retrieval.catalog.calibrations import Calibrations
from retrieval.catalog.coverage import Coverage
from retrieval.catalog.database import copy_database
from retrieval.catalog.files import Files
from retrieval.catalog.images import Images
from retrieval.catalog.ingest import Ingest
from retrieval.catalog.judgements import Judgements
from retrieval.catalog.labels import Labels
from retrieval.catalog.roots import Roots
from retrieval.catalog.runs import Runs, Splits
from retrieval.catalog.session import Session, get, put
from retrieval.catalog.spaces import Spaces
from retrieval.catalog.switches import Switches
from retrieval.catalog.tallies import Tallies


class Catalog:
    """A gallery's database, opened and migrated.

    Args:
        path: the SQLite file; made if absent. Its folder must exist.

    Raises:
        GalleryTooNew: a newer version wrote it.
        GalleryDamaged: it is not a database.

    Attributes:
        roots, files, images, labels, judgements, spaces, coverage, calibrations, runs, splits, tallies: what can be
            asked, by subject; every method is one transaction.
        switches: which space is live.
        ingest: writes what indexing found.
    """

    def __init__(self, path: Path) -> None:
        self._session = Session(path)
        self.path = path
        self.roots = Roots(self._session)
        self.files = Files(self._session)
        self.images = Images(self._session)
        self.labels = Labels(self._session)
        self.judgements = Judgements(self._session)
        self.spaces = Spaces(self._session)
        self.coverage = Coverage(self._session)
        self.calibrations = Calibrations(self._session)
        self.switches = Switches(self._session)
        self.runs = Runs(self._session)
        self.splits = Splits(self._session)
        self.tallies = Tallies(self._session)
        self.ingest = Ingest(self._session)

    @property
    def generation(self) -> int:
        """Changes when another file takes the catalog's place: whatever was read before is void."""
        return self._session.generation

    def get(self, key: str) -> Any:
        """A remembered JSON value, or None."""
        with self._session.read() as connection:
            return get(connection, key)

    def put(self, key: str, value: Any) -> None:
        """Remember a JSON value."""
        with self._session.write() as connection:
            put(connection, key, value)

    def check(self) -> list[str]:
        """What is wrong with the file; empty when nothing is."""
        return health.check(self._session)

    def refuse_damage(self) -> None:
        """Raise GalleryDamaged where the file is not what was sealed; to be asked before it is written to."""
        health.refuse_damage(self._session)

    def only_indexes_are_damaged(self) -> bool:
        """Whether it is certain that ``reindex`` mends all that is damaged."""
        return health.only_indexes_are_damaged(self._session)

    def reindex(self) -> None:
        """Build SQLite's own indexes again."""
        health.reindex(self._session)

    def seal(self) -> bool:
        """Write the checksum of the state at rest; False where another process is using the catalog."""
        return health.seal(self._session)

    def copy_to(self, target: Path) -> None:
        """A consistent copy while the catalog is in use."""
        copy_database(self.path, target)

    def close(self) -> None:
        """Give back all connections."""
        self._session.close()
