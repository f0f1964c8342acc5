"""A job's process with the work exchanged: what it does stands in the request's ``model``. Starts in no time.

``python -m tests.workflows.jobs.stub GALLERY NUMBER``, instead of the real worker.
"""

import time
from pathlib import Path

from retrieval.core.errors import BadValue, GalleryBusy, Interrupted
from retrieval.training.hooks import Progress, Validated
from retrieval.workflows.jobs import process, worker
from retrieval.workflows.jobs.requests import IndexJob, JobRequest
from retrieval.workflows.jobs.work import Place

MODULE = "tests.workflows.jobs.stub"


def do(request: JobRequest, place: Place) -> dict[str, object]:
    """Behave as the request says."""
    assert isinstance(request, IndexJob)
    place.report.say(f"doing {request.model}")
    return BEHAVIOURS[str(request.model)](place)


def quick(place: Place) -> dict[str, object]:
    print("quick, said to nobody")
    return {"found": 3, "odd": float("nan"), "path": Path("/a")}


def refused(_: Place) -> dict[str, object]:
    raise BadValue("It is wrong.", "Mend it.")


def bug(_: Place) -> dict[str, object]:
    raise ZeroDivisionError("secret of the bug")


def polite(place: Place) -> dict[str, object]:
    """Goes on until it is asked to stop."""
    for n in range(10_000):
        place.report.working("Waiting", n, 10_000)
        if place.report.stop():
            return {"interrupted": True, "done": n}
        time.sleep(0.01)
    raise AssertionError("nobody stopped it")


def training(place: Place) -> dict[str, object]:
    """Raises where the others report."""
    hooks = place.training()
    hooks.begin("The head")
    for n in range(1, 10_000):
        hooks.progress(Progress(1, 9, n, 9_999, 1 / n, None, float("nan"), 0.5, 3.0, 64, 0.1, 100.0, 9.0))
        if n % 10 == 0:
            hooks.validated(Validated(n, 0.5, 0.5, n))
        if hooks.stop():
            raise Interrupted("Stopped; the last checkpoint is kept.", "Go on with --resume.")
        time.sleep(0.01)
    raise AssertionError("nobody stopped it")


def stubborn(_: Place) -> dict[str, object]:
    time.sleep(600)
    raise AssertionError("nobody ended it")


def busy(place: Place) -> dict[str, object]:
    """The gallery is free once the file is gone."""
    if (place.gallery / "busy").exists():
        raise GalleryBusy("Another process is writing to the gallery.", "Wait.")
    return {"found": 1}


def deaf(_: Place) -> dict[str, object]:
    raise SystemExit(7)


BEHAVIOURS = {one.__name__: one for one in (quick, refused, bug, polite, training, stubborn, busy, deaf)}

if __name__ == "__main__":
    process._MODULE = MODULE
    worker.do = do
    worker.GRACE_SECONDS = 0.5
    worker._AGAIN_SECONDS = 0.05
    worker.main()
