"""What a person has asked for so far, and what each click makes of it. The browser's values may be anything."""

import re
from dataclasses import dataclass, replace

from retrieval.core.errors import BadValue
from retrieval.core.types import Region

YES, NO = "yes", "no"
_LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to search with: an indexed image, an uploaded file, or one that was kept.

    Attributes:
        image_id: of an indexed image.
        file: path of an upload, as Gradio's cache has it.
        region: only this part of it.
        key: SHA-256 of an upload, in hexadecimal; without a file it is one that the gallery kept.
    """

    image_id: int | None = None
    file: str | None = None
    region: Region | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A search as the page knows it.

    Attributes:
        like, unlike: examples; the first of ``like`` is what the search began with.
        judged: (image id, whether it is what is looked for), in the order of the clicks.
        page: from 0.
    """

    like: tuple[Picture, ...]
    unlike: tuple[Picture, ...] = ()
    judged: tuple[tuple[int, bool], ...] = ()
    page: int = 0

    @property
    def is_one_picture(self) -> bool:
        """Whether one picture is what results are judged against."""
        return len(self.like) == 1 and not self.unlike


class Nonsense(Exception):
    """The browser sent what no button of the page sends."""


def similar_to(image_id: object) -> Asked:
    """A new search by an indexed image. Raises Nonsense."""
    return Asked((Picture(image_id=a_number(image_id)),))


def acted(asked: Asked, action: dict[str, object]) -> Asked | None:
    """The search after a click; None where nothing is left to search with.

    Args:
        asked: before.
        action: what the button carries: ``do``, and what it needs.

    Raises:
        Nonsense: it is no such click.
        BadValue: the marked part is too small.
    """
    match action.get("do"):
        case "page":
            return replace(asked, page=a_number(action.get("n"), least=0))
        case "judge":
            return _judged(asked, a_number(action.get("id")), action.get("value"))
        case "forget":
            return replace(asked, judged=(), page=0)
        case "more":
            return _with(asked, Picture(image_id=a_number(action.get("id"))), wanted=True)
        case "less":
            return _with(asked, Picture(image_id=a_number(action.get("id"))), wanted=False)
        case "drop":
            return _without(asked, action.get("side"), a_number(action.get("n"), least=0))
        case "crop":
            sides = [_a_share(action.get(side)) for side in ("left", "top", "right", "bottom")]
            return _cropped(asked, Region(*sides))
        case "whole":
            return _cropped(asked, None)
    raise Nonsense


def added(asked: Asked, picture: Picture) -> Asked:
    """The search with one more picture as an example."""
    return replace(asked, like=(*asked.like, picture), page=0)


def a_key(value: object) -> str:
    """The name of a kept photo. Raises Nonsense."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{64}", value):
        raise Nonsense
    return value


def a_number(value: object, least: int = 1) -> int:
    """A whole number, as itself or as its digits. Raises Nonsense."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _LARGEST_ID:
        raise Nonsense
    return value


def _a_share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Nonsense
    return min(1.0, max(0.0, float(value))) if value == value else float("nan")


def _judged(asked: Asked, image_id: int, value: object) -> Asked:
    if value not in (YES, NO):
        raise Nonsense
    before = dict(asked.judged)
    others = tuple(pair for pair in asked.judged if pair[0] != image_id)
    # The same thumb again takes it back.
    same = before.get(image_id) == (value == YES)
    return replace(asked, judged=others if same else (*others, (image_id, value == YES)), page=0)


def _with(asked: Asked, picture: Picture, *, wanted: bool) -> Asked:
    like = tuple(one for one in asked.like if one != picture)
    unlike = tuple(one for one in asked.unlike if one != picture)
    if wanted:
        return replace(asked, like=(*like, picture), unlike=unlike, page=0)
    if not like:
        raise BadValue("A search needs a picture that shows what is wanted.", "Choose one.")
    return replace(asked, like=like, unlike=(*unlike, picture), page=0)


def _without(asked: Asked, side: object, place: int) -> Asked | None:
    if side not in ("like", "unlike"):
        raise Nonsense
    rest = [list(asked.like), list(asked.unlike)]
    mine = rest[side == "unlike"]
    if place >= len(mine):
        raise Nonsense
    del mine[place]
    if not rest[0]:
        return None
    return replace(asked, like=tuple(rest[0]), unlike=tuple(rest[1]), page=0)


def _cropped(asked: Asked, region: Region | None) -> Asked:
    first = replace(asked.like[0], region=region)
    return replace(asked, like=(first, *asked.like[1:]), page=0)
