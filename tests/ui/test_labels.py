"""The Labels page without a browser: what is read from a request, what is drawn, what is done."""

import csv
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from retrieval.core.types import Filters
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.jobs import Failure, Job, JobProgress, Jobs, State
from retrieval.workflows.labelling import LastChange, Progress, Tile, answer, progress, take_away, tiles
from retrieval.workflows.searching import Searcher
from tests.ui.finished import finished
from tests.ui.tree import Tree
from tests.ui.twins import SearcherTwin
from ui.addresses import Addresses
from ui.labels.answers import LabelAnswers
from ui.labels.asked import MOST_IDS, Asked, Look, read_asked, read_stop
from ui.labels.export import ADDRESS, export_routes
from ui.labels.grid import Sheet, render_grid
from ui.labels.head import render_head, told
from ui.labels.work import Visit, render_work
from ui.shell.site import Site
from ui.words import CHINESE, ENGLISH, LANGUAGES, Words

ODD = '<b>"odd" & ${x} {{y}}</b>'
ADDRESSES = Addresses("v1")


@pytest.fixture
def gallery(indexed: Path, tmp_path: Path) -> tuple[Path, list[int]]:
    """An own copy of the gallery of drawn pictures, with no label left but those of folders, and its ids."""
    folder = Path(shutil.copytree(indexed, tmp_path / "gallery"))
    with Gallery(folder) as opened:
        return folder, opened.catalog.images.passing(opened.live_space().id, Filters()).tolist()


@pytest.fixture
def answers(gallery: tuple[Path, list[int]]) -> Iterator[LabelAnswers]:
    with Gallery(gallery[0]) as opened, Searcher(opened) as searcher:
        yield LabelAnswers(Site("Retrieval", searcher, ADDRESSES, 1000, gallery[0]), ENGLISH)


def test_the_first_view_is_what_lacks_a_label_or_all_where_nothing_does(
    gallery: tuple[Path, list[int]], answers: LabelAnswers
) -> None:
    folder, ids = gallery
    take_away(folder, [ids[0]])
    assert ids_in(answers.opening()) == [ids[0]]
    answer(folder, dict.fromkeys(ids, "x"))
    assert sorted(ids_in(answers.opening())) == sorted(ids)


def test_an_empty_gallery_leads_to_the_page_where_a_folder_is_added(tmp_path: Path) -> None:
    page = LabelAnswers(Site("R", SearcherTwin(), ADDRESSES, 1000, tmp_path / "none"), ENGLISH)
    for tab in ("pick", "groups", "ask"):
        assert 'href="./library"' in page.view(Look(tab=tab)), tab  # type: ignore[arg-type]


def ids_in(html: str) -> list[int]:
    return [int(number) for number in re.findall(r'role="option"[^>]*data-id="(\d+)"', html)]


# -- requests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "text",
        {},
        {"look": 3, "answers": "x", "do": 7, "operation": True, "stamp": None},
        {"look": {"tab": ["x"], "show": {}, "page": -4, "near": "1", "label": 3, "under": None}},
        {"answers": [[0, "a"], ["1", "a"], [True, "a"], [1], 1, None, [2**70, "a"]]},
    ],
)
def test_whatever_is_sent_is_read_as_something_harmless(data: Any) -> None:
    assert read_asked(data) == Asked()


def test_a_request_is_read_as_it_was_meant() -> None:
    look = {"tab": "pick", "show": "label", "label": "cup", "under": " /p ", "near": 3, "page": 2}
    asked = read_asked({"look": look, "do": "label", "answers": [[7, " cup "], [8, 3]], "operation": 5, "stamp": "s-1"})
    assert asked.look == Look("pick", "label", "cup", "/p", 3, 2)
    assert (asked.do, asked.answers, asked.operation, asked.stamp) == ("label", ((7, "cup"), (8, "")), 5, "s-1")
    assert len(read_asked({"answers": [[1, "a"]] * (MOST_IDS + 10)}).answers) == MOST_IDS
    assert read_asked({"look": asked.look.as_json()}).look == asked.look


# -- drawing -------------------------------------------------------------------------------------------------------


def at(**change: Any) -> Progress:
    last = LastChange(9, "set", (ODD,), 5, 12)
    values: dict[str, Any] = {
        "images": 100, "labelled": 40, "automatic": 3, "labels": ((ODD, 9), ("b", 3)), "thin": (("b", 3),),
        "step": "more", "missing": (("b", 5),), "last": last, "recent": (ODD,),
    }  # fmt: skip
    return Progress(**{**values, **change})


@pytest.mark.parametrize("words", LANGUAGES.values(), ids=list(LANGUAGES))
def test_the_head_says_how_far_one_is_and_what_is_next(words: Words) -> None:
    html = render_head(at(), words)
    text = Tree(html).text
    assert words.labels.labelled.of(100).format(labelled="40") in text
    assert words.labels.lacking.of(5).format(label="b") in text
    assert "<b>" not in html.replace("<b>3</b>", "")
    assert not re.search(r"[`$]|\{\{", html)
    bar = next(attributes for tag, attributes in Tree(html).tags if tag == "progress")
    assert (bar["value"], bar["max"]) == ("0.4000", "1")
    steps = {step: Tree(render_head(at(step=step), words)).text for step in ("index", "begin", "more", "teach", "done")}
    assert len(set(steps.values())) == 5
    assert words.labels.nothing_to_undo in Tree(render_head(at(last=None), words)).text


def test_a_change_is_told_in_words() -> None:
    def said(kind: str, words: Words = ENGLISH) -> str:
        return told(LastChange(1, kind, ("cup", "mug"), 4, 12), words)

    assert said("set") == "“cup”, “mug”, and 2 more given to 12 pictures"
    assert said("unset") == "“cup”, “mug”, and 2 more taken from 12 pictures"
    assert told(LastChange(1, "set", ("cup",), 1, 1), ENGLISH) == "“cup” given to 1 picture"
    assert len({said(kind) for kind in ("set", "unset", "import", "folders", "automatic")}) == 5
    assert said("carry") == said("set")
    assert said("set", CHINESE) == "为 12 张图片加上「cup」、「mug」、另外 2 个"


def test_tiles_are_drawn_inert_and_can_be_reached_by_keyboard() -> None:
    shown = [
        Tile(1, ODD, (ODD, "b", "c"), ("d", 0.93), False),
        Tile(2, "plain.jpg", (), None, True),
    ]
    html = render_grid(Sheet(Look(page=2), shown, 3, 100, [(ODD, 9)]), ADDRESSES, ENGLISH)
    assert ODD not in html
    assert not re.search(r"[`$]|\{\{", html)
    options = [attributes for tag, attributes in Tree(html).tags if tag == "li"]
    assert [(one["data-id"], one["tabindex"], one["aria-selected"]) for one in options] == [
        ("1", "0", "false"),
        ("2", "-1", "false"),
    ]
    assert options[1]["aria-label"] == "No label, plain.jpg"
    assert "Page 2 of 3" in Tree(html).text
    assert "93%" in html
    # The one that is offline is not asked for.
    assert html.count("/thumbnail") == 1
    chosen = render_grid(Sheet(Look(show="label", label="gone"), shown, 1, 2, []), ADDRESSES, ENGLISH)
    assert 'value="label:gone" selected' in chosen


def test_an_empty_shelf_says_what_to_do() -> None:
    def text(look: Look) -> str:
        return Tree(render_grid(Sheet(look, [], 1, 0, []), ADDRESSES, ENGLISH)).text

    assert ENGLISH.labels.all_labelled in text(Look())
    assert ENGLISH.labels.nothing_here in text(Look(under="/nowhere"))


# -- doing ---------------------------------------------------------------------------------------------------------


def test_labels_are_given_and_taken_and_undone(answers: LabelAnswers, gallery: tuple[Path, list[int]]) -> None:
    folder, ids = gallery
    look = Look(show="label", label="cup")
    done = answers.change(Asked(look, "label", ((ids[0], "cup"), (ids[1], "cup")), stamp="s1"))
    assert 'data-stamp="s1" data-done="yes"' in done.head
    assert "“cup” given to 2 pictures" in Tree(done.head).text
    assert done.view is not None
    assert ids_in(done.view) == ids[:2]
    answers.change(Asked(look, "take", ((ids[0], ""),)))
    # Only the label that is looked at goes.
    assert tiles(folder, [ids[0]])[0].labels != ()
    assert [tile.labels.count("cup") for tile in tiles(folder, ids[:2])] == [0, 1]
    last = progress(folder).last
    assert last is not None
    undone = answers.change(Asked(look, "undo", operation=last.operation))
    assert "Taken back: “cup” taken from 1 picture" in Tree(undone.head).text
    answers.change(Asked(Look(), "take", ((ids[0], ""),)))
    assert tiles(folder, [ids[0]])[0].labels == ()


def test_an_undo_that_somebody_else_overtook_does_nothing(
    answers: LabelAnswers, gallery: tuple[Path, list[int]]
) -> None:
    folder, ids = gallery
    read = answer(folder, {ids[0]: "cup"}).operation
    answer(folder, {ids[1]: "mug"})
    assert read is not None
    answers.change(Asked(Look(), "undo", operation=read))
    assert [tile.labels.count(label) for tile, label in zip(tiles(folder, ids[:2]), ("cup", "mug"), strict=True)] == [
        1,
        1,
    ]


def test_look_alikes_are_drawn_and_a_name_goes_to_what_is_left(
    answers: LabelAnswers, gallery: tuple[Path, list[int]]
) -> None:
    folder, ids = gallery
    look = Look("groups")
    assert ENGLISH.labels.all_labelled in answers.view(look)
    # There is nothing to choose from above the groups.
    assert f"“{ENGLISH.labels.tab_pick}”" in Tree(answers.view(look)).text
    take_away(folder, ids)
    html = answers.view(look, "s2")
    Tree(html)
    assert 'data-stamp="s2"' in html
    assert ENGLISH.labels.groups_said.of(len(ids)).split("{")[0] in Tree(html).text
    groups = [ids_in(part) for part in html.split('<li class="group">')[1:]]
    assert groups
    assert all(len(group) >= 3 for group in groups)
    assert html.count('aria-selected="true"') == sum(map(len, groups))
    done = answers.change(Asked(look, "label", tuple((image_id, "twin") for image_id in groups[0][1:])))
    # What was worked out stays as it is: the script puts the group away.
    assert done.view is None
    assert [tile.labels for tile in tiles(folder, groups[0])] == [(), *[("twin",)] * (len(groups[0]) - 1)]


def test_suggestions_wait_for_labels_and_are_then_drawn(answers: LabelAnswers, gallery: tuple[Path, list[int]]) -> None:
    folder, ids = gallery
    take_away(folder, ids)
    assert ENGLISH.labels.too_few in answers.view(Look("ask"))
    answer(folder, {image_id: f"{ODD}{n % 2}" for n, image_id in enumerate(ids[:-1])})
    html = answers.view(Look("ask"))
    assert ODD not in html
    assert not re.search(r"[`$]|\{\{", html)
    Tree(html)
    assert [int(n) for n in re.findall(r'class="question"[^>]*data-id="(\d+)"', html)] == [ids[-1]]


def test_automatic_labels_are_asked_for_as_one_job_that_is_followed(
    answers: LabelAnswers, gallery: tuple[Path, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Jobs, "advance", lambda *_, **__: None)
    monkeypatch.setattr(Jobs, "submit", lambda _, asked: finished(gallery[0], 2, asked.kind, state=State.QUEUED))
    visit, other = Visit(), Visit()
    # One that ended before the visit is nothing to tell it of.
    finished(gallery[0], 1, "auto-labels", result={"proposed": 3, "operation": 8})
    assert answers.work(visit) == ""
    asked = answers.change(Asked(Look("ask"), "auto", stamp="s"), visit)
    assert 'data-stamp="s" data-done="yes"' in asked.head
    assert (visit.job, visit.is_over) == (2, False)
    assert ENGLISH.jobs.waits in Tree(answers.work(visit)).text
    # Asked for once more while it is there, it is the same.
    assert 'data-done="yes"' in answers.change(Asked(Look("ask"), "auto"), other).head
    assert (other.job, other.is_over) == (2, False)
    shutil.rmtree(gallery[0] / ".jobs" / "2")
    finished(gallery[0], 2, "auto-labels", result={"proposed": 3, "operation": 9})
    html = answers.work(visit)
    assert visit.is_over
    assert ENGLISH.labels.auto_done.of(3) in Tree(html).text
    assert 'data-changed="2"' in html
    assert answers.work(Visit()) == ""


@pytest.mark.parametrize("words", LANGUAGES.values(), ids=list(LANGUAGES))
def test_every_state_of_the_automatic_labelling_is_told(words: Words) -> None:
    def work(may_write: bool = True, shows_paths: bool = True, **change: Any) -> str:
        job = replace(Job(7, "auto-labels", {}, State.RUNNING), **change)
        return render_work(job, words, may_write=may_write, shows_paths=shows_paths)

    assert 'data-job-stop="7"' in work()
    for cannot in (work(may_write=False), work(cancelling=True), work(state=State.CANCELLED)):
        assert "data-job-stop" not in cannot
    assert words.jobs.waits in Tree(work(state=State.QUEUED)).text
    bar = work(progress=JobProgress("Indexing", 3, 9))
    assert 'max="9" value="3"' in bar
    none = work(state=State.DONE, result={"proposed": 0, "operation": None})
    assert words.labels.auto_none in Tree(none).text
    assert "data-changed" not in none
    failed = {"state": State.FAILED, "error": Failure("bad_value", "Odd is /home/anna/g.", "<b>")}
    assert "/home/anna" in work(**failed)
    assert "/home/anna" not in work(shows_paths=False, **failed)
    assert "<b>" not in work(**failed)


def test_only_the_automatic_labelling_is_stopped_from_here(
    answers: LabelAnswers, gallery: tuple[Path, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[int] = []
    monkeypatch.setattr(Jobs, "cancel", lambda _, number: stopped.append(number))
    finished(gallery[0], 1, "index")
    finished(gallery[0], 2, "auto-labels")
    for number in (0, 1, 2, 3):
        answers.stop(number)
    assert stopped == [2]
    assert [read_stop(sent) for sent in ({"stop": 2}, {"stop": "2"}, {"stop": True}, None, [2])] == [2, 0, 0, 0, 0]


def test_a_table_is_taken_and_its_rows_are_answered_for(
    answers: LabelAnswers, gallery: tuple[Path, list[int]], tmp_path: Path
) -> None:
    table = tmp_path / "t.csv"
    table.write_text(f"path,label\napple/apple 0.png,fruit\n{ODD}.png,fruit\n,fruit\n")
    html = answers.send(str(table)).head
    text = Tree(html).text
    assert "1 label given, by a table with 3 rows" in text
    assert "Line 3 names a picture that is not in the gallery:" in text
    assert "Line 4 names no picture" in text
    assert ODD not in html
    table.write_text("nothing")
    assert "no columns path and label" in Tree(answers.send(str(table)).head).text
    # Of 1,000 bytes at most, as the site says.
    table.write_text("path,label\n" + "x" * 2_000)
    assert "is larger than" in Tree(answers.send(str(table)).head).text
    assert ENGLISH.labels.no_table in answers.send(None).head
    take_away(gallery[0], gallery[1])
    named = answers.change(Asked(Look("files"), "folders"))
    assert "21 labels given by folder name" in Tree(named.head).text


def test_the_labels_can_be_saved(gallery: tuple[Path, list[int]]) -> None:
    def client(folder: Path | None) -> TestClient:
        app = FastAPI()
        app.include_router(export_routes(Site("R", SearcherTwin(), ADDRESSES, 1000, folder)))
        return TestClient(app)

    answer(gallery[0], {gallery[1][0]: "caf\u00e9"})
    saved = client(gallery[0]).get(f"/{ADDRESS}")
    assert saved.headers["content-disposition"] == 'attachment; filename="labels.csv"'
    assert saved.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(saved.content.decode("utf-8-sig", "surrogateescape").splitlines()))
    assert len(rows) == 22
    assert [row["label"] for row in rows if row["source"] == "person"] == ["caf\u00e9"]
    assert client(None).get(f"/{ADDRESS}").status_code == 404
    assert client(gallery[0] / "none").get(f"/{ADDRESS}").status_code == 409


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (Asked(do="label"), ENGLISH.labels.nothing_selected),
        (Asked(do="label", answers=((1, ""),)), ENGLISH.labels.no_label_given),
        (Asked(do="label", answers=((999_999, "x"),)), "no image 999999"),
        (Asked(do="take"), ENGLISH.labels.nothing_selected),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_changes(
    answers: LabelAnswers, gallery: tuple[Path, list[int]], asked: Asked, text: str
) -> None:
    before = progress(gallery[0])
    done = answers.change(asked)
    assert text in Tree(done.head).text
    assert 'data-done="no"' in done.head
    assert done.view is None
    assert progress(gallery[0]) == before


def test_what_is_looked_at(answers: LabelAnswers, gallery: tuple[Path, list[int]]) -> None:
    _, ids = gallery
    assert ids_in(answers.view(Look(show="all"))) == ids
    assert len(ids_in(answers.view(Look(show="label", label="apple")))) == 5
    near = ids_in(answers.view(Look(show="all", near=ids[3])))
    assert sorted([*near, ids[3]]) == ids
    assert near != [one for one in ids if one != ids[3]]
    assert "is not a full path" in answers.view(Look(under="photos"))
    assert "no image 424242" in answers.view(Look(near=424242)).lower()
    assert answers.change(Asked(Look(), "no such thing")).view is not None


def test_without_images_the_page_says_how_to_get_some(tmp_path: Path) -> None:
    Gallery(tmp_path / "empty", create=True).close()
    for folder in (tmp_path / "empty", tmp_path / "none", None):
        answers = LabelAnswers(Site("R", SearcherTwin(), ADDRESSES, 1000, folder), ENGLISH)
        assert ENGLISH.search.empty_title in answers.view(Look())
        assert ENGLISH.labels.next_index in answers.head()
