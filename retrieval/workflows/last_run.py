"""What the last index run found, and when each folder was last looked at: remembered in the catalog."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.catalog import Catalog
from retrieval.core.settings import Settings
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.scopes import Scope

if TYPE_CHECKING:
    from retrieval.workflows.index_report import IndexReport

_RUN = "last_index"
_LOOKED = "roots_scanned"


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last index run.

    Attributes:
        at: when it ended, in seconds since the epoch.
        report: the fields of ``IndexReport``.
    """

    at: float
    report: Mapping[str, Any]


def remember_run(catalog: Catalog, scopes: Sequence[Scope], report: "IndexReport") -> None:
    """Keep what a run found. Only for the holder of the write lock, who seals the catalog afterwards.

    Args:
        catalog: of the gallery.
        scopes: what was looked at.
        report: what was found.
    """
    now = time.time()
    catalog.put(_RUN, {"at": now, "report": report.to_dict()})
    if report.interrupted:
        return
    looked = [scope.root.id for scope in scopes if not scope.single and scope.path == scope.root.path]
    there = {str(root.id) for root in catalog.roots.all()}
    before = {key: at for key, at in scanned(catalog).items() if key in there}
    catalog.put(_LOOKED, {**before, **{str(root_id): now for root_id in looked}})


def scanned(catalog: Catalog) -> dict[str, float]:
    """When each root was last looked at as a whole, in seconds since the epoch, by the text of its id."""
    found = catalog.get(_LOOKED)
    return {str(key): float(at) for key, at in found.items()} if isinstance(found, dict) else {}


def last_run(folder: Path, settings: Settings | None = None) -> LastRun | None:
    """The last index run of a gallery; None before the first. Raises EmptyGallery."""
    with Gallery(folder, settings) as gallery:
        found = gallery.catalog.get(_RUN)
    return LastRun(float(found["at"]), found["report"]) if isinstance(found, dict) else None
