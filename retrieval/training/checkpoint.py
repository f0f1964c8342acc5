"""A run's checkpoint: one file, replaced atomically, of plain tensors and containers only."""

import contextlib
import os
import pickle
from pathlib import Path
from typing import Any

import torch

from retrieval.core.errors import ModelDamaged, disk_full_is_said
from retrieval.core.files import sync_folder

NAME = "last.ckpt"

FORMAT = 2
"""Raised when the content changes in a way that older code cannot read."""


def save_checkpoint(folder: Path, state: dict[str, Any]) -> Path:
    """Write ``folder/last.ckpt``: beside it first, synced, then renamed. Until then the previous one stays whole.

    Args:
        folder: of the run; must exist.
        state: tensors, numbers, texts, and lists, tuples and dicts of them.

    Raises:
        DiskFull: no space is left; what was written of the new file is removed.
        OSError: it cannot be written.
    """
    path = folder / NAME
    beside = folder / f".{NAME}.{os.getpid()}.tmp"
    with disk_full_is_said(str(path)):
        try:
            with open(beside, "wb") as file:
                torch.save({"format": FORMAT, **state}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise
        sync_folder(folder)
    return path


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """What ``save_checkpoint`` wrote last, on the CPU; None where there is none.

    It is loaded with ``weights_only=True``: a tampered file cannot run code.

    Raises:
        ModelDamaged: the file cannot be read, or is of another version.
    """
    path = folder / NAME
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelDamaged(f"The checkpoint {path} cannot be read: {reason}", "Start the run anew.") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ModelDamaged(f"The checkpoint {path} is not of this version.", "Start the run anew.")
    return state


def remove_torn(folder: Path) -> None:
    """Remove what processes that were killed while they saved have left in ``folder``."""
    for torn in folder.glob(f".{NAME}.*.tmp"):
        with contextlib.suppress(OSError):
            torn.unlink()
