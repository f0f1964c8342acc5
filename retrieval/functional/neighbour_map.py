"""A map in the plane of up to a hundred thousand rows: t-SNE of the graph of nearest neighbours.

Attraction acts along the k nearest neighbours of each row with equal weights (van der Maaten and Hinton, JMLR 9, 2008;
that k neighbours do for a perplexity of 2 k is shown by Böhm, Berens and Kobak, "Attraction-Repulsion Spectrum in
Neighbor Embeddings", JMLR 23, 2022). Repulsion between all pairs is a convolution on a grid (Linderman, Rachh, Hoskins,
Steinerberger and Kluger, "Fast interpolation-based t-SNE", Nature Methods 16, 2019; linear interpolation). The start is
the first two principal components: the same rows give the same map. Nothing of the size N × N exists at any time.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from retrieval.functional.near_rows import near_rows

NEIGHBOURS = 15
ITERATIONS = 250
EXAGGERATED = 100
"""Iterations at the start in which attraction is multiplied by ``EXAGGERATION``."""
EXAGGERATION = 12.0

_START = 1e-4
_CELL = 0.5
_FEWEST, _MOST = 64, 256
"""Cells a side of the grid."""

Step = Callable[[int, int], None]


@torch.no_grad()
def neighbour_map(
    rows: Tensor, *, k: int = NEIGHBOURS, iterations: int = ITERATIONS, step: Step = lambda done, total: None
) -> Tensor:
    """Places of rows in the plane, so that those who are near to each other stand together.

    Args:
        rows: [N, D] float32 on the CPU, finite, N >= 3, by falling variance (principal components): the first two are
            the start.
        k: neighbours; at most N - 1 are taken.
        iterations: of gradient descent.
        step: told before each iteration: how many are done, and how many there are. What it raises ends the work.

    Returns:
        [N, 2] float32, centred at 0.

    Raises:
        ValueError: fewer than three rows, or rows that are not finite.
    """
    if rows.ndim != 2 or len(rows) < 3 or not bool(torch.isfinite(rows).all()):
        raise ValueError(f"A map takes three finite rows or more, not {tuple(rows.shape)}.")
    graph = near_rows(rows, min(k, len(rows) - 1))
    return _descended(_start(rows), graph, iterations, step)


def _start(rows: Tensor) -> Tensor:
    places = torch.zeros(len(rows), 2)
    width = min(2, rows.shape[1])
    places[:, :width] = rows[:, :width] - rows[:, :width].mean(dim=0)
    spread = float(places[:, 0].std())
    if spread == 0:
        # All rows are one point: a circle, so that forces have somewhere to go.
        angle = 2 * torch.pi * torch.arange(len(rows)) / len(rows)
        return _START * torch.stack([angle.cos(), angle.sin()], dim=1)
    return places * (_START / spread)


def _descended(places: Tensor, graph: Tensor, iterations: int, step: Step) -> Tensor:
    speed, gains = torch.zeros_like(places), torch.ones_like(places)
    rate = max(len(places) / EXAGGERATION, 50.0 / EXAGGERATION)
    repulsion = _Repulsion()
    for number in range(iterations):
        step(number, iterations)
        early = number < EXAGGERATED
        pull = _attraction(places, graph) * (EXAGGERATION if early else 1.0)
        gradient = 4 * (pull - repulsion(places))
        # Jacobs' rule: faster where a step goes on in the direction of the last, slower where it turns back.
        gains = torch.where(gradient.sign() == speed.sign(), gains * 0.8, gains + 0.2).clamp_min_(0.01)
        speed = (0.5 if early else 0.8) * speed - rate * gains * gradient
        places = places + speed
        places -= places.mean(dim=0)
    return places


def _attraction(places: Tensor, graph: Tensor) -> Tensor:
    """[N, 2] sum over j of p_ij (y_i - y_j) / (1 + d_ij²), p_ij being (1 / 2Nk) for each of i -> j and j -> i."""
    count, k = graph.shape
    flat = graph.reshape(-1)
    apart = places[:, None] - places[flat].reshape(count, k, 2)
    force = apart / (1 + apart.square().sum(dim=2, keepdim=True))
    total = force.sum(dim=1)
    for axis in range(2):
        # One axis at a time: so the sums have one order, and the map is the same at every run.
        total[:, axis].index_add_(0, flat, force[..., axis].reshape(-1), alpha=-1)
    return total / (2 * count * k)


class _Repulsion:
    """[N, 2] sum over j of q_ij (y_i - y_j) / (1 + d_ij²), with q_ij = (1 / (1 + d_ij²)) / the sum of that."""

    def __init__(self) -> None:
        self._cell, self._side = 0.0, 0
        self._kernels: Tensor = torch.empty(0)

    def __call__(self, places: Tensor) -> Tensor:
        low = places.min(dim=0).values
        extent = float((places.max(dim=0).values - low).max())
        self._fit(extent)
        at = (places - low) / self._cell
        corner = at.floor().clamp_(0, self._side - 2)
        share = at - corner
        weights = torch.stack([1 - share, share])
        index = corner.long()
        charge = torch.zeros(self._side * self._side)
        corners = []
        for x in range(2):
            for y in range(2):
                cell = (index[:, 0] + x) * self._side + index[:, 1] + y
                weight = weights[x, :, 0] * weights[y, :, 1]
                charge.index_add_(0, cell, weight)
                corners.append((cell, weight))
        size = 2 * self._side
        spectrum = torch.fft.rfft2(charge.reshape(self._side, self._side), s=(size, size))
        fields = torch.fft.irfft2(spectrum * self._kernels, s=(size, size))[:, : self._side, : self._side]
        flat = fields.reshape(3, -1)
        felt = torch.zeros(3, len(places))
        for cell, weight in corners:
            felt += flat[:, cell] * weight
        # Every row is its own neighbour on the grid, at distance 0.
        total = float(felt[0].double().sum()) - len(places)
        return felt[1:].T / max(total, 1e-9)

    def _fit(self, extent: float) -> None:
        """Take a grid that holds the map; kernels are kept as long as it does, and is not far too large."""
        if self._cell and self._cell * (self._side - 2) * 0.7 < extent <= self._cell * (self._side - 2):
            return
        wanted = extent * 1.2
        self._side = int(np.clip(2 ** np.ceil(np.log2(max(wanted / _CELL, 1))), _FEWEST, _MOST))
        self._cell = max(wanted, 1e-6) / (self._side - 2)
        size = 2 * self._side
        steps = torch.arange(size, dtype=torch.float32)
        steps = torch.where(steps < self._side, steps, steps - size) * self._cell
        kernel = 1 / (1 + steps[:, None].square() + steps[None].square())
        pushed = kernel.square()
        self._kernels = torch.fft.rfft2(torch.stack([kernel, pushed * steps[:, None], pushed * steps[None]]))
