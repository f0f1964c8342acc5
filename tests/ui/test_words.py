"""Every text is in the tables, in every language, and nowhere else."""

import ast
import asyncio
import itertools
import re
import string
import time
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import pytest

from retrieval.core.errors import BadValue, GalleryBusy, ImageError, Reason, RetrievalError
from retrieval.core.types import Region
from retrieval.workflows.calibrating import TooFewLabels
from retrieval.workflows.jobs import Failure, Job, JobProgress, Jobs, State
from retrieval.workflows.labelling import LastChange, Progress, Tile
from retrieval.workflows.results import Browsed
from tests.conftest import REPOSITORY
from tests.core.test_errors import tree as error_tree
from tests.ui.library_pieces import library_pieces
from tests.ui.tree import Tree
from tests.ui.twins import NEIGHBOUR, SUMMARY, SearcherTwin, explanation, result
from tests.ui.understand_pieces import understand_pieces
from ui import cards
from ui.addresses import Addresses
from ui.asking import Asked, Picture, similar_to
from ui.hints import COMMAND
from ui.labels.asked import Look
from ui.labels.grid import Sheet, render_grid
from ui.labels.head import render_head
from ui.labels.work import render_work
from ui.matching import render_match
from ui.notices import Refused, render_error, told
from ui.pages import PAGES
from ui.refining import Shown, render_browsed, render_history
from ui.shell.frame import framed, lonely, render_state
from ui.shell.job_view import render_job_view
from ui.shell.jobs_strip import render_jobs, told_failure
from ui.shell.page import Page
from ui.shell.site import Site
from ui.words import CHINESE, ENGLISH, LANGUAGES, Words
from ui.words.visitors import for_visitors

MARK = "⟦"


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(where, text) of every text in a table."""
    if isinstance(value, str):
        yield path, value
    elif is_dataclass(value):
        for field in fields(value):
            yield from leaves(getattr(value, field.name), f"{path}.{field.name}")
    elif isinstance(value, tuple):
        for n, one in enumerate(value):
            yield from leaves(one, f"{path}.{n}")
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from leaves(one, f"{path}[{key}]")


def placeholders(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def marked(value: Any) -> Any:
    """The same table with nothing left of each text but its placeholders, between marks."""
    if isinstance(value, str):
        return MARK + "".join("{%s}" % name for name in placeholders(value)) + "⟧"  # noqa: UP031 - braces
    if isinstance(value, tuple):
        return tuple(map(marked, value))
    if isinstance(value, Mapping):
        return {key: marked(one) for key, one in value.items()}
    return replace(value, **{field.name: marked(getattr(value, field.name)) for field in fields(value)})


def pseudo() -> Words:
    """A language in which every text of ours is recognised, and any other text stands out."""
    made = replace(marked(replace(CHINESE, code="", name="")), code="zh-CN", name="")
    score = replace(made.search.no_match_score, one=MARK + "{n}{{score}}⟧", many=MARK + "{n}{{score}}⟧")
    return replace(made, search=replace(made.search, no_match_score=score))


BOTH = dict(leaves(ENGLISH))
OTHERS = {code: dict(leaves(words)) for code, words in LANGUAGES.items() if words is not ENGLISH}


@pytest.mark.parametrize("code", OTHERS)
def test_a_language_has_every_text_and_the_same_values_in_it(code: str) -> None:
    own = (".errors.kinds", ".shell.gradio")
    texts = {path: text for path, text in OTHERS[code].items() if not path.startswith(own)}
    assert texts.keys() == BOTH.keys()
    assert [path for path, text in texts.items() if placeholders(text) != placeholders(BOTH[path])] == []
    assert [path for path, text in texts.items() if text.count("`") != BOTH[path].count("`")] == []
    assert [path for path, text in texts.items() if not text.strip()] == []


def test_chinese_is_chinese() -> None:
    same = {path for path, text in OTHERS["zh-CN"].items() if text == BOTH.get(path)}
    assert same == set()
    bare = {path for path, text in OTHERS["zh-CN"].items() if not re.search("[\u3000-\u9fff]", text)}
    # A code is a code, an error may have no hint of its own.
    assert {path for path in bare if not path.endswith(".hint")} == {".code"}


def test_every_kind_of_error_is_told_in_chinese() -> None:
    kinds = {kind("").kind for kind in error_tree(RetrievalError) if kind not in (RetrievalError, ImageError)}
    kinds |= {ImageError(reason, "").kind for reason in Reason} | {TooFewLabels("").kind}
    assert set(CHINESE.errors.kinds) == kinds
    assert {"gallery_busy", "no_such_path", "image.too_large"} <= kinds


@pytest.mark.parametrize("words", LANGUAGES.values(), ids=list(LANGUAGES))
def test_no_text_of_a_page_names_a_command(words: Words) -> None:
    named = {
        path: text for path, text in leaves(words) if COMMAND.search(text) or re.search(r"\bretrieval [a-z]", text)
    }
    assert named == {}


@pytest.mark.parametrize("words", LANGUAGES.values(), ids=list(LANGUAGES))
def test_hints_name_pages_and_buttons_that_are_there(words: Words) -> None:
    quoted = {name for hint in words.errors.hints.values() for name in re.findall("“([^”]+)”", hint)}
    quoted |= {name for told in words.errors.kinds.values() for name in re.findall("“([^”]+)”", told.hint)}
    assert {words.shell.library, words.shell.teach, words.library.check} <= quoted
    assert quoted - {text for path, text in leaves(words) if not path.startswith(".errors")} == set()


@pytest.mark.parametrize("words", LANGUAGES.values(), ids=list(LANGUAGES))
def test_where_pages_are_left_out_no_text_of_the_others_names_one(words: Words) -> None:
    own = (".library", ".labels", ".teach", ".doubts")
    pages = [f"“{name}”" for name in (words.shell.library, words.shell.labels, words.shell.teach)]

    def leads(table: Words) -> set[str]:
        return {
            path for path, text in leaves(table) if not path.startswith(own) and any(name in text for name in pages)
        }

    assert {".search.no_match_alone_hint", ".understand.map_few_text", ".errors.hints[index]"} <= leads(words)
    assert leads(for_visitors(words)) == set()
    # What has nothing to do with them is as it was.
    changed = {path for path, text in leaves(for_visitors(words)) if text != dict(leaves(words))[path]}
    assert changed <= leads(words) | {path for path in dict(leaves(words)) if path.startswith(".errors.hints")}
    assert ".errors.hints[jobs]" not in changed


def texts_with_commands() -> dict[str, set[str]]:
    """Every text of the program that names a command, with the commands; values in it are written as 1."""
    found = {}
    for path in sorted((REPOSITORY / "retrieval").rglob("*.py")):
        if "cli" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                text = "".join(str(one.value) if isinstance(one, ast.Constant) else "1" for one in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
                text = node.value
            else:
                continue
            if names := set(re.findall("`retrieval ([a-z-]+)", text)):
                found[text] = names
    return found


@pytest.mark.parametrize("words", LANGUAGES.values(), ids=list(LANGUAGES))
def test_no_hint_for_a_terminal_reaches_a_page(words: Words) -> None:
    commands = texts_with_commands()
    assert len(commands) > 40
    assert {name for names in commands.values() for name in names} <= set(words.errors.hints)
    kinds = [kind("").kind for kind in error_tree(RetrievalError) if kind not in (RetrievalError, ImageError)]
    for text, kind in itertools.product(commands, [*kinds, "odd"]):
        job = Job(1, "index", {}, State.FAILED, error=Failure(kind, f"It is so. {text}", text))
        said = [*told_failure(job, True, words), *told_failure(job, False, words)]
        said += told(type("Odd", (RetrievalError,), {"kind": kind})(f"It is so. {text}", text), words)
        assert [one for one in said if "`retrieval" in one or COMMAND.search(one)] == [], text
        # Something is said all the same.
        assert all(said[n] for n in (0, 1, 3, 4, 6, 7)), text


def test_a_hint_without_a_command_stays_as_it_is_and_so_do_sentences_beside_one() -> None:
    assert told(BadValue("So.", "Write 5 -- or 6 – in it."), ENGLISH) == ("So.", "Write 5 -- or 6 – in it.", "")
    assert told(BadValue("So.", "Leave --odd out. Or wait."), ENGLISH) == ("So.", "Or wait.", "")
    index = ENGLISH.errors.hints["index"]
    assert told(BadValue("So.", "Run `retrieval index FOLDER` first."), ENGLISH) == ("So.", index, "")
    text = CHINESE.errors.kinds["bad_value"].text
    assert told(BadValue("So.", "Use `retrieval index`."), CHINESE) == (text, CHINESE.errors.hints["index"], "So.")


def test_an_error_is_told_by_its_kind_and_the_english_sentence_stays_below() -> None:
    class Special(GalleryBusy):
        pass

    error = Special("Another process is writing to the gallery /g.", "Wait.")
    assert told(error, ENGLISH) == (error.message, error.hint, "")
    text, hint, detail = told(error, CHINESE)
    assert (text, hint) == (CHINESE.errors.kinds["gallery_busy"].text, CHINESE.errors.kinds["gallery_busy"].hint)
    assert detail == error.message
    # Without a hint of its own in the language, the English one must not be lost.
    assert told(BadValue("It is wrong.", "Mend it."), CHINESE)[2] == "It is wrong. Mend it."
    assert told(RetrievalError("Odd.", "Go."), CHINESE) == ("Odd.", "Go.", "")


# -- nothing is written past the tables ----------------------------------------------------------------------------

SPOKEN = ("alt", "title", "aria-label", "placeholder")
# Data without letters, so that every letter is ours.
NUMERAL = replace(NEIGHBOUR, labels=("12", "3", "4", "5"), paths=("/1/2.3",), format="9")
SEARCHER = SearcherTwin(state=replace(SUMMARY, model="7", index="8", trained=False), known=(("12", 3),))
SITE = Site("0", SEARCHER, Addresses("1"), 1000)
SIZES = re.compile(r"\b(kB|MB|GB|TB)\b")


PART = Region(0, 0.1, 0.5, 1)
JUDGED = Asked((Picture(3, None, PART),), judged=((7, True),))
REFINED = Asked((Picture(3), Picture(file="4")), (Picture(5),), ((7, False), (8, True)), 1)


def strangers(html: str) -> list[str]:
    """What a reader sees or hears that is not from the tables."""
    found = Tree(re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL))
    said = [text for _, attributes in found.tags for name, text in attributes.items() if name in SPOKEN and text]
    return [text for text in [found.text, *said] if re.search(r"[^\W\d_]", SIZES.sub("", text))]


@pytest.fixture(scope="module")
def words() -> Words:
    return pseudo()


FAILED = Failure("gallery_busy", "7", "8")
BAR = JobProgress("Training", 3, 9, seconds_left=70.0, epoch=1, epochs=2)
JOBS = {
    "runs": Job(1, "train", {}, State.RUNNING, BAR),
    "counts": Job(1, "index", {}, State.RUNNING, replace(BAR, part="Indexing", epoch=None)),
    "begins": Job(1, "index", {}, State.RUNNING),
    "waits": Job(1, "odd", {}, State.QUEUED),
    "stops": Job(1, "index", {}, State.RUNNING, replace(BAR, part="7"), cancelling=True),
    "done": Job(1, "check", {}, State.DONE, ended=time.time()),
    "failed": Job(1, "switch", {}, State.FAILED, error=FAILED),
    "bug": Job(1, "switch", {}, State.FAILED, error=replace(FAILED, kind="unexpected")),
    "cancelled": Job(1, "switch", {}, State.CANCELLED),
    "lost": Job(1, "switch", {}, State.LOST),
    "broken": Job(1, "", {}, State.BROKEN, error=FAILED),
}


def jobs_site(job: Job) -> Site:
    said = [{"event": "say", "text": "7"}]
    twin = SimpleNamespace(list=lambda: [job], get=lambda _: job, events=lambda _: (said, 0))
    return replace(SITE, jobs=cast("Jobs", twin))


def job_view(job: Job, words: Words) -> str:
    job = replace(job, ended=1e9, created=1e9, goes_on=True, result={"1": 2} if job.state is State.DONE else None)
    return render_job_view(jobs_site(job), words, job.id, {"understand"})


def pieces(words: Words) -> dict[str, str]:
    sure = replace(NUMERAL, probability=0.93)
    bare = replace(NUMERAL, labels=(), paths=(), captured=None, offline=True)
    found = replace(result([NUMERAL, sure, bare]), nothing_like_this=True)
    copies = result([replace(NUMERAL, copies=(replace(NUMERAL, id=8), replace(NUMERAL, id=9)))])
    none = result([], searched=0)
    document = "<html lang='en'><head></head><body></body></html>"
    return {
        "results": cards.render_results(found, SITE.addresses, words, Shown(Asked((Picture(file="1"),)))),
        "similar": cards.render_results(found, SITE.addresses, words, Shown(similar_to(3))),
        "refined": cards.render_results(replace(copies, more=True), SITE.addresses, words, Shown(REFINED, 13)),
        "judged": cards.render_results(found, SITE.addresses, words, Shown(JUDGED, 1, True)),
        "not kept": cards.render_results(found, SITE.addresses, words, Shown(JUDGED, 1, True, "7")),
        "history": render_history(["1" * 64], words),
        "linked": cards.render_results(found, SITE.addresses, words, Shown(JUDGED, link="?1")),
        "match": render_match(explanation(), similar_to(3), 4, SITE.addresses, words, "1"),
        "rough match": render_match(explanation(exact=False), REFINED, 4, SITE.addresses, words, "1"),
        "browse": render_browsed(Browsed((1, 2), 9), 1, 2, SITE.addresses, words),
        "samples": cards.render_samples([1, 2], SITE.addresses, words),
        "empty": cards.render_empty_gallery(words),
        "first": cards.render_empty_gallery(words, may_add=True),
        **library_pieces(words, SITE.addresses),
        "searching": cards.render_searching(3, words),
        "filters": cards.render_no_match(none, True, None, words),
        "score": cards.render_no_match(result([], searched=3), True, 0.5, words),
        "alone": cards.render_no_match(none, False, None, words),
        "bug": render_error(ZeroDivisionError("7"), words),
        "refused": render_error(Refused("7", "8", about_file=True), words),
        "error": render_error(GalleryBusy("7", "8"), words),
        "state": render_state(SITE, words),
        "read only": render_state(replace(SITE, may_write=False), words),
        **{f"job {name}": render_jobs(jobs_site(job), words) for name, job in JOBS.items()},
        **{f"one job {name}": job_view(job, words) for name, job in JOBS.items()},
        "no such job": render_job_view(replace(SITE, jobs=Jobs(Path("/0"))), words, 1),
        "frame": framed(document, SITE, words, PAGES, "").replace("English", "").replace("简体中文", ""),
        **label_pieces(words),
        **understand_pieces(words, SITE.addresses),
        "lonely": lonely(SITE, words, PAGES).replace("English", "").replace("简体中文", ""),
    }


_MAY: dict[str, Any] = {"may_write": True, "shows_paths": True}


def label_pieces(words: Words) -> dict[str, str]:
    tile = Tile(1, "12", ("1", "2", "3"), ("4", 0.9), True)
    sheet = Sheet(Look(show="label", label="7", near=3), [tile], 3, 100, [("7", 3)])
    last = LastChange(9, "import", ("1",), 3, 12)
    state = Progress(100, 40, 3, (("7", 9),), (("7", 3),) * 9, "more", (("7", 5),), last, ("7",))
    keys = r"<kbd>.*?</kbd>"
    return {
        "label head": re.sub(keys, "", render_head(state, words, notice="")),
        "label grid": re.sub(keys, "", render_grid(sheet, SITE.addresses, words)),
        **{f"labelling, {name}": render_work(job, words, **_MAY) for name, job in JOBS.items()},
        "labelled": render_work(Job(1, "", {}, State.DONE, result={"proposed": 3}), words, **_MAY),
        "no labels": render_head(replace(state, step="begin", last=None), words),
        "all labelled": re.sub(keys, "", render_grid(replace(sheet, look=Look(), tiles=[]), SITE.addresses, words)),
    }


@pytest.mark.parametrize("name", pieces(ENGLISH))
def test_no_piece_of_a_page_says_anything_that_is_not_in_the_tables(name: str, words: Words) -> None:
    html = pieces(words)[name]
    assert strangers(html) == []
    assert MARK in html
    # The same test finds English.
    assert strangers(pieces(ENGLISH)[name])


TEXTS = ("label", "info", "placeholder", "value", "title", "alt_text", "choices", "description")


async def built(page: Page, language: Words) -> gr.Blocks:
    """Within a loop: without one Gradio makes several, and closes none."""
    with gr.Blocks(analytics_enabled=False) as blocks:
        page.build(SITE, language, blocks)
    return blocks


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.address or "search")
def test_no_component_says_anything_that_is_not_in_the_tables(page: Page, words: Words) -> None:
    def said(language: Words) -> list[str]:
        blocks = asyncio.run(built(page, language))
        shown = [one["props"] for one in blocks.config["components"] if one["props"].get("visible", True)]
        texts = [str(props[name]) for props in shown for name in TEXTS if props.get(name)]
        pieces = [one for text in texts for one in (strangers(text) if text.startswith("<") else [text])]
        return [text for text in pieces if re.search(r"[^\W\d_]", text)]

    assert [text for text in said(words) if MARK not in text] == []
    assert said(ENGLISH)


def test_scripts_and_styles_hold_no_text() -> None:
    for path in sorted(Path(REPOSITORY / "ui").glob("*.js")):
        source = re.sub(r"/\*.*?\*/|(?<!:)//[^\n]*", "", path.read_text("utf-8"), flags=re.DOTALL)
        assert not re.findall(r'(?:aria-label|title|alt|placeholder)="[^"$]*[A-Za-z]', source), path
        assert not re.findall(r"textContent = [`\"'][^`\"']*[A-Za-z]", source), path
        assert not re.findall(r">[^<>`=;{}()|&]*[A-Za-z]{3,}[^<>`=;{}()|&]*</", source), path
    for path in sorted(Path(REPOSITORY / "ui").glob("*.css")):
        assert not re.findall(r'content: "[^"]*[A-Za-z]', path.read_text("utf-8")), path
