"""Which queries a training changed most, and what they found before and after: kept in the run for whoever shows it."""

from collections.abc import Sequence
from typing import Any

from retrieval.core.labelled import Labelled
from retrieval.core.text import path_text
from retrieval.evaluation.comparison import Comparison, QueryChange
from retrieval.evaluation.retrieval import RetrievalResult

FILE = "queries.json"
"""In the run's folder."""

ROWS = 12
MATCHES = 5


def query_changes(labelled: Labelled, comparison: Comparison) -> dict[str, Any]:
    """What ``queries.json`` holds: the ``ROWS`` queries that gained most, and those that lost most.

    Images are named by content (hex SHA-256, None where it is not known), path and label. A match is ``right`` where
    its label is the query's.

    Args:
        labelled: the dataset; ids in the comparison are places in it.
        comparison: of start and result.

    Returns:
        JSON-ready: ``better`` and ``worse``, each a list of ``query``, ``gain`` (of MAP@R), ``before`` and ``after``.
    """

    def rows(changes: Sequence[QueryChange]) -> list[dict[str, Any]]:
        return [
            {
                "query": _named(labelled, change.id),
                "gain": change.difference,
                "before": _found(labelled, comparison.before, change),
                "after": _found(labelled, comparison.after, change),
            }
            for change in changes
        ]

    return {"better": rows(comparison.improved(ROWS)), "worse": rows(comparison.worsened(ROWS))}


def _found(labelled: Labelled, result: RetrievalResult, change: QueryChange) -> list[dict[str, Any]]:
    ids = [int(i) for i in result.matches.ids[change.place, :MATCHES] if i >= 0]
    return [_named(labelled, i) | {"right": bool(labelled.numbers[i] == change.number)} for i in ids]


def _named(labelled: Labelled, place: int) -> dict[str, Any]:
    image = labelled.images[place]
    content = None if image.digest is None else image.digest.hex()
    return {"content": content, "path": path_text(image.path), "label": image.label}
