"""The demonstration: the project's own sample images, an encoder that needs no network, one search, one lesson."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.core.errors import RetrievalError
from retrieval.datasets.samples import samples_folder
from retrieval.workflows.results import SearchResult
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.searching import Searcher

if TYPE_CHECKING:
    from retrieval.workflows.training import TrainingHooks

__all__ = ["DEMO_MODEL", "lesson", "sample_query", "samples_folder"]

DEMO_MODEL = "untrained"
DEMO_RECIPE = "quick-head"


def sample_query(searcher: Searcher, k: int = 5) -> tuple[str, SearchResult]:
    """The path of one sample image and its neighbours, itself left out."""
    image_id = searcher.samples(3)[1]
    return searcher.record(image_id).paths[0], searcher.by_id(image_id, k)


def lesson(gallery: Path, fingerprint: str, hooks: "TrainingHooks") -> tuple[Path, dict[str, Any]]:
    """Train a projection on the sample images' labels, beside the gallery; a second call only reads what it brought.

    Args:
        gallery: the demo's gallery, indexed.
        fingerprint: of its live space; after a change of the encoder the lesson is held again.
        hooks: who to talk to.

    Returns:
        The run's folder and its metrics.
    """
    run = RunFolder(gallery.with_name(f"{gallery.name}-{DEMO_RECIPE}-{fingerprint[:8]}"))
    try:
        return run.folder, dict(run.read("metrics.json"))
    except RetrievalError:
        pass
    from retrieval.workflows.recipes import load_recipe
    from retrieval.workflows.training import Request, train

    asked = Request("gallery", load_recipe(DEMO_RECIPE), run.folder, gallery=gallery, resume=True)
    return run.folder, train(asked, hooks=hooks).metrics
