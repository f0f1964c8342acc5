"""Heads: what stands between the pooled features and the embedding."""

from torch import nn

from retrieval.core.errors import BadValue
from retrieval.models.projector import GatheredBatchNorm
from retrieval.models.seeding import seeded

HEADS = ("none", "linear", "mlp", "hidden")


def make_head(kind: str, features: int, dim: int | None, seed: int = 0) -> nn.Module:
    """A head with seeded weights: [B, features] → [B, D].

    Args:
        kind: ``"none"`` (identity), ``"linear"`` (with bias, so that PCA can start it), ``"mlp"`` (Linear, BatchNorm,
            ReLU, Linear; as wide inside as the features), or ``"hidden"`` (Linear, BatchNorm, ReLU: the first layer of
            a projector, see ``first_layer``).
        features: F, what the backbone gives.
        dim: D; may be None for ``"none"``, where it is F.
        seed: of the initialisation; the global random state is neither used nor changed.

    Raises:
        BadValue: an unknown kind, or a dimension that is missing or cannot be had.
    """
    dimension = head_dimension(kind, features, dim)
    if kind == "none":
        return nn.Identity()
    with seeded(seed):
        if kind == "linear":
            return nn.Linear(features, dimension)
        if kind == "hidden":
            return nn.Sequential(
                nn.Linear(features, dimension, bias=False), GatheredBatchNorm(dimension), nn.ReLU(inplace=True)
            )
        return nn.Sequential(
            nn.Linear(features, features),
            nn.BatchNorm1d(features),
            nn.ReLU(),
            nn.Linear(features, dimension),
        )


def head_dimension(kind: str, features: int, dim: int | None) -> int:
    """D of such a head. Raises BadValue like ``make_head``."""
    if kind not in HEADS:
        raise BadValue(f"Unknown head {kind!r}.", f"Use one of: {', '.join(HEADS)}.")
    if kind == "none":
        if dim not in (None, features):
            raise BadValue(
                f"Without a head the embedding has the backbone's {features} dimensions, not {dim}.",
                f"Use --head linear --dim {dim}.",
            )
        return features
    if dim is None:
        raise BadValue(f"The head {kind!r} needs a dimension.", "Add --dim, for example --dim 256.")
    if not 1 <= dim <= 65536:
        raise BadValue(f"The dimension {dim} is not between 1 and 65536.")
    return dim
