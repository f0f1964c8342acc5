"""What ``gradio_client`` can ask for beside the search: the gallery's state, its labels, indexing and the jobs.

The same functions as those of ``/api/v1``, with the same values but for the name of a path; what is wrong arrives as
the client's error.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from gradio.events import api
from pydantic import BaseModel, ValidationError

from retrieval.core.errors import RetrievalError
from retrieval.core.hiding import without_paths
from retrieval.workflows.jobs import Jobs, request_from
from ui.api.gallery_routes import change_labels, labels_in_use, state_of
from ui.api.giving import Giving
from ui.api.job_bodies import IndexAsked
from ui.api.models import LabelsAsked
from ui.shell.site import Site

T = TypeVar("T")
Values = dict[str, Any]

_MOST_JOBS = 1000


def offer_to_programs(site: Site) -> None:
    """Add ``/status``, ``/labels``, ``/set_label``, ``/index`` and ``/jobs`` to the Blocks that are being built.

    Args:
        site: the gallery; without its folder nothing is added.
    """
    if site.gallery is None or site.jobs is None:
        return
    programs = Programs(site, site.gallery, site.jobs)
    for name, ask in {
        "status": programs.status,
        "labels": programs.labels,
        "set_label": programs.set_label,
        "index": programs.index,
        "jobs": programs.jobs,
    }.items():
        # Called at once, as the search is.
        api(ask, api_name=name, queue=False)


class Programs:
    """The endpoints; their docstrings describe them to programs.

    Args:
        site: the gallery.
        gallery: its folder.
        jobs: its jobs.
    """

    def __init__(self, site: Site, gallery: Path, jobs: Jobs) -> None:
        self._site = site
        self._gallery = gallery
        self._jobs = jobs
        self._giving = Giving(shows_paths=site.shows_paths)

    def status(self) -> Values:
        """What the gallery holds."""
        return self._asked(lambda: _values(state_of(self._gallery, self._site.searcher, self._giving)))

    def labels(self) -> list[Values]:
        """The labels in use, most frequent first."""
        return self._asked(lambda: [_values(one) for one in labels_in_use(self._gallery)])

    def set_label(self, images: list[int], label: str, remove: bool = False, only: bool = False) -> Values:
        """Say that images show something; or, with remove, that they do not; with only, that they show nothing else."""

        def change() -> Values:
            asked = LabelsAsked.model_validate({"images": images, "label": label, "remove": remove, "only": only})
            return _values(change_labels(self._gallery, asked))

        return self._changed(change)

    def index(self, paths: list[str] | None = None, model: str | None = None) -> Values:
        """Start a job that indexes folders of the server: what is new, changed, moved or missing in them.

        Without paths those that are known are looked through; the model is chosen with the first one only.
        """

        def start() -> Values:
            asked = IndexAsked.model_validate({"paths": paths or [], "model": model or None})
            request = request_from("index", asked.model_dump(exclude_none=True))
            return _values(self._giving.job(self._jobs.submit(request)))

        return self._changed(start)

    def jobs(self, limit: int = 100) -> list[Values]:
        """The jobs, newest first."""
        most = max(1, min(_MOST_JOBS, int(limit)))
        return self._asked(lambda: [_values(self._giving.job(job)) for job in self._jobs.list()[:most]])

    def _changed(self, change: Callable[[], T]) -> T:
        def permitted() -> T:
            self._site.require_may_write()
            return change()

        return self._asked(permitted)

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except RetrievalError as error:
            text = str(error) if self._site.shows_paths else without_paths(str(error))
            raise gr.Error(text, print_exception=False) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise gr.Error(f"{where}: {first['msg']}.", print_exception=False) from error


def _values(model: BaseModel) -> Values:
    found: Values = _not_files(model.model_dump(mode="json"))
    return found


def _not_files(value: Any) -> Any:
    """The same without a key ``path``, which is ``file_path`` here: the client takes what has one for a file to get."""
    if isinstance(value, dict):
        return {"file_path" if key == "path" else key: _not_files(one) for key, one in value.items()}
    return [_not_files(one) for one in value] if isinstance(value, list) else value
