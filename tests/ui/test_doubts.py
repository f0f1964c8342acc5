"""The library's card of labels in doubt: over a real gallery, with a check that was made by hand."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from retrieval.workflows.jobs import Job, State
from retrieval.workflows.label_check import Doubt, LabelCheck, Outlier
from retrieval.workflows.label_doubts import keep_check
from retrieval.workflows.labelling import Shelf, tile_page, tiles
from retrieval.workflows.labels import undo
from retrieval.workflows.layout import Layout
from tests.ui.library_pieces import DOUBTS, FOUND, JOB, TILES
from tests.ui.test_library import JobsTwin, library_of
from tests.ui.tree import Tree
from ui.addresses import Addresses
from ui.library.doubt_cards import Checked, Turned, render_doubts
from ui.library.library import Library
from ui.words import CHINESE, ENGLISH

SAID = ENGLISH.doubts
CHECKED = Checked(replace(JOB, ended=1e9), FOUND, DOUBTS, TILES)


def values(html: str, deed: str) -> list[str | None]:
    return [tag["value"] for _, tag in Tree(html).tags if tag.get("data-do") == deed]


def test_both_groups_are_shown_by_pages_of_their_own() -> None:
    first = render_doubts(CHECKED, Turned(), Addresses("1"), ENGLISH, may_write=True)
    assert values(first, "relabel") == values(first, "confirm") == [f"3|{n}|0|0" for n in range(1, 13)]
    assert "13 pictures to judge" in Tree(first).text
    assert SAID.more.of(7) in Tree(first).text
    assert "A sample of 100 of 200" in Tree(first).text
    # Number 2 cannot be reached just now; pictures 35 to 39 are not known any more.
    pictures = [tag["src"] for tag_name, tag in Tree(first).tags if tag_name == "img"]
    assert pictures == [f"images/{n}/thumbnail?v=1" for n in (1, *range(3, 13), *range(20, 32))]
    assert values(first, "doubts-page") == ["0|0", "12|0"]
    assert values(first, "outliers-page") == ["0|0", "12|0"]
    second = render_doubts(CHECKED, Turned(12, 12), Addresses("1"), CHINESE, may_write=True)
    assert values(second, "relabel") == ["3|13|12|12"]
    assert "images/34/" in second
    assert values(second, "outliers-page") == ["0|12", "24|12"]
    beyond = render_doubts(CHECKED, Turned(999, 999), Addresses("1"), CHINESE, may_write=True)
    assert beyond == second


@pytest.mark.parametrize(
    ("text", "turned"),
    [("12|24", (12, 24)), ("", (0, 0)), ("-1|x", (0, 0)), ("9999999999|3", (0, 3)), ("٣|1|2", (0, 0))],
)
def test_which_page_is_open_comes_from_the_browser_and_may_be_anything(text: str, turned: tuple[int, int]) -> None:
    assert Turned.read(text) == Turned(*turned)


def test_where_labels_are_too_few_that_is_said_in_the_place_of_the_button() -> None:
    for words in (ENGLISH, CHINESE):
        few = render_doubts(None, Turned(), Addresses("1"), words, may_write=True, enough=False)
        assert values(few, "doubts") == []
        assert words.doubts.too_few.format(least=20) in Tree(few).text
        assert 'href="./labels"' in few
        assert values(render_doubts(None, Turned(), Addresses("1"), words, may_write=True), "doubts") == [""]


def test_where_nothing_may_be_changed_there_is_nothing_to_press_and_no_folder_is_ever_named() -> None:
    seen = render_doubts(CHECKED, Turned(), Addresses("1"), ENGLISH, may_write=False)
    assert {tag["data-do"] for _, tag in Tree(seen).tags if "data-do" in tag} == {"doubts-page", "outliers-page"}
    assert "5.5" in seen
    for html in (seen, render_doubts(CHECKED, Turned(), Addresses("1"), ENGLISH, may_write=True)):
        assert "/1/2" not in html


def test_labels_and_names_are_escaped() -> None:
    evil = "<img src=x onerror=alert(1)>\udce9"
    checked = replace(
        CHECKED, open=[replace(DOUBTS[0], label=evil, instead=evil)], tiles={1: replace(TILES[1], name=evil)}
    )
    html = render_doubts(checked, Turned(), Addresses("1"), ENGLISH, may_write=True)
    assert "<img src=x" not in html
    html.encode()


@pytest.fixture
def checked(filled_copy: Path) -> tuple[Library, list[Doubt]]:
    """A library whose two first pictures are in doubt, by a check that a job left."""
    library = library_of(filled_copy)
    first = [tile for tile in tile_page(filled_copy, Shelf("all")).tiles if tile.labels][:2]
    doubts = [Doubt(tile.id, "", tile.labels[0], "new", 0.9, 0.8) for tile in first]
    jobs = library._site.jobs
    assert isinstance(jobs, JobsTwin)
    jobs.known = [Job(5, "label-check", {}, State.DONE, ended=1e9), Job(4, "label-check", {}, State.DONE, ended=1e9)]
    for number in (4, 5):
        (Layout(filled_copy).jobs / str(number)).mkdir(parents=True)
    lonely = (Outlier(first[0].id, "", 0.1),)
    keep_check(LabelCheck(tuple(doubts), 2, 20, 0.9, lonely, 20, 20), jobs.folder(5).label_check)
    return library, doubts


@pytest.fixture
def filled_copy(indexed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(indexed, tmp_path / "gallery"))


def test_answers_become_labels_and_are_not_asked_for_again(
    checked: tuple[Library, list[Doubt]], filled_copy: Path
) -> None:
    library, (wrong, right) = checked
    assert values(library.doubts(), "relabel") == [f"5|{one.image_id}|0|0" for one in (wrong, right)]
    told = library.do("relabel", f"5|{wrong.image_id}|0|0").told
    assert SAID.take_back in told
    assert tiles(filled_copy, [wrong.image_id])[0].labels == ("new",)
    assert values(library.doubts(), "relabel") == [f"5|{right.image_id}|0|0"]
    library.do("confirm", f"5|{right.image_id}|0|0")
    assert tiles(filled_copy, [right.image_id])[0].labels == (right.label,)
    assert SAID.answered in library.doubts()
    undo(filled_copy)
    assert values(library.doubts(), "confirm") == [f"5|{right.image_id}|0|0"]


def test_who_may_only_look_is_not_waited_for_with_a_count_of_labels(
    checked: tuple[Library, list[Doubt]], monkeypatch: pytest.MonkeyPatch
) -> None:
    library, (wrong, _) = checked
    asked: list[Path] = []

    def counted(gallery: Path) -> bool:
        asked.append(gallery)
        return True

    monkeypatch.setattr("ui.library.library.enough_to_check", counted)
    assert values(library.doubts(), "relabel")
    assert len(asked) == 1
    looking = Library(replace(library._site, may_write=False), ENGLISH)
    html = looking.doubts()
    assert f"images/{wrong.image_id}/" in html
    assert values(html, "doubts") == []
    assert len(asked) == 1


@pytest.mark.parametrize("value", ["", "5", "5|", "5|x|0|0", "4|{id}|0|0", "6|{id}|0|0", "x|{id}", "{id}"])
def test_an_answer_to_what_was_not_asked_changes_nothing(
    checked: tuple[Library, list[Doubt]], filled_copy: Path, value: str
) -> None:
    library, (wrong, _) = checked
    before = tiles(filled_copy, [wrong.image_id])
    told = library.do("relabel", value.format(id=wrong.image_id)).told
    assert "not in doubt any more" in told
    assert tiles(filled_copy, [wrong.image_id]) == before


def test_no_answer_is_taken_where_one_may_only_look(checked: tuple[Library, list[Doubt]], filled_copy: Path) -> None:
    library, (wrong, _) = checked
    library.may_write = False
    before = tiles(filled_copy, [wrong.image_id])
    for deed in ("relabel", "confirm", "doubts"):
        assert library.do(deed, f"5|{wrong.image_id}|0|0").told == ""
    assert tiles(filled_copy, [wrong.image_id]) == before
    assert not values(library.doubts(), "relabel") + values(library.doubts(), "doubts")


def test_without_a_check_there_is_only_the_way_to_one(filled_copy: Path) -> None:
    library = library_of(filled_copy)
    html = library.doubts()
    assert values(html, "doubts") == [""]
    assert "<h3>" not in html
