"""Read, decode, encode, yield: the pipeline from files to vectors."""

from retrieval.embedding.stream import Embedded, Embedder, embed_files

__all__ = ["Embedded", "Embedder", "embed_files"]
