"""An encoder on disk: a folder with ``model.safetensors`` and ``card.json``."""

import contextlib
import hashlib
import os
import secrets
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.core.errors import BadValue, ModelDamaged, ModelUnsafe, NoSuchPath, RetrievalError, disk_full_is_said
from retrieval.core.files import sync_folder
from retrieval.models.card import ModelCard
from retrieval.models.safety import PICKLE_SUFFIXES, refuse_pickle

if TYPE_CHECKING:
    from torch import Tensor

    from retrieval.models.encoder import Encoder

WEIGHTS = "model.safetensors"
CARD = "card.json"

_AGAIN = "Copy the folder again from where it came from, or make it again with `retrieval model create`."


def is_encoder_folder(folder: Path) -> bool:
    """Whether ``folder`` looks like an encoder folder; nothing is verified."""
    return (folder / CARD).is_file() or (folder / WEIGHTS).is_file()


def save_encoder(encoder: "Encoder", card: ModelCard, folder: Path, *, half: bool = False) -> ModelCard:
    """Write the encoder into ``folder``: all of it or nothing.

    Args:
        encoder: its tensors have to be those that ``card.fingerprint`` was made of.
        card: ``weights_sha256`` is filled in.
        folder: made, with its parents; an empty one is replaced, one that holds the same encoder is left alone.
        half: write float16, half the size, for an encoder whose values are all float16 ones (``halved``). It is the
            same encoder, with the same fingerprint: whoever loads it gets float32.

    Returns:
        The card as it lies in the folder.

    Raises:
        BadValue: the folder exists and holds something else.
        DiskFull: no space is left.
        ValueError: the card was not made for these tensors, or ``half`` would change one.
    """
    from safetensors.torch import save

    from retrieval.models.fingerprint import fingerprint_of

    state = {name: tensor.detach().cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    if fingerprint_of(card.identity(), state) != card.fingerprint:
        raise ValueError("The card's fingerprint is not that of the encoder; make it with describe().")
    there = _same_or_free(folder, card.fingerprint)
    if there is not None:
        return there
    if half:
        state = {name: _as_half(name, tensor) for name, tensor in state.items()}
    # Shared storage cannot be written; a copy of each tensor is what a reader gets anyway.
    content = save({name: tensor.clone() for name, tensor in state.items()})
    saved = replace(card, weights_sha256=hashlib.sha256(content).hexdigest())
    with disk_full_is_said(f"the encoder {folder}"):
        _publish(folder, {WEIGHTS: content, CARD: saved.to_bytes()})
    return saved


def read_card(folder: Path) -> ModelCard:
    """The card of an encoder folder, without loading torch or the weights.

    Raises:
        NoSuchPath: there is no such folder.
        ModelUnsafe: the folder holds a pickle.
        ModelDamaged: a file is missing, or the card is damaged or too new.
    """
    if not folder.exists():
        raise NoSuchPath(f"There is no encoder folder {folder}.", "Check the path.")
    if not folder.is_dir():
        raise ModelDamaged(f"{folder} is not an encoder folder but a file.", _folder_hint())
    _refuse_pickles(folder)
    for name in (CARD, WEIGHTS):
        if not (folder / name).is_file():
            raise ModelDamaged(f"{folder} is no complete encoder folder: {name} is missing.", _AGAIN)
    return ModelCard.from_bytes(_read(folder / CARD), str(folder / CARD))


def load_encoder(folder: Path) -> "tuple[Encoder, ModelCard]":
    """The encoder in evaluation mode, without gradients, and its card.

    Raises:
        NoSuchPath, ModelUnsafe, ModelDamaged: see ``read_card``; or the weights are not those of the card.
        ModelUnavailable: this version of timm has no such backbone.
    """
    from retrieval.models.create import build_encoder
    from retrieval.models.weights import load_strictly, parse_safetensors

    card = read_card(folder)
    path = folder / WEIGHTS
    refuse_pickle(path)
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != card.weights_sha256:
        raise ModelDamaged(f"{path} is damaged or truncated: its checksum is not the card's.", _AGAIN)
    try:
        encoder = build_encoder(card)
    except BadValue as error:
        raise ModelDamaged(
            f"{folder / CARD} describes an encoder that cannot be built: {error.message}", _AGAIN
        ) from error
    load_strictly(encoder, parse_safetensors(content, path), str(path))
    return encoder.eval().requires_grad_(False), card


def verify_folder(folder: Path) -> ModelCard:
    """Load the encoder and compute its fingerprint anew.

    Raises:
        NoSuchPath, ModelUnsafe, ModelDamaged, ModelUnavailable: see ``load_encoder``; or the fingerprint differs.
    """
    from retrieval.models.fingerprint import fingerprint_of

    encoder, card = load_encoder(folder)
    if fingerprint_of(card.identity(), encoder.state_dict()) != card.fingerprint:
        raise ModelDamaged(f"{folder} is damaged: its fingerprint is not that of its weights.", _AGAIN)
    return card


def halved(encoder: "Encoder") -> "Encoder":
    """A copy of the encoder, in float32, whose values are rounded to float16.

    Raises:
        ValueError: a value is too large for float16.
    """
    import copy

    import torch

    made = copy.deepcopy(encoder)
    for name, tensor in made.state_dict().items():
        if tensor.is_floating_point():
            rounded = tensor.half().float()
            if not torch.isfinite(rounded).all():
                raise ValueError(f"{name} has values that float16 cannot hold.")
            tensor.copy_(rounded)
    return made


def _as_half(name: str, tensor: "Tensor") -> "Tensor":
    import torch

    if not tensor.is_floating_point():
        return tensor
    half = tensor.half()
    if not torch.equal(half.to(tensor.dtype), tensor):
        raise ValueError(f"{name} has values that float16 changes; round them with halved().")
    return half


def _folder_hint() -> str:
    return "Make one with `retrieval model create --backbone NAME --weights FILE.safetensors --out DIR`."


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelDamaged(f"{path} cannot be read: {error.strerror}.", _AGAIN) from error


def _refuse_pickles(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix.lower() in PICKLE_SUFFIXES:
            raise ModelUnsafe(
                f"{folder} holds {path.name}, which can run code when it is loaded.",
                "Get the encoder as safetensors; if the folder is yours, move that file elsewhere.",
            )
    if (folder / WEIGHTS).is_file():
        with contextlib.suppress(OSError):  # said by whoever reads it for good
            refuse_pickle(folder / WEIGHTS)


def _same_or_free(folder: Path, fingerprint: str) -> ModelCard | None:
    """The card that is there already, or None if the place is free. Raises BadValue for anything else."""
    if not os.path.lexists(folder):
        return None
    if folder.is_dir():
        if not any(folder.iterdir()):
            return None
        with contextlib.suppress(RetrievalError):
            card = verify_folder(folder)
            if card.fingerprint == fingerprint:
                return card
    raise BadValue(f"{folder} exists and holds something else.", "Choose another folder, or remove that one first.")


def _publish(folder: Path, files: dict[str, bytes]) -> None:
    parent = folder.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    beside = parent / f".{folder.name}.{secrets.token_hex(6)}.tmp"
    beside.mkdir()
    try:
        for name, content in files.items():
            with open(beside / name, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        sync_folder(beside)
        # Not every system renames onto an empty folder.
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()
        os.rename(beside, folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    sync_folder(parent)
