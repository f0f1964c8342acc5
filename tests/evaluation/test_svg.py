"""Plots: round ticks, values at their places, gaps where nothing was measured."""

import itertools
import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.evaluation.markup import metric_name, percent, points
from retrieval.evaluation.reliability import Bin
from retrieval.evaluation.svg import (
    HEIGHT,
    WIDTH,
    Chart,
    Scale,
    Series,
    axis_row,
    gain_row,
    interval_rows,
    legend,
    line_chart,
    reliability_chart,
    ticks,
)
from retrieval.functional.metrics import Interval

values = st.floats(-1e6, 1e6)


@settings(max_examples=300, deadline=None)
@given(values, st.floats(1e-3, 1e6), st.integers(1, 8))
def test_ticks_are_round_few_and_within(low, width, most):
    high = low + width
    found = ticks(low, high, most)
    assert len(found) <= most + 1
    assert all(low - width * 1e-6 <= tick <= high + width * 1e-6 for tick in found)
    steps = [round(b - a, 9) for a, b in itertools.pairwise(found)]
    if steps:
        mantissa = f"{steps[0]:.4e}"[0:6]
        assert mantissa in ("1.0000", "2.0000", "5.0000")
        assert max(steps) - min(steps) <= 1e-6 * width


def test_ticks_by_hand():
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert ticks(-3, 17) == [0, 5, 10, 15]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(values, values | st.just(math.nan) | st.just(math.inf)), max_size=20))
def test_any_series_gives_a_drawing_within_its_box(drawn):
    chart = Chart("t", "x", "y", [Series("a", [x for x, _ in drawn], [y for _, y in drawn])])
    page = line_chart(chart)
    tree = ElementTree.fromstring(page)
    finite = [y for _, y in drawn if math.isfinite(y)]
    marks = re.findall(r"[-\d.]+,[-\d.]+", " ".join(e.get("points", "") for e in tree.iter("polyline")))
    marks += [f"{e.get('cx')},{e.get('cy')}" for e in tree.iter("circle")]
    assert len(marks) == len(finite)
    for mark in marks:
        x, y = map(float, mark.split(","))
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT


def test_a_gap_breaks_the_line():
    chart = Chart("t", "x", "y", [Series("a", [0, 1, 2, 3, 4, 5], [0, 1, math.nan, 3, 4, math.nan])])
    lines = [e.get("points").split() for e in ElementTree.fromstring(line_chart(chart)).iter("polyline")]
    assert [len(line) for line in lines] == [2, 2]


def test_higher_values_stand_higher_and_later_ones_further_right():
    page = line_chart(Chart("t", "x", "y", [Series("a", [0, 10], [1, 2])]))
    (x0, y0), (x1, y1) = (map(float, mark.split(",")) for mark in re.findall(r"[\d.]+,[\d.]+", page))
    assert x0 < x1
    assert y0 > y1


def test_on_a_logarithmic_axis_equal_ratios_are_equally_far_apart():
    page = line_chart(Chart("t", "x", "y", [Series("a", [0.01, 0.1, 1.0, -1.0], [1, 2, 3, 4])], logarithmic=True))
    places = [float(mark.split(",")[0]) for mark in re.findall(r"[\d.]+,[\d.]+", page)]
    assert len(places) == 3, "what has no logarithm is left out"
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.02)
    labels = [e.text for e in ElementTree.fromstring(page).iter("text") if e.get("class") == "tick"]
    assert labels == ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1"]
    wide = line_chart(Chart("t", "x", "y", [Series("a", [1e-4, 1.0], [1, 2])], logarithmic=True))
    labels = [e.text for e in ElementTree.fromstring(wide).iter("text") if e.get("class") == "tick"]
    assert labels == ["1e−04", "0.001", "0.01", "0.1", "1"]


def test_bands_stand_upright_through_their_points_and_fit_in():
    series = Series("a", [0, 1], [0.5, 0.6], band=[(0.1, 0.9), (0.5, 2.0)])
    tree = ElementTree.fromstring(line_chart(Chart("t", "x", "y", [series])))
    bands = [e for e in tree.iter("line") if e.get("class") == "line thin s0"]
    assert len(bands) == len(list(tree.iter("circle"))) == 2
    for band, dot in zip(bands, tree.iter("circle"), strict=True):
        assert band.get("x1") == band.get("x2") == dot.get("cx")
        assert float(band.get("y2")) < float(dot.get("cy")) < float(band.get("y1"))
        assert float(band.get("y2")) >= 0
    with pytest.raises(ValueError, match="zip"):
        line_chart(Chart("t", "x", "y", [Series("a", [0, 1], [0, 1], band=[(0, 1)])]))


def test_a_series_may_have_the_colour_of_its_model():
    chart = Chart("t", "x", "y", [Series("m", [0, 1], [0, 1], colour="before"), Series("n", [0, 1], [1, 2])])
    assert 'class="line before"' in line_chart(chart)
    assert 'class="line s1"' in line_chart(chart)
    assert "key before" in legend(chart.series)
    assert "key k1" in legend(chart.series)


def test_series_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="zip"):
        line_chart(Chart("t", "x", "y", [Series("a", [0, 1], [1])]))


def test_several_lines_have_a_legend_and_their_own_colours():
    series = [Series(name, [0, 1], [0, 1]) for name in ("one", "two & a half")]
    assert legend(series[:1]) == ""
    assert "two &amp; a half" in legend(series)
    page = line_chart(Chart("t", "x", "y", series))
    assert "line s0" in page
    assert "line s1" in page


def test_the_reliability_curve_has_a_point_a_bin():
    curve = [Bin(0.1, 0.2, 0.1, 0.3, 5), Bin(0.9, 0.8, 0.7, 0.9, 5)]
    tree = ElementTree.fromstring(reliability_chart(curve))
    (one, two) = tree.iter("circle")
    assert float(one.get("cx")) < float(two.get("cx"))
    assert float(one.get("cy")) > float(two.get("cy"))
    assert len([e for e in tree.iter("line") if e.get("class") == "whisker"]) == 2


def test_intervals_lie_on_their_scale():
    scale = Scale(0.0, 1.0, 0, 100)
    tree = ElementTree.fromstring(interval_rows([(Interval(0.5, 0.4, 0.7, 9, 3), "after")], scale, [0.0, 0.5], "said"))
    (line,) = [e for e in tree.iter("line") if e.get("class") == "interval after"]
    assert (line.get("x1"), line.get("x2")) == ("40.000%", "70.000%")
    assert next(tree.iter("circle")).get("cx") == "50.000%"
    assert tree.get("aria-label") == "said"


@pytest.mark.parametrize(("value", "x", "width", "colour"), [(0.2, 50, 20, "gain"), (-0.3, 20, 30, "loss")])
def test_bars_go_from_zero(value, x, width, colour):
    (bar,) = ElementTree.fromstring(gain_row(value, Scale(-0.5, 0.5, 0, 100), "said")).iter("rect")
    assert (bar.get("x"), bar.get("width"), bar.get("class")) == (f"{x}.000%", f"{width}.000%", colour)


def test_axis_labels_are_text():
    assert "&lt;b&gt;" in axis_row(Scale(0, 1, 0, 100), [(0.5, "<b>")])


def test_numbers_as_people_read_them():
    assert [points(value) for value in (0.0234, -0.0234, 0.0, 0.0001, -0.0001)] == [
        "+2.3",
        "−2.3",
        "±0.0",
        "±0.0",
        "±0.0",
    ]
    assert percent(0.7994) == "79.9 %"
    names = {"recall_at_10": "Recall@10", "map_at_r": "MAP@R", "map_at_10": "mAP@10", "r_precision": "R-precision"}
    assert {key: metric_name(key) for key in names} == names
    assert metric_name("something") == "something"
