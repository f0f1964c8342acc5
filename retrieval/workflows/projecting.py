"""A projection on embeddings that are there already: the fast path of training, and the start of the slow one."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from retrieval.core.types import Ids, Vectors
from retrieval.functional.pca import pca_start
from retrieval.losses import exact_centres
from retrieval.methods.metric_learning import MetricLearning, Term
from retrieval.models.encoder import Encoder, Projection, unit_norm

_BLOCK = 8192


def pca_projection(vectors: Vectors, dimension: int, seed: int, whitening: float = 0.0) -> Projection:
    """A projection that starts at the principal components of some embeddings.

    Args:
        vectors: [N, F], unit norm.
        dimension: D; at most F is made of it.
        seed: of what PCA leaves open.
        whitening: see ``functional.pca.pca_start``. The rows' mean norm is 1 whatever the power: a learning rate then
            means the same.
    """
    features = vectors.shape[1]
    dimension = min(dimension, features)
    start = pca_start(torch.from_numpy(vectors), dimension, whitening=whitening, seed=seed)
    scale = start.weight.norm(dim=1).mean()
    projection = Projection(features, dimension)
    with torch.no_grad():
        projection.weight.copy_(start.weight / scale)
        projection.bias.copy_(start.bias / scale)
    return projection


def head_method(
    projection: Projection,
    terms: Sequence[Term],
    numbers: Ids,
    seed: int,
    *,
    vectors: Vectors | None = None,
    normalise: bool = True,
    centre_rate: float = 0.5,
) -> MetricLearning:
    """A method that trains nothing but a projection, on batches of embeddings.

    Args:
        projection: trained in place.
        terms: the losses.
        numbers: [N] class numbers of the training examples.
        seed: of what the losses draw.
        vectors: [N, F] embeddings of the training examples: the centres of their classes are then exact in every epoch.
        normalise, centre_rate: see ``MetricLearning``.
    """
    encoder = Encoder(nn.Identity(), nn.Identity(), projection.out_features, [projection])
    return MetricLearning(
        encoder,
        terms,
        int(numbers.max()) + 1,
        examples=len(numbers),
        normalise=normalise,
        centre_rate=centre_rate,
        exact=None if vectors is None else _class_means(projection, vectors, numbers),
        seed=seed,
    )


def _class_means(projection: Projection, vectors: Vectors, numbers: Ids) -> Callable[[], tuple[Tensor, Tensor]]:
    """What gives [C, D] the mean of each class under the projection as it then is, and [C] the classes.

    A projection is affine in unit vectors: the mean of what it gives is what it gives of their mean, found once.
    """
    rows, classes = unit_norm(torch.from_numpy(vectors)), torch.arange(int(numbers.max()) + 1)
    means = exact_centres(rows, torch.from_numpy(numbers), len(classes))

    def now() -> tuple[Tensor, Tensor]:
        weight = projection.weight
        return nn.functional.linear(means.to(weight), weight, projection.bias), classes.to(weight.device)

    return now


@torch.no_grad()
def start_losses(method: MetricLearning, projection: Projection, vectors: Vectors, numbers: Ids) -> None:
    """Let class weights and proxies begin as the mean direction of their class, and centres as its mean.

    A random direction a class would first drag the projection around.

    Args:
        method: whose losses.
        projection: as it is now.
        vectors: [N, F] training embeddings.
        numbers: [N] class numbers 0 to C - 1, each of which occurs.
    """
    raw, labels = projection(torch.from_numpy(vectors)), torch.from_numpy(numbers)
    method.set_exact_centres(raw, labels)
    directions = class_directions(projection, vectors, numbers)
    for state in method.states:
        for name, spec in getattr(state, "specs", {}).items():
            if spec.kind == "parameter" and spec.initialisation == "sphere":
                state.get_parameter(name).copy_(directions)


@torch.no_grad()
def class_directions(projection: Projection, vectors: Vectors, numbers: Ids) -> Tensor:
    """[C, D] unit mean directions of the classes.

    Args:
        projection: as it is now.
        vectors: [N, F] embeddings.
        numbers: [N] class numbers 0 to C - 1, each of which occurs.
    """
    rows = nn.functional.normalize(projection(torch.from_numpy(vectors)), dim=1)
    means = exact_centres(rows, torch.from_numpy(numbers), int(numbers.max()) + 1)
    return nn.functional.normalize(means, dim=1)


@torch.inference_mode()
def projected(projection: nn.Module, vectors: Vectors) -> Vectors:
    """[N, D] unit vectors of [N, F], in blocks; on the device of the projection."""
    device = next(projection.parameters()).device
    blocks = [
        nn.functional.normalize(projection(torch.from_numpy(vectors[at : at + _BLOCK]).to(device)), dim=1).cpu()
        for at in range(0, len(vectors), _BLOCK)
    ]
    return np.asarray(torch.cat(blocks).numpy(), np.float32)
