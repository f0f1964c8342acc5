"""The page of a temperature study: one HTML file that opens anywhere, without network and without scripts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from retrieval.evaluation.blocks import chart_cards, folded, section, table
from retrieval.evaluation.markup import number, percent, percent_range, points, points_range, tag, text
from retrieval.evaluation.report import page
from retrieval.evaluation.report_parts import facts
from retrieval.evaluation.svg import COLOURS, Chart, Series
from retrieval.evaluation.temperature import AtTemperature, Penalty, Recommendation
from retrieval.functional.metrics import Interval

_LEAST = 1e-3
"""Of a fair share: what is less is drawn there."""


@dataclass(frozen=True)
class TemperaturePage:
    """What the page shows.

    Attributes:
        dataset, model: their names.
        found: by rising temperature, at least one.
        penalty: of the start embedding.
        recommended: which to take.
        facts: what was done, with what.
        queries: validation queries that were counted.
    """

    dataset: str
    model: str
    found: Sequence[AtTemperature]
    penalty: Penalty
    recommended: Recommendation
    facts: Mapping[str, str]
    queries: int


def render(found: TemperaturePage) -> str:
    """The page as HTML."""
    content = _head(found) + _figures(found) + _curves(found) + _penalty(found)
    return page(f"Temperature on {found.dataset}", content + facts(found.facts, ()))


def _head(found: TemperaturePage) -> str:
    advice = found.recommended
    best = next(one for one in found.found if one.temperature == advice.temperature)
    title = tag("h1", text(f"Temperature on {found.dataset}"))
    title += tag("p", text(f"{found.model}, a head trained with {len(found.found)} temperatures"), class_="subtitle")
    said = tag("h2", f"Take τ = {advice.temperature:g}") + tag("p", text(advice.reason))
    card = tag("div", said + tag("p", text(advice.uncertainty), class_="quiet"), class_="said")
    card += _tile("MAP@R", best.precision, "how well all images of the query's label are ranked first")
    card += _tile("Recall@1", best.recall, "how often the first match has the query's label")
    clear = len(advice.as_good) == 1 and advice.at_end is None
    return tag("header", title) + tag("section", card, class_=f"verdict-card {'better' if clear else 'open'}")


def _tile(name: str, value: Interval, meaning: str) -> str:
    figures = tag("p", tag("b", percent(value.mean)), class_="figures")
    interval = tag("p", f"95 % interval {percent_range(value)}", class_="quiet")
    return tag("div", tag("h3", name) + figures + interval + tag("p", meaning, class_="quiet"), class_="tile")


def _figures(found: TemperaturePage) -> str:
    best = found.recommended.temperature
    rows = [
        (
            f"{one.temperature:g}{' (taken)' if one.temperature == best else ''}",
            percent(one.precision.mean),
            "–" if one.temperature == best else f"{points(one.behind.mean)} ({points_range(one.behind)})",
            percent(one.recall.mean),
            number(one.uniformity),
            number(one.tolerance),
            number(one.effective_start),
            number(one.effective),
        )
        for one in found.found
    ]
    heads = (
        "τ", "MAP@R", "behind, in points", "Recall@1", "Uniformity", "Tolerance", "Negatives before", "Negatives after",
    )  # fmt: skip
    seeds = [
        (
            f"{one.temperature:g}", f"{each.seed}", percent(float(np.nanmean(each.precision))),
            percent(float(np.nanmean(each.recall))), number(each.uniformity), number(each.tolerance),
        )
        for one in found.found
        for each in one.trials
    ]  # fmt: skip
    lead = (
        f"{found.queries:,} validation queries; means over {found.recommended.seeds} seeds. Differences are to the "
        "temperature that is taken, paired query by query, with their 95 % intervals. Negatives: the effective number "
        "that one image pushes away, before training and after."
    )
    inner = table(heads, rows)
    more = table(("τ", "Seed", "MAP@R", "Recall@1", "Uniformity", "Tolerance"), seeds)
    return section("What each temperature gives", lead, inner + folded("Each seed", more))


def _curves(found: TemperaturePage) -> str:
    taus = [one.temperature for one in found.found]

    def measured(name: str, values: Sequence[Interval]) -> Series:
        return Series(name, taus, [v.mean for v in values], [(v.low, v.high) for v in values])

    charts = [
        Chart(
            "What is found", "τ", "share",
            [
                measured("Recall@1", [one.recall for one in found.found]),
                measured("MAP@R", [one.precision for one in found.found]),
            ],
            "Upright lines are 95 % intervals over the queries.", True,
        ),
        Chart(
            "Uniformity", "τ", "log mean exp(−2 d²)",
            [Series("uniformity", taus, [one.uniformity for one in found.found])],
            "The lower, the more evenly the images are spread over the sphere.", True,
        ),
        Chart(
            "Tolerance", "τ", "mean cosine",
            [Series("tolerance", taus, [one.tolerance for one in found.found])],
            "Mean cosine of two images of a label: the higher, the closer they stay together.", True,
        ),
    ]  # fmt: skip
    lead = (
        "In training without labels a small temperature spreads images evenly and pushes away what may be a positive, "
        "a large one tolerates it (Wang and Liu 2021). Here labels say what is a positive: the curves show what came "
        "of it."
    )
    return section("Uniformity against tolerance", lead, chart_cards(charts))


def _penalty(found: TemperaturePage) -> str:
    what = found.penalty
    shown = _some(list(what.weights))
    lines = [
        Series(f"τ = {tau:g}", what.cosines.tolist(), np.log10(np.maximum(what.weights[tau], _LEAST)).tolist())
        for tau in shown
    ]
    taus = [one.temperature for one in found.found]
    numbers = [
        Series("before training", taus, [one.effective_start for one in found.found]),
        Series("after training with it", taus, [one.effective for one in found.found]),
    ]
    charts = [
        Chart(
            "Weight of a negative", "its cosine to the anchor", "log₁₀ (weight ÷ fair share)", lines,
            "At 0 a negative gets what it would get if all were treated alike. The start embedding.",
        ),
        Chart(
            "Effective number of negatives", "τ", f"of {what.negatives:.0f}", numbers,
            "exp of the entropy of the weights: so many negatives one image truly pushes away.", True,
        ),
    ]  # fmt: skip
    lead = (
        "A negative's share of the penalty is exp(s/τ) over the sum of all: the smaller the temperature, the more of "
        "it goes to the nearest few. As τ goes to 0, τ times InfoNCE goes to max(0, max sₙ − sₚ): only the hardest "
        f"negative counts, and only where it is nearer than the positive. Of {what.anchors:,} validation images."
    )
    return section("Where the penalty goes", lead, chart_cards([*charts, _limit(what)]))


def _limit(what: Penalty) -> Chart:
    """The loss beside the triplet loss that it tends to."""
    taus = [tau for tau, _ in what.limit]
    lines = [
        Series("τ × InfoNCE", taus, [value for _, value in what.limit]),
        Series("hardest-negative triplet, margin 0", taus, [what.triplet] * len(taus)),
    ]
    note = "On the same pairs of the start embedding. The gap is never more than τ log(1 + number of negatives)."
    return Chart("Towards a triplet loss", "τ", "loss", lines, note, True)


def _some(taus: Sequence[float]) -> list[float]:
    """At most as many as there are colours, evenly chosen, both ends among them."""
    if len(taus) <= COLOURS:
        return list(taus)
    return [taus[round(place)] for place in np.linspace(0, len(taus) - 1, COLOURS)]
