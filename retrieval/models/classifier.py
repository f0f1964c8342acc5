"""A classifier: an encoder and a linear layer over its classes."""

from torch import Tensor, nn

from retrieval.functional.distances import widened
from retrieval.models.encoder import Encoder
from retrieval.models.seeding import seeded


class Classifier(nn.Module):
    """Images to logits; what a student is distilled from.

    Args:
        encoder: its raw embedding is classified.
        layer: [B, D] → [B, C].
    """

    def __init__(self, encoder: Encoder, layer: nn.Linear) -> None:
        super().__init__()
        self.encoder = encoder
        self.layer = layer

    def forward(self, images: Tensor) -> Tensor:
        """[B, C] logits of [B, 3, S, S] images, in float32 or wider."""
        return widened(self.layer(self.encoder(images).raw))


def classifier_layer(dimension: int, classes: int, *, seed: int = 0) -> nn.Linear:
    """A linear layer over C classes with small weights (standard deviation 0.01, as SimCLR's) and a bias of 0.

    Args:
        dimension: D of the embedding.
        classes: C, at least 2.
        seed: of the weights; the global random state is neither used nor changed.

    Raises:
        ValueError: fewer than two classes.
    """
    if classes < 2:
        raise ValueError(f"A classifier has two classes or more, not {classes}.")
    with seeded(seed):
        layer = nn.Linear(dimension, classes)
        nn.init.normal_(layer.weight, std=0.01)
        nn.init.zeros_(layer.bias)
    return layer
