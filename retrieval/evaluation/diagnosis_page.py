"""The page of a diagnosis: one HTML file that opens anywhere, without network and without scripts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.evaluation import diagnosis_labels as labels
from retrieval.evaluation import diagnosis_parts as parts
from retrieval.evaluation import diagnosis_plots as plots
from retrieval.evaluation.diagnosis import Diagnosis
from retrieval.evaluation.diagnosis_alarms import read_alarms
from retrieval.evaluation.diagnosis_figures import measured
from retrieval.evaluation.markup import tag
from retrieval.evaluation.pictures import Picture
from retrieval.evaluation.report import page
from retrieval.evaluation.report_parts import facts, notes

_STYLE = Path(__file__).with_name("diagnosis.css")


@dataclass(frozen=True)
class Flat:
    """A map of some images.

    Attributes:
        rows: [n] places of the images.
        places: [n, 2] on the map.
        kept: share in [0, 1] of the nearest neighbours among these images that are nearest on the map as well.
        method: how it was made, in words.
    """

    rows: NDArray[np.int64]
    places: NDArray[np.float64]
    kept: float
    method: str


@dataclass(frozen=True)
class Diagnosed:
    """One model with what was found.

    Attributes:
        name: of the model.
        found: the diagnosis.
        flat: its map; None where there are too few images for one.
    """

    name: str
    found: Diagnosis
    flat: Flat | None


@dataclass(frozen=True)
class DiagnosisPage:
    """What the page shows.

    Attributes:
        dataset: its name.
        after: the model.
        before: the model beside it, or None.
        class_names: the label of each class number.
        numbers: [N] class number of each image, -1 for none; None without labels.
        picture: larger pictures by place: label and name for all, JPEG where there is one.
        thumbs: small JPEGs by place, for the maps.
        looks: small JPEGs of one picture by the name of its change, and "" for the unchanged one.
        facts: what was done, with what.
        notes: what the reader must know first.
    """

    dataset: str
    after: Diagnosed
    before: Diagnosed | None
    class_names: Sequence[str]
    picture: Mapping[int, Picture]
    thumbs: Mapping[int, bytes]
    looks: Mapping[str, bytes]
    facts: Mapping[str, str]
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def models(self) -> list[Diagnosed]:
        """The model beside it first, where there is one."""
        return [self.after] if self.before is None else [self.before, self.after]


def render(found: DiagnosisPage) -> str:
    """The page as HTML."""
    after, before = found.after.found, None if found.before is None else found.before.found
    names = [one.name for one in found.models]
    both = [(one.name, one.found) for one in found.models]
    content = parts.head(found.dataset, names, read_alarms(after), measured(after, before))
    content += notes(found.notes)
    content += parts.alarms([(name, read_alarms(one)) for name, one in both])
    content += parts.figures(names, measured(after, before))
    maps = []
    for one in found.models:
        if one.flat is not None:
            drawn = plots.flat_map(one.flat.rows, one.flat.places, one.found, found.picture, found.thumbs)
            maps.append((one.name, drawn, one.flat.kept))
    content += plots.maps(maps, found.after.flat.method if found.after.flat else "", after.numbers is not None)
    content += plots.shape(both)
    content += plots.invariance(both, found.looks)
    content += labels.granularity(both, found.class_names, found.picture)
    content += plots.hubs(both, found.picture)
    content += facts(found.facts, ())
    return page(f"Diagnosis of {found.dataset}", tag("div", content, class_="diagnosis"), _STYLE.read_text("utf-8"))
