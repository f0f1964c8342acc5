"""Encoders: making folders of them, and what ``--model`` takes."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from retrieval.core.errors import BadValue, EmptyGallery, RetrievalError
from retrieval.core.settings import Settings
from retrieval.core.types import EmbeddingSpace
from retrieval.models.card import OWN_POOLING
from retrieval.models.starter import AUTO, RECOMMENDED, RECOMMENDED_MEGABYTES, STARTER, starter_card
from retrieval.workflows.encoders import GalleryEncoder
from retrieval.workflows.gallery import Gallery

STRONGER, STRONGER_BYTES = AUTO, RECOMMENDED_MEGABYTES * 10**6
"""What ``--model`` takes for the stronger encoder, and how much is downloaded for it."""


@dataclass(frozen=True, slots=True)
class KnownModel:
    """Something that ``--model`` takes. ``dimension`` is 0 where it is not known yet."""

    name: str
    what: str
    dimension: int
    state: str
    fingerprint: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


def known_models(folder: Path, settings: Settings | None = None) -> list[KnownModel]:
    """The encoders of a gallery (if there is one), and the names that can be given without one."""
    return [*_in_gallery(folder, settings), *_by_name()]


def _in_gallery(folder: Path, settings: Settings | None) -> list[KnownModel]:
    try:
        with Gallery(folder, settings) as gallery:
            return [_described(gallery, space) for space in gallery.catalog.spaces.all()]
    except EmptyGallery:
        return []


def _described(gallery: Gallery, space: EmbeddingSpace) -> KnownModel:
    path = str(gallery.layout.model(space.fingerprint))
    try:
        card = GalleryEncoder.card_of(gallery, space)
        name = "" if card.origin.startswith(card.name) else f"{card.name}: "
        what = f"{name}{card.origin}" + ("" if card.trained else " (UNTRAINED)")
    except RetrievalError as error:
        what = f"{space.model}: {error.message}"
    return KnownModel(path, what, space.dimension, "live" if space.live else "not live", space.fingerprint)


def _by_name() -> list[KnownModel]:
    return [
        KnownModel(STARTER, "the default of a new gallery; comes with the program", starter_card().dimension, "local"),
        KnownModel(AUTO, f"{RECOMMENDED} where the model hub gives it, else the starter", 0, "hub"),
        KnownModel("NAME", "any timm architecture with pretrained weights on the hub", 0, "hub"),
        KnownModel("DIR", "an encoder folder made by `retrieval model create`", 0, "local"),
        KnownModel("untrained", "random weights, for trying things out without a network", 512, "local"),
    ]


def create_model(
    out: Path,
    *,
    backbone: str,
    backbone_args: Sequence[str] = (),
    weights: Path | None = None,
    untrained: bool = False,
    seed: int = 0,
    input_size: int | None = None,
    mean: str | None = None,
    std: str | None = None,
    interpolation: str | None = None,
    crop: float | None = None,
    fit: str | None = None,
    pooling: str = OWN_POOLING,
    head: str = "none",
    dim: int | None = None,
    name: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[dict[str, Any], Path]:
    """Make an encoder folder.

    Args:
        out: the folder; must not exist, or be empty.
        backbone: a timm architecture.
        backbone_args: ``key=value`` for timm's ``create_model``.
        weights: a local safetensors file; None takes the hub's, unless ``untrained``.
        mean, std: one number or three with commas.
        others: see ``models.create.create_encoder``.

    Returns:
        The card's values and the folder.

    Raises:
        ModelUnavailable, ModelUnsafe, ModelDamaged, BadValue, NoSuchPath.
    """
    from retrieval.models.backbones import parse_backbone_args
    from retrieval.models.create import create_encoder
    from retrieval.models.folder import save_encoder

    if untrained and weights is not None:
        raise BadValue("--untrained and --weights exclude each other.", "Choose one.")
    encoder, card = create_encoder(
        backbone=backbone,
        backbone_args=parse_backbone_args(backbone_args),
        weights=weights,
        pretrained=weights is None and not untrained,
        seed=seed,
        input_size=input_size,
        mean=_numbers(mean, "--mean"),
        std=_numbers(std, "--std"),
        interpolation=interpolation,
        crop=crop,
        fit=fit,
        pooling=pooling,
        head=head,
        dim=dim,
        name=name,
        announce=say,
    )
    return save_encoder(encoder, card, out).to_dict(), out


def _numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise BadValue(f"{option} {text!r} is not a number, nor three with commas.", "For example 0.5.") from error
