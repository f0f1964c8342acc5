"""Encoders from scratch: untrained, from a weights file, or from the model hub."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import timm.data
import torch
from torch import nn

from retrieval.core.errors import BadValue
from retrieval.core.preprocessing import INTERPOLATIONS, Preprocessing
from retrieval.models.backbones import (
    LEVELS,
    build_backbone,
    load_backbone_weights,
    pretrained_backbone,
    pretrained_config,
)
from retrieval.models.card import OWN_POOLING, BackboneArg, ModelCard, format_of
from retrieval.models.encoder import Encoder, Projection
from retrieval.models.fingerprint import fingerprint_of
from retrieval.models.heads import head_dimension, make_head
from retrieval.models.hub import Announce
from retrieval.models.levels import Levels

DEFAULT_CROP = 1.0
"""The whole short side. timm's 0.875 is for classifiers: it cuts the margin away.

Measured with ImageNet weights of MobileNetV2 at 224 pixels, recall@1 / MAP@R leave-one-out, for crop 0.875, crop 1.0
and stretch: grocery test .931/.339, .938/.335, .945/.333; flowers90 .730/.318, .731/.318, .727/.301; caltech101
.792/.486, .811/.497, .808/.499; imagenette .946/.657, .935/.652 (its pictures are square, stretch is the same).
"""


def create_encoder(
    *,
    backbone: str,
    backbone_args: Mapping[str, BackboneArg] | None = None,
    weights: Path | None = None,
    pretrained: bool = False,
    seed: int = 0,
    input_size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    interpolation: str | None = None,
    crop: float | None = None,
    fit: str | None = None,
    pooling: str = OWN_POOLING,
    head: str = "none",
    dim: int | None = None,
    name: str | None = None,
    announce: Announce | None = None,
) -> tuple[Encoder, ModelCard]:
    """An encoder and its card, from a timm backbone.

    Args:
        backbone: timm's name.
        backbone_args: further arguments for timm; see ``parse_backbone_args``.
        weights: a local safetensors file with the backbone's weights.
        pretrained: weights from the model hub. With neither, the encoder is untrained.
        seed: of untrained parts; the global random state is neither used nor changed.
        input_size: pixels; like ``mean``, ``std`` (one value or three), ``interpolation``, ``crop`` and ``fit``
            it defaults to what timm says about the backbone, apart from the crop (``DEFAULT_CROP``).
        pooling: one of ``backbones.POOLINGS``; over all levels it costs nothing and keeps colour and texture.
        head, dim: see ``make_head``.
        name: for people; made from the rest when None.
        announce: called with one line before a download.

    Raises:
        ModelUnavailable: an unknown backbone, or the hub does not give the weights.
        ModelUnsafe: the weights are a pickle.
        ModelDamaged: the weights do not fit.
        NoSuchPath: there is no such weights file.
        BadValue: a value that cannot be used.
    """
    if weights is not None and pretrained:
        raise BadValue("Weights come from a file or from the model hub, not from both.", "Leave one of the two out.")
    args = dict(backbone_args or {})
    blank = build_backbone(backbone, args, seed, pooling)
    if input_size is not None and "img_size" not in args and pretrained_config(blank).get("fixed_input_size"):
        # Such a backbone is built for one size and would refuse any other picture.
        args["img_size"] = input_size
        blank = build_backbone(backbone, args, seed, pooling)
    preprocessing = preprocessing_for(
        blank, input_size=input_size, mean=mean, std=std, interpolation=interpolation, crop=crop, fit=fit
    )
    licence, origin, body = None, f"untrained, seed {seed}", blank
    if pretrained:
        body = pretrained_backbone(backbone, args, announce or _say_nothing, pooling)
        config = pretrained_config(body)
        licence, origin = config.get("license"), f"hub {config.get('hf_hub_id') or backbone}"
    elif weights is not None:
        load_backbone_weights(body, weights)
        origin = f"file {weights.name} sha256 {hashlib.sha256(weights.read_bytes()).hexdigest()}"
    features = count_features(body, preprocessing.input_size)
    encoder = Encoder(body, make_head(head, features, dim, seed), head_dimension(head, features, dim))
    encoder.eval().requires_grad_(False)
    trained = pretrained or weights is not None
    card = describe(
        encoder,
        ModelCard(
            name=name or _name(backbone, trained, head, encoder.dimension),
            backbone=backbone,
            backbone_args=args,
            head=head,
            features=features,
            dimension=encoder.dimension,
            preprocessing=preprocessing,
            origin=origin,
            trained=trained,
            parameters=0,
            fingerprint="",
            licence=licence,
            pooling=pooling,
            format=format_of(args, (), pooling),
        ),
    )
    return encoder, card


def describe(encoder: Encoder, card: ModelCard, **changes: Any) -> ModelCard:
    """``card`` brought up to date with the encoder's tensors, e.g. after training.

    Args:
        encoder: whose tensors enter the fingerprint.
        card: what else is to be said.
        changes: fields of the card to replace, e.g. ``origin``, ``trained``, ``name``, ``created``.
    """
    card = replace(card, **changes)
    return replace(
        card,
        parameters=sum(parameter.numel() for parameter in encoder.parameters()),
        fingerprint=fingerprint_of(card.identity(), encoder.state_dict()),
        weights_sha256="",
    )


def build_encoder(card: ModelCard) -> Encoder:
    """The architecture that ``card`` describes, with weights that are yet to be loaded.

    Raises:
        ModelUnavailable: timm has no such backbone.
        BadValue: it cannot be built like that.
    """
    backbone = build_backbone(card.backbone, card.backbone_args, pooling=card.pooling)
    dim = None if card.head == "none" else card.head_dimension
    projections = [Projection(wide, narrow) for wide, narrow in pairwise(card.projections)]
    return Encoder(backbone, make_head(card.head, card.features, dim), card.dimension, projections)


def with_projection(
    encoder: Encoder, card: ModelCard, projection: Projection, **changes: Any
) -> tuple[Encoder, ModelCard]:
    """``encoder`` with one more projection at its end, and the card of that.

    Args:
        encoder: keeps its tensors; they are shared, not copied.
        card: of ``encoder``.
        projection: takes the embeddings of ``encoder``.
        changes: fields of the card to replace, e.g. ``origin``, ``trained``, ``name``.

    Raises:
        ValueError: the widths do not fit.
    """
    if projection.in_features != encoder.dimension:
        raise ValueError(f"A projection of {projection.in_features} does not fit embeddings of {encoder.dimension}.")
    longer = Encoder(encoder.backbone, encoder.head, projection.out_features, [*encoder.projections, projection])
    longer.eval().requires_grad_(False)
    widths = (*(card.projections or (card.dimension,)), projection.out_features)
    form = format_of(card.backbone_args, widths, card.pooling)
    changes = {"dimension": longer.dimension, "projections": widths, "format": form} | changes
    return longer, describe(longer, card, **changes)


def over_levels(encoder: Encoder, card: ModelCard, **changes: Any) -> tuple[Encoder, ModelCard]:
    """The backbone of ``encoder`` pooled over all its levels, without head and projections, and the card of that.

    Its standardisation changes nothing until it has seen pictures: ``levels.Levels.standardise``.

    Args:
        encoder: its tensors are copied.
        card: of ``encoder``; its backbone pools in its own way.
        changes: fields of the card to replace, e.g. ``origin``, ``name``.

    Raises:
        BadValue: timm gives no maps of this backbone.
        ValueError: it is pooled over its levels already.
    """
    if card.pooling == LEVELS:
        raise ValueError("The backbone is pooled over its levels already.")
    backbone = build_backbone(card.backbone, card.backbone_args, pooling=LEVELS)
    assert isinstance(backbone, Levels)
    backbone.adopt(encoder.backbone)
    width = backbone.num_features
    made = Encoder(backbone, make_head("none", width, None, 0), width).eval().requires_grad_(False)
    pooled = replace(
        card,
        pooling=LEVELS,
        head="none",
        features=width,
        dimension=width,
        projections=(),
        format=format_of(card.backbone_args, (), LEVELS),
    )
    return made, describe(made, pooled, **changes)


def preprocessing_for(
    backbone: nn.Module,
    *,
    input_size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    interpolation: str | None = None,
    crop: float | None = None,
    fit: str | None = None,
) -> Preprocessing:
    """How images are made for ``backbone``: timm's configuration, explicit values first.

    timm's crop is not taken over: see ``DEFAULT_CROP``.

    Raises:
        BadValue: a value that cannot be used.
    """
    timm_data: Any = timm.data  # carries no type hints
    config = timm_data.resolve_model_data_config(backbone)
    suggested = str(config["interpolation"])
    return Preprocessing(
        input_size=int(config["input_size"][-1]) if input_size is None else input_size,
        interpolation=interpolation or (suggested if suggested in INTERPOLATIONS else "bicubic"),
        fit=fit or ("stretch" if config.get("crop_mode") == "squash" else "crop"),
        crop=DEFAULT_CROP if crop is None else float(crop),
        mean=_three(mean or config["mean"], "mean"),
        std=_three(std or config["std"], "std"),
    )


def count_features(backbone: nn.Module, input_size: int) -> int:
    """F: one blank image is run. Raises BadValue if the backbone takes no such image or gives no vector."""
    try:
        with torch.inference_mode():
            features = backbone(torch.zeros(1, 3, input_size, input_size))
    except Exception as error:  # each architecture refuses in its own way
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadValue(f"The backbone takes no images of {input_size} pixels: {first}", "Try another size.") from error
    if not isinstance(features, torch.Tensor) or features.ndim != 2:
        raise BadValue("The backbone does not give one vector an image.", "Check --backbone-args, e.g. global_pool.")
    return int(features.shape[1])


def _three(values: Sequence[float], what: str) -> tuple[float, float, float]:
    numbers = [float(value) for value in values]
    if len(numbers) == 1:
        numbers *= 3
    if len(numbers) != 3:
        raise BadValue(f"{what} needs one value or three, not {len(numbers)}.")
    if not all(math.isfinite(number) for number in numbers):
        raise BadValue(f"{what} needs numbers, not {', '.join(str(number) for number in numbers)}.")
    return (numbers[0], numbers[1], numbers[2])


def _name(backbone: str, trained: bool, head: str, dimension: int) -> str:
    parts = [backbone if trained else f"{backbone}-untrained", *([] if head == "none" else [f"{head}{dimension}"])]
    return "-".join(parts)


def _say_nothing(message: str) -> None:
    """For callers that do not announce downloads."""
