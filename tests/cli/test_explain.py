"""``explain`` as scripts and people see it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval.workflows.models import create_model
from tests.workflows.support import fill, index

from .conftest import Command


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(gallery, photos) with an encoder that keeps a grid of 4 x 4."""
    base = tmp_path_factory.mktemp("parts")
    create_model(base / "model", backbone="test_resnet", untrained=True, seed=0, input_size=128, name="model")
    index(base / "gallery", fill(base / "photos", range(3)), model=str(base / "model"))
    return base / "gallery", base / "photos"


def test_both_pictures_are_drawn_and_told(retrieval: Command, parts: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, photos = parts
    query, image = sorted(photos.iterdir())[:2]
    out = tmp_path / "why.png"
    done = retrieval("explain", query, image, "--gallery", gallery, "--out", out, "--json")
    assert done.code == 0, done.err
    with Image.open(out) as drawn:
        assert drawn.format == "PNG"
    values = done.json
    assert values["exact"] is True
    for one in (values["query"], values["image"]):
        assert np.shape(one["values"]) == np.shape(one["levels"]) == (4, 4)
        assert np.sum(one["values"]) == pytest.approx(values["score"], abs=1e-4)
        assert np.max(one["levels"]) == 1
    assert f"cosine {values['score']:.3f}" in done.err
    # The same two by their ids, and a part of the query.
    named = retrieval("explain", image, str(values["image_id"]), "--gallery", gallery, "--json").json
    assert named["score"] == pytest.approx(1, abs=1e-5)
    marked = retrieval(
        "explain", str(values["image_id"]), image, "--gallery", gallery, "--region", "0,0,0.5,0.5", "--json"
    )
    assert marked.json["query"]["seen"][2] < 1
    assert marked.json["score"] < 1 - 1e-4


def test_what_cannot_be_drawn_is_said(retrieval: Command, parts: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, photos = parts
    query = sorted(photos.iterdir())[0]
    (tmp_path / "there.png").write_bytes(b"mine")

    def refused(*arguments: object) -> tuple[int, str]:
        done = retrieval("explain", *map(str, arguments), "--gallery", gallery)
        return done.code, done.error

    code, error = refused(query, query)
    assert code == 14
    assert "--out" in error
    assert refused(query, query, "--out", tmp_path / "there.png")[0] == 14
    assert (tmp_path / "there.png").read_bytes() == b"mine"
    assert refused(query, query, "--out", tmp_path / "why.jpg")[0] == 14
    assert refused(query, query, "--out", tmp_path / "no" / "why.png")[0] == 3
    assert refused(query, "999", "--json")[0] == 3
    assert refused(tmp_path / "nothing.jpg", query, "--json")[0] == 3
    assert refused(tmp_path, query, "--json")[0] == 3
    for region in ("0,0,1", "a,b,c,d", "0.5,0,0.2,1", "nan,0,1,1"):
        assert refused(query, query, "--json", "--region", region)[0] == 14
    (tmp_path / "text.jpg").write_bytes(b"no picture")
    assert refused(tmp_path / "text.jpg", query, "--json")[0] == 4


def test_an_encoder_that_cannot_tell_says_so(retrieval: Command, six: tuple[Path, Path]) -> None:
    gallery, photos = six
    query = next(photos.rglob("*.png"))
    done = retrieval("explain", query, query, "--gallery", gallery, "--json")
    assert done.code == 18
    assert "does not keep where" in done.error
