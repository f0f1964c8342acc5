"""The catalog: the truth about images, files, labels and spaces."""

from retrieval.catalog.catalog import Catalog
from retrieval.catalog.files import FailedFile, KnownFile
from retrieval.catalog.ingest import Counts, Indexed
from retrieval.catalog.roots import Root, inside
from retrieval.catalog.spaces import Feed

__all__ = ["Catalog", "Counts", "FailedFile", "Feed", "Indexed", "KnownFile", "Root", "inside"]
