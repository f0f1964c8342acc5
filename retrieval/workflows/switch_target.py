"""What ``retrieval switch`` takes: the folder of a training run, a model, or the fingerprint of a space."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.core.errors import BadValue, ModelDamaged
from retrieval.models.folder import is_encoder_folder
from retrieval.models.resolve import resolve_model
from retrieval.workflows.encoder_runs import recorded_run, run_around
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.live_index import Say
from retrieval.workflows.run_folder import AGAIN, RECIPE, RunFolder
from retrieval.workflows.spaces import find_space

if TYPE_CHECKING:
    from retrieval.models.card import ModelCard
    from retrieval.models.encoder import Encoder

_FINGERPRINT = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True)
class SwitchTarget:
    """The encoder to switch to, whole and loaded.

    Attributes:
        encoder, card: loaded; its fingerprint is that of its tensors.
        run: the training run that made it; None for a model from elsewhere.
    """

    encoder: "Encoder"
    card: "ModelCard"
    run: RunFolder | None


def find_target(gallery: Gallery, name: str, say: Say) -> SwitchTarget:
    """The encoder that a user named, verified.

    Args:
        gallery: whose spaces can be named by the beginning of their fingerprint, at least eight digits.
        name: a run folder, or what ``models.resolve_model`` takes, or a fingerprint.
        say: told before a download.

    Raises:
        BadValue: that space is live, or several begin so.
        NoSuchPath, ModelDamaged, ModelUnsafe, ModelUnavailable: see ``models.resolve_model``. A damaged encoder
            cannot be forced: it cannot be loaded.
    """
    run = _run_at(Path(name).expanduser())
    if run is not None:
        encoder, card = _verified(str(run.encoder.absolute()), say)
    elif _FINGERPRINT.fullmatch(name) and not Path(name).exists():
        space = find_space(gallery, name)
        encoder, card = _verified(str(gallery.layout.model(space.fingerprint).absolute()), say)
        run = recorded_run(gallery, space.fingerprint)
    else:
        encoder, card = _verified(name, say)
        # The same encoder by another name is judged by the same proof.
        run = run_around(Path(name).expanduser(), card.fingerprint) or recorded_run(gallery, card.fingerprint)
    if card.fingerprint == gallery.live_space().fingerprint:
        raise BadValue(
            f"The space of {card.name} ({card.fingerprint[:16]}) is live already.", "`retrieval spaces` lists them."
        )
    return SwitchTarget(encoder, card, run)


def _run_at(path: Path) -> RunFolder | None:
    """The run folder at a path: it holds an encoder, and is none itself."""
    run = RunFolder(path)
    begun = any(place.exists() for place in (run.encoder, run.metrics, path / RECIPE))
    if not path.is_dir() or is_encoder_folder(path) or not begun:
        return None
    if not run.encoder.is_dir():
        raise BadValue(f"The run {path} has no encoder yet: it has not ended.", f"To go on with it, {AGAIN}.")
    return RunFolder(path.absolute())


def _verified(name: str, say: Say) -> "tuple[Encoder, ModelCard]":
    from retrieval.models.fingerprint import fingerprint_of

    encoder, card = resolve_model(name, announce=say)
    if fingerprint_of(card.identity(), encoder.state_dict()) != card.fingerprint:
        raise ModelDamaged(
            f"{name} is damaged: its fingerprint is not that of its weights.", "Copy it again, or train it again."
        )
    return encoder, card
