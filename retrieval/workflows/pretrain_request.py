"""What training without labels is asked for, and what it reports."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.workflows.recipes import ViewRecipe


@dataclass(frozen=True)
class PretrainRequest:
    """What to train, on what, and where to.

    Attributes:
        dataset: a folder, a CSV with the column ``path``, or ``gallery``; labels are used for measuring alone.
        recipe: how.
        out: the run's folder.
        model: the encoder to start from; None takes that of the gallery, or the default where there is none.
        gallery: the gallery's folder, for ``gallery`` and for the start.
        workers: decoding processes.
        resume: go on with the run that is in ``out``.
    """

    dataset: str
    recipe: ViewRecipe
    out: Path
    model: str | None = None
    gallery: Path | None = None
    workers: int | None = None
    resume: bool = False


@dataclass(frozen=True)
class PretrainReport:
    """What a run brought.

    Attributes:
        out: the run's folder.
        recipe, method, dataset, start: their names.
        images: that were used.
        labelled: images among them that have a label; none of the labels was used for training or choosing.
        unreadable: images that could not be read.
        epochs, steps: that were trained.
        metrics: what ``metrics.json`` holds.
        fingerprint: of the trained encoder.
        seconds: the whole run, with all the times that it was resumed.
    """

    out: str
    recipe: str
    method: str
    dataset: str
    start: str
    images: int
    labelled: int
    unreadable: int
    epochs: int
    steps: int
    metrics: dict[str, Any]
    fingerprint: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}
