"""Every outcome of a search becomes something the page can show."""

import base64
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from retrieval.core.errors import EmptyGallery, GalleryBusy, GalleryDamaged, ImageError, NoGrid, NoSuchPath, Reason
from retrieval.core.types import Filters, Region
from retrieval.workflows.queries import Example, Query
from tests.ui.tree import Tree
from tests.ui.twins import SUMMARY, SearcherTwin, explanation, result
from ui.addresses import Addresses
from ui.answers import Answers
from ui.asking import Asked, Nonsense, Picture, acted, similar_to
from ui.options import Options
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
    assert "3 pictures" in _answers(searcher).answer(Asked((Picture(file=upload),)), options)
    filters = Filters(("apple", "caf\udce9", "gone"), ("apple",), ("/photos/2021",), 0.5)
    assert searcher.asked == [(b"bytes of a picture", 30, filters)]


def test_plain_options_filter_nothing_and_k_stays_in_bounds(upload: str) -> None:
    searcher = SearcherTwin()
    for k in (0, 12, 4000):
        _answers(searcher).answer(Asked((Picture(file=upload),)), Options(k, None, [], "", 0))
    assert [(k, filters) for _, k, filters in searcher.asked] == [(1, Filters()), (12, Filters()), (100, Filters())]


def test_an_upload_that_is_too_large_is_not_searched(upload: str) -> None:
    searcher = SearcherTwin()
    assert "larger than" in _answers(searcher, limit=10).answer(Asked((Picture(file=upload),)), Options())
    assert searcher.asked == []


@pytest.mark.parametrize("image_id", [None, 7.0, True, 0, -1, 2**63, {"a": 1}, "", "x", "7.5", "٣", "9" * 30])
def test_an_id_from_the_browser_may_be_anything(image_id: object) -> None:
    with pytest.raises(Nonsense):
        similar_to(image_id)
    assert "not the number of an image" in _answers(SearcherTwin()).said(Nonsense())


def test_pages_start_where_the_last_one_ended(upload: str) -> None:
    searcher = SearcherTwin()
    html = _answers(searcher).answer(Asked((Picture(file=upload),), page=2), Options(30))
    assert [start for _, start in searcher.queries] == [60]
    assert "from place 61 on" in html


def test_examples_and_judgements_reach_the_search(upload: str) -> None:
    searcher, part = SearcherTwin(), Region(0, 0, 0.5, 0.5)
    asked = Asked((Picture(7, None, part), Picture(file=upload)), (Picture(9),), ((3, True), (4, False)))
    html = _answers(searcher).answer(asked, Options())
    like = (Example(7, None, part), Example(None, b"bytes of a picture"))
    assert searcher.queries == [(Query(like, (Example(9),), ((3, True), (4, False))), 0)]
    assert "3 pictures that fit your examples" in html


def test_dates_and_sizes_are_read_and_what_cannot_be_is_said() -> None:
    searcher = SearcherTwin()
    options = Options(after="2024-05", before="", min_side=100.0, max_side=0, min_size="2kB", max_size=" ")
    _answers(searcher).answer(similar_to(7), options)
    assert searcher.asked[0][2] == Filters(after=datetime(2024, 5, 1), min_side=100, min_bytes=2000)
    assert "is not a date" in _answers(searcher).answer(similar_to(7), Options(after="<soon>"))


def test_a_photo_that_is_gone_is_said(tmp_path: Path) -> None:
    html = _answers(SearcherTwin()).answer(Asked((Picture(file=str(tmp_path / "gone.jpg")),)), Options())
    assert "not on the server any more" in html


def test_the_gallery_is_browsed_and_its_pages_are_numbers() -> None:
    html = _answers(SearcherTwin()).browsed("25")
    assert html.count('class="sample"') == 34
    assert "1,201 to 1,234" in html
    assert "not the number" in _answers(SearcherTwin()).browsed("-1")


def test_a_judgement_is_kept_and_why_not_is_said(upload: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[tuple[object, ...]] = []
    monkeypatch.setattr("ui.answers.judge_result", lambda *said: kept.append(said))
    answers = Answers(SearcherTwin(), Addresses("v1"), 1000, ENGLISH, tmp_path)
    asked = acted(similar_to(7), {"do": "judge", "id": "3", "value": "yes"})
    assert asked is not None
    assert answers.keep(asked, 3, "anna") == ""
    assert answers.keep(replace(asked, judged=()), 3) == ""
    assert kept == [(tmp_path, Example(7), 3, True, "anna"), (tmp_path, Example(7), 3, None, "")]
    # What belongs to several examples together, or to no gallery of ours, is not kept.
    assert answers.keep(replace(asked, unlike=(Picture(8),)), 3) == ""
    assert _answers(SearcherTwin()).keep(asked, 3) == ""
    assert len(kept) == 2

    def busy(*_: object) -> None:
        raise GalleryBusy("Another process is writing.", "Wait.")

    monkeypatch.setattr("ui.answers.judge_result", busy)
    refused = answers.keep(asked, 3)
    assert refused == "Another process is writing. Wait."
    assert "Another process is writing" in answers.answer(asked, Options(), refused)


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
    html = _answers(SearcherTwin(answer=error)).answer(similar_to(7), Options())
    assert words in html
    assert "secret" not in html


def test_a_folder_must_be_a_full_path() -> None:
    assert "is not a full path" in _answers(SearcherTwin()).answer(similar_to(7), Options(under="photos"))


def test_no_match_is_no_error() -> None:
    assert "No match" in _answers(SearcherTwin(answer=result([]))).answer(similar_to(7), Options(min_score=0.9))


def test_no_photo_yet() -> None:
    assert "Choose a photo first" in _answers(SearcherTwin()).answer(None, Options())


def test_the_front_of_a_gallery_and_of_an_empty_one() -> None:
    full = _answers(SearcherTwin())
    front = full.front()
    assert full.alive()
    assert front.choices == [("apple (3)", "apple"), ("caf\\xe9 (1)", "caf\\xe9")]
    assert front.samples.count('class="sample"') == 8
    empty = _answers(SearcherTwin(state=replace(SUMMARY, images=0)))
    assert not empty.alive()
    assert empty.front().choices == []
    assert "Nothing is indexed yet" in empty.front().samples


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


# -- where two pictures match ----------------------------------------------------------------------------------------


def test_the_first_example_is_compared_as_it_was_searched_with(upload: str) -> None:
    searcher, part = SearcherTwin(), Region(0.1, 0.2, 0.5, 0.6)
    asked = Asked((Picture(file=upload, key="a" * 64, region=part), Picture(7)), (Picture(8),))
    html = _answers(searcher).matched(asked, 9, "3")
    assert searcher.explained == [(Example(None, b"bytes of a picture", part), 9)]
    tree = Tree(html)
    frames = [attributes for _, attributes in tree.tags if "match-frame" in attributes.get("class", "")]
    query, image = frames
    assert [query["data-rows"], query["data-columns"], image["data-rows"], image["data-columns"]] == [
        "1",
        "3",
        "2",
        "1",
    ]
    levels = [list(base64.b64decode(one["data-levels"])) for one in frames]
    assert levels == [[42, 42, 255], [255, 85]]
    (section,) = [attributes for _, attributes in tree.tags if attributes.get("class") == "match"]
    assert section["data-match"] == "3"
    assert list(base64.b64decode(section["data-pairs"])) == [0, 51, 51, 0, 255, 51]
    pictures = [attributes for name, attributes in tree.tags if name == "img"]
    assert [picture["src"].partition("?")[0] for picture in pictures][1] == "images/9/full"
    assert pictures[0]["data-spare"] == f"queries/{'a' * 64}"
    assert ENGLISH.matching.query_first in tree.text
    assert ENGLISH.matching.edges in tree.text
    assert "0.80" in tree.text


def test_an_approximation_is_called_one(upload: str) -> None:
    asked = Asked((Picture(file=upload),))
    rough = _answers(SearcherTwin(explanation=explanation(exact=False))).matched(asked, 9, "1")
    assert "take it as a hint" in rough
    assert "take it as a hint" not in _answers(SearcherTwin()).matched(asked, 9, "1")


@pytest.mark.parametrize("image", [None, "x", -1, True, 2**70, {"a": 1}])
def test_nonsense_is_no_image_to_compare_with(image: object) -> None:
    searcher = SearcherTwin()
    assert ENGLISH.search.not_an_id in _answers(searcher).matched(similar_to(3), image, "4")
    assert searcher.explained == []


@pytest.mark.parametrize("token", [None, 7, "<b>", ["1"]])
def test_a_token_is_digits_or_nothing(token: object) -> None:
    html = _answers(SearcherTwin()).matched(similar_to(3), 9, token)
    assert 'data-match=""' in html


def test_why_two_pictures_cannot_be_compared_is_said_under_the_token() -> None:
    for error in (NoGrid("It does not keep where.", "Search on."), ImageError(Reason.CORRUPT, "It is damaged.")):
        html = _answers(SearcherTwin(explanation=error)).matched(similar_to(3), 9, "5")
        assert 'data-match="5"' in html
        assert error.message in html
    assert 'data-match="6"' in _answers(SearcherTwin()).matched(None, 9, "6")
