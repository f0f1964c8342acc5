"""Jobs whose processes behave as they are told (``stub``), and waiting for them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from retrieval.workflows.jobs import Jobs, process
from tests.workflows.jobs import stub

SECONDS = 60.0


def until(condition: Callable[[], object]) -> None:
    """Wait for something that must come about."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.02)


@contextmanager
def stubbed(gallery: Path) -> Iterator[Jobs]:
    """The jobs of a gallery, whoever asks for them, with the stub's work in place of their own; nothing runs any more
    in the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "_MODULE", stub.MODULE)
        jobs = Jobs(gallery)
        try:
            yield jobs
        finally:
            for job in jobs.list():
                if not job.state.is_over:
                    jobs.cancel(job.id, at_once=True)
