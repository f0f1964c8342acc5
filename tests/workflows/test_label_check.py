"""Wrong labels and outliers, in a gallery where both were made on purpose."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval.core.errors import BadValue, Interrupted
from retrieval.core.types import Filters
from retrieval.workflows.calibrating import TooFewLabels
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.hooks import Hooks
from retrieval.workflows.label_check import check_labels, enough_to_check
from retrieval.workflows.label_doubts import confirm, correct, keep_check, kept_check, open_doubts
from retrieval.workflows.labelling import answer, progress, take_away, tiles
from retrieval.workflows.labels import undo

from .support import index, picture, save


@pytest.fixture
def by_name(gallery: Path, tmp_path: Path) -> dict[str, int]:
    """Three kinds of twelve pictures and an odd one, without labels: ids by the names of the files."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for kind in range(3):
        for n in range(12):
            image = np.asarray(picture(kind, (48, 36))).astype(np.int16)
            noise = np.random.default_rng([kind, n]).integers(-12, 13, image.shape)
            Image.fromarray(np.clip(image + noise, 0, 255).astype(np.uint8)).save(photos / f"{kind}-{n}.png")
    save(photos / "odd.png", 4321)
    index(gallery, photos)
    with Gallery(gallery) as opened:
        ids = opened.catalog.images.passing(opened.live_space().id, Filters()).tolist()
    return {tile.name: tile.id for tile in tiles(gallery, ids)}


def test_wrong_labels_and_outliers_are_found(gallery: Path, by_name: dict[str, int]) -> None:
    with pytest.raises(TooFewLabels, match="0 labelled images of 0 labels in this space") as few:
        check_labels(gallery)
    assert few.value.kind == "too_few_labels"
    assert few.value.exit_code == BadValue.exit_code
    labels = {image_id: f"kind {name[0]}" for name, image_id in by_name.items() if name != "odd.png"}
    assert answer(gallery, labels).added == 36
    clean = check_labels(gallery)
    assert (clean.doubts, clean.doubted, clean.labelled, clean.accuracy) == ((), 0, 36, 1.0)
    answer(gallery, {by_name["0-3.png"]: "kind 1", by_name["2-7.png"]: "kind 0"}, only=True)
    before = progress(gallery)
    found = check_labels(gallery, count=2)
    assert found.doubted == 2
    assert {(os.path.basename(one.path), one.label, one.instead) for one in found.doubts} == {
        ("0-3.png", "kind 1", "kind 0"),
        ("2-7.png", "kind 0", "kind 2"),
    }
    assert all(one.margin > 0.5 and 0.5 < one.confidence < 1 for one in found.doubts)
    assert [os.path.basename(one.path) for one in found.outliers][:1] == ["odd.png"]
    assert found.outliers[0].score <= found.outliers[1].score
    assert (found.looked_at, found.images) == (37, 37)
    assert progress(gallery) == before
    assert json.loads(json.dumps(found.to_dict()))["doubted"] == 2
    sampled = check_labels(gallery, count=1, most=25)
    assert (sampled.labelled, sampled.looked_at, sampled.images, len(sampled.outliers)) == (25, 25, 37, 1)
    with pytest.raises(BadValue, match="0 results"):
        check_labels(gallery, count=0)


def test_whether_labels_are_enough_is_known_beforehand(gallery: Path, by_name: dict[str, int]) -> None:
    ids = list(by_name.values())

    def agrees() -> bool:
        """What is said beforehand, which has to be what the check then does."""
        try:
            check_labels(gallery, count=1)
        except TooFewLabels:
            assert not enough_to_check(gallery)
            return False
        assert enough_to_check(gallery)
        return True

    assert not agrees()
    answer(gallery, dict.fromkeys(ids[:30], "one"))
    assert not agrees()
    answer(gallery, {ids[30]: "two"})
    assert agrees()
    take_away(gallery, ids[11:30])
    assert not agrees()


def test_a_doubt_is_answered_once_and_can_be_taken_back(gallery: Path, by_name: dict[str, int], tmp_path: Path) -> None:
    answer(gallery, {image_id: f"kind {name[0]}" for name, image_id in by_name.items() if name != "odd.png"})
    wrong, right = by_name["0-3.png"], by_name["2-7.png"]
    answer(gallery, {wrong: "kind 1", right: "kind 0"}, only=True)
    found = check_labels(gallery)
    keep_check(found, tmp_path / "kept.json")
    kept = kept_check(tmp_path / "kept.json")
    assert kept == found
    doubts = {doubt.image_id: doubt for doubt in found.doubts}
    assert set(doubts) == {wrong, right}
    assert open_doubts(gallery, found.doubts) == list(found.doubts)

    corrected = correct(gallery, doubts[wrong])
    assert (corrected.added, corrected.removed) == (1, 1)
    assert tiles(gallery, [wrong])[0].labels == ("kind 0",)
    assert open_doubts(gallery, found.doubts) == [doubts[right]]
    with pytest.raises(BadValue, match="not in doubt any more"):
        correct(gallery, doubts[wrong])

    confirmed = confirm(gallery, doubts[right])
    assert tiles(gallery, [right])[0].labels == ("kind 0",)
    assert open_doubts(gallery, found.doubts) == []
    assert check_labels(gallery).doubted == 0
    with pytest.raises(BadValue, match="not in doubt any more"):
        confirm(gallery, doubts[right])

    # What is taken back waits for an answer again.
    assert confirmed.operation is not None
    undo(gallery, confirmed.operation)
    assert open_doubts(gallery, found.doubts) == [doubts[right]]
    assert check_labels(gallery).doubted == 1
    assert corrected.operation is not None
    undo(gallery, corrected.operation)
    assert open_doubts(gallery, found.doubts) == list(found.doubts)


def test_other_labels_of_a_corrected_image_stay(gallery: Path, by_name: dict[str, int]) -> None:
    answer(gallery, {image_id: f"kind {name[0]}" for name, image_id in by_name.items() if name != "odd.png"})
    wrong = by_name["0-3.png"]
    answer(gallery, {wrong: "red"}, only=True)
    answer(gallery, {wrong: "kind 1"})
    (doubt,) = check_labels(gallery).doubts
    correct(gallery, doubt)
    assert tiles(gallery, [wrong])[0].labels == ("kind 0", "red")


def test_a_check_says_how_far_it_is_and_stops(gallery: Path, by_name: dict[str, int]) -> None:
    answer(gallery, {image_id: f"kind {name[0]}" for name, image_id in by_name.items() if name != "odd.png"})
    said: list[tuple[str, int, int]] = []
    check_labels(gallery, hooks=Hooks(working=lambda *how_far: said.append(how_far)))
    assert [(done, total) for _, done, total in said] == [(0, 36), (36, 36), (0, 37), (37, 37)]
    with pytest.raises(Interrupted):
        check_labels(gallery, hooks=Hooks(stop=lambda: True))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"doubts": [{"odd": 1}], "outliers": []}', "7"])
def test_what_was_kept_and_is_damaged_is_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "kept.json").write_text(text)
    assert kept_check(tmp_path / "kept.json") is None
    assert kept_check(tmp_path / "none.json") is None
