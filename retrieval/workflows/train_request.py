"""What a training run is asked for, how it talks, and what it reports."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.training.hooks import Progress, Validated
from retrieval.workflows.recipes import Recipe


@dataclass(frozen=True)
class TrainingHooks:
    """How a run talks to whoever started it.

    Attributes:
        say: one line about anything unusual, alarms included.
        working: what is being done beside the training itself, how much of it is done, and how much there is.
        begin: a part of the training begins: its name.
        progress: every few steps.
        validated: after each validation.
        stop: asked often; True saves and ends the run.
    """

    say: Callable[[str], None] = lambda _: None
    working: Callable[[str, int, int], None] = lambda *_: None
    begin: Callable[[str], None] = lambda _: None
    progress: Callable[[Progress], None] = lambda _: None
    validated: Callable[[Validated], None] = lambda _: None
    stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Request:
    """What to train, on what, and where to.

    Attributes:
        dataset: a folder of class folders, a CSV, or ``gallery``.
        recipe: how.
        out: the run's folder.
        model: the encoder to start from; None takes that of the gallery, or the default where there is none.
        gallery: the gallery's folder, for ``gallery``.
        split: one of ``datasets.splits.KINDS`` or ``auto``.
        workers: decoding processes.
        resume: go on with the run that is in ``out``.
    """

    dataset: str
    recipe: Recipe
    out: Path
    model: str | None = None
    gallery: Path | None = None
    split: str = "auto"
    workers: int | None = None
    resume: bool = False


@dataclass(frozen=True)
class TrainReport:
    """What a run brought.

    Attributes:
        out: the run's folder.
        recipe, dataset, start: their names.
        images, classes: that were used.
        unreadable: images that could not be read.
        parts: how many images train, choose and prove.
        left_out: images in no part, because a near-duplicate stands on another side.
        split: its kind.
        metrics: what ``metrics.json`` holds.
        better: the intervals of both differences exclude zero.
        fingerprint: of the trained encoder.
        seconds: the whole run, with all the times that it was resumed.
    """

    out: str
    recipe: str
    dataset: str
    start: str
    images: int
    classes: int
    unreadable: int
    parts: dict[str, int]
    left_out: int
    split: str
    metrics: dict[str, Any]
    better: bool
    fingerprint: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}
