"""The catalog: the truth about images, files, labels and spaces."""

from retrieval.catalog.catalog import Catalog
from retrieval.catalog.coverage import Lacking, Place, Vector
from retrieval.catalog.files import FailedFile, KnownFile
from retrieval.catalog.ingest import Counts, Indexed
from retrieval.catalog.labels import CSV, FOLDER, TRUSTED, Change, Entry, LabelEvent, Operation
from retrieval.catalog.membership import AUTOMATIC, PERSON
from retrieval.catalog.roots import Root, deepest, inside
from retrieval.catalog.runs import TrainedRun
from retrieval.catalog.spaces import Feed
from retrieval.catalog.switches import Switch
from retrieval.catalog.tallies import Tally

__all__ = [
    "AUTOMATIC",
    "CSV",
    "FOLDER",
    "PERSON",
    "TRUSTED",
    "Catalog",
    "Change",
    "Counts",
    "Entry",
    "FailedFile",
    "Feed",
    "Indexed",
    "KnownFile",
    "LabelEvent",
    "Lacking",
    "Operation",
    "Place",
    "Root",
    "Switch",
    "Tally",
    "TrainedRun",
    "Vector",
    "deepest",
    "inside",
]
