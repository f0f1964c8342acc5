"""The B x B matrix of a batch in pieces of a bounded size, so that no miner ever holds B^3 values."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from retrieval.functional.labels import negative_mask, positive_mask
from retrieval.functional.triplets import blocks

BLOCK_VALUES = 1 << 20
"""Most entries of a piece, unless a single row has more: 4 MiB in float32."""


class Rows(NamedTuple):
    """Some anchors against the whole batch.

    Attributes:
        anchors: [R] rows of the batch, consecutive.
        positive: [R, B] bool.
        negative: [R, B] bool.
    """

    anchors: Tensor
    positive: Tensor
    negative: Tensor


class PairRows(NamedTuple):
    """Some (anchor, positive) pairs against the whole batch.

    Attributes:
        anchors, positives: [P] rows of the batch.
        rows: [R] the distinct anchors: what is the same for all pairs of an anchor is computed once.
        place: [P] where each pair's anchor stands in ``rows``.
        negative: [R, B] bool.
    """

    anchors: Tensor
    positives: Tensor
    rows: Tensor
    place: Tensor
    negative: Tensor


def check_batch(embeddings: Tensor, labels: Tensor) -> None:
    """Raises ValueError unless embeddings are [B, D] and labels [B] integers."""
    if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
        raise ValueError(f"Embeddings {list(embeddings.shape)} and labels {list(labels.shape)} do not fit.")
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise ValueError(f"Labels are class numbers, not {labels.dtype}.")


def row_blocks(labels: Tensor) -> Iterator[Rows]:
    """All rows of the batch in order; an [R, B] tensor has at most ``BLOCK_VALUES`` entries, or one row."""
    count = len(labels)
    step = max(1, BLOCK_VALUES // max(1, count))
    for start in range(0, count, step):
        anchors = torch.arange(start, min(start + step, count), device=labels.device)
        own = labels[start : start + step]
        yield Rows(anchors, positive_mask(own, labels, start), negative_mask(own, labels, start))


def pair_blocks(labels: Tensor, most_values: int | None = None) -> Iterator[PairRows]:
    """All (anchor, positive) pairs; a [P, B] tensor has at most ``most_values`` entries (None: ``BLOCK_VALUES``), or
    one row."""
    for anchors, positives in blocks(labels, BLOCK_VALUES if most_values is None else most_values):
        rows, place = torch.unique_consecutive(anchors, return_inverse=True)
        # An anchor is no negative of itself in any case, so its own column needs no care here.
        yield PairRows(anchors, positives, rows, place, negative_mask(labels[rows], labels))
