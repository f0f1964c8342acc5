"""The blocks that reports are put together from, as HTML."""

from collections.abc import Sequence

from retrieval.evaluation import svg
from retrieval.evaluation.markup import tag, text
from retrieval.evaluation.svg import Chart, Scale


def section(title: str, explanation: str, content: str) -> str:
    """A part of a page: heading, a sentence in plain text or none, content as HTML."""
    lead = tag("p", text(explanation), class_="lead") if explanation else ""
    return tag("section", tag("h2", text(title)) + lead + content)


def folded(title: str, content: str) -> str:
    """Content as HTML that is shown on a click."""
    return tag("details", tag("summary", text(title)) + content)


def key(colour: str, name: str) -> str:
    """An entry of a legend: a line of a colour's class, and a name."""
    return tag("span", tag("i", class_=f"key {colour}") + text(name))


def chart_cards(charts: Sequence[Chart]) -> str:
    """Charts beside each other, each in a card with its title, legend and note."""
    # Three cards fill a row, four stand two by two.
    kind = "cards even" if len(charts) == 4 else "cards"
    return tag("div", "".join(tag("div", chart_block(chart), class_="card") for chart in charts), class_=kind)


def chart_block(chart: Chart) -> str:
    """A chart with its title, legend and note."""
    note = tag("p", text(chart.note), class_="quiet") if chart.note else ""
    return tag("h3", text(chart.title)) + svg.legend(chart.series) + svg.line_chart(chart) + note


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, words: bool = False) -> str:
    """A table in a box of its own that scrolls sideways where it is too wide; ``words``: its last column is text."""
    head = tag("thead", tag("tr", "".join(tag("th", text(one), scope="col") for one in heads)))
    body = "".join(
        tag("tr", tag("th", text(row[0]), scope="row") + "".join(tag("td", text(cell)) for cell in row[1:]))
        for row in rows
    )
    # Focusable, so that it scrolls by keyboard, too.
    kind = {"class_": "words"} if words else {}
    return tag("div", tag("table", head + tag("tbody", body), **kind), class_="scroll", tabindex="0")


def marks_of(scale: Scale) -> list[float]:
    """Round values for the grid of a scale."""
    return svg.ticks(scale.low, scale.high)


def axis(scale: Scale, marks: Sequence[float], unit: str) -> str:
    """The row of a scale's marks: shares in per cent, each followed by ``unit``."""
    return svg.axis_row(scale, [(mark, f"{100 * mark:g}{unit}".replace("-", "−")) for mark in marks])
