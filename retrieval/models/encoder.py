"""The encoder: backbone, pooling, head and L2 normalisation."""

from collections.abc import Iterable
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from retrieval.functional.distances import widened


class EncoderOutput(NamedTuple):
    """What an encoder makes of B images.

    Attributes:
        raw: [B, D] what the head gives, float32 or wider.
        normalised: [B, D] the same with unit L2 norm; a zero vector stays zero.
    """

    raw: Tensor
    normalised: Tensor


def unit_norm(raw: Tensor) -> Tensor:
    """[B, D] with unit L2 norm, computed in float32 or wider; a zero vector stays zero and never becomes NaN."""
    return functional.normalize(widened(raw), dim=-1, eps=1e-12)


class Projection(nn.Linear):
    """Unit norm, then an affine map: [B, F] → [B, D]. What is trained on embeddings that are kept with unit norm.

    Args:
        features: F.
        dimension: D.
    """

    def __init__(self, features: int, dimension: int) -> None:
        super().__init__(features, dimension)

    def forward(self, embeddings: Tensor) -> Tensor:
        """[B, D] of [B, F], whose length does not matter."""
        return super().forward(unit_norm(embeddings))


class Encoder(nn.Module):
    """Images to embeddings.

    Args:
        backbone: [B, 3, S, S] → [B, F], already pooled.
        head: [B, F] → [B, D].
        dimension: D, after the last projection.
        projections: applied after the head, one after the other.
    """

    def __init__(
        self, backbone: nn.Module, head: nn.Module, dimension: int, projections: Iterable[Projection] = ()
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.projections = nn.Sequential(*projections)
        self.dimension = dimension

    def forward(self, images: Tensor) -> EncoderOutput:
        """Raw and normalised embeddings of ``images`` [B, 3, S, S], float, normalised by mean and std."""
        raw = widened(self.projections(widened(self.head(widened(self.backbone(images))))))
        return EncoderOutput(raw, unit_norm(raw))

    def encode(self, images: Tensor) -> Tensor:
        """[B, D] embeddings with unit L2 norm."""
        normalised: Tensor = self(images).normalised
        return normalised
