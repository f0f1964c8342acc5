"""Trustworthiness of a map: whether those who stand together on it belong together in the space that it shows.

Venna and Kaski, "Neighborhood Preservation in Nonlinear Projection Methods: An Experimental Study", ICANN 2001,
equation 1: https://doi.org/10.1007/3-540-44668-0_68
"""

import torch
from torch import Tensor

from retrieval.functional.diagnostics import sample

QUERIES = 1_000
"""Rows whose neighbourhoods are looked at; of more, a sample, the same every time."""

_BLOCK = 1 << 23


@torch.no_grad()
def trustworthiness(rows: Tensor, places: Tensor, k: int = 10, *, queries: int = QUERIES) -> float:
    """Trustworthiness T(k) of a map of N rows.

    T(k) = 1 - 2 / (N k (2N - 3k - 1)) · sum over i, and over j among the k nearest of i on the map but not among its k
    nearest rows, of (r(i, j) - k), with r(i, j) = 1, 2, ... the rank of j among the rows by distance from i. It is
    streamed in blocks: never N × N at once.

    Args:
        rows: [N, D], finite.
        places: [N, 2] on the map.
        k: neighbours, at least 1 and below N / 2.
        queries: the sum is taken over so many i, and N in front of it stands for their number.

    Returns:
        In [0, 1]: 1 where no stranger stands among the neighbours, about 0.5 where places say nothing of rows.

    Raises:
        ValueError: shapes do not fit, or k is not below N / 2.
    """
    count = len(rows)
    if rows.ndim != 2 or places.ndim != 2 or len(places) != count:
        raise ValueError(f"{tuple(rows.shape)} rows cannot stand at {tuple(places.shape)} places.")
    if not 1 <= k < count / 2:
        raise ValueError(f"Trustworthiness with k = {k} takes more than {2 * k} rows, not {count}.")
    # On a map, near and far differ by more than float32 has digits for.
    places = places.double()
    asked = sample(count, queries)
    block = max(1, _BLOCK // count)
    penalty = 0
    for start in range(0, len(asked), block):
        some = asked[start : start + block]
        near = _distances(places, some).topk(k, largest=False).indices
        apart = _distances(rows, some)
        limits = apart.gather(1, near)
        for column in range(k):
            # Those strictly nearer, without the row itself, whose distance to itself is infinite here.
            rank = 1 + (apart < limits[:, column : column + 1]).sum(dim=1)
            penalty += int((rank - k).clamp_min(0).sum())
    return 1.0 - 2.0 * penalty / (len(asked) * k * (2 * count - 3 * k - 1))


def _distances(rows: Tensor, some: Tensor) -> Tensor:
    """[Q, N] squared distances, a row's own infinite."""
    asked = rows[some]
    found = asked.square().sum(dim=1)[:, None] + rows.square().sum(dim=1)[None] - 2 * (asked @ rows.T)
    found[torch.arange(len(some)), some] = torch.inf
    return found
