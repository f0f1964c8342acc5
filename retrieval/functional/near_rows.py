"""The nearest rows of every row, for tens of thousands of them at once: exact for few, by cells for many.

Rows are parted into cells around centroids, and each is compared with those of the cells whose centroids are nearest to
that of its own: the inverted file of Jégou, Douze and Schmid, "Product Quantization for Nearest Neighbor Search", IEEE
TPAMI 33, 2011, section 4. It serves where a neighbour that is missed now and then does no harm, and is no index.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

EXACT = 4_096
"""Rows up to which all pairs are compared."""

PROBES = 12
"""Cells that a row is compared with, its own included."""

_ROUNDS = 5
_LEARNED = 64
"""Rows a centroid that it is learned from, at most."""

_BLOCK = 1 << 22


@torch.no_grad()
def near_rows(rows: Tensor, k: int, *, exact: int = EXACT, probes: int = PROBES) -> Tensor:
    """[N, k] int64 places of the k nearest others of each row by Euclidean distance, the nearest first.

    Args:
        rows: [N, D] float32 on the CPU, finite. Memory grows with N · (D + k), time with N · √N · ``probes``.
        k: 1 to N - 1.
        exact: above so many rows only the nearest cells are looked into.
        probes: how many of them.

    Raises:
        ValueError: shapes do not fit, or a row has no k others.
    """
    if rows.ndim != 2 or not 1 <= k < len(rows):
        raise ValueError(f"{tuple(rows.shape)} rows have no {k} nearest others.")
    found = torch.empty(len(rows), k, dtype=torch.int64)
    everything = torch.arange(len(rows))
    if len(rows) <= exact:
        _search(rows, everything, everything, k, found)
        return found
    centroids = _centroids(rows, max(2, round(len(rows) ** 0.5)))
    cell = _nearest(rows, centroids)
    order = cell.argsort(stable=True)
    members = torch.tensor_split(order, torch.bincount(cell, minlength=len(centroids)).cumsum(0)[:-1])
    near = _squared(centroids, centroids).argsort(dim=1, stable=True)
    for number, own in enumerate(members):
        if not len(own):
            continue
        among = torch.cat([members[other] for other in near[number, :probes].tolist()])
        further = probes
        while len(among) <= k:
            among = torch.cat([among, members[int(near[number, further])]])
            further += 1
        _search(rows, own, among, k, found)
    return found


def _search(rows: Tensor, asked: Tensor, among: Tensor, k: int, found: Tensor) -> None:
    base = rows[among]
    place = torch.full((len(rows),), -1)
    place[among] = torch.arange(len(among))
    for some in _blocks(asked, max(1, _BLOCK // len(among))):
        apart = _squared(rows[some], base)
        apart[torch.arange(len(some)), place[some]] = torch.inf
        found[some] = among[apart.topk(k, largest=False).indices]


def _centroids(rows: Tensor, cells: int) -> Tensor:
    """[cells, D] by a few rounds of Lloyd's algorithm; an empty cell keeps its centroid."""
    generator = torch.Generator().manual_seed(0)
    learned = rows[torch.randperm(len(rows), generator=generator)[: cells * _LEARNED]]
    centroids = learned[:cells].clone()
    for _ in range(_ROUNDS):
        cell = _nearest(learned, centroids)
        count = torch.bincount(cell, minlength=cells)[:, None]
        sums = torch.zeros_like(centroids).index_add_(0, cell, learned)
        centroids = torch.where(count > 0, sums / count.clamp_min(1), centroids)
    return centroids


def _nearest(rows: Tensor, centroids: Tensor) -> Tensor:
    return torch.cat([_squared(some, centroids).argmin(dim=1) for some in _blocks(rows, _BLOCK // len(centroids))])


def _blocks(rows: Tensor, size: int) -> Iterator[Tensor]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _squared(some: Tensor, others: Tensor) -> Tensor:
    return some.square().sum(dim=1)[:, None] + others.square().sum(dim=1)[None] - 2 * (some @ others.T)
