"""Rows of pictures in a report: a query, and what a model found for it."""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.evaluation.markup import metric_name, percent, tag, text


@dataclass(frozen=True, slots=True)
class Picture:
    """One image in a row.

    Attributes:
        jpeg: a small JPEG file's bytes; None where the image cannot be shown.
        label: its class.
        name: of the file, for people; shown when the pointer rests on it.
        score: cosine to the query, for a match.
        same: whether it has the query's label, for a match.
    """

    jpeg: bytes | None
    label: str
    name: str = ""
    score: float | None = None
    same: bool | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """The first matches that a model gave, and what a metric says of the whole ranking (NaN: nothing)."""

    title: str
    metric: str
    value: float
    pictures: Sequence[Picture]


@dataclass(frozen=True, slots=True)
class QueryRow:
    """A query and its rankings."""

    query: Picture
    rankings: Sequence[Ranking]


@dataclass(frozen=True, slots=True)
class QuerySection:
    """Queries of one kind, with a heading and a sentence that says which."""

    title: str
    explanation: str
    rows: Sequence[QueryRow]


def query_row(row: QueryRow) -> str:
    """A query with its rankings as HTML."""
    rankings = "".join(_ranking(one) for one in row.rankings)
    return tag("article", tag("div", _figure(row.query), class_="asked") + tag("div", rankings), class_="query")


def strip(pictures: Sequence[Picture]) -> str:
    """Pictures beside each other as HTML."""
    return tag("div", "".join(_figure(one) for one in pictures), class_="strip")


def _ranking(ranking: Ranking) -> str:
    value = "" if math.isnan(ranking.value) else f"{metric_name(ranking.metric)} {percent(ranking.value)}"
    title = tag("p", tag("b", text(ranking.title)) + " " + tag("span", text(value)), class_="ranking")
    return title + strip(ranking.pictures)


def _figure(picture: Picture) -> str:
    if picture.jpeg is None:
        image = tag("div", "no picture", class_="missing", title=picture.name)
    else:
        data = base64.b64encode(picture.jpeg).decode()
        hover = text(picture.name or picture.label)
        image = f'<img src="data:image/jpeg;base64,{data}" alt="{text(picture.label)}" title="{hover}">'
    caption = tag("span", text(picture.label, 60), class_="name", title=picture.label)
    if picture.same is not None:
        # A sign beside the colour, for those who see no difference between green and red.
        sign = tag("span", "✓" if picture.same else "✕", class_="sign", title=_SAID[picture.same])
        score = "" if picture.score is None else tag("span", f"{picture.score:.3f}".replace("-", "−"), class_="score")
        caption = tag("span", sign + score, class_="verdict") + caption
    colour = "" if picture.same is None else " same" if picture.same else " other"
    return tag("figure", image + tag("figcaption", caption), class_=f"picture{colour}")


_SAID = {True: "the query's label", False: "another label"}
