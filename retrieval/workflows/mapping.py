"""The map of a gallery: where each image of the live space stands in the plane, beside those that look like it.

Derived and kept in one file a space, with the point in the feed of changes that it was drawn at: whatever is wrong with
the file, it is as if there were none. Vectors are read in blocks, and only their first principal components are kept.
"""

import io
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.core.errors import BadValue, Interrupted, disk_full_is_said
from retrieval.core.files import write_atomically
from retrieval.core.settings import Settings
from retrieval.core.types import EmbeddingSpace, Ids
from retrieval.functional.diagnostics import sample
from retrieval.functional.neighbour_map import neighbour_map
from retrieval.functional.pca import pca_start
from retrieval.functional.trustworthiness import trustworthiness
from retrieval.models.threads import torch_threads
from retrieval.vectors import DamagedRows, VectorStore
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.hooks import Hooks

LEAST = 3
"""Images that a map takes."""

COMPONENTS = 48
"""Principal components that neighbours are looked for in."""

FORMAT = 1
"""Of the file; another one is no map."""

_LEARNED = 10_000
"""Images that the components are learned from."""

_MEASURED = 5_000
"""Images among which the map's truth is measured."""

_ALONE = 20_000
"""Images below which one thread is quickest."""

_NEIGHBOURS = 10
_BLOCK = 8_192

Places = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MapReport:
    """What was drawn.

    Attributes:
        images: on the map.
        left_out: images whose vectors are damaged or lost.
        trustworthiness: in [0, 1]: how far those who stand together belong together (k = 10); 1 is best. Among a
            sample of the images, in the whole embedding; None for too few of them.
        flat: the same of the plain projection on the first two principal components.
        seconds: that it took.
    """

    images: int
    left_out: int
    trustworthiness: float | None
    flat: float | None
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class MapState:
    """Whether a gallery has a map, and how old it is.

    Attributes:
        images: in the gallery.
        mapped: of these, on the map; 0 where there is none.
        drawn: when it was drawn, in seconds since the epoch; None where there is no map.
        last_change: point in the feed of changes that it was drawn at; 0 where there is none.
    """

    images: int
    mapped: int = 0
    drawn: float | None = None
    last_change: int = 0

    @property
    def fresh(self) -> int:
        """Images that are not on the map."""
        return self.images - self.mapped


@dataclass(frozen=True, slots=True, eq=False)
class MapPoints:
    """The map, with what is known of its images now.

    Attributes:
        ids: [N] of images that can be found now, ascending.
        places: [N, 2] in [-1, 1].
        numbers: [N] of labels: 0 for none, n for ``labels[n - 1]``.
        labels: (label, images on the map), most frequent first: of each image one, a person's before a table's before
            a folder's.
    """

    ids: Ids
    places: Places
    numbers: NDArray[np.int64]
    labels: tuple[tuple[str, int], ...]


def draw_map(folder: Path, *, settings: Settings | None = None, hooks: Hooks | None = None) -> MapReport:
    """Draw the map of the live space anew, and keep it. The same images give the same map.

    Args:
        folder: the gallery's.
        settings: from the environment by default.
        hooks: who to talk to.

    Raises:
        EmptyGallery: nothing is indexed.
        BadValue: fewer than ``LEAST`` images.
        Interrupted: ``hooks.stop`` said so; the map that was there stays.
        DiskFull: no space is left.
    """
    hooks, started = hooks or Hooks(), time.monotonic()
    with Gallery(folder, settings) as gallery:
        space = gallery.live_space()
        store = gallery.store(space)
        ids, feed = gallery.catalog.spaces.findable(space.id)
        store.refresh(feed.rows)
        # A small map takes thousands of small steps: threads would wait for each other at every one.
        with torch_threads(1 if len(ids) < _ALONE else gallery.settings.threads):
            there, rows = _components(store, ids, hooks)
            places = neighbour_map(rows, step=lambda done, total: _step(hooks, done, total))
            measured = _measured(store, there, places, rows)
        _keep(gallery, space, there, _scaled(places), feed.last)
    seconds = round(time.monotonic() - started, 3)
    return MapReport(len(there), len(ids) - len(there), *measured, seconds)


def map_state(folder: Path, settings: Settings | None = None) -> MapState:
    """Whether there is a map of the live space, and what it lacks.

    Raises:
        EmptyGallery: nothing is indexed.
    """
    with Gallery(folder, settings) as gallery:
        space = gallery.live_space()
        images = gallery.catalog.spaces.count(space.id)[1]
        kept = _kept(gallery, space)
        if kept is None:
            return MapState(images)
        mapped = kept.ids
        # Nothing has changed since: then nothing needs to be counted.
        if gallery.catalog.spaces.last_change(space.id) != kept.last_change:
            mapped = np.intersect1d(mapped, gallery.catalog.spaces.findable(space.id)[0])
        return MapState(images, min(len(mapped), images), kept.drawn, kept.last_change)


def map_points(folder: Path, settings: Settings | None = None) -> MapPoints | None:
    """The map of the live space with the labels of now; None where there is none. Images that are gone are not on it.

    Raises:
        EmptyGallery: nothing is indexed.
    """
    with Gallery(folder, settings) as gallery:
        space = gallery.live_space()
        kept = _kept(gallery, space)
        if kept is None:
            return None
        there = np.isin(kept.ids, gallery.catalog.spaces.findable(space.id)[0], assume_unique=True)
        ids, places = kept.ids[there], kept.places[there]
        label_of = gallery.catalog.labels.chosen()
    named = [label_of.get(image_id) for image_id in ids.tolist()]
    count: dict[str, int] = {}
    for label in named:
        if label is not None:
            count[label] = count.get(label, 0) + 1
    labels = tuple(sorted(count.items(), key=lambda one: (-one[1], one[0])))
    number = {label: n for n, (label, _) in enumerate(labels, start=1)}
    return MapPoints(ids, places, np.array([0 if one is None else number[one] for one in named], np.int64), labels)


def _components(store: VectorStore, ids: Ids, hooks: Hooks) -> tuple[Ids, Tensor]:
    """(those that can be read, [N, COMPONENTS] their principal components)."""
    ids = np.setdiff1d(ids, store.missing(ids))
    learned, vectors = _read(store, ids[sample(len(ids), _LEARNED).numpy()], hooks)
    _require(len(learned))
    start = pca_start(vectors, min(COMPONENTS, vectors.shape[1]))
    kept, rows = [], []
    for first in range(0, len(ids), _BLOCK):
        _go_on(hooks)
        hooks.working("Reading vectors", first, len(ids))
        some, vectors = _read(store, ids[first : first + _BLOCK], hooks)
        kept.append(some)
        rows.append(vectors @ start.weight.T + start.bias)
    there = np.concatenate(kept)
    _require(len(there))
    return there, torch.cat(rows)


def _require(images: int) -> None:
    if images < LEAST:
        raise BadValue(f"A map takes {LEAST} images or more, and there are {images}.", "Index more images first.")


def _read(store: VectorStore, ids: Ids, hooks: Hooks) -> tuple[Ids, Tensor]:
    """The vectors of ``ids``, without those that are damaged."""
    while True:
        try:
            return ids, torch.from_numpy(store.read(ids))
        except DamagedRows as error:
            hooks.say(f"{len(error.ids):,} stored vectors are damaged and left out.")
            ids = np.setdiff1d(ids, error.ids)


def _go_on(hooks: Hooks) -> None:
    if hooks.stop():
        raise Interrupted("Stopped before the map was drawn.", "The map that was there is kept; start it once more.")


def _step(hooks: Hooks, done: int, total: int) -> None:
    _go_on(hooks)
    hooks.working("Drawing the map", done, total)


def _measured(store: VectorStore, ids: Ids, places: Tensor, rows: Tensor) -> tuple[float | None, float | None]:
    """Trustworthiness of the map, and of the first two components."""
    some = sample(len(ids), _MEASURED)
    k = min(_NEIGHBOURS, (len(some) - 1) // 2)
    if k < 1:
        return None, None
    vectors = torch.from_numpy(store.read(ids[some.numpy()]))
    found = (trustworthiness(vectors, two[some], k) for two in (places, rows[:, :2]))
    mapped, flat = (round(value, 6) for value in found)
    return mapped, flat


def _scaled(places: Tensor) -> Places:
    """In [-1, 1], both axes on one scale, the middle in the middle."""
    low, high = places.min(dim=0).values, places.max(dim=0).values
    half = float((high - low).max()) / 2
    return np.asarray(((places - (low + high) / 2) / max(half, 1e-12)).numpy(), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """What is in the file."""

    ids: Ids
    places: Places
    last_change: int
    drawn: float


def _keep(gallery: Gallery, space: EmbeddingSpace, ids: Ids, places: Places, last_change: int) -> None:
    path = gallery.layout.map(space)
    content = io.BytesIO()
    np.savez(
        content,
        format=np.int64(FORMAT),
        space=np.array(space.fingerprint),
        last_change=np.int64(last_change),
        drawn=np.float64(time.time()),
        ids=ids,
        places=places,
    )
    with disk_full_is_said(str(path)):
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, content.getvalue())


def _kept(gallery: Gallery, space: EmbeddingSpace) -> _Kept | None:
    """What was kept; None where there is no file, or it is not what was written."""
    # A file that is cut short, or holds anything else, fails in many ways; all of them mean that there is no map.
    with suppress(Exception):
        file = np.load(io.BytesIO(gallery.layout.map(space).read_bytes()), allow_pickle=False)
        ids, places = file["ids"], file["places"]
        whole = ids.dtype == np.int64 and places.dtype == np.float32 and places.shape == (len(ids), 2)
        known = (int(file["format"]), str(file["space"])) == (FORMAT, space.fingerprint)
        if whole and known and bool(np.isfinite(places).all()):
            return _Kept(ids, places, int(file["last_change"]), float(file["drawn"]))
    return None
