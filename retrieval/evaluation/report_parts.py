"""The sections of a report's page, each as HTML; an empty string where there is nothing to show."""

import math
from collections.abc import Mapping, Sequence

from retrieval.evaluation import svg
from retrieval.evaluation.blocks import axis, chart_cards, folded, key, marks_of, section, table
from retrieval.evaluation.comparison import ClassChange, Comparison, Verdict
from retrieval.evaluation.markup import (
    definitions,
    metric_name,
    percent,
    percent_range,
    points,
    points_range,
    tag,
    text,
)
from retrieval.evaluation.pictures import QuerySection, query_row
from retrieval.evaluation.reliability import Reliability
from retrieval.evaluation.retrieval import MAP_AT_R, RECALL_AT_1, RetrievalResult
from retrieval.evaluation.svg import Chart, Scale
from retrieval.evaluation.threshold import Threshold
from retrieval.functional.metrics import Interval

CLASSES_SHOWN = 12
"""Classes drawn on either side; the table below holds all of them."""

_SAME_AS_RECALL_AT_1 = "precision_at_1"

_HEADLINES: dict[Verdict, str] = {
    "better": "Better than before",
    "worse": "Worse than before",
    "open": "Not proven better",
}
_REASONS: dict[Verdict, str] = {
    "better": "The 95 % interval of MAP@R's difference lies above zero, and recall@1 is not worse.",
    "worse": "The 95 % interval of a difference lies below zero.",
    "open": "MAP@R's difference may be chance (its 95 % interval touches zero), or recall@1 may be worse.",
}
_MEANINGS = {
    RECALL_AT_1: "how often the first match has the query's label",
    MAP_AT_R: "how well all images of the query's label are ranked first",
}


def head(title: str, subtitle: str, comparison: Comparison | None) -> str:
    """Title and, where two models were compared, the verdict."""
    lines = tag("h1", text(title)) + (tag("p", text(subtitle), class_="subtitle") if subtitle else "")
    if comparison is None:
        return tag("header", lines)
    verdict = comparison.verdict
    tiles = "".join(_tile(name, comparison) for name in (RECALL_AT_1, MAP_AT_R))
    said = tag("div", tag("h2", _HEADLINES[verdict]) + tag("p", _REASONS[verdict]), class_="said")
    return tag("header", lines) + tag("section", said + tiles, class_=f"verdict-card {verdict}")


def _tile(name: str, comparison: Comparison) -> str:
    change = comparison.changes[name]
    figures = f"{percent(change.before.mean)} → {tag('b', percent(change.after.mean))}"
    difference = f"{points(change.difference.mean)} points ({points_range(change.difference)})"
    return tag(
        "div",
        tag("h3", metric_name(name))
        + tag("p", figures, class_="figures")
        + tag("p", difference, class_=f"delta {change.verdict}")
        + tag("p", _MEANINGS[name], class_="quiet"),
        class_="tile",
    )


def notes(lines: Sequence[str]) -> str:
    """Warnings above the figures."""
    return tag("ul", "".join(tag("li", text(line)) for line in lines), class_="notes") if lines else ""


def before_and_after(comparison: Comparison) -> str:
    """Every metric of both models with its interval, drawn and as a table."""
    changes = comparison.changes
    levels = _share_scale([one for change in changes.values() for one in (change.before, change.after)])
    gains = _gain_scale([end for change in changes.values() for end in (change.difference.low, change.difference.high)])
    level_marks, gain_marks = marks_of(levels), marks_of(gains)
    rows = _row("heads", "", "Before and after", "Difference in points", "")
    for name, change in changes.items():
        if name == _SAME_AS_RECALL_AT_1:
            continue
        title = metric_name(name)
        said = f"{title}: before {percent(change.before.mean)}, after {percent(change.after.mean)}"
        both = [(change.before, "before"), (change.after, "after")]
        difference = [(change.difference, change.verdict)]
        gained = f"difference {points_range(change.difference)} points"
        rows += _row(
            "",
            tag("b", text(title)) + tag("span", f"{percent(change.before.mean)} → {percent(change.after.mean)}"),
            svg.interval_rows(both, levels, level_marks, said),
            svg.interval_rows(difference, gains, gain_marks, gained),
            tag("b", points(change.difference.mean), class_=f"delta {change.verdict}")
            + tag("span", points_range(change.difference)),
        )
    rows += _row("axes", "", axis(levels, level_marks, " %"), axis(gains, gain_marks, ""), "")
    legend = tag("p", key("before", "before") + key("after", "after"), class_="legend")
    return section(
        "What the models find",
        _basis(comparison.after) + " Lines are 95 % intervals; the difference is paired query by query.",
        tag("div", legend + rows, class_="card") + folded("All figures", _comparison_table(comparison)),
    )


def without_labels(rows: Sequence[tuple[str, str, str, str]]) -> str:
    """What can be said of both models without a label: name, before, after and meaning of each, as a table."""
    if not rows:
        return ""
    said = "Of the same images before and after. No single one of these says that a search is better."
    return section(
        "What has changed, without labels", said, table(("", "Before", "After", "What it means"), rows, words=True)
    )


def alone(result: RetrievalResult) -> str:
    """Every metric of one model with its interval, drawn and as a table."""
    scale = _share_scale(list(result.intervals.values()))
    marks = marks_of(scale)
    rows = ""
    for name, interval in result.intervals.items():
        if name == _SAME_AS_RECALL_AT_1:
            continue
        said = f"{metric_name(name)}: {percent(interval.mean)}, {percent_range(interval)}"
        rows += _row(
            "single",
            tag("b", metric_name(name)),
            svg.interval_rows([(interval, "after")], scale, marks, said),
            tag("b", percent(interval.mean)) + tag("span", percent_range(interval)),
        )
    rows += _row("single axes", "", axis(scale, marks, " %"), "")
    return section(
        "What the model finds", _basis(result) + " Lines are 95 % intervals.", tag("div", rows, class_="card")
    )


def classes(comparison: Comparison, names: Sequence[str], metric: str = MAP_AT_R) -> str:
    """The labels that lost and gained most as bars, and all of them as a table.

    Raises:
        ValueError: a class of the comparison has no name.
    """
    changes = comparison.classes(metric)
    if changes and max(change.number for change in changes) >= len(names):
        raise ValueError(f"Only {len(names)} of the classes have names.")
    losses = [change for change in changes if change.difference < 0][:CLASSES_SHOWN]
    gains = [change for change in reversed(changes) if change.difference > 0][:CLASSES_SHOWN]
    scale = _gain_scale([change.difference for change in changes])
    columns = "".join(
        tag("div", tag("h3", text(title)) + (_bars(found, names, scale) or tag("p", "None.", class_="quiet")))
        for title, found in (("Gained most", gains), ("Lost most", losses))
    )
    up, down = (sum(sign * change.difference > 0 for change in changes) for sign in (1, -1))
    counts = f"{metric_name(metric)} rises for {up} of {len(changes)} labels and falls for {down}."
    return section(
        "Which labels gain, which lose",
        counts + " Bars show the change in percentage points; a label with few queries moves easily.",
        tag("div", columns, class_="columns") + folded("All labels", _class_table(changes, names, metric)),
    )


def queries(found: QuerySection) -> str:
    """Queries as rows of pictures."""
    rows = "".join(query_row(row) for row in found.rows) or tag("p", "There is none.", class_="quiet")
    return section(found.title, found.explanation, rows)


def confidence(found: Reliability | None, threshold: Threshold | None) -> str:
    """What a score means: the reliability of its probability, and when nothing similar is said to be there."""
    cards = ""
    if found is not None:
        ece = f"{percent(found.ece.mean)} ({percent_range(found.ece)}), 0 is best"
        figures = {
            "Expected calibration error": ece,
            "Brier score": f"{found.brier:.4f}; always saying the average would get {found.base:.4f}",
            "Pairs": f"{sum(one.pairs for one in found.curve):,} of {found.ece.queries:,} queries",
        }
        said = "On the dashed line, what was said came true. Upright lines are 95 % intervals."
        cards += _plot_card("A score becomes a probability", said, svg.reliability_chart(found.curve), figures)
    if threshold is not None:
        figures = {
            "Threshold": f"best score below {threshold.value:.3f}",
            "Rightly said": f"{_rate(threshold.true_alarms)} of the queries whose label is not there",
            "Wrongly said": f"{_rate(threshold.false_alarms)} of the queries whose label is there",
        }
        scale = Scale(0.0, 1.0, 4, 96)
        rates = [(threshold.true_alarms, "better"), (threshold.false_alarms, "worse")]
        drawn = tag("p", key("better", "rightly said") + key("worse", "wrongly said"), class_="legend")
        drawn += svg.interval_rows(rates, scale, marks_of(scale), "alarm rates") + axis(scale, marks_of(scale), " %")
        said = "How often a query is told that nothing similar is there, with 95 % intervals."
        cards += _plot_card("“Nothing like this here”", said, drawn, figures)
    return section("What a score means", "For this model and a gallery like this one.", cards) if cards else ""


def charts(found: Sequence[Chart]) -> str:
    """How training went."""
    if not found:
        return ""
    return section("How training went", "", chart_cards(found))


def facts(rows: Mapping[str, str], details: Sequence[tuple[str, str]]) -> str:
    """What was done, and folded texts."""
    content = definitions(rows) if rows else ""
    content += "".join(folded(title, tag("div", tag("pre", _lines(body)), class_="scroll")) for title, body in details)
    return section("How it was made", "", content) if content else ""


def _plot_card(title: str, said: str, plot: str, figures: Mapping[str, str]) -> str:
    """A plot with its figures beside it."""
    words = tag("h3", text(title)) + tag("p", text(said), class_="quiet") + definitions(figures)
    return tag("div", tag("div", words) + tag("div", plot), class_="card plot")


def _lines(body: str) -> str:
    """Plain text whose line breaks stay."""
    return "\n".join(text(line) for line in body.expandtabs(4).splitlines())


def _row(kind: str, *cells: str) -> str:
    """Cells beside each other; of four cells the third is left out on narrow screens."""
    return tag("div", "".join(tag("div", cell) for cell in cells), class_=f"measure {kind}".strip())


def _rate(interval: Interval) -> str:
    return f"{percent(interval.mean)} ({percent_range(interval)})"


def _basis(result: RetrievalResult) -> str:
    counted = len(set(result.classes[result.positives > 0].tolist()))
    said = f"{result.counted:,} queries of {counted:,} labels, searched among {result.database:,} images."
    if result.singletons:
        said += f" Left out, for want of another image of their label: {result.singletons:,}."
    return said


def _share_scale(intervals: Sequence[Interval]) -> Scale:
    """All intervals between two multiples of ten per cent."""
    low = math.floor(10 * min(one.low for one in intervals)) / 10
    high = math.ceil(10 * max(one.high for one in intervals)) / 10
    return Scale(low, max(high, low + 0.1), 4, 96)


def _gain_scale(values: Sequence[float]) -> Scale:
    """Zero and all values, with a little air."""
    low, high = min([0.0, *values]), max([0.0, *values])
    air = 0.08 * (high - low) or 0.01
    return Scale(low - air, high + air, 4, 96)


def _bars(changes: Sequence[ClassChange], names: Sequence[str], scale: Scale) -> str:
    rows = ""
    for change in changes:
        name = names[change.number]
        said = f"{name}: {points(change.difference)} points"
        rows += tag("div", text(name, 60), class_="what", title=name)
        rows += tag("div", svg.gain_row(change.difference, scale, said))
        rows += tag("div", points(change.difference), class_="number")
    return tag("div", rows, class_="bars") if rows else ""


def _comparison_table(comparison: Comparison) -> str:
    rows = [
        (
            metric_name(name), percent(change.before.mean), percent_range(change.before), percent(change.after.mean),
            percent_range(change.after), points(change.difference.mean), points_range(change.difference),
        )
        for name, change in comparison.changes.items()
    ]  # fmt: skip
    return table(("Metric", "Before", "95 % interval", "After", "95 % interval", "Difference", "95 % interval"), rows)


def _class_table(changes: Sequence[ClassChange], names: Sequence[str], metric: str) -> str:
    rows = [
        (
            names[change.number], f"{change.queries:,}", percent(change.before), percent(change.after),
            points(change.difference),
        )
        for change in changes
    ]  # fmt: skip
    name = metric_name(metric)
    return table(("Label", "Queries", f"{name} before", f"{name} after", "Difference"), rows)
