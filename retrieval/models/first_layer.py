"""The first hidden layer of a trained projector becomes a part of the encoder.

SimCLRv2 fine-tunes from there, not from the backbone's features: Chen et al., "Big Self-Supervised Models are Strong
Semi-Supervised Learners", NeurIPS 2020, section 2: https://arxiv.org/abs/2006.10029
"""

from typing import Any

from torch import nn

from retrieval.core.errors import BadValue
from retrieval.models.card import ModelCard
from retrieval.models.create import describe
from retrieval.models.encoder import Encoder
from retrieval.models.heads import make_head


def with_first_layer(
    encoder: Encoder, card: ModelCard, projector: nn.Sequential, **changes: Any
) -> tuple[Encoder, ModelCard]:
    """The encoder with the projector's first layer (linear, batch-norm, ReLU) as its head ``"hidden"``, and its card.

    Backbone and tensors are those of ``encoder``; the layer's are copied. The embedding is then the hidden layer's
    output, whose width is the projector's hidden one.

    Args:
        encoder: of the run that trained the projector, without a head.
        card: of the encoder.
        projector: as ``models.projector.mlp`` makes it, with two layers at the least.
        changes: fields of the card, e.g. ``origin``, ``name``.

    Raises:
        BadValue: the encoder has a head or projections already, or see ``first_layer``.
    """
    if card.head != "none" or card.projections:
        raise BadValue(
            f"The projector's first layer takes the place of the head, and this encoder has one ({card.head}).",
            "Train without labels on an encoder that was made with --head none.",
        )
    head = first_layer(projector)
    width, features = (int(size) for size in head.state_dict()["0.weight"].shape)
    if features != card.features:
        raise BadValue(f"A projector of {features} features does not fit a backbone of {card.features}.")
    longer = Encoder(encoder.backbone, head, width)
    longer.eval().requires_grad_(False)
    return longer, describe(longer, card, **{"head": "hidden", "dimension": width, **changes})


def first_layer(projector: nn.Sequential) -> nn.Sequential:
    """A copy of the first layer of a projector, linear, batch-norm and ReLU, built as the head ``"hidden"``.

    Raises:
        BadValue: the projector has no hidden layer with batch-norm.
    """
    first = list(projector[:3])
    kinds = (nn.Linear, nn.BatchNorm1d, nn.ReLU)
    fits = len(first) == 3 and all(isinstance(layer, kind) for layer, kind in zip(first, kinds, strict=True))
    if not fits or not isinstance(first[0], nn.Linear) or first[0].bias is not None:
        raise BadValue(
            "This projector has no hidden layer with batch-norm from which to fine-tune.",
            "Train with a projector of two layers or more (SimCLRv2 has three).",
        )
    head = make_head("hidden", first[0].in_features, first[0].out_features)
    assert isinstance(head, nn.Sequential)
    head.load_state_dict(projector[:3].state_dict())
    return head
