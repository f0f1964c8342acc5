"""Triplets that a rule selects, found block by block: what the miners all, easy, semihard, hard and mixed share."""

from collections.abc import Iterator

import torch
from torch import Tensor

from retrieval.functional.labels import NO_LABEL
from retrieval.functional.mined import Triplets
from retrieval.functional.triplets import RULES, Rule
from retrieval.mining.blocks import PairRows, check_batch, pair_blocks
from retrieval.mining.collector import Collector
from retrieval.mining.workspace import Measured, Workspace, places

MARGIN = 0.2
"""FaceNet's margin, for embeddings of unit norm."""

LIMIT = 50_000_000
"""Most triplets that a miner gives at once: 1.2 GB of row numbers."""

BYTES_A_TRIPLET = 3 * 8


def iter_triplets(
    rule: str,
    embeddings: Tensor,
    labels: Tensor,
    *,
    margin: float = MARGIN,
    squared: bool = False,
    most_values: int | None = None,
) -> Iterator[Triplets]:
    """The triplets of a rule in bounded blocks, ordered by anchor, then positive, then negative.

    Args:
        rule: one of ``RULES``: ``"all"``, ``"easy"``, ``"semihard"``, ``"hard"``, ``"mixed"``.
        embeddings: [B, D], unit norm.
        labels: [B] class numbers; rows of -1 are in no triplet.
        margin: m, in the unit of the distance.
        squared: compare squared distances in place of plain ones; as the loss does that takes the triplets.
        most_values: bound on the (pair, row) combinations looked at together, and so on a block's triplets; a
            single pair is always looked at whole. None: ``BLOCK_VALUES``, 1 million.

    Yields:
        Blocks of at least one and at most max(most_values, B) triplets; no block when there is no triplet.

    Raises:
        ValueError: an unknown rule, or shapes that do not fit.
    """
    check_batch(embeddings, labels)
    if rule not in RULES:
        raise ValueError(f"No rule {rule!r}; there are {', '.join(RULES)}.")
    return _yielded(RULES[rule], embeddings, labels, margin, squared, most_values)


def triplets_of(rule: str, embeddings: Tensor, labels: Tensor, *, margin: float, squared: bool, limit: int) -> Triplets:
    """All triplets of a rule at once.

    Args:
        rule, embeddings, labels, margin, squared: as ``iter_triplets``.
        limit: most triplets to give.

    Raises:
        ValueError: the rule selects more than ``limit`` triplets; the message says how many about. Also as
            ``iter_triplets``.
    """
    check_batch(embeddings, labels)
    pairs, possible = possible_triplets(labels)
    if rule == "all" and possible > limit:
        raise _too_many(rule, possible, "", limit)
    space = Workspace(labels.device)
    found = Collector(3, min(possible, limit), labels.device)
    seen = 0
    for block, chosen in _walk(RULES[rule], embeddings, labels, margin, squared, None, space):
        seen += len(block.anchors)
        counts, negatives = places(chosen)
        if len(found) + len(negatives) > limit:
            raise _too_many(rule, (len(found) + len(negatives)) * pairs // seen, "about ", limit)
        found.add(*_repeated(block, counts, len(negatives)), negatives)
    return found.triplets()


def possible_triplets(labels: Tensor) -> tuple[int, int]:
    """How many (anchor, positive) pairs, and how many triplets of any kind, [B] labels allow."""
    _, counts = torch.unique(labels[labels != NO_LABEL], return_counts=True)
    pairs = counts * (counts - 1)
    return int(pairs.sum()), int((pairs * (counts.sum() - counts)).sum())


def _yielded(
    rule: Rule, embeddings: Tensor, labels: Tensor, margin: float, squared: bool, most_values: int | None
) -> Iterator[Triplets]:
    for block, chosen in _walk(rule, embeddings, labels, margin, squared, most_values, Workspace(labels.device)):
        counts, negatives = places(chosen)
        if len(negatives):
            yield Triplets(*_repeated(block, counts, len(negatives)), negatives)


def _repeated(block: PairRows, counts: Tensor, total: int) -> tuple[Tensor, Tensor]:
    """The block's anchors and positives, each pair as often as ``counts`` says."""
    anchors, positives = (x.repeat_interleave(counts, output_size=total) for x in (block.anchors, block.positives))
    return anchors, positives


@torch.no_grad()
def _walk(
    rule: Rule,
    embeddings: Tensor,
    labels: Tensor,
    margin: float,
    squared: bool,
    most_values: int | None,
    space: Workspace,
) -> Iterator[tuple[PairRows, Tensor]]:
    """Pairs, and for each which rows of the batch the rule chooses as negatives, [P, B] bool; block by block."""
    measured = Measured(embeddings, space, squared=squared)
    for block in pair_blocks(labels, most_values):
        between = measured(block.rows)
        ap = between[block.place, block.positives][:, None]
        chosen = rule(ap, space.gathered("negatives", between, block.place), margin)
        yield block, chosen.logical_and_(space.gathered("masks", block.negative, block.place))


def _too_many(rule: str, count: int, about: str, limit: int) -> ValueError:
    return ValueError(
        f"The rule {rule!r} selects {about}{count:,} triplets of this batch ({count * BYTES_A_TRIPLET / 1e9:.1f} GB); "
        f"the limit is {limit:,}. Use iter_triplets, a triplet loss that selects for itself, or a smaller batch."
    )
