"""Groups of look-alikes, and questions: what they hold, against embeddings whose answer is known."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval.core.errors import BadValue, EmptyGallery
from retrieval.core.types import Filters
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.labelling import answer, progress, tiles
from retrieval.workflows.look_alikes import LEAST, SHOWN, look_alikes, parted
from retrieval.workflows.questions import next_questions

from .support import index, picture

KINDS, EACH = 4, 9


@pytest.fixture(scope="session")
def _kinds_once(tmp_path_factory: pytest.TempPathFactory, _blank_once: Path) -> tuple[Path, Path]:
    """Four kinds of picture, nine each with noise, in one folder: nothing is labelled."""
    base = tmp_path_factory.mktemp("kinds")
    (base / "photos").mkdir()
    for kind in range(KINDS):
        for n in range(EACH):
            image = np.asarray(picture(kind, (48, 36))).astype(np.int16)
            noise = np.random.default_rng([kind, n]).integers(-12, 13, image.shape)
            noisy = np.clip(image + noise, 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(base / "photos" / f"{kind}-{n}.png")
    shutil.copytree(_blank_once, base / "gallery")
    index(base / "gallery", base / "photos")
    return base / "gallery", base / "photos"


@pytest.fixture
def kinds(_kinds_once: tuple[Path, Path], tmp_path: Path) -> tuple[Path, dict[int, str]]:
    """An own copy of that gallery, and the kind of each picture by id."""
    gallery = Path(shutil.copytree(_kinds_once[0], tmp_path / "kinds"))
    with Gallery(gallery) as opened:
        ids = opened.catalog.images.passing(opened.live_space().id, Filters()).tolist()
    return gallery, {tile.id: tile.name[0] for tile in tiles(gallery, ids)}


def test_a_group_holds_one_kind_and_no_picture_is_in_two(kinds: tuple[Path, dict[int, str]]) -> None:
    gallery, kind = kinds
    found = look_alikes(gallery)
    assert (found.looked_at, found.of) == (36, 36)
    members = [image_id for group in found.groups for image_id in group]
    assert len(members) == len(set(members)) > 24
    for group in found.groups:
        assert LEAST <= len(group) <= SHOWN
        assert len({kind[image_id] for image_id in group}) == 1
    assert look_alikes(gallery) == found


def test_what_is_labelled_is_grouped_no_more_and_folders_are_kept_apart(kinds: tuple[Path, dict[int, str]]) -> None:
    gallery, kind = kinds
    with Gallery(gallery) as opened:
        photos = os.path.dirname(opened.catalog.images.records(list(kind))[min(kind)].paths[0])
    first = look_alikes(gallery).groups[0]
    answer(gallery, dict.fromkeys(first, "named"))
    found = look_alikes(gallery)
    assert found.of == 36 - len(first)
    assert not {image_id for group in found.groups for image_id in group} & set(first)
    assert look_alikes(gallery, under="/nowhere").of == 0
    assert look_alikes(gallery, under=photos).of == found.of
    sample = look_alikes(gallery, most=10)
    assert (sample.looked_at, sample.of) == (10, found.of)


def test_a_few_pictures_make_no_group(kinds: tuple[Path, dict[int, str]], tmp_path: Path) -> None:
    gallery, kind = kinds
    answer(gallery, dict.fromkeys(list(kind)[2:], "done"))
    assert look_alikes(gallery).groups == ()
    answer(gallery, dict.fromkeys(kind, "done"))
    assert look_alikes(gallery).of == 0
    with pytest.raises(EmptyGallery):
        look_alikes(tmp_path / "nowhere")


def test_there_are_as_many_groups_as_keep_the_kinds_apart() -> None:
    random = np.random.default_rng(5)
    truth = np.repeat(np.arange(30), 8)
    vectors = np.eye(30, dtype=np.float32)[truth] + 0.05 * random.standard_normal((240, 30)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    numbers, clear = parted(vectors, seed=1)
    # 240 pictures may make 10, 15, 20, 30 or 40 groups; with fewer than 30 most would be of several kinds.
    groups = [truth[numbers == number] for number in np.unique(numbers)]
    assert len(groups) >= 30
    assert np.mean([len(set(group.tolist())) == 1 for group in groups]) > 0.85
    assert clear.mean() > 0.5


def test_questions_are_about_what_is_not_known(kinds: tuple[Path, dict[int, str]]) -> None:
    gallery, kind = kinds
    with pytest.raises(BadValue, match="0 labelled images"):
        next_questions(gallery)
    by_kind = {name: [i for i, one in kind.items() if one == name] for name in "0123"}
    answer(gallery, {i: f"kind {name}" for name in "012" for i in by_kind[name][:7]})
    before = progress(gallery)
    asked = next_questions(gallery, 6)
    assert (asked.looked_at, asked.of, asked.learned_from) == (15, 15, 21)
    assert len({one.image_id for one in asked.questions}) == 6
    # Of a kind that has no label yet the neighbours know nothing: such a picture comes first.
    assert kind[asked.questions[0].image_id] == "3"
    assert {kind[one.image_id] for one in asked.questions} >= {"3"}
    for one in asked.questions:
        assert one.label not in one.others
        assert 0 <= one.margin <= 1
        assert 0 < one.confidence < 1
        if kind[one.image_id] != "3":
            assert one.label == f"kind {kind[one.image_id]}"
    assert progress(gallery) == before
    assert next_questions(gallery, 6) == asked
    answer(gallery, {i: f"kind {name}" for i, name in kind.items()})
    assert next_questions(gallery).questions == ()
