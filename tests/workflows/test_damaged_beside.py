"""Damage to what lies beside the catalog: maps, kept photos and the encoders of training runs."""

import io
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from retrieval.core.errors import NoSuchPath
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.history import History
from retrieval.workflows.mapping import draw_map, map_points
from retrieval.workflows.searching import Searcher
from retrieval.workflows.status import status

from .support import flip, picture

FLIPS, LENGTHS = 40, 8
KEY = "a" * 64


def damages(path: Path) -> Iterator[str]:
    """Each damage in turn, and the whole file again in the end."""
    whole, generator = path.read_bytes(), random.Random(path.name)
    for n in range(FLIPS):
        at = generator.randrange(n * len(whole) // FLIPS, (n + 1) * len(whole) // FLIPS)
        path.write_bytes(whole)
        flip(path, at, n % 8)
        yield f"bit {n % 8} of byte {at}"
    for length in [0, len(whole) - 1, *(generator.randrange(1, len(whole)) for _ in range(LENGTHS - 2))]:
        path.write_bytes(whole[:length])
        yield f"cut to {length}"
    path.write_bytes(whole)


def test_a_damaged_map_is_as_none_and_the_rest_goes_on(six: tuple[Path, Path]) -> None:
    gallery, photos = six
    draw_map(gallery)
    (file,) = (gallery / "maps").iterdir()
    before = map_points(gallery)
    assert before is not None
    gone = 0
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        query = (photos / "red" / "0000.png").read_bytes()
        expected = searcher.by_image(query, 6).neighbours
        for number, what in enumerate(damages(file)):
            found = map_points(gallery)
            if found is None:
                gone += 1
            else:
                assert np.array_equal(found.ids, before.ids), what
                assert np.array_equal(found.places, before.places), what
            if number % 12 == 0:
                assert searcher.by_image(query, 6).neighbours == expected, what
                assert status(gallery).problems == [], what
    # Some bytes of a zip file say nothing, such as the time of its members.
    assert gone > FLIPS // 2


@pytest.mark.parametrize("ending", ["jpg", "json"])
def test_a_damaged_photo_of_a_search_is_never_another_one(six: tuple[Path, Path], ending: str) -> None:
    gallery, _ = six
    jpeg = io.BytesIO()
    picture(50).save(jpeg, "JPEG")
    with Gallery(gallery) as opened:
        space = opened.live_space()
    # All of one size: its length stays what it was when a sign or an order is changed.
    signs = np.random.default_rng(0).choice([-1.0, 1.0], space.dimension)
    vector = (signs / np.sqrt(space.dimension)).astype(np.float32)
    kept = History(gallery)
    kept.keep(KEY, jpeg.getvalue(), vector, space.fingerprint)
    noticed = 0
    for what in damages(gallery / "history" / f"{KEY}.{ending}"):
        assert status(gallery).problems == [], what
        assert kept.keys() == [KEY], what
        try:
            found = kept.read(KEY, space.fingerprint)
        except NoSuchPath:
            noticed += 1
            continue
        assert found.picture == jpeg.getvalue(), what
        assert found.vector is None or np.array_equal(found.vector, vector), what
        noticed += found.vector is None
    assert noticed >= FLIPS // 2
    again = kept.read(KEY, space.fingerprint)
    assert again.vector is not None
    assert np.array_equal(again.vector, vector)


@pytest.mark.parametrize("damage", ["flipped", "cut", "no card"])
def test_a_check_reads_the_encoders_of_training_runs(six: tuple[Path, Path], other_model: Path, damage: str) -> None:
    gallery, _ = six
    encoder = gallery / "runs" / "7-quick-head" / "encoder"
    shutil.copytree(other_model, encoder)
    (gallery / "runs" / "8-just-begun").mkdir()
    assert status(gallery, check=True).problems == []
    weights = encoder / "model.safetensors"
    if damage == "flipped":
        flip(weights, -100)
    elif damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-10])
    else:
        (encoder / "card.json").unlink()
    assert status(gallery).problems == []
    (problem,) = status(gallery, check=True).problems
    assert problem.startswith("run 7-quick-head: ")
    assert status(gallery, repair=True).problems == [problem]
