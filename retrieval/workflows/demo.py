"""The demonstration: the project's own sample images, an encoder that needs no network, one search."""

from retrieval.datasets.samples import samples_folder
from retrieval.workflows.results import SearchResult
from retrieval.workflows.searching import Searcher

__all__ = ["DEMO_MODEL", "sample_query", "samples_folder"]

DEMO_MODEL = "untrained"


def sample_query(searcher: Searcher, k: int = 5) -> tuple[str, SearchResult]:
    """The path of one sample image and its neighbours, itself left out."""
    image_id = searcher.samples(3)[1]
    return searcher.record(image_id).paths[0], searcher.by_id(image_id, k)
