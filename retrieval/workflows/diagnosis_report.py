"""The page of a diagnosis: its maps and its pictures."""

import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from retrieval.core.text import shown
from retrieval.core.types import Pixels
from retrieval.evaluation.diagnosis import Diagnosis
from retrieval.evaluation.diagnosis_labels import PARTED_SHOWN, PICTURES
from retrieval.evaluation.diagnosis_page import Diagnosed, DiagnosisPage, Flat, render
from retrieval.evaluation.looks import LOOKS
from retrieval.evaluation.neighbourhood import NEIGHBOURS, kept_neighbours, neighbours
from retrieval.evaluation.picture_map import SIDE, layout, shown_pictures
from retrieval.evaluation.pictures import Picture
from retrieval.evaluation.report import write_page
from retrieval.functional.diagnostics import sample
from retrieval.functional.tsne import PERPLEXITY, squared_distances, tsne
from retrieval.workflows.pictures_of import PictureSet

MAPPED = 400
"""Images on a map: of more, a sample, the same every time."""

_LARGE_SIDE = 224
_LOOK_SIDE = 88

Pictures = Callable[[list[bytes], int], dict[bytes, bytes]]
"""From paths and a side in pixels to small JPEGs; a path that cannot be shown is left out."""


@dataclass(frozen=True)
class Drawn:
    """One model on the page: its name, its embeddings of the images, and what was found."""

    name: str
    pictures: PictureSet
    found: Diagnosis


def write_diagnosis(
    out: Path,
    dataset: str,
    models: Sequence[Drawn],
    facts: Mapping[str, str],
    example: Pixels | None,
    pictures: Pictures,
) -> None:
    """Write the page.

    Args:
        out: the file.
        dataset: its name, for people.
        models: the model, and the one beside it, if any; of the same images in the same order.
        facts: what was done, with what.
        example: [S, S, 3] pixels that the changes are shown on; None where none were made.
        pictures: gives the pictures.

    Raises:
        DiskFull: no space is left.
        OSError: the file cannot be written.
    """
    images = models[0].pictures.images
    diagnosed = [Diagnosed(shown(one.name), one.found, flat_map(one.pictures)) for one in models]
    mapped = sorted({row for one in diagnosed if one.flat is not None for row in _with_room(one.flat)})
    large = sorted({row for one in models for row in _shown_large(one.found)})
    thumbs = pictures([images[row].path for row in mapped], round(2 * SIDE))
    jpegs = pictures([images[row].path for row in large], _LARGE_SIDE)
    page = DiagnosisPage(
        dataset=shown(dataset),
        after=diagnosed[0],
        before=diagnosed[1] if len(diagnosed) > 1 else None,
        class_names=[shown(name) for name in models[0].pictures.classes],
        picture={row: _picture(images[row].label, images[row].path, jpegs) for row in range(len(images))},
        thumbs={row: thumbs[images[row].path] for row in mapped if images[row].path in thumbs},
        looks={} if example is None else _looks(example),
        facts={name: shown(value) for name, value in facts.items()},
    )
    write_page(out, render(page))


def flat_map(pictures: PictureSet) -> Flat | None:
    """A t-SNE of some of the embeddings; None for fewer than three."""
    rows = sample(len(pictures.images), MAPPED).numpy()
    if len(rows) < 3:
        return None
    vectors = pictures.vectors[rows]
    places = tsne(vectors).places
    k = min(NEIGHBOURS, len(rows) - 1)
    apart = squared_distances(places) + np.diag(np.full(len(rows), np.inf))
    nearest = np.argsort(apart, axis=1, kind="stable")[:, :k].astype(np.int64)
    method = (
        f"Exact t-SNE of {len(rows):,} images, perplexity {min(PERPLEXITY, (len(rows) - 1) / 3):.0f}, started from the "
        "first two principal components: the same map every time."
    )
    return Flat(rows, places, kept_neighbours(neighbours(vectors, k), nearest), method)


def _with_room(flat: Flat) -> list[int]:
    boxed, _ = layout(flat.places)
    return [int(flat.rows[place]) for place in shown_pictures(boxed)]


def _shown_large(found: Diagnosis) -> list[int]:
    rows = found.hubness.strongest()
    if found.granularity is not None:
        for one in found.granularity.parted[:PARTED_SHOWN]:
            rows += [int(row) for group in one.groups for row in group[:PICTURES]]
    return rows


def _picture(label: str, path: bytes, jpegs: Mapping[bytes, bytes]) -> Picture:
    return Picture(jpegs.get(path), shown(label), shown(os.path.basename(os.fsdecode(path))))


def _looks(example: Pixels) -> dict[str, bytes]:
    return {look.name: _jpeg(look.apply(example)) for look in LOOKS}


def _jpeg(pixels: Pixels) -> bytes:
    out = io.BytesIO()
    small = Image.fromarray(pixels).resize((_LOOK_SIDE, _LOOK_SIDE), Image.Resampling.LANCZOS)
    small.save(out, "JPEG", quality=85)
    return out.getvalue()
