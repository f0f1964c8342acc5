"""Plots as inline SVG, without a script: curves with axes, and bars and intervals that stretch with the page.

Colours come from classes (``s0``, ``s1``, ... for series), so that the page's light and dark schemes hold here, too.
Curves are drawn in a box of 360 x 220 units that is shown at about that size, so that their letters keep theirs.
Rows are drawn with lengths in per cent: they take any width, and nothing in them is stretched.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from retrieval.evaluation.markup import tag, text
from retrieval.evaluation.reliability import Bin
from retrieval.functional.metrics import Interval

WIDTH, HEIGHT = 360.0, 220.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 12.0, 12.0, 46.0
COLOURS = 6
ROW = 54
"""Pixels of a row of intervals; rows touch each other, so that their grid lines go through."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart; a value that is not finite leaves a gap. ``xs`` and ``ys`` have one length.

    Attributes:
        name: in the legend.
        xs, ys: of the points.
        band: (low, high) of each point, drawn as an upright line through it; empty for none.
        colour: ``"before"`` or ``"after"`` for one of two models; empty for that of its place among the series.
    """

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    band: Sequence[tuple[float, float]] = ()
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves over one common axis.

    Attributes:
        title: what is shown.
        x_label, y_label: of the axes, with units.
        series: the lines.
        note: one sentence below, or empty.
        logarithmic: whether equal ratios of x are equally far apart; points with x <= 0 are then left out.
    """

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    note: str = ""
    logarithmic: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from ``low`` to ``high`` onto positions from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Position of a value; outside the range it stays at the edge."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most ``most`` + 1 round values (1, 2 or 5 times a power of ten apart) within [low, high], low < high."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def line_chart(chart: Chart) -> str:
    """A chart as ``<svg>``, with its axes, labels and a legend where there is more than one line."""
    found = [_positioned(one, chart.logarithmic) for one in chart.series]
    points = [(x, y) for one in found for x, y in zip(one.xs, one.ys, strict=True) if math.isfinite(x + y)]
    if not points:
        return tag("p", "Nothing was logged.", class_="quiet")
    ends = [end for one in found for pair in one.band for end in pair if math.isfinite(end)]
    across = Scale(*_range([x for x, _ in points], pad=0.0 if not ends else 0.03), _LEFT, WIDTH - _RIGHT)
    up = Scale(*_range([*(y for _, y in points), *ends], pad=0.06), HEIGHT - _BOTTOM, _TOP)
    lines = "".join(_line(one, across, up, number) for number, one in enumerate(found))
    marks = [(mark, _short(10**mark)) for mark in _log_ticks(across)] if chart.logarithmic else None
    return _frame(chart.title, chart.x_label, chart.y_label, across, up, lines, marks)


def legend(series: Sequence[Series]) -> str:
    """Names of the lines with their colours; nothing for a single one."""
    if len(series) < 2:
        return ""
    entries = (
        tag("span", tag("i", class_=f"key {_colour(one, number, 'k')}") + text(one.name))
        for number, one in enumerate(series)
    )
    return tag("p", "".join(entries), class_="legend")


def reliability_chart(curve: Sequence[Bin]) -> str:
    """Probability that was said against the share that came true, with intervals, and the line where they agree."""
    across, up = Scale(0.0, 1.0, _LEFT, WIDTH - _RIGHT), Scale(0.0, 1.0, HEIGHT - _BOTTOM, _TOP)
    diagonal = tag("line", x1=across(0), y1=up(0), x2=across(1), y2=up(1), class_="ideal")
    bars = "".join(
        tag(
            "line",
            x1=across(one.predicted),
            x2=across(one.predicted),
            y1=up(one.low),
            y2=up(one.high),
            class_="whisker",
        )
        for one in curve
    )
    path = " ".join(f"{across(one.predicted):.2f},{up(one.observed):.2f}" for one in curve)
    line = tag("polyline", points=path, class_="line s0")
    dots = "".join(
        tag(
            "circle",
            tag("title", f"said {one.predicted:.2f}, came true {one.observed:.2f}, {one.pairs} pairs"),
            cx=across(one.predicted), cy=up(one.observed), r=3.5, class_="dot f0",
        )
        for one in curve
    )  # fmt: skip
    labels = ("probability that was said", "share that came true")
    return _frame("Reliability of the probabilities", *labels, across, up, diagonal + bars + line + dots)


def interval_rows(rows: Sequence[tuple[Interval, str]], scale: Scale, marks: Sequence[float], label: str) -> str:
    """Intervals under each other on one scale (0 to 100), each with a class for its colour, over grid lines."""
    grid = "".join(_upright(scale(mark), 0, ROW, "zero" if mark == 0 else "grid") for mark in marks)
    drawn = ""
    for number, (interval, colour) in enumerate(rows):
        y = ROW / 2 + 16 * (number - (len(rows) - 1) / 2)
        low, high, mean = (f"{scale(value):.3f}%" for value in (interval.low, interval.high, interval.mean))
        drawn += tag("line", x1=low, x2=high, y1=y, y2=y, class_=f"interval {colour}")
        drawn += "".join(_upright(scale(end), y - 5, y + 5, f"end {colour}") for end in (interval.low, interval.high))
        drawn += tag("circle", cx=mean, cy=y, r=4.5, class_=f"mean {colour}")
    return tag("svg", grid + drawn, class_="row", width="100%", height=ROW, role="img", aria_label=label)


def gain_row(value: float, scale: Scale, label: str) -> str:
    """One bar from zero to the left (a loss) or to the right (a gain) on a scale of 0 to 100."""
    zero, end = scale(0.0), scale(value)
    bar = tag(
        "rect", x=f"{min(zero, end):.3f}%", width=f"{abs(end - zero):.3f}%", y=5, height=12, rx=2,
        class_="gain" if value >= 0 else "loss",
    )  # fmt: skip
    return tag(
        "svg", bar + _upright(zero, 0, 22, "zero"), class_="row", width="100%", height=22, role="img", aria_label=label
    )


def axis_row(scale: Scale, marks: Sequence[tuple[float, str]]) -> str:
    """The labels of a scale of 0 to 100, as a row below others."""
    labels = "".join(tag("text", text(name), x=f"{scale(mark):.3f}%", y=12, class_="tick") for mark, name in marks)
    return tag("svg", labels, class_="row", width="100%", height=16, aria_hidden="true")


def _range(values: Sequence[float], pad: float) -> tuple[float, float]:
    """Lowest and highest value, apart from each other, with a share of air on both sides."""
    low, high = min(values), max(values)
    if high - low <= 1e-12 * max(1.0, abs(low), abs(high)):
        air = 0.5 * abs(low) or 0.5
        return low - air, high + air
    return low - pad * (high - low), high + pad * (high - low)


def _positioned(series: Series, logarithmic: bool) -> Series:
    """The series with its x as they are drawn."""
    if not logarithmic:
        return series
    return replace(series, xs=[math.log10(x) if x > 0 else math.nan for x in series.xs])


def _log_ticks(across: Scale) -> list[float]:
    """Positions of 1, 2 and 5 times powers of ten on a scale of logarithms; of powers alone where those are many."""
    powers = range(math.floor(across.low), math.ceil(across.high) + 1)
    fine = [power + math.log10(factor) for power in powers for factor in (1, 2, 5)]
    within = [mark for mark in fine if across.low - 1e-9 <= mark <= across.high + 1e-9]
    return within if len(within) <= 7 else [mark for mark in within if abs(mark - round(mark)) < 1e-9]


def _colour(series: Series, number: int, prefix: str) -> str:
    """The class of a series' colour: for a line, a dot or a key."""
    return series.colour or f"{prefix}{number % COLOURS}"


def _line(series: Series, across: Scale, up: Scale, number: int) -> str:
    """The line of a series, broken where a value is not finite; a lone point becomes a dot."""
    line, dot = _colour(series, number, "s"), _colour(series, number, "f")
    parts: list[list[str]] = [[]]
    for x, y in zip(series.xs, series.ys, strict=True):
        if math.isfinite(x) and math.isfinite(y):
            parts[-1].append(f"{across(x):.2f},{up(y):.2f}")
        elif parts[-1]:
            parts.append([])
    drawn = ""
    # Without bands there is nothing to go with the points; with some there is one a point.
    for (low, high), x, y in zip(series.band, series.xs, series.ys, strict=bool(series.band)):
        if math.isfinite(x + y + low + high):
            place = across(x)
            drawn += tag("line", x1=place, x2=place, y1=up(low), y2=up(high), class_=f"line thin {line}")
            drawn += tag("circle", cx=place, cy=up(y), r=3, class_=f"dot {dot}")
    for part in parts:
        if len(part) == 1:
            x_text, y_text = part[0].split(",")
            drawn += tag("circle", cx=float(x_text), cy=float(y_text), r=3, class_=f"dot {dot}")
        elif part:
            drawn += tag("polyline", points=" ".join(part), class_=f"line {line}")
    return drawn


def _frame(
    title: str,
    x_label: str,
    y_label: str,
    across: Scale,
    up: Scale,
    content: str,
    marks: Sequence[tuple[float, str]] | None = None,
) -> str:
    """Grid, ticks and axis labels around ``content``; ``marks`` of the x axis are round values by default."""
    grid = ""
    for value in ticks(up.low, up.high):
        y = up(value)
        grid += tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y, y2=y, class_="grid")
        grid += tag("text", _short(value), x=_LEFT - 6, y=y + 4, class_="tick left")
    below = [(value, _short(value)) for value in ticks(across.low, across.high)] if marks is None else marks
    for value, name in below:
        grid += tag("text", name, x=across(value), y=HEIGHT - _BOTTOM + 17, class_="tick")
    grid += tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=HEIGHT - _BOTTOM, y2=HEIGHT - _BOTTOM, class_="axis")
    middle = (_TOP + HEIGHT - _BOTTOM) / 2
    names = tag("text", text(x_label), x=(_LEFT + WIDTH - _RIGHT) / 2, y=HEIGHT - 6, class_="label")
    # Left of the widest tick, such as −2.475.
    names += tag("text", text(y_label), x=10, y=middle, class_="label", transform=f"rotate(-90 10 {middle:g})")
    return tag(
        "svg", grid + content + names, class_="chart", viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", role="img", aria_label=title
    )


def _short(value: float) -> str:
    """A tick's value in few characters, with a true minus."""
    size = abs(value)
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if size >= unit:
            return f"{value / unit:g}{name}".replace("-", "−")
    return (f"{value:.0e}" if 0 < size < 1e-3 else f"{value:g}").replace("-", "−")


def _upright(x: float, top: float, bottom: float, colour: str) -> str:
    return tag("line", x1=f"{x:.3f}%", x2=f"{x:.3f}%", y1=top, y2=bottom, class_=colour)
