"""What a calibration says of queries that it was not fitted on: probabilities, and "nothing like this here".

The gallery of each task (``tests.benchmarks.tasks``) is all its images, embedded with the shared MobileNetV2 as it is.
Its test images ask, each searching all others; they have fitted nothing. Two calibrations are compared: the run's own,
from validation images that search as a run lets them (each other, or the training images where those show the same
things), and the one that a switch brings, from the same images searching the whole gallery. The galleries are wholly
labelled, so that the switch's judges by margin; a third line judges its matches by cosine, as it does where images
without a label are in the gallery, or many have come since. A run's own always does.

- ECE: expected calibration error of the probabilities of the first ten matches, with its 95 % interval.
- told: how many of the queries whose label is held out of the gallery are told that nothing like them is there, and how
  many of those whose label is there, at the threshold that was fitted for at most 5 % of the latter.
- AUROC: how well what the threshold is about separates the two, whatever the threshold.

``python -m tests.benchmarks.calibration [starter] SET ...`` measures some of the sets; with the starter encoder.
"""

import sys

import numpy as np
from numpy.typing import NDArray

from retrieval.evaluation.calibrate import best_scores, calibrate, confirm
from retrieval.evaluation.calibration import Calibration
from retrieval.evaluation.retrieval import RetrievalResult, retrieve
from retrieval.evaluation.vectors import LabelledVectors
from retrieval.functional.metrics import Interval
from retrieval.models.starter import STARTER_FOLDER
from retrieval.workflows.calibrating import LabelledSpace, calibrate_among
from tests.benchmarks.fine_tuning import SETS
from tests.benchmarks.support import mobilenet, show
from tests.benchmarks.tasks import Task


def run(quick: bool = False) -> None:
    """Print the table."""
    measure(["flowers90"] if quick else list(SETS))


def measure(names: list[str], *, starter: bool = False) -> None:
    """Print the table of some sets, with the shared MobileNetV2 or with the starter."""
    model = STARTER_FOLDER if starter else mobilenet()
    rows = [row for name in names for row in _rows(SETS[name](model))]
    show(
        f"Calibrations on test images that search the whole gallery, {'starter' if starter else 'MobileNetV2'}",
        ["set", "images", "test", "calibration", "ECE", "told, no match", "told, match", "AUROC"],
        rows,
    )


def _rows(task: Task) -> list[list[str]]:
    gallery, roles = _gallery(task)
    own = calibrate(_own_search(task))
    asking = np.flatnonzero(roles == 1)
    switch = calibrate_among(gallery, asking)
    found = _search(gallery, np.flatnonzero(roles == 2))
    images = [task.name, f"{len(roles):,}", f"{len(found.classes):,}"]
    return [
        [*images, "the run's own", *_cells(own.calibration, found, by_margin=False)],
        [*images, "the switch's", *_cells(switch.calibration, found, by_margin=True)],
        [*images, "the switch's, by cosine", *_cells(switch.calibration, found, by_margin=False)],
    ]


def _gallery(task: Task) -> tuple[LabelledSpace, NDArray[np.int64]]:
    """All images of a task, and of each whether it trains (0), validates (1) or tests (2)."""
    parts = [task.train, task.val, task.proofs[task.name][0]]
    # Where all parts show the same things, their numbers mean the same labels.
    shift = np.cumsum([0] + [0 if task.val_in_train else int(part.numbers.max()) + 1 for part in parts[:-1]])
    numbers = np.concatenate([part.numbers + start for part, start in zip(parts, shift, strict=True)])
    vectors = np.concatenate([part.vectors for part in parts])
    names = [str(number) for number in range(int(numbers.max()) + 1)]
    roles = np.repeat(np.arange(3), [len(part.numbers) for part in parts])
    return LabelledSpace(np.arange(len(numbers)), numbers, names, vectors, nearly_all=True), roles


def _own_search(task: Task) -> RetrievalResult:
    """Validation as a run does it."""
    val = LabelledVectors(task.val.vectors, task.val.numbers)
    if not task.val_in_train:
        return retrieve(val.vectors, val.numbers, resamples=1)
    return retrieve(task.train.vectors, task.train.numbers, queries=val, resamples=1)


def _search(gallery: LabelledSpace, asking: NDArray[np.int64]) -> RetrievalResult:
    queries = LabelledVectors(gallery.vectors[asking], gallery.numbers[asking], gallery.ids[asking])
    return retrieve(gallery.vectors, gallery.numbers, gallery.ids, queries, margins=True, resamples=1)


def _cells(calibration: Calibration, found: RetrievalResult, *, by_margin: bool) -> list[str]:
    measured = confirm(calibration, found)
    threshold = measured.margin if by_margin else measured.threshold
    assert threshold is not None
    area = auroc(found, by_margin=by_margin)
    told = [_percent(threshold.true_alarms), _percent(threshold.false_alarms)]
    ece = measured.reliability.ece
    return [f"{ece.mean:.3f} [{ece.low:.3f}, {ece.high:.3f}]", *told, f"{area:.2f}"]


def auroc(found: RetrievalResult, *, by_margin: bool) -> float:
    """The chance that a query with a match is worth more than one without; half where they are worth the same."""
    present, absent, *_ = best_scores(found, by_margin=by_margin)
    lower = np.searchsorted(np.sort(absent), present, side="left")
    upper = np.searchsorted(np.sort(absent), present, side="right")
    return float((lower + upper).mean() / (2 * len(absent)))


def _percent(rate: Interval) -> str:
    return f"{100 * rate.mean:.0f} % [{100 * rate.low:.0f}, {100 * rate.high:.0f}]"


if __name__ == "__main__":
    measure([name for name in sys.argv[1:] if name in SETS] or list(SETS), starter="starter" in sys.argv[1:])
