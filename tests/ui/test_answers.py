"""Every outcome of a search becomes something the page can show."""

from dataclasses import replace
from pathlib import Path

import pytest

from retrieval.core.errors import EmptyGallery, GalleryDamaged, ImageError, NoSuchPath, Reason
from retrieval.core.types import Filters
from tests.ui.twins import SUMMARY, SearcherTwin, result
from ui.addresses import Addresses
from ui.answers import Answers, Options
from ui.words import ENGLISH


def _answers(searcher: SearcherTwin, limit: int = 1000) -> Answers:
    return Answers(searcher, Addresses("v1"), limit, ENGLISH)


@pytest.fixture
def upload(tmp_path: Path) -> str:
    file = tmp_path / "upload.jpg"
    file.write_bytes(b"bytes of a picture")
    return str(file)


def test_a_photo_is_handed_on_as_bytes_with_the_options(upload: str) -> None:
    searcher = SearcherTwin()
    options = Options(30, ["apple", "caf\\xe9", "gone"], ["apple"], " /photos/2021/ ", 0.5)
    assert "3 pictures" in _answers(searcher).photo(upload, options)
    filters = Filters(("apple", "caf\udce9", "gone"), ("apple",), ("/photos/2021",), 0.5)
    assert searcher.asked == [(b"bytes of a picture", 30, filters)]


def test_plain_options_filter_nothing_and_k_stays_in_bounds(upload: str) -> None:
    searcher = SearcherTwin()
    for k in (0, 12, 4000):
        _answers(searcher).photo(upload, Options(k, None, [], "", 0))
    assert [(k, filters) for _, k, filters in searcher.asked] == [(1, Filters()), (12, Filters()), (100, Filters())]


def test_an_upload_that_is_too_large_is_not_searched(upload: str) -> None:
    searcher = SearcherTwin()
    assert "larger than" in _answers(searcher, limit=10).photo(upload, Options())
    assert searcher.asked == []


@pytest.mark.parametrize("image_id", [None, "7", 7.0, True, 0, -1, 2**63, {"a": 1}])
def test_an_id_from_the_browser_may_be_anything(image_id: object) -> None:
    searcher = SearcherTwin()
    assert "not the number of an image" in _answers(searcher).similar(image_id, Options())
    assert searcher.asked == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ImageError(Reason.CORRUPT, "The file is <damaged>.", "Try `another` one."), "The file is &lt;damaged&gt;."),
        (EmptyGallery("Nothing in /g."), "Nothing is indexed yet"),
        (NoSuchPath("The gallery has no image 7."), "The gallery has no image 7."),
        (GalleryDamaged("The catalog is damaged."), "The catalog is damaged."),
        (ZeroDivisionError("secret"), "Something went wrong in the program"),
    ],
)
def test_errors_become_notices(error: Exception, words: str) -> None:
    html = _answers(SearcherTwin(answer=error)).similar(7, Options())
    assert words in html
    assert "secret" not in html


def test_a_folder_must_be_a_full_path() -> None:
    assert "is not a full path" in _answers(SearcherTwin()).similar(7, Options(under="photos"))


def test_no_match_is_no_error() -> None:
    assert "No match" in _answers(SearcherTwin(answer=result([]))).similar(7, Options(min_score=0.9))


def test_no_photo_yet() -> None:
    assert "Choose a photo first" in _answers(SearcherTwin()).photo(None, Options())


def test_the_front_of_a_gallery_and_of_an_empty_one() -> None:
    front = _answers(SearcherTwin()).front()
    assert front.images == 1234
    assert front.choices == [("apple (3)", "apple"), ("caf\\xe9 (1)", "caf\\xe9")]
    assert front.samples.count('class="sample"') == 8
    empty = _answers(SearcherTwin(state=replace(SUMMARY, images=0))).front()
    assert (empty.images, empty.choices) == (0, [])
    assert "Nothing is indexed yet" in empty.samples


def test_a_damaged_gallery_still_gives_a_page() -> None:
    class Broken(SearcherTwin):
        def labels(self) -> list[tuple[str, int]]:
            raise GalleryDamaged("The catalog is damaged.")

    assert "The catalog is damaged." in _answers(Broken()).front().samples


def test_programs_get_plain_values(upload: str) -> None:
    found = _answers(SearcherTwin()).found(upload, Options())
    assert found["searched"] == 1234
    assert found["neighbours"][0]["id"] == 1
    assert found["neighbours"][0]["captured"] == "2021-06-07T14:05:00"
    with pytest.raises(ImageError):
        _answers(SearcherTwin(answer=ImageError(Reason.EMPTY, "Empty."))).found(upload, Options())
