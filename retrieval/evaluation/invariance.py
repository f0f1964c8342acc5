"""What changes of a picture do to its embedding."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.core.types import Ids, Pixels, Vectors
from retrieval.evaluation.looks import LOOKS, Look
from retrieval.functional.metrics import Interval, bootstrap_intervals

Floats = NDArray[np.float64]

SAMPLE = 96
"""Pictures that are changed: each in every way there is."""


@dataclass(frozen=True, slots=True)
class Changed:
    """One change, measured on a sample of pictures.

    Attributes:
        look: which change.
        cosines: [n] cosine of each changed picture to the unchanged one.
        found: [n] 1 where the unchanged picture is the first match of the changed one in the gallery, else 0.
        cosine: mean with its 95 % interval (pictures resampled).
        recall: share that is found, likewise.
    """

    look: Look
    cosines: Floats
    found: Floats
    cosine: Interval
    recall: Interval

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "kind": self.look.kind,
            "strength": self.look.strength,
            "name": self.look.name,
            "cosine": asdict(self.cosine),
            "recall_at_1": asdict(self.recall),
        }


def invariance(
    pixels: Pixels,
    places: Ids,
    vectors: Vectors,
    embed: Callable[[Pixels], Vectors],
    *,
    looks: Sequence[Look] = LOOKS,
    before_each: Callable[[int], None] = lambda _: None,
    seed: int = 0,
) -> list[Changed]:
    """Change pictures, embed them again, and compare.

    Cosines are to the unchanged picture embedded anew, by the same call: what rounding does is no change of the
    picture. It counts as found where no other image of the gallery is nearer than the gallery's vector of it.

    Args:
        pixels: [n, S, S, 3] as the encoder takes them.
        places: [n] of these pictures in ``vectors``.
        vectors: [N, D] of the gallery, unit norm.
        embed: [m, S, S, 3] to [m, D], unit norm.
        looks: the changes.
        before_each: called with the number of each change, from 0.
        seed: of the intervals.

    Raises:
        ValueError: no picture, or lengths that do not fit.
    """
    if not len(pixels) or places.shape != (len(pixels),):
        raise ValueError(f"{len(pixels)} pictures at {len(places)} places cannot be changed.")
    unchanged = embed(pixels).astype(np.float64)
    found = []
    for number, look in enumerate(looks):
        before_each(number)
        changed = embed(np.stack([look.apply(one) for one in pixels])).astype(np.float64)
        cosines = np.clip(np.einsum("nd,nd->n", changed, unchanged), -1.0, 1.0)
        scores = changed @ vectors.T.astype(np.float64)
        own = scores[np.arange(len(places)), places]
        first = (own >= scores.max(axis=1)).astype(np.float64)
        cosine, recall = bootstrap_intervals(np.stack([cosines, first]), np.arange(len(pixels)), seed)
        found.append(Changed(look, cosines, first, cosine, recall))
    return found
