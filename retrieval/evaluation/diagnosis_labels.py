"""The section of a diagnosis' page that needs labels: how finely they are told apart."""

import math
from collections.abc import Mapping, Sequence

from retrieval.evaluation import svg
from retrieval.evaluation.blocks import folded, section, table
from retrieval.evaluation.diagnosis_plots import Found
from retrieval.evaluation.granularity import Granularity, Parted
from retrieval.evaluation.markup import number, percent, tag, text
from retrieval.evaluation.pictures import Picture, strip
from retrieval.evaluation.svg import Scale

PARTED_SHOWN = 4
PICTURES = 6
CLASSES_SHOWN = 12


def granularity(found: Found, names: Sequence[str], picture: Mapping[int, Picture]) -> str:
    """Which labels crowd each other, and which fall into groups of their own."""
    fine = found[-1][1].granularity
    if fine is None:
        return ""
    other = found[0][1].granularity if len(found) > 1 else None
    content = _crowded(fine, names)
    content += _parted(fine, names, picture)
    content += folded("All labels", _class_table(fine, other, names))
    lead = (
        "The margin of an image is its cosine to the nearest image of its label, less that to the nearest of another; "
        "below zero the first match is wrong."
    )
    return section("Granularity", lead, content)


def _crowded(fine: Granularity, names: Sequence[str]) -> str:
    shown = [one for one in fine.by_class if not math.isnan(one.margin)][:CLASSES_SHOWN]
    values = [one.margin for one in fine.by_class if not math.isnan(one.margin)]
    low, high = (edge([0.0, *(one.margin for one in shown)]) for edge in (min, max))
    air = 0.08 * (high - low) or 0.01
    scale = Scale(low - air, high + air, 4, 96)
    rows = ""
    for one in shown:
        name = names[one.number]
        rival = names[one.rival] if one.rival >= 0 else ""
        said = f"{name}: margin {number(one.margin)}"
        rows += tag("div", text(name, 60), class_="what", title=name)
        rows += tag("div", svg.gain_row(one.margin, scale, said))
        rows += tag("div", number(one.margin), class_="number")
        rows += tag("div", text(rival, 60), class_="rival", title=rival)
    heads = (
        tag("div", "label") + tag("div", "margin") + tag("div", "") + tag("div", "nearest other label", class_="rival")
    )
    title = tag("h3", "Labels that stand closest to others")
    below = sum(value < 0 for value in values)
    said = f"{below} of {len(values)} labels have a negative margin on average."
    card = tag("div", heads + rows, class_="crowded")
    return tag("div", title + tag("p", said, class_="quiet") + card, class_="card")


def _parted(fine: Granularity, names: Sequence[str], picture: Mapping[int, Picture]) -> str:
    if not fine.parted:
        said = f"None of the {fine.asked} labels with enough images falls into two clear groups."
        return tag("div", tag("h3", "Groups within labels") + tag("p", said, class_="quiet"), class_="card")
    said = (
        f"{len(fine.parted)} of {fine.asked} labels with enough images fall into two groups that stand apart (mean "
        "silhouette of 0.25 or more): two things under one name, perhaps, or two ways of taking a picture."
    )
    rows = "".join(_groups(one, names, picture) for one in fine.parted[:PARTED_SHOWN])
    return tag("div", tag("h3", "Groups within labels") + tag("p", said, class_="quiet") + rows, class_="card")


def _groups(one: Parted, names: Sequence[str], picture: Mapping[int, Picture]) -> str:
    title = tag("b", text(names[one.number])) + tag("span", f"silhouette {one.silhouette:.2f}")
    strips = ""
    for group in one.groups:
        shown = [picture[row] for row in group[:PICTURES].tolist() if row in picture]
        plain = [Picture(p.jpeg, "", p.name) for p in shown]
        count = f"{len(group)} {'image' if len(group) == 1 else 'images'}"
        strips += tag("div", tag("p", count, class_="quiet") + strip(plain))
    return tag("p", title, class_="ranking") + tag("div", strips, class_="groups")


def _class_table(fine: Granularity, other: Granularity | None, names: Sequence[str]) -> str:
    before = {} if other is None else {one.number: one for one in other.by_class}
    rows = []
    for one in fine.by_class:
        row = [names[one.number], f"{one.images:,}", _or_dash(one.margin)]
        if other is not None:
            row.append(_or_dash(before[one.number].margin) if one.number in before else "–")
        row += [
            "–" if math.isnan(one.purity) else percent(one.purity),
            _or_dash(one.silhouette),
            names[one.rival] if one.rival >= 0 else "–",
        ]
        rows.append(row)
    heads = ["Label", "Images", "Margin", "Purity", "Silhouette", "Nearest other label"]
    if other is not None:
        heads.insert(3, "Margin beside")
    return table(heads, rows)


def _or_dash(value: float) -> str:
    return "–" if math.isnan(value) else number(value)
