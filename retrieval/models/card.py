"""The model card: what an encoder folder says about itself, in ``card.json``. Imports no torch."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias

from retrieval.core.errors import BadValue, ModelDamaged
from retrieval.core.preprocessing import Preprocessing

CARD_FORMAT = 4
"""The newest format this program reads. A card is written in the oldest that can say what it says: 1, from 2 on with
projections, from 3 on with lists among the backbone's arguments, from 4 on with a pooling of our own; so older versions
of the program read what they can.
"""

OWN_POOLING = "backbone"
"""The backbone pools as timm has it; see ``backbones.POOLINGS``."""

BackboneArg: TypeAlias = int | float | bool | str | list[int]

_AGAIN = "Copy the folder again from where it came from, or make it again with `retrieval model create`."


@dataclass(frozen=True, slots=True)
class ModelCard:
    """An encoder's identity and how to feed it.

    Attributes:
        name: for people; not part of the identity.
        backbone: timm's name, with or without a pretrained tag.
        backbone_args: what timm's ``create_model`` gets beside the name.
        head: ``"none"``, ``"linear"``, ``"mlp"`` or ``"hidden"``; see ``heads.make_head``.
        features: F, what the backbone gives.
        dimension: D of the embeddings.
        pooling: how the backbone's maps become one vector, one of ``backbones.POOLINGS``.
        projections: the widths along the projections after the head, from what the head gives to D; empty for none.
        preprocessing: from file to input tensor.
        origin: where the weights came from, e.g. ``"untrained, seed 0"``.
        trained: whether the weights saw any training.
        licence: of the weights, where it is known.
        created: UTC, ISO 8601.
        parameters: number of weights, without buffers.
        fingerprint: hex SHA-256 of architecture, head, preprocessing and every tensor.
        weights_sha256: of the file ``model.safetensors``; empty until the encoder is saved.
        format: of the card itself.
    """

    name: str
    backbone: str
    backbone_args: Mapping[str, BackboneArg]
    head: str
    features: int
    dimension: int
    preprocessing: Preprocessing
    origin: str
    trained: bool
    parameters: int
    fingerprint: str
    licence: str | None = None
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    weights_sha256: str = ""
    projections: tuple[int, ...] = ()
    pooling: str = OWN_POOLING
    format: int = 1

    @property
    def head_dimension(self) -> int:
        """What the head gives, before any projection."""
        return self.projections[0] if self.projections else self.dimension

    def identity(self) -> dict[str, Any]:
        """What enters the fingerprint beside the tensors: neither name, nor date, nor origin."""
        identity: dict[str, Any] = {
            "backbone": self.backbone,
            "backbone_args": dict(self.backbone_args),
            "head": {"kind": self.head, "features": self.features, "dimension": self.head_dimension},
            "preprocessing": self.preprocessing.to_dict(),
        }
        if self.projections:
            identity["projections"] = list(self.projections)
        if self.pooling != OWN_POOLING:
            identity["pooling"] = self.pooling
        return identity

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, with a checksum over all of them."""
        values = asdict(self) | {
            "backbone_args": dict(self.backbone_args),
            "preprocessing": self.preprocessing.to_dict(),
            "projections": list(self.projections),
        }
        if not self.projections:  # as format 1 has it
            del values["projections"]
        if self.pooling == OWN_POOLING:  # as the formats before 4 have it
            del values["pooling"]
        return values | {"checksum": _checksum(values)}

    def to_bytes(self) -> bytes:
        """The content of ``card.json``; the same card always gives the same bytes."""
        return (json.dumps(self.to_dict(), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes, where: str = "card.json") -> "ModelCard":
        """The card that ``to_bytes`` wrote.

        Raises:
            ModelDamaged: not JSON, written by a newer version, or anything in it was changed.
        """
        values = _parse(content, where)
        version = values.get("format")
        if type(version) is int and version > CARD_FORMAT:
            raise ModelDamaged(
                f"{where} was written by a newer version of this program (format {version}, this is {CARD_FORMAT}).",
                "Install the newer version.",
            )
        if values.pop("checksum", None) != _checksum(values):
            raise ModelDamaged(f"{where} is damaged: its checksum does not fit its content.", _AGAIN)
        try:
            parts = {
                "preprocessing": Preprocessing.from_dict(values["preprocessing"]),
                "projections": tuple(values.get("projections", ())),
            }
            card = cls(**(values | parts))
        except (BadValue, KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelDamaged(f"{where} is damaged: {_first_line(error)}.", _AGAIN) from error
        _check_types(card, where)
        # A flipped byte in the white space leaves every value as it was; it is damage all the same.
        if card.to_bytes() != content:
            raise ModelDamaged(f"{where} is damaged: its bytes are not those that were written.", _AGAIN)
        return card

    def renamed(self, name: str) -> "ModelCard":
        """The same card under another name; the fingerprint stays."""
        return replace(self, name=name)


def format_of(
    backbone_args: Mapping[str, BackboneArg], projections: tuple[int, ...], pooling: str = OWN_POOLING
) -> int:
    """The oldest format that can say this; see ``CARD_FORMAT``."""
    if pooling != OWN_POOLING:
        return 4
    if any(isinstance(value, list) for value in backbone_args.values()):
        return 3
    return 2 if projections else 1


def canonical_json(value: Any) -> bytes:
    """One and only one text for a JSON value: sorted keys, no white space, ASCII, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _checksum(values: dict[str, Any]) -> str:
    try:
        return hashlib.sha256(canonical_json(values)).hexdigest()
    except ValueError:  # NaN or infinity, which no card of ours holds
        return ""


def _parse(content: bytes, where: str) -> dict[str, Any]:
    try:
        values = json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise ModelDamaged(f"{where} is damaged: it is not JSON.", _AGAIN) from error
    if not isinstance(values, dict):
        raise ModelDamaged(f"{where} is damaged: it is not a JSON object.", _AGAIN)
    return values


def _check_types(card: ModelCard, where: str) -> None:
    texts = (card.name, card.backbone, card.pooling, card.head, card.origin, card.created)
    hashes = (card.fingerprint, card.weights_sha256)
    counts = (card.features, card.dimension, card.parameters, card.format)
    fits = (
        all(isinstance(text, str) for text in (*texts, *hashes))
        and all(type(count) is int and count >= 0 for count in counts)
        and all(type(width) is int and width > 0 for width in card.projections)
        and (not card.projections or (len(card.projections) > 1 and card.projections[-1] == card.dimension))
        and isinstance(card.licence, str | None)
        and type(card.trained) is bool
        and isinstance(card.backbone_args, dict)
        and all(_is_backbone_arg(arg) for arg in card.backbone_args.values())
    )
    if not fits:
        raise ModelDamaged(f"{where} is damaged: a value has the wrong type.", _AGAIN)


def _is_backbone_arg(value: object) -> bool:
    if isinstance(value, list):
        return all(type(one) is int for one in value)
    return isinstance(value, int | float | bool | str)


def _first_line(error: Exception) -> str:
    text = error.message if isinstance(error, BadValue) else str(error)
    return (text.splitlines() or [type(error).__name__])[0].rstrip(".")
