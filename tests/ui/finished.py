"""The folder of a job that is over, written as its process would have left it: for what takes long to bring about."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from retrieval.workflows.checkup import LIMITS
from retrieval.workflows.jobs import Job, State
from retrieval.workflows.jobs.folder import JobFolder

ADVICE = {"temperature": 0.1, "as_good": [0.1, 0.2], "liked": 2, "seeds": 3, "at_end": None}
"""What a study of temperatures recommends."""


def finished(
    gallery: Path,
    number: int,
    kind: str,
    *,
    state: State = State.DONE,
    result: Mapping[str, Any] | None = None,
    page: str = "",
    events: Sequence[Mapping[str, Any]] = (),
    **request: Any,
) -> Job:
    """Write it; the number must be free.

    Args:
        gallery: the gallery's folder.
        number: of the job.
        kind: of the job.
        state: how it ended.
        result: what it gave.
        page: of its report; empty for none.
        events: what it said.
        request: what was asked for.
    """
    folder = JobFolder(gallery / ".jobs" / str(number))
    folder.path.mkdir(parents=True)
    now = time.time()
    folder.write("request.json", {"kind": kind, "request": request, "created": now, "resumes": None})
    folder.write("state.json", {"state": state.value, "started": now, "ended": now, "result": dict(result or {})})
    if page:
        folder.page.write_text(page, "utf-8")
    if events:
        folder.events.write_text("".join(f"{json.dumps(one)}\n" for one in events), "utf-8")
    return folder.job()


def diagnosis(image_id: int, fingerprint: str, **values: float) -> dict[str, Any]:
    """What a check-up gives, all of it good.

    Args:
        image_id: of the one hub.
        fingerprint: of the model that was looked at.
        values: of findings that are not good, by their key.
    """
    good = {key: best for key, (_, _, best) in LIMITS.items()} | values
    return {
        "images": 9,
        "of": 10,
        "fingerprint": fingerprint,
        "alarms": [{"name": LIMITS[key][0], "value": value} for key, value in good.items()],
        "hubs": [{"id": image_id, "occurrence": 7}],
    }
