"""Backbones by timm's names: created, with weights from the hub or from a file."""

import contextlib
import difflib
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import timm
from torch import nn

from retrieval.core.errors import BadValue, ModelUnavailable, RetrievalError
from retrieval.models.card import OWN_POOLING, BackboneArg
from retrieval.models.hub import Announce, fetch_pretrained, quiet
from retrieval.models.levels import Levels
from retrieval.models.seeding import seeded
from retrieval.models.weights import load_strictly, read_safetensors

LEVELS = "levels"
POOLINGS = (OWN_POOLING, LEVELS)
"""How maps become one vector: as the backbone does it itself, or over all its levels (``levels.Levels``)."""

_MORE: dict[str, dict[str, Any]] = {OWN_POOLING: {}, LEVELS: {"features_only": True}}

_OURS = frozenset(
    # Set by us, or able to load a stranger's pickle or code: a card from elsewhere must not reach them.
    (
        "model_name",
        "pretrained",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "checkpoint_path",
        "cache_dir",
        "num_classes",
        "in_chans",
        "features_only",
        "out_indices",
        "output_stride",
        "feature_cls",
        "scriptable",
        "exportable",
        "no_jit",
    )
)


def parse_backbone_args(texts: Iterable[str]) -> dict[str, BackboneArg]:
    """``["pad_type=same", "drop_rate=0.1"]`` → values as int, float, bool (true, false), str,
    or from ``channels=[48,96,192,384]`` a list of int.

    Raises:
        BadValue: one is not ``key=value``, a key is repeated, or it is one that this program sets.
    """
    parsed: dict[str, BackboneArg] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not key.isidentifier():
            raise BadValue(f"The backbone argument {text!r} is not of the form key=value.", "Example: pad_type=same.")
        if key in parsed:
            raise BadValue(f"The backbone argument {key!r} is given twice.")
        parsed[key] = _value(value.strip())
    check_backbone_args(parsed)
    return parsed


def check_backbone_args(args: Mapping[str, BackboneArg]) -> None:
    """Raises BadValue for an argument that is not the user's to set."""
    refused = sorted(_OURS & set(args))
    if refused:
        raise BadValue(f"The backbone argument {refused[0]!r} cannot be set here.", "It is set by this program.")


def check_backbone_name(name: str) -> None:
    """Raises ModelUnavailable, with timm's nearest names, unless timm has a backbone of that name."""
    architecture, _, tag = name.partition(".")
    # Names like "hf-hub:someone/model" make timm fetch a stranger's configuration; those are not names here.
    if ":" in name or "/" in name or not timm.is_model(architecture):
        near = _nearest(architecture)
        known = f"Did you mean {' or '.join(near)}? " if near else ""
        raise ModelUnavailable(f"timm has no backbone {name!r}.", f"{known}`timm.list_models()` lists them all.")
    if tag and name not in (tags := timm.list_models(f"{architecture}.*", pretrained=True)):
        raise ModelUnavailable(
            f"timm has no pretrained tag {tag!r} for {architecture}.",
            f"Use one of: {', '.join(tags[:6])}." if tags else f"Use plain {architecture}.",
        )


def build_backbone(name: str, args: Mapping[str, BackboneArg], seed: int = 0, pooling: str = OWN_POOLING) -> nn.Module:
    """An untrained, pooled backbone [B, 3, S, S] → [B, F] in evaluation mode, seeded.

    Args:
        name, args: as timm has them.
        seed: of its weights.
        pooling: one of ``POOLINGS``.

    Raises:
        ModelUnavailable: timm has no such backbone.
        BadValue: it does not take these arguments, or there is no such pooling.
    """
    check_backbone_name(name)
    check_backbone_args(args)
    if pooling not in POOLINGS:
        raise BadValue(f"There is no pooling {pooling!r}.", f"Use one of: {', '.join(POOLINGS)}.")
    with seeded(seed):
        return pooled(_create(name, args, **_MORE[pooling]), pooling)


def pooled(body: nn.Module, pooling: str) -> nn.Module:
    """A backbone as timm makes it for this pooling, with its pooling, in evaluation mode."""
    return body if pooling == OWN_POOLING else Levels(body).eval()


def pretrained_backbone(
    name: str, args: Mapping[str, BackboneArg], announce: Announce, pooling: str = OWN_POOLING
) -> nn.Module:
    """A backbone with the hub's weights; ``pooling`` as in ``build_backbone``.

    Raises:
        ModelUnavailable, ModelUnsafe: see ``fetch_pretrained``.
        BadValue: it does not take these arguments, or the weights do not fit with them.
    """
    config = pretrained_config(build_backbone(name, args, pooling=pooling))
    path = fetch_pretrained(name, config, announce)
    with seeded(0):
        # The file is handed over so that timm itself neither downloads nor falls back to a pickle;
        # it still renames the keys of older checkpoints, which only it knows how to do.
        overlay = {"file": str(path), "custom_load": False}
        return pooled(_create(name, args, pretrained=True, pretrained_cfg_overlay=overlay, **_MORE[pooling]), pooling)


def load_backbone_weights(backbone: nn.Module, path: Path) -> None:
    """Weights from a local safetensors file into ``backbone``; a classifier in the file is left out.

    Raises:
        NoSuchPath, ModelUnsafe, ModelDamaged: see ``read_safetensors`` and ``load_strictly``.
    """
    tensors = read_safetensors(path)
    body = backbone
    if isinstance(backbone, Levels):
        body = backbone.body
        # Behind the last level there may be more layers, which this pooling does without.
        wanted = body.state_dict()
        tensors = {name: tensor for name, tensor in tensors.items() if name in wanted}
    load_strictly(body, tensors, str(path), optional=_classifiers(body))


def pretrained_config(backbone: nn.Module) -> dict[str, Any]:
    """timm's configuration of the backbone's pretrained weights."""
    body = backbone.body if isinstance(backbone, Levels) else backbone
    config = getattr(body, "pretrained_cfg", None)
    return dict(config) if config else {}


def _create(name: str, args: Mapping[str, BackboneArg], **more: Any) -> nn.Module:
    try:
        with quiet():
            # A list of maps has no classifier to be left out.
            given: dict[str, Any] = {**({} if more.get("features_only") else {"num_classes": 0}), **args, **more}
            backbone: nn.Module = timm.create_model(name, **given)
    except RetrievalError:
        raise
    except Exception as error:  # each architecture refuses in its own way
        said = " ".join(f"{key}={value}" for key, value in args.items()) or "no arguments"
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadValue(f"timm cannot create {name} with {said}: {first}", "Check --backbone-args.") from error
    return backbone.eval()


def _classifiers(backbone: nn.Module) -> tuple[str, ...]:
    names = pretrained_config(backbone).get("classifier") or ()
    return (names,) if isinstance(names, str) else tuple(names)


def _nearest(name: str) -> list[str]:
    return difflib.get_close_matches(name.lower(), timm.list_models(), n=3, cutoff=0.6)


def _value(text: str) -> BackboneArg:
    if text.startswith("[") and text.endswith("]"):
        with contextlib.suppress(ValueError):
            return [int(part) for part in text[1:-1].split(",")]
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if math.isfinite(number):  # "nan" and "inf" have no place in a card
            return number
    return text
