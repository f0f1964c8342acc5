"""The plots of a diagnosis' page, each with its section as HTML; an empty string where there is nothing to show.

Where there are two models, the one beside stands first, grey, and the model itself second, in the page's colour.
"""

import base64
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.evaluation import svg
from retrieval.evaluation.blocks import axis, chart_block, chart_cards, key, marks_of, section
from retrieval.evaluation.diagnosis import Diagnosis
from retrieval.evaluation.invariance import Changed
from retrieval.evaluation.markup import percent, tag, text
from retrieval.evaluation.picture_map import picture_map
from retrieval.evaluation.pictures import Picture, strip
from retrieval.evaluation.svg import Chart, Scale, Series

Found = Sequence[tuple[str, Diagnosis]]
"""Name and diagnosis of one model or two, the model itself last."""

_COLOURS = ("before", "after")
_HALVES = (0.0, 0.5, 1.0)


def flat_map(
    rows: NDArray[np.int64],
    places: NDArray[np.float64],
    found: Diagnosis,
    picture: Mapping[int, Picture],
    thumbs: Mapping[int, bytes],
) -> str:
    """The map of one model; ``rows`` and ``places`` are those of the images on it."""
    colours, titles = [], []
    for row in rows.tolist():
        first = int(found.nearest[row, 0])
        known = found.numbers is not None and found.numbers[row] >= 0
        same = known and found.numbers is not None and found.numbers[row] == found.numbers[first]
        colours.append("plain" if not known else "same" if same else "other")
        one = picture[row]
        titles.append(f"{one.label}: {one.name}" if one.label else one.name)
    small = {place: thumbs[row] for place, row in enumerate(rows.tolist()) if row in thumbs}
    return picture_map(places, colours, small, titles, f"A map of {len(rows)} embeddings")


def maps(found: Sequence[tuple[str, str, float]], method: str, labelled: bool) -> str:
    """The hypersphere, flattened: (name, map, share of neighbours kept) of each model."""
    if not found:
        return ""
    legend = ""
    if labelled:
        dots = _dot("same", "its first match has its label") + _dot("other", "it has another")
        legend = tag("p", dots, class_="legend")
    drawn = ""
    for name, picture, kept in found:
        title = tag("h3", text(name)) if len(found) > 1 else ""
        line = f"{percent(kept)} of the ten nearest neighbours of an image are among its ten nearest here."
        said = tag("p", line, class_="quiet")
        # Focusable, so that it scrolls by keyboard, too.
        drawn += tag("div", title + tag("div", picture, class_="pan", tabindex="0") + said, class_="card wide")
    said = (
        "Embeddings lie on the surface of a sphere of many dimensions; no flat picture of it is true. Near pictures "
        f"here are mostly near there, far ones need not be far. {method}"
    )
    return section("The hypersphere, flattened", said, legend + drawn)


def shape(found: Found) -> str:
    """Histograms of the cosines, spectrum and standard deviations."""
    charts = [*_histograms(found), *_dimensions(found)]
    said = (
        "A positive is another image of the label, a hard negative the nearest image of another label."
        if found[-1][1].numbers is not None
        else "Without labels the cosines are those of each image's nearest neighbour, and of pairs at random."
    )
    return section("Similarities and dimensions", said, chart_cards(charts))


def _histograms(found: Found) -> list[Chart]:
    charts = []
    for name, one in found:
        similar = one.similarities
        if similar is None:
            continue
        middles = ((similar.edges[1:] + similar.edges[:-1]) / 2).tolist()
        series = [
            Series(f"{group.name}, mean {group.mean:.2f}", middles, (100 * group.shares).tolist())
            for group in (similar.near, similar.far)
        ]
        note = (
            f"{similar.near.pairs:,} and {similar.far.pairs:,} pairs. They overlap by {percent(similar.overlap)}, and "
            f"the first are the more alike in {percent(similar.order)} of all comparisons."
        )
        title = "Cosines" if len(found) == 1 else f"Cosines, {name}"
        charts.append(Chart(title, "cosine", "% of the pairs", series, note))
    return charts


def _dimensions(found: Found) -> list[Chart]:
    spectrum, spread = [], []
    for colour, (name, one) in _coloured(found):
        values = one.spread.singular_values
        positive = values > 1e-9
        logs = np.where(positive, np.log10(np.where(positive, values, 1.0)), np.nan)
        numbers = list(range(1, len(values) + 1))
        spectrum.append(Series(name, numbers, logs.tolist(), colour=colour))
        root = math.sqrt(one.spread.dimension)
        widths = (one.spread.std * root).tolist()
        spread.append(Series(name, list(range(1, len(widths) + 1)), widths, colour=colour))
    ranks = " and ".join(f"{one.spread.effective_rank:.0f} of {one.spread.most_rank:,}" for _, one in found)
    looked = f"{found[-1][1].spread.sample:,} images, not centred."
    return [
        Chart(
            "Singular values", "number", "log₁₀ of the share of their sum", spectrum,
            f"A cliff is a dimensional collapse. Effective rank: {ranks}; {looked}",
        ),
        Chart(
            "Deviation of each dimension", "dimension, the widest first", "standard deviation × √D", spread,
            "At 1 a dimension is as wide as on an evenly filled sphere; all at 0 is a complete collapse.",
        ),
    ]  # fmt: skip


def invariance(found: Found, looks: Mapping[str, bytes]) -> str:
    """What changes of a picture do, one row a change."""
    changes = [one.invariance for _, one in found]
    if not changes[-1]:
        return ""
    both = all(len(one) == len(changes[-1]) for one in changes)
    shown = changes if both else changes[-1:]
    lowest = min(change.cosine.low for one in shown for change in one)
    scale = Scale(min(0.9, math.floor(10 * lowest) / 10), 1.0, 4, 96)
    shares = Scale(0.0, 1.0, 4, 96)
    heads = tag("div", "") * 2 + tag("div", "Cosine to the unchanged one") + tag("div", "Found again")
    rows = tag("div", heads + tag("div", ""), class_="look heads")
    for number in range(len(shown[-1])):
        rows += _look([one[number] for one in shown], looks, scale, shares)
    ends = tag("div", _cosine_axis(scale)) + tag("div", axis(shares, _HALVES, " %"))
    rows += tag("div", tag("div", "") * 2 + ends + tag("div", ""), class_="look axes")
    legend = ""
    if len(shown) > 1:
        keys = "".join(key(colour, name) for colour, (name, _) in zip(_COLOURS, found, strict=True))
        legend = tag("p", keys, class_="legend")
    said = (
        f"{shown[-1][0].cosine.queries} pictures were changed, embedded again and searched for in the gallery: found "
        "again means that the unchanged picture is the first match. Lines are 95 % intervals. A change that a searcher "
        "would not mind should cost little; one that makes another thing of it may cost much."
    )
    return section("Invariance", said, tag("div", legend + rows, class_="card"))


def _look(changed: Sequence[Changed], looks: Mapping[str, bytes], scale: Scale, shares: Scale) -> str:
    last = changed[-1]
    colours = _COLOURS[-len(changed) :]
    cosines = [(one.cosine, colour) for one, colour in zip(changed, colours, strict=True)]
    recalls = [(one.recall, colour) for one, colour in zip(changed, colours, strict=True)]
    said = f"{last.look.name}: cosine {last.cosine.mean:.2f}, found again {percent(last.recall.mean)}"
    values = " → ".join(f"{one.cosine.mean:.2f}" for one in changed)
    found = " → ".join(f"{100 * one.recall.mean:.0f}" for one in changed) + " %"
    thumb = looks.get(last.look.name)
    cells = tag("div", _inline(thumb, last.look.name) if thumb else "", class_="thumb")
    cells += tag("div", tag("b", text(last.look.name)) + tag("span", last.look.kind), class_="name")
    cells += tag("div", svg.interval_rows(cosines, scale, marks_of(scale), said), class_="plot")
    cells += tag("div", svg.interval_rows(recalls, shares, _HALVES, f"{last.look.name}: found again"), class_="plot")
    cells += tag("div", tag("b", values) + tag("span", found), class_="numbers")
    return tag("div", cells, class_="look")


def hubs(found: Found, picture: Mapping[int, Picture]) -> str:
    """Images that searches find all the time."""
    series = []
    for colour, (name, one) in _coloured(found):
        counts = np.bincount(one.hubness.occurrence)
        shares = (100 * counts / one.images).tolist()
        series.append(Series(name, list(range(len(counts))), shares, colour=colour))
    k = found[-1][1].hubness.k
    chart = Chart("How often images are found", f"among the {k} nearest of so many others", "% of the images", series)
    columns = tag("div", chart_block(chart), class_="card")
    cards = ""
    for name, one in found:
        hub = one.hubness
        shown = [
            Picture(picture[row].jpeg, f"in {hub.occurrence[row]:,} lists", picture[row].name)
            for row in hub.strongest()
            if row in picture
        ]
        title = tag("h3", "The strongest hubs" + (f": {text(name)}" if len(found) > 1 else ""))
        said = (
            f"Skewness {hub.skewness:.2f}. {hub.anti_hubs:,} images ({percent(hub.anti_hub_share)}) are anti-hubs: "
            "among nobody's nearest."
        )
        cards += tag("div", title + tag("p", said, class_="quiet") + strip(shown), class_="card")
    lead = (
        f"Each image has {k} nearest neighbours, so it is one itself {k} times on average. A hub is one far more "
        "often: it comes up whatever was searched for."
    )
    return section("Hubs", lead, tag("div", columns + tag("div", cards, class_="stack"), class_="hubs"))


def _coloured(found: Found) -> list[tuple[str, tuple[str, Diagnosis]]]:
    """Each model with its colour: grey for the one beside."""
    return list(zip(_COLOURS[-len(found) :], found, strict=True))


def _cosine_axis(scale: Scale) -> str:
    return svg.axis_row(scale, [(mark, f"{mark:g}".replace("-", "−")) for mark in marks_of(scale)])


def _inline(jpeg: bytes, name: str) -> str:
    data = base64.b64encode(jpeg).decode()
    return f'<img src="data:image/jpeg;base64,{data}" alt="{text(name)}">'


def _dot(colour: str, name: str) -> str:
    return tag("span", tag("i", class_=f"bullet {colour}") + text(name))
