"""Values of the workflows as the models of the answers."""

from dataclasses import asdict
from typing import Any

from retrieval.core.errors import BadValue
from retrieval.core.hiding import file_name, hide_paths
from retrieval.core.text import shown
from retrieval.core.types import ImageRecord
from retrieval.workflows.jobs import Job
from retrieval.workflows.matching import Explanation
from retrieval.workflows.results import SearchResult
from ui.api.models import ImageOut, JobOut, MatchOut, SearchOut


class Giving:
    """Makes answers for readers who may, or may not, see where files lie.

    Args:
        shows_paths: whether they may.
    """

    def __init__(self, *, shows_paths: bool) -> None:
        self._shows_paths = shows_paths

    def path(self, path: str) -> str:
        """A place, or the file's name."""
        return shown(path if self._shows_paths else file_name(path))

    def require_paths(self) -> None:
        """Raises BadValue: whoever asks may not see where files lie, and what is asked for is made of that."""
        if not self._shows_paths:
            raise BadValue("This server does not show where files lie.", "Ask whoever runs it.")

    def plain(self, value: Any) -> Any:
        """JSON values of any shape."""
        return _encodable(value if self._shows_paths else hide_paths(value))

    def search(self, result: SearchResult) -> SearchOut:
        """The neighbours of a query."""
        return SearchOut.model_validate(
            {
                "neighbours": [
                    {
                        **asdict(one),
                        "labels": [shown(label) for label in one.labels],
                        "paths": [self.path(path) for path in one.paths],
                    }
                    for one in result.neighbours
                ],
                "searched": result.searched,
                "seconds": round(result.timings.total, 6),
                "nothing_like_this": result.nothing_like_this,
                "more": result.more,
            }
        )

    @staticmethod
    def match(found: Explanation, *, pairs: bool) -> MatchOut:
        """Where two pictures match, with or without what each pair of cells has to do with each other."""
        listed = [[round(value, 6) for value in row] for row in found.pairs.tolist()] if pairs else None
        return MatchOut.model_validate({**found.to_dict(), "pairs": listed})

    def image(self, record: ImageRecord) -> ImageOut:
        """What is known of an image."""
        files = [{**asdict(file), "path": self.path(file.path)} for file in record.files]
        labels = [shown(label) for label in record.labels]
        return ImageOut.model_validate({**asdict(record), "labels": labels, "files": files})

    def job(self, job: Job) -> JobOut:
        """A job."""
        return JobOut.model_validate(self.plain(job.to_dict()))


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(one) for one in value]
    return value
