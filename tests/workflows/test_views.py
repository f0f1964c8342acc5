"""Pictures for the page, by image id."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval.core.errors import ImageError, NoSuchPath, RetrievalError
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.views import _SIDES, Views

from .support import index, save


@pytest.fixture
def shown(gallery: Path, tmp_path: Path) -> Iterator[tuple[Views, Path, int]]:
    """(views, the one picture, its id): 900 x 300, so that a thumbnail is smaller."""
    path = save(tmp_path / "photos" / "wide.png", 1, size=(900, 300))
    index(gallery, path.parent)
    with Gallery(gallery) as opened:
        views = Views(opened, workers=1)
        (image_id,) = opened.catalog.images.sample(opened.live_space().id, 5)
        yield views, path, image_id
        views.close()


def test_a_thumbnail_fits_in_320_pixels_and_looks_like_the_picture(shown: tuple[Views, Path, int]) -> None:
    views, path, image_id = shown
    view = views.view(image_id, "thumbnail")
    assert view.mime == "image/webp"
    with Image.open(io.BytesIO(view.content)) as small, Image.open(path) as whole:
        assert small.size == (320, 107)
        expected = np.asarray(whole.convert("RGB").resize(small.size, Image.Resampling.BOX), np.float32)
        assert np.abs(np.asarray(small.convert("RGB"), np.float32) - expected).mean() < 12


def test_the_full_view_keeps_the_size_of_what_fits(shown: tuple[Views, Path, int]) -> None:
    views, _, image_id = shown
    view = views.view(image_id, "full")
    assert view.mime == "image/jpeg"
    with Image.open(io.BytesIO(view.content)) as full:
        assert full.size == (900, 300)


def test_etags_tell_contents_and_kinds_apart_and_need_no_picture(shown: tuple[Views, Path, int], gallery: Path) -> None:
    views, path, image_id = shown
    first = views.etag(image_id, "thumbnail")
    assert first.startswith('"')
    assert first.endswith('"')
    assert views.view(image_id, "thumbnail").etag == first
    assert views.etag(image_id, "full") != first
    save(path.with_name("other.png"), 2)
    index(gallery, path.parent)
    assert views.etag(image_id + 1, "thumbnail") != first
    path.unlink()
    assert views.etag(image_id, "thumbnail") == first


def test_a_view_that_was_made_stays_when_the_file_goes(shown: tuple[Views, Path, int]) -> None:
    views, path, image_id = shown
    before = views.view(image_id, "thumbnail")
    path.unlink()
    assert views.view(image_id, "thumbnail") == before
    with pytest.raises(NoSuchPath, match="can be reached"):
        views.view(image_id, "full")


def test_any_copy_that_can_be_reached_will_do(shown: tuple[Views, Path, int], gallery: Path) -> None:
    views, path, image_id = shown
    copy = path.with_name("a copy.png")
    copy.write_bytes(path.read_bytes())
    index(gallery, path.parent)
    path.unlink()
    assert views.view(image_id, "thumbnail").content
    os.rename(copy, path)
    assert views.view(image_id, "full").content


@pytest.mark.parametrize("image_id", [0, -1, 10**15, 2**63 - 1])
def test_an_unknown_id_reaches_nothing(shown: tuple[Views, Path, int], image_id: int) -> None:
    with pytest.raises(NoSuchPath):
        shown[0].view(image_id, "thumbnail")
    with pytest.raises(NoSuchPath):
        shown[0].etag(image_id, "full")


def test_a_file_that_was_broken_since_is_an_error_in_words(shown: tuple[Views, Path, int]) -> None:
    views, path, image_id = shown
    path.write_bytes(b"no picture any more")
    with pytest.raises(ImageError):
        views.view(image_id, "thumbnail")


def test_an_offline_folder_is_an_error_in_words(shown: tuple[Views, Path, int]) -> None:
    views, path, image_id = shown
    path.parent.rename(path.parent.with_name("unplugged"))
    with pytest.raises(NoSuchPath) as caught:
        views.view(image_id, "full")
    assert "drive or folder" in caught.value.hint


def test_a_file_that_holds_another_picture_now_is_not_shown_as_the_old_one(shown: tuple[Views, Path, int]) -> None:
    views, path, image_id = shown
    save(path, 2, size=(300, 900))
    try:
        view = views.view(image_id, "thumbnail")
    except RetrievalError:
        return
    # Whatever is shown must not be remembered under the tag of the content that was indexed.
    assert view.etag != views.etag(image_id, "thumbnail")


def test_an_edit_that_keeps_the_size_is_not_remembered_as_the_old_picture(gallery: Path, tmp_path: Path) -> None:
    path = save(tmp_path / "photos" / "same.bmp", 1, format="BMP")
    index(gallery, path.parent)
    size = path.stat().st_size
    with Gallery(gallery) as opened:
        views = Views(opened, workers=1)
        (image_id,) = opened.catalog.images.sample(opened.live_space().id, 5)
        indexed = views.etag(image_id, "thumbnail")
        save(path, 2, format="BMP")
        assert path.stat().st_size == size
        edited = views.view(image_id, "thumbnail")
        assert edited.etag != indexed
        assert views.view(image_id, "thumbnail").etag == edited.etag
        save(path, 1, format="BMP")
        again = views.view(image_id, "thumbnail")
        assert again.etag == indexed
        assert again.content != edited.content
        views.close()


def test_an_etag_changes_with_the_size_of_views(
    shown: tuple[Views, Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    views, _, image_id = shown
    before = views.etag(image_id, "full")
    monkeypatch.setitem(_SIDES, "full", 1024)
    assert views.etag(image_id, "full") != before


def test_memory_for_views_is_bounded(shown: tuple[Views, Path, int], monkeypatch: pytest.MonkeyPatch) -> None:
    views, _, image_id = shown
    size = len(views.view(image_id, "thumbnail").content)
    monkeypatch.setattr("retrieval.workflows.views._CACHE_BYTES", 2 * size)
    for _ in range(3):
        views.view(image_id, "full")
    assert views._held <= 2 * size
