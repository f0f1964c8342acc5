"""Wrong labels and outliers, in a gallery where both were made on purpose."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval.core.errors import BadValue
from retrieval.core.types import Filters
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.label_check import check_labels
from retrieval.workflows.labelling import answer, progress, tiles

from .support import index, picture, save


def test_wrong_labels_and_outliers_are_found(gallery: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for kind in range(3):
        for n in range(12):
            image = np.asarray(picture(kind, (48, 36))).astype(np.int16)
            noise = np.random.default_rng([kind, n]).integers(-12, 13, image.shape)
            Image.fromarray(np.clip(image + noise, 0, 255).astype(np.uint8)).save(photos / f"{kind}-{n}.png")
    save(photos / "odd.png", 4321)
    index(gallery, photos)
    with pytest.raises(BadValue, match="0 labelled images"):
        check_labels(gallery)
    with Gallery(gallery) as opened:
        ids = opened.catalog.images.passing(opened.live_space().id, Filters()).tolist()
    by_name = {tile.name: tile.id for tile in tiles(gallery, ids)}
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
