"""Append-only vector files: one store an embedding space."""

from retrieval.vectors.store import DamagedRows, VectorStore, row_bytes

__all__ = ["DamagedRows", "VectorStore", "row_bytes"]
