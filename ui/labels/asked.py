"""What the page's script sends, read as the stranger's word that it is."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Tab = Literal["pick", "groups", "ask", "files"]
Show = Literal["unlabelled", "all", "automatic", "label"]

_TABS: dict[object, Tab] = {"pick": "pick", "groups": "groups", "ask": "ask", "files": "files"}
_SHOWS: dict[object, Show] = {"unlabelled": "unlabelled", "all": "all", "automatic": "automatic", "label": "label"}

MOST_IDS = 5_000
"""Images in one answer: far more than a page has."""

_LONGEST = 4_096
_MOST_ID = 2**63


@dataclass(frozen=True, slots=True)
class Look:
    """What is looked at.

    Attributes:
        tab: part of the page.
        show: which images.
        label: for ``"label"``, as it is shown.
        under: a folder; empty for all.
        near: order by likeness to this image; 0 for the order of the gallery.
        page: from 1.
    """

    tab: Tab = "pick"
    show: Show = "unlabelled"
    label: str = ""
    under: str = ""
    near: int = 0
    page: int = 1

    def as_json(self) -> dict[str, Any]:
        """To be sent to the browser, and back."""
        return asdict(self)

    def but(self, **change: Any) -> "Look":
        """The same with some fields changed."""
        return replace(self, **change)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    Attributes:
        look: what is looked at, or to be.
        do: the change that is wanted; empty for none.
        answers: (image id, label); an empty label where the change needs none.
        operation: to take back; 0 for none.
        stamp: names the request, so that the script knows its answer.
    """

    look: Look = Look()
    do: str = ""
    answers: tuple[tuple[int, str], ...] = ()
    operation: int = 0
    stamp: str = ""


def read_asked(data: object) -> Asked:
    """The request in an event's data; what cannot be is left out."""
    if not isinstance(data, Mapping):
        return Asked()
    answers = data.get("answers")
    pairs = [_pair(one) for one in answers[:MOST_IDS]] if isinstance(answers, list) else []
    return Asked(
        look=_look(data.get("look")),
        do=_text(data.get("do")),
        answers=tuple(pair for pair in pairs if pair is not None),
        operation=_number(data.get("operation")),
        stamp=_text(data.get("stamp"))[:40],
    )


def read_stop(data: object) -> int:
    """The number of the job that is to be stopped; 0 where none is named."""
    return _number(data.get("stop")) if isinstance(data, Mapping) else 0


def _look(data: object) -> Look:
    if not isinstance(data, Mapping):
        return Look()
    return Look(
        tab=_TABS.get(_text(data.get("tab")), "pick"),
        show=_SHOWS.get(_text(data.get("show")), "unlabelled"),
        label=_text(data.get("label")),
        under=_text(data.get("under")).strip(),
        near=_number(data.get("near")),
        page=max(1, _number(data.get("page"))),
    )


def _pair(data: object) -> tuple[int, str] | None:
    if not isinstance(data, list) or len(data) != 2 or not _number(data[0]):
        return None
    return _number(data[0]), _text(data[1]).strip()


def _text(data: object) -> str:
    return data[:_LONGEST] if isinstance(data, str) else ""


def _number(data: object) -> int:
    """A whole number from 0; 0 for what is none."""
    return data if isinstance(data, int) and not isinstance(data, bool) and 0 < data < _MOST_ID else 0
