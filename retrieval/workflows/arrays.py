"""Arrays in one file, without pickles."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def saved_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The content of an ``.npz`` file."""
    content = io.BytesIO()
    kept: dict[str, Any] = dict(arrays)
    np.savez(content, **kept)
    return content.getvalue()


def load_arrays(path: Path) -> dict[str, NDArray[Any]] | None:
    """What ``saved_arrays`` gave; None where it is not there or damaged (zip files carry checksums)."""
    try:
        # Opened here: of a damaged file NumPy forgets to close its own handle.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as kept:
            return {name: kept[name] for name in kept.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
