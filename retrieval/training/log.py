"""The log of a run: JSON lines always, TensorBoard where it is installed."""

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

from retrieval.core.errors import disk_full_is_said
from retrieval.core.files import write_atomically

NAME = "log.jsonl"


class RunLog:
    """Writes ``folder/log.jsonl``, one object a line, and ``folder/tensorboard`` where the package is importable.

    Lines are ``{"kind": "step", "step", "epoch", "loss", ...}`` and ``{"kind": "validation", "epoch", "value", ...}``.

    Args:
        folder: of the run.
        history: the lines of a checkpoint that is resumed: what was logged after it is dropped, since it is about to
            happen again.
        enabled: False on all processes but the first, which then only remember.
    """

    def __init__(self, folder: Path, history: list[dict[str, Any]], enabled: bool = True) -> None:
        self.history = history
        self._path = folder / NAME
        self._enabled = enabled
        self._board: Any = None
        if not enabled:
            return
        with disk_full_is_said(str(self._path)):
            write_atomically(self._path, "".join(_line(entry) for entry in history).encode())
        if importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            last = max((entry["step"] for entry in history), default=-1)
            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=last + 1)

    def write(self, entry: dict[str, Any]) -> None:
        """Add one line. Raises DiskFull."""
        entry = {name: None if _undefined(value) else value for name, value in entry.items()}
        self.history.append(entry)
        if not self._enabled:
            return
        with disk_full_is_said(str(self._path)):
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(_line(entry))
            if self._board is not None:
                for name, value in entry.items():
                    if isinstance(value, float):
                        self._board.add_scalar(f"{entry['kind']}/{name}", value, entry["step"])

    def close(self) -> None:
        """Finish what is still to be written."""
        if self._board is not None:
            self._board.close()


def _undefined(value: Any) -> bool:
    """Whether JSON has no word for it."""
    return isinstance(value, float) and not math.isfinite(value)


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False) + "\n"
