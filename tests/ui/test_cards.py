"""The page's pieces: complete, and well-formed whatever a file is called."""

from dataclasses import replace

import pytest

from tests.ui.drawing import ODD_LABEL, ODD_NAMES
from tests.ui.tree import Tree
from tests.ui.twins import NEIGHBOUR, neighbours, result
from ui import cards
from ui.addresses import Addresses
from ui.asking import Asked, Picture, similar_to
from ui.notices import render_notice
from ui.refining import Shown
from ui.words import ENGLISH

ADDRESSES = Addresses("v1")
PLAIN = Shown(Asked((Picture(file="/uploads/mine.jpg"),)))


def test_a_card_shows_score_labels_and_path_and_carries_all_facts() -> None:
    tree = Tree(
        cards.render_results(
            result([replace(NEIGHBOUR, paths=("/a/one.jpg", "/b/two.jpg"))]), ADDRESSES, ENGLISH, PLAIN
        )
    )
    for words in (
        "0.873", "apple", "red", "/a", "/one.jpg", "4,032 × 3,024 pixels", "JPEG, 1.4 MB", "7 June 2021, 14:05",
        "/b/two.jpg", "Places", "1 picture most like yours", "out of 1,234 images", "84 ms", "decode 11 ms",
    ):  # fmt: skip
        assert words in tree.text, words
    (card,) = tree.with_class("card")
    assert card[0] == "button"
    assert card[1]["data-full"] == "images/7/full?v=v1"
    assert card[1]["aria-label"] == "Rank 1, score 0.873. apple, red. one.jpg"
    assert [attributes["alt"] for tag, attributes in tree.tags if tag == "img"][1:] == ["apple, red"]


@pytest.mark.parametrize(("probability", "words"), [(0.93, "93%"), (0.9999, ">99%"), (0.0, "<1%")])
def test_a_card_says_the_chance_beside_the_score_and_what_it_is(probability: float, words: str) -> None:
    tree = Tree(cards.render_results(result([replace(NEIGHBOUR, probability=probability)]), ADDRESSES, ENGLISH, PLAIN))
    (chance,) = tree.with_class("chance")
    assert "label" in (chance[1]["title"] or "")
    assert f"0.873{words} same label" in tree.text
    (card,) = tree.with_class("card")
    assert f"score 0.873, {words} likely the same label." in (card[1]["aria-label"] or "")


def test_a_card_of_a_space_that_is_not_calibrated_says_no_chance() -> None:
    tree = Tree(cards.render_results(result([NEIGHBOUR]), ADDRESSES, ENGLISH, PLAIN))
    assert not tree.with_class("chance")
    assert "same label" not in tree.text.lower()


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_and_labels_stay_text(name: bytes) -> None:
    path = "/photos/" + name.decode("utf-8", "surrogateescape")
    html = cards.render_results(
        result([replace(NEIGHBOUR, paths=(path, path), labels=(ODD_LABEL,))]), ADDRESSES, ENGLISH, PLAIN
    )
    html.encode("utf-8")
    tree = Tree(html)
    plain = Tree(
        cards.render_results(
            result([replace(NEIGHBOUR, paths=("/a/b", "/a/b"), labels=("c",))]), ADDRESSES, ENGLISH, PLAIN
        )
    )
    assert [tag for tag, _ in tree.tags] == [tag for tag, _ in plain.tags]
    assert [sorted(attributes) for _, attributes in tree.tags] == [sorted(a) for _, a in plain.tags]
    assert ODD_LABEL in tree.text
    assert "\n" not in tree.text


def test_an_offline_image_says_so_and_asks_for_no_picture() -> None:
    tree = Tree(cards.render_results(result([replace(NEIGHBOUR, offline=True)]), ADDRESSES, ENGLISH, PLAIN))
    assert "drive offline" in tree.text
    assert not [tag for tag, attributes in tree.tags if tag == "img" and "query" not in (attributes.get("class") or "")]


def test_many_labels_are_counted_on_the_card_and_listed_in_the_facts() -> None:
    text = Tree(
        cards.render_results(result([replace(NEIGHBOUR, labels=tuple("abcde"))]), ADDRESSES, ENGLISH, PLAIN)
    ).text
    assert "+2" in text


def test_an_image_without_paths_labels_or_date() -> None:
    bare = replace(NEIGHBOUR, labels=(), paths=(), captured=None)
    text = Tree(cards.render_results(result([bare]), ADDRESSES, ENGLISH, PLAIN)).text
    assert "(no file)" in text
    assert "unknown" in text


def test_results_of_a_sample_show_what_was_searched_with() -> None:
    tree = Tree(cards.render_results(result(neighbours(3)), ADDRESSES, ENGLISH, Shown(similar_to(9))))
    assert "3 pictures most like this one" in tree.text
    assert tree.with_class("query")[0][1]["src"] == "images/9/thumbnail?v=v1"


def test_other_pieces_are_well_formed() -> None:
    assert len(Tree(cards.render_samples([3, 4], ADDRESSES, ENGLISH)).with_class("sample")) == 2
    assert ENGLISH.search.empty_how in Tree(cards.render_empty_gallery(ENGLISH)).text
    # Where the page itself adds a folder, nobody else need be asked.
    first = Tree(cards.render_empty_gallery(ENGLISH, may_add=True))
    assert ENGLISH.library.empty_action in first.text
    assert ENGLISH.search.empty_while not in first.text
    assert len(Tree(cards.render_searching(100, ENGLISH)).with_class("card")) == 12
    Tree(cards.render_samples_skeleton(8))


def test_no_match_says_which_filter_to_widen() -> None:
    filtered = Tree(cards.render_no_match(result([], searched=0), True, None, ENGLISH)).text
    assert "Take a label away, or clear the folder" in filtered
    scored = Tree(cards.render_no_match(result([], searched=30), False, 0.9, ENGLISH)).text
    assert "None of 30 images reaches a score of 0.90" in scored
    assert "widen" in Tree(cards.render_no_match(result([], searched=30), True, 0.9, ENGLISH)).text
    assert "no other image" in Tree(cards.render_no_match(result([], searched=0), False, None, ENGLISH)).text


def test_errors_are_announced() -> None:
    tree = Tree(render_notice("error", "No <good>", "Text", "Hint"))
    assert tree.tags[0][1]["role"] == "alert"
    assert "No <good>" in tree.text
