"""Where two pictures match, drawn into one picture for a file."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.core.errors import NoSuchPath
from retrieval.core.text import shown
from retrieval.core.types import Region
from retrieval.images.heat import Heated, draw_side_by_side
from retrieval.workflows.labels import named_images
from retrieval.workflows.matching import Explanation, Heat
from retrieval.workflows.queries import Example

if TYPE_CHECKING:
    from retrieval.workflows.searching import Searcher

_SIDE = 1120


def named_example(searcher: "Searcher", name: str, region: Region | None = None) -> Example:
    """What a person calls a query: an image file, or the id of an image of the gallery.

    Raises:
        NoSuchPath: neither is there.
    """
    try:
        return Example(None, Path(name).read_bytes(), region)
    except FileNotFoundError:
        return Example(named_image(searcher, name), None, region)
    except OSError as error:
        raise NoSuchPath(f"{shown(name)} cannot be read: {error.strerror}.", "Give an image file.") from error


def named_image(searcher: "Searcher", name: str) -> int:
    """The id of an image of the gallery that is named by its id or its path. Raises NoSuchPath."""
    return named_images(searcher.gallery.catalog, [name])[0]


def draw_explanation(searcher: "Searcher", query: Example, image_id: int, found: Explanation, query_name: str) -> bytes:
    """A PNG with both pictures, their heat, the scale, and what it means.

    Raises:
        ImageError, NoSuchPath: one of the pictures is not to be had any more.
    """
    record = searcher.record(image_id)
    name = os.path.basename(record.paths[0]) if record.paths else ""
    pair = (
        _heated(searcher, query, found.query, f"Query: {shown(query_name)}"),
        _heated(searcher, Example(image_id), found.image, f"Image {image_id}: {shown(name)}"),
    )
    return draw_side_by_side(pair, (f"Cosine similarity {found.score:.3f}.", _meaning(found)))


def _heated(searcher: "Searcher", one: Example, heat: Heat, caption: str) -> Heated:
    return Heated(searcher.picture_of(one, _SIDE), heat.seen, heat.levels, caption)


def _meaning(found: Explanation) -> str:
    if found.exact:
        return "Exact: the parts of each picture add up to the score. Pale edges are not looked at."
    return "An approximation: each part by itself, compared with the other picture. Pale edges are not looked at."
