"""The head, the alarms and the figures of a diagnosis' page, each as HTML."""

from collections.abc import Sequence

from retrieval.evaluation.blocks import section
from retrieval.evaluation.diagnosis_alarms import Reading
from retrieval.evaluation.diagnosis_figures import Measured, mean
from retrieval.evaluation.markup import number, percent, percent_range, points, points_range, signed, tag, text
from retrieval.functional.metrics import Interval

_TILES = ("neighbour_purity", "effective_rank", "hubness")
"""Figures beside the verdict, as far as they were measured; two of them are shown."""


def head(dataset: str, names: Sequence[str], readings: Sequence[Reading], found: Sequence[Measured]) -> str:
    """Title, how many alarms ring, and two figures."""
    title = tag("h1", text(f"Diagnosis of {dataset}"))
    said = text(names[-1]) + (f" beside {text(names[0])}" if len(names) > 1 else "")
    ringing = [one.alarm.name for one in readings if one.rings]
    headline = "1 alarm rings" if len(ringing) == 1 else f"{len(ringing) or 'No'} alarms ring"
    which = f"{', '.join(ringing)}." if ringing else "What was measured stays within all thresholds."
    tiles = [one for wanted in _TILES for one in found if one.figure.key == wanted][:2]
    card = tag("div", tag("h2", headline) + tag("p", text(which[0].upper() + which[1:])), class_="said")
    card += "".join(_tile(one) for one in tiles)
    verdict = "worse" if ringing else "better"
    return tag("header", title + tag("p", said, class_="subtitle")) + tag(
        "section", card, class_=f"verdict-card {verdict}"
    )


def _tile(one: Measured) -> str:
    figures = tag("b", _value(one.after, one.figure.share))
    if one.before is not None:
        figures = f"{_value(one.before, one.figure.share)} → {figures}"
    interval = _interval(one.after, one.figure.share)
    lines = tag("h3", text(one.figure.name)) + tag("p", figures, class_="figures")
    if one.difference is not None:
        change, ends = _change(one)
        lines += tag("p", f"{change} ({ends})" if ends else change, class_="delta")
    elif interval:
        lines += tag("p", f"95 % interval {interval}", class_="quiet")
    return tag("div", lines + tag("p", text(one.figure.meaning), class_="quiet"), class_="tile")


def alarms(found: Sequence[tuple[str, Sequence[Reading]]]) -> str:
    """Every alarm with its value and threshold, and what to do about those that ring."""
    rows = ""
    for row, reading in enumerate(found[-1][1]):
        alarm = reading.alarm
        name = tag("b", text(alarm.name[0].upper() + alarm.name[1:]))
        limit = tag("div", f"rings {'below' if alarm.below else 'above'} {alarm.threshold:g}", class_="limit")
        values = "".join(tag("div", _reading(readings[row]), class_="value") for _, readings in found)
        ringing = any(readings[row].rings for _, readings in found)
        advice = tag("p", text(alarm.advice), class_="advice") if ringing else ""
        rows += tag("div", tag("div", name) + limit + values + advice, class_=f"alarm of{len(found)}")
    heads = ""
    if len(found) > 1:
        cells = tag("div", "") * 2 + "".join(tag("div", text(name), class_="value") for name, _ in found)
        heads = tag("div", cells, class_="alarm heads of2")
    said = "Thresholds were fixed before anything was measured."
    return section("Alarms", said, tag("div", heads + rows, class_="card"))


def _reading(reading: Reading) -> str:
    if reading.value is None:
        return tag("span", "not measured", class_="quiet")
    sign = tag("span", "!" if reading.rings else "✓", class_=f"sign {'rings' if reading.rings else 'calm'}")
    return sign + f"{number(reading.value)}"


def figures(names: Sequence[str], found: Sequence[Measured]) -> str:
    """Every figure as a table."""
    rows = ""
    for one in found:
        what = tag("b", text(one.figure.name)) + tag("span", text(one.figure.meaning))
        cells = ""
        for value in (one.before, one.after) if len(names) > 1 else (one.after,):
            interval = "" if value is None else _interval(value, one.figure.share)
            shown = "–" if value is None else _value(value, one.figure.share)
            cells += tag("div", tag("b", shown) + (tag("span", interval) if interval else ""))
        if len(names) > 1:
            cells += tag("div", _two_lines(one), class_="delta")
        rows += tag("div", tag("div", what) + cells, class_=f"figure of{len(names)}")
    heads = "".join(tag("div", text(name)) for name in names)
    if len(names) > 1:
        heads += tag("div", "difference")
    rows = tag("div", tag("div", "") + heads, class_=f"figure heads of{len(names)}") + rows
    return section("Figures", "Ranges below the values are 95 % intervals.", tag("div", rows, class_="card"))


def _value(value: float | Interval, share: bool) -> str:
    return percent(mean(value)) if share else number(mean(value))


def _interval(value: float | Interval, share: bool) -> str:
    if not isinstance(value, Interval):
        return ""
    return percent_range(value) if share else f"{number(value.low)} to {number(value.high)}"


def _change(one: Measured) -> tuple[str, str]:
    """A difference with its sign, and its interval where there is one."""
    assert one.difference is not None
    change, share = one.difference, one.figure.share
    if isinstance(change, Interval):
        ends = points_range(change) if share else f"{signed(change.low)} to {signed(change.high)}"
        return (points(change.mean) if share else signed(change.mean)), ends
    return (points(change) if share else signed(change)), ""


def _two_lines(one: Measured) -> str:
    """A difference above its interval."""
    if one.difference is None:
        return "–"
    change, ends = _change(one)
    return tag("b", change) + (tag("span", ends) if ends else "")
