"""The page's pieces: complete, and well-formed whatever a file is called."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.ui.drawing import ODD_LABEL, ODD_NAMES
from tests.ui.twins import NEIGHBOUR, SUMMARY, neighbours, result
from ui import cards
from ui.addresses import Addresses

ADDRESSES = Addresses("v1")
_VOID = {"img", "br", "meta", "rect", "circle", "path"}


class _Tree(HTMLParser):
    """Notes tags and text, and fails on tags that do not pair."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def with_class(self, name: str) -> list[tuple[str, dict[str, str | None]]]:
        return [tag for tag in self.tags if name in (tag[1].get("class") or "").split()]


def test_a_card_shows_score_labels_and_path_and_carries_all_facts() -> None:
    tree = _Tree(cards.render_results(result([replace(NEIGHBOUR, paths=("/a/one.jpg", "/b/two.jpg"))]), ADDRESSES))
    for words in (
        "0.873", "apple", "red", "/a", "/one.jpg", "4,032 × 3,024 pixels", "JPEG, 1.4 MB", "7 June 2021, 14:05",
        "/b/two.jpg", "Places", "1 picture most like yours", "out of 1,234 images", "84 ms", "decode 11 ms",
    ):  # fmt: skip
        assert words in tree.text, words
    (card,) = tree.with_class("card")
    assert card[0] == "button"
    assert card[1]["data-full"] == "images/7/full?v=v1"
    assert card[1]["aria-label"] == "Rank 1, score 0.873. apple, red. one.jpg"
    assert [attributes["alt"] for tag, attributes in tree.tags if tag == "img"] == ["apple, red"]


@pytest.mark.parametrize(("probability", "words"), [(0.93, "93%"), (0.9999, ">99%"), (0.0, "<1%")])
def test_a_card_says_the_chance_beside_the_score_and_what_it_is(probability: float, words: str) -> None:
    tree = _Tree(cards.render_results(result([replace(NEIGHBOUR, probability=probability)]), ADDRESSES))
    (chance,) = tree.with_class("chance")
    assert "label" in (chance[1]["title"] or "")
    assert f"0.873{words} same label" in tree.text
    (card,) = tree.with_class("card")
    assert f"score 0.873, {words} likely the same label." in (card[1]["aria-label"] or "")


def test_a_card_of_a_space_that_is_not_calibrated_says_no_chance() -> None:
    tree = _Tree(cards.render_results(result([NEIGHBOUR]), ADDRESSES))
    assert not tree.with_class("chance")
    assert "same label" not in tree.text.lower()


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_and_labels_stay_text(name: bytes) -> None:
    path = "/photos/" + name.decode("utf-8", "surrogateescape")
    html = cards.render_results(result([replace(NEIGHBOUR, paths=(path, path), labels=(ODD_LABEL,))]), ADDRESSES)
    html.encode("utf-8")
    tree = _Tree(html)
    plain = _Tree(cards.render_results(result([replace(NEIGHBOUR, paths=("/a/b", "/a/b"), labels=("c",))]), ADDRESSES))
    assert [tag for tag, _ in tree.tags] == [tag for tag, _ in plain.tags]
    assert [sorted(attributes) for _, attributes in tree.tags] == [sorted(a) for _, a in plain.tags]
    assert ODD_LABEL in tree.text
    assert "\n" not in tree.text


def test_an_offline_image_says_so_and_asks_for_no_picture() -> None:
    tree = _Tree(cards.render_results(result([replace(NEIGHBOUR, offline=True)]), ADDRESSES))
    assert "drive offline" in tree.text
    assert not [tag for tag, _ in tree.tags if tag == "img"]


def test_many_labels_are_counted_on_the_card_and_listed_in_the_facts() -> None:
    text = _Tree(cards.render_results(result([replace(NEIGHBOUR, labels=tuple("abcde"))]), ADDRESSES)).text
    assert "+2" in text


def test_an_image_without_paths_labels_or_date() -> None:
    bare = replace(NEIGHBOUR, labels=(), paths=(), captured=None)
    text = _Tree(cards.render_results(result([bare]), ADDRESSES)).text
    assert "(no file)" in text
    assert "unknown" in text


def test_results_of_a_sample_show_what_was_searched_with() -> None:
    tree = _Tree(cards.render_results(result(neighbours(3)), ADDRESSES, query_id=9))
    assert "3 pictures most like this one" in tree.text
    assert tree.with_class("query")[0][1]["src"] == "images/9/thumbnail?v=v1"


def test_the_masthead_tells_what_is_indexed() -> None:
    text = _Tree(cards.render_masthead("Retrieval", SUMMARY)).text
    for words in ("Retrieval", "1,234 images", "mobilenetv2_100", "faiss-flat"):
        assert words in text
    assert "UNTRAINED" not in text
    assert "UNTRAINED" in _Tree(cards.render_masthead("Retrieval", replace(SUMMARY, trained=False))).text
    assert "Empty gallery" in _Tree(cards.render_masthead("Retrieval", replace(SUMMARY, images=0))).text


def test_other_pieces_are_well_formed() -> None:
    assert len(_Tree(cards.render_samples([3, 4], ADDRESSES)).with_class("sample")) == 2
    assert "retrieval index FOLDER" in _Tree(cards.render_empty_gallery()).text
    assert len(_Tree(cards.render_searching(100)).with_class("card")) == 12
    _Tree(cards.render_samples_skeleton(8))


def test_no_match_says_which_filter_to_widen() -> None:
    filtered = _Tree(cards.render_no_match(result([], searched=0), True, None)).text
    assert "Take a label away, or clear the folder" in filtered
    scored = _Tree(cards.render_no_match(result([], searched=30), False, 0.9)).text
    assert "None of 30 images reaches a score of 0.90" in scored
    assert "widen" in _Tree(cards.render_no_match(result([], searched=30), True, 0.9)).text
    assert "no other image" in _Tree(cards.render_no_match(result([], searched=0), False, None)).text


def test_errors_are_announced() -> None:
    tree = _Tree(cards.render_notice("error", "No <good>", "Text", "Hint"))
    assert tree.tags[0][1]["role"] == "alert"
    assert "No <good>" in tree.text
