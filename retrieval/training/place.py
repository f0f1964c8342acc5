"""Where a run stands, and how it ended."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass
class Place:
    """Where a run stands: everything in the checkpoint that is a plain value.

    ``epoch`` and ``batch`` are those to come next; ``checked`` says that the weights of now have been validated.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    start_value: float | None = None
    best_value: float | None = None
    best_epoch: int | None = None
    without_best: int = 0
    checked: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Fitted:
    """How a run ended. The method's encoder then has the best weights (without ``validate``: the last ones), which
    are the averaged ones where ``average`` is set, and is in eval mode.

    Attributes:
        stopped: ``"done"``: all epochs; ``"early"``: patience ran out; ``"interrupted"``: ``hooks.stop`` said so.
        epochs, steps: done.
        start_value: what ``validate`` gave before the first step; None without ``validate``.
        best_value, best_epoch: the highest value, and after how many epochs; the start counts as 0 epochs.
        history: the lines of the log.
        checkpoint: the file to resume from.
    """

    stopped: Literal["done", "early", "interrupted"]
    epochs: int
    steps: int
    start_value: float | None
    best_value: float | None
    best_epoch: int | None
    history: list[dict[str, Any]]
    checkpoint: Path
