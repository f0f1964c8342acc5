"""The map of a gallery: true, the same every time, and never older than it says."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from retrieval.core.errors import BadValue, EmptyGallery, Interrupted
from retrieval.functional.trustworthiness import trustworthiness
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.hooks import Hooks
from retrieval.workflows.labelling import answer
from retrieval.workflows.mapping import MapState, draw_map, map_points, map_state
from retrieval.workflows.upkeep import missing_files, prune

from .support import fill, index, picture


@pytest.fixture
def kinds(tmp_path: Path) -> Path:
    """Three kinds of twelve pictures that hardly differ."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for kind in range(3):
        for n in range(12):
            image = np.asarray(picture(kind)).astype(np.int16)
            noise = np.random.default_rng([kind, n]).integers(-9, 10, image.shape)
            Image.fromarray(np.clip(image + noise, 0, 255).astype(np.uint8)).save(folder / f"{kind}-{n:02d}.png")
    return folder


def names(gallery: Path, ids: list[int]) -> list[str]:
    with Gallery(gallery) as opened:
        records = opened.catalog.images.records(ids)
    return [Path(records[image_id].paths[0]).name for image_id in ids]


def map_file(gallery: Path) -> Path:
    return next((gallery / "maps").iterdir())


def test_those_who_look_alike_stand_together(gallery: Path, kinds: Path) -> None:
    index(gallery, kinds)
    assert map_state(gallery) == MapState(36)
    assert map_points(gallery) is None
    told: list[tuple[str, int, int]] = []
    report = draw_map(gallery, hooks=Hooks(working=lambda *what: told.append(what)))
    assert (report.images, report.left_out) == (36, 0)
    assert {what for what, _, _ in told} == {"Reading vectors", "Drawing the map"}
    points = map_points(gallery)
    assert points is not None
    assert float(np.abs(points.places).max()) == pytest.approx(1)
    kind = [name[0] for name in names(gallery, points.ids.tolist())]
    apart = np.linalg.norm(points.places[:, None] - points.places[None], axis=2) + np.diag(np.full(36, np.inf))
    assert all(kind[near] == kind[n] for n, near in enumerate(apart.argmin(axis=1).tolist()))
    # What the report says of it, from the file and the vectors alone.
    with Gallery(gallery) as opened:
        vectors = torch.from_numpy(opened.store(opened.live_space()).read(points.ids))
    assert report.trustworthiness is not None
    assert report.flat is not None
    assert report.trustworthiness == pytest.approx(
        trustworthiness(vectors, torch.from_numpy(points.places), 10), abs=0.01
    )
    assert 0.9 < report.trustworthiness <= 1
    assert 0.4 < report.flat <= 1


def test_it_is_the_same_every_time(gallery: Path, kinds: Path) -> None:
    index(gallery, kinds)
    draw_map(gallery)
    one = map_points(gallery)
    shutil.rmtree(gallery / "maps")
    draw_map(gallery)
    other = map_points(gallery)
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.ids, other.ids)
    np.testing.assert_array_equal(one.places, other.places)


def test_new_pictures_are_counted_and_those_that_are_gone_are_not_shown(gallery: Path, kinds: Path) -> None:
    index(gallery, kinds)
    draw_map(gallery)
    drawn = map_state(gallery)
    assert (drawn.images, drawn.mapped, drawn.fresh) == (36, 36, 0)
    fill(kinds, range(100, 104))
    (kinds / "0-03.png").unlink()
    index(gallery, kinds)
    state = map_state(gallery)
    assert (state.images, state.mapped, state.fresh, state.drawn) == (39, 35, 4, drawn.drawn)
    points = map_points(gallery)
    assert points is not None
    shown = names(gallery, points.ids.tolist())
    assert len(shown) == 35
    assert "0-03.png" not in shown
    prune(gallery, only=set(missing_files(gallery)))
    again = map_points(gallery)
    assert again is not None
    np.testing.assert_array_equal(again.ids, points.ids)
    draw_map(gallery)
    assert (map_state(gallery).mapped, map_state(gallery).fresh) == (39, 0)


def test_labels_are_those_of_now(gallery: Path, kinds: Path) -> None:
    index(gallery, kinds)
    draw_map(gallery)
    before = map_points(gallery)
    assert before is not None
    assert before.labels == ()
    assert not before.numbers.any()
    ids = before.ids.tolist()
    answer(gallery, dict.fromkeys(ids[:2], "rare") | dict.fromkeys(ids[2:7], "often"))
    after = map_points(gallery)
    assert after is not None
    assert after.labels == (("often", 5), ("rare", 2))
    assert after.numbers.tolist() == [2, 2, 1, 1, 1, 1, 1] + [0] * 29


@pytest.mark.parametrize("content", [b"", b"no map", b"half"])
def test_a_file_that_is_no_map_is_as_none(gallery: Path, kinds: Path, content: bytes) -> None:
    index(gallery, kinds)
    draw_map(gallery)
    file = map_file(gallery)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content == b"half" else content)
    assert map_points(gallery) is None
    assert map_state(gallery) == MapState(36)
    draw_map(gallery)
    assert map_state(gallery).mapped == 36


def test_a_map_of_another_space_is_none(gallery: Path, kinds: Path) -> None:
    index(gallery, kinds)
    draw_map(gallery)
    with np.load(map_file(gallery)) as file:
        values = dict(file)
    np.savez(map_file(gallery), **{**values, "space": np.array("f" * 64)})  # type: ignore[arg-type]
    assert map_points(gallery) is None


def test_few_pictures_have_no_map(gallery: Path, tmp_path: Path) -> None:
    for ask in (map_state, map_points, draw_map):
        with pytest.raises(EmptyGallery):
            ask(tmp_path / "nowhere")
    index(gallery, fill(tmp_path / "few", range(2)))
    with pytest.raises(BadValue, match="3 images"):
        draw_map(gallery)
    index(gallery, fill(tmp_path / "few", range(3)))
    report = draw_map(gallery)
    assert report.images == 3
    points = map_points(gallery)
    assert points is not None
    assert len(np.unique(points.places, axis=0)) == 3


def test_a_drawing_that_is_stopped_leaves_the_map_that_was_there(gallery: Path, kinds: Path) -> None:
    index(gallery, kinds)
    draw_map(gallery)
    before = map_file(gallery).read_bytes()
    parts: list[str] = []

    def working(what: str, done: int, total: int) -> None:
        parts.append(what)

    with pytest.raises(Interrupted):
        draw_map(gallery, hooks=Hooks(working=working, stop=lambda: "Drawing the map" in parts))
    assert map_file(gallery).read_bytes() == before
    assert [path.name for path in (gallery / "maps").iterdir()] == [map_file(gallery).name]


def test_damaged_vectors_are_left_out_and_said(gallery: Path, kinds: Path) -> None:
    index(gallery, kinds)
    vectors = next((gallery / "spaces").rglob("vectors.f16"))
    content = bytearray(vectors.read_bytes())
    content[-5] ^= 255
    vectors.write_bytes(bytes(content))
    said: list[str] = []
    report = draw_map(gallery, hooks=Hooks(say=said.append))
    assert (report.images, report.left_out) == (35, 1)
    assert said
    assert map_state(gallery).fresh == 1
