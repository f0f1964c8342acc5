"""Nearest neighbours by cosine: an exact engine, the FAISS engines, and their snapshots on disk.

Derived data throughout: whatever is wrong with an index, it is built anew from the vector store.
"""

from retrieval.index.build import build
from retrieval.index.choose import Choice, choose, needs_rebuild
from retrieval.index.exact import ExactIndex
from retrieval.index.faiss_engine import FaissIndex
from retrieval.index.library import set_threads
from retrieval.index.parameters import Parameters
from retrieval.index.snapshot import Manifest, SnapshotDamaged, SnapshotMissing, discard, load, publish, read_manifest

__all__ = [
    "Choice",
    "ExactIndex",
    "FaissIndex",
    "Manifest",
    "Parameters",
    "SnapshotDamaged",
    "SnapshotMissing",
    "build",
    "choose",
    "discard",
    "load",
    "needs_rebuild",
    "publish",
    "read_manifest",
    "set_threads",
]
