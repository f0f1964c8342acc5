"""What ``--model`` takes: ``starter``, ``auto``, an encoder folder, ``untrained``, or a name of timm's."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.core.errors import ModelDamaged, NoSuchPath
from retrieval.core.preprocessing import Preprocessing
from retrieval.models.card import ModelCard
from retrieval.models.folder import is_encoder_folder, load_encoder
from retrieval.models.hub import Announce
from retrieval.models.safety import PICKLE_SUFFIXES, refuse_pickle
from retrieval.models.starter import AUTO, STARTER, load_best, load_starter

if TYPE_CHECKING:
    from retrieval.models.encoder import Encoder

UNTRAINED = "untrained"

IN_A_RUN = "encoder"
"""Folder of the encoder within a run's: who names the run means that."""

_BEGUN = "recipe.json"
"""A file that every run's folder has from the beginning."""

UNTRAINED_BACKBONE = "resnet10t"
"""Of the small backbones the one whose random features retrieve best.

Recall@1 leave-one-out on samples of grocery test and caltech101 at 128 pixels, mean of two seeds: resnet10t .29 and
.09, resnet14t .29 and .09 at 0.6 times the speed, resnet18d .26 and .08, test_resnet .24 and .07, resnet18 .15 and
.04, mobilenetv3_small_100 .07 and .04, mobilenetv2_100 .03 and .02; 8 x 8 pixels without any network .21 and .08.
"""

UNTRAINED_SIZE = 128

_OWN_WAY = ("input_size", "interpolation", "fit", "crop", "mean", "std")


def resolve_model(
    name: str, *, announce: Announce | None = None, like: Preprocessing | None = None
) -> "tuple[Encoder, ModelCard]":
    """The encoder that a user named.

    Args:
        name: an encoder folder, or one that holds one as ``encoder``, as a run's does; ``"starter"`` (comes with the
            package); ``"auto"`` (a stronger one where the hub gives it, else the starter); ``"untrained"`` (a seeded
            encoder without any weights from elsewhere); ``"untrained:BACKBONE"``; or a backbone of timm's, whose
            pretrained weights come from the model hub.
        announce: called with one line before a download.
        like: how pictures are made for an encoder that is built anew; None: as timm says. An encoder folder keeps its
            own way, as do ``"starter"`` and ``"auto"``.

    Raises:
        NoSuchPath: it looks like a path and there is nothing.
        ModelDamaged: it is a path, but no encoder folder, or a damaged one.
        ModelUnsafe: it is a pickle, or holds one.
        ModelUnavailable: an unknown backbone, or its weights cannot be had here.
    """
    from retrieval.models.create import create_encoder

    wanted: dict[str, Any] = {} if like is None else {key: getattr(like, key) for key in _OWN_WAY}
    if name == STARTER:
        return load_starter()
    if name == AUTO:
        return load_best(announce or _say_nothing)
    if name == UNTRAINED:
        options = {"input_size": UNTRAINED_SIZE} | wanted
        return create_encoder(backbone=UNTRAINED_BACKBONE, name=UNTRAINED, **options)
    if name.startswith(f"{UNTRAINED}:"):
        return create_encoder(backbone=name.partition(":")[2], **wanted)
    path = Path(name).expanduser()
    if _is_path(name, path):
        return _load(path)
    return create_encoder(backbone=name, pretrained=True, announce=announce, **wanted)


def _say_nothing(message: str) -> None:
    """For callers that do not announce anything."""


def _is_path(name: str, path: Path) -> bool:
    separators = [separator for separator in (os.sep, os.altsep) if separator]
    if name == "" or name.startswith((".", "~")) or any(separator in name for separator in separators):
        return True
    if path.suffix.lower() in (*PICKLE_SUFFIXES, ".safetensors") or path.is_file():
        return True
    return path.is_dir() and (is_encoder_folder(path) or is_encoder_folder(path / IN_A_RUN) or not _is_backbone(name))


def _is_backbone(name: str) -> bool:
    import timm

    return bool(timm.is_model(name.partition(".")[0]))


def _load(path: Path) -> "tuple[Encoder, ModelCard]":
    if not path.exists():
        raise NoSuchPath(f"There is no encoder folder {path}.", "Check the path.")
    if path.is_file():
        refuse_pickle(path)
        raise ModelDamaged(
            f"{path} is a file, not an encoder folder.",
            "Make one with `retrieval model create --backbone NAME --weights FILE.safetensors --out DIR`.",
        )
    inner = path / IN_A_RUN
    if is_encoder_folder(path):
        return load_encoder(path)
    if is_encoder_folder(inner):
        return load_encoder(inner)
    if (path / _BEGUN).is_file():
        raise ModelDamaged(
            f"The run {path} has no encoder yet: it has not ended.",
            "To go on with it, run the same command with --resume.",
        )
    return load_encoder(path)
