"""What can be said about an encoder without a label, on a fixed sample of images: before and after training."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from retrieval.core.types import Ids, Vectors
from retrieval.datasets.prepared import Prepared
from retrieval.datasets.view_sources import ViewSource
from retrieval.functional.diagnostics import SAMPLE, alignment, dimension_std, effective_rank, sample, uniformity
from retrieval.models.batch_augment import BatchAugment
from retrieval.models.card import ModelCard
from retrieval.models.encoder import Encoder
from retrieval.workflows.hard_mining import Fixed
from retrieval.workflows.recipes import ViewRecipe

_PIECE = 64


@dataclass(frozen=True, slots=True)
class LabelFree:
    """Diagnostics of an encoder on ``sample`` images; see ``functional.diagnostics``.

    Attributes:
        sample: N, how many images they are of.
        alignment: mean squared distance of two random views of an image, as the recipe makes them; 0 is best, but so it
            is where all images are alike.
        uniformity: of the images as evaluation sees them; the lower the more evenly spread.
        effective_rank: RankMe of the normalised embeddings, not centred; at most the smaller of N and D.
        dimension: D.
        std: least, median and greatest standard deviation of the dimensions, times the root of D: about 1 where the
            embeddings are spread evenly, 0 in a dimension that is dead.
    """

    sample: int
    alignment: float
    uniformity: float
    effective_rank: float
    dimension: int
    std: tuple[float, float, float]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self) | {"std": dict(zip(("least", "median", "greatest"), self.std, strict=True))}


def sampled(count: int, seed: int) -> Ids:
    """[n] places of the images that the diagnostics look at, ascending: ``SAMPLE`` of ``count``, or all."""
    places: Ids = sample(count, SAMPLE, seed).numpy()
    return places


def label_free(encoder: Encoder, vectors: Vectors, looks: "TwoLooks") -> LabelFree:
    """The diagnostics of an encoder.

    Args:
        encoder: in eval mode, on the CPU.
        vectors: [N, D] its embeddings of the sampled images, unit norm, N at least 2.
        looks: two views of the same images; the same ones for every encoder.
    """
    rows = torch.from_numpy(np.asarray(vectors, np.float32))
    first, second = looks.embedded(encoder)
    pairs = torch.arange(len(first)).repeat(2)
    deviations = dimension_std(rows) * math.sqrt(rows.shape[1])
    return LabelFree(
        sample=len(rows),
        alignment=float(alignment(torch.cat([first, second]), pairs)),
        uniformity=float(uniformity(rows)),
        effective_rank=float(effective_rank(rows)),
        dimension=rows.shape[1],
        std=(float(deviations.min()), float(deviations.median()), float(deviations.max())),
    )


@dataclass(frozen=True)
class TwoLooks:
    """Two random views of some images, the same ones whenever they are asked for.

    Attributes:
        prepared: the pictures.
        places: [N] of the images in it.
        card: of the encoder, for the input size, mean and std.
        recipe: its full-size looks are taken.
    """

    prepared: Prepared
    places: Ids
    card: ModelCard
    recipe: ViewRecipe

    def embedded(self, encoder: Encoder) -> tuple[Tensor, Tensor]:
        """[N, D] embeddings of the first views, and of the second ones."""
        with torch.no_grad():
            found = [[encoder.encode(view) for view in views] for views in self._views()]
        return torch.cat([one[0] for one in found]), torch.cat([one[1] for one in found])

    def _views(self) -> Iterator[tuple[Tensor, Tensor]]:
        spec = self.card.preprocessing
        looks = replace(self.recipe, views=2, crops=0).views_at(spec.input_size)
        pieces = [self.places[at : at + _PIECE] for at in range(0, len(self.places), _PIECE)]
        augment = BatchAugment(looks, spec.mean, spec.std)
        for batch in ViewSource(self.prepared, Fixed(pieces), augment, self.recipe.loop.seed).batches(0):
            yield batch.inputs, batch.others[0]
