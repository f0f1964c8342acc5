"""Where visitors may only look, no page changes anything; where they may not see paths, no page that lives on them is
there."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest
from fastapi.testclient import TestClient

from retrieval.core.types import Filters
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.jobs import Jobs
from retrieval.workflows.labelling import progress
from tests.ui.twins import SUMMARY, SearcherTwin, ViewsTwin
from ui.addresses import Addresses
from ui.app import create_app
from ui.labels.answers import LabelAnswers
from ui.labels.asked import Asked
from ui.library.library import Library
from ui.search_page import SearchPage
from ui.shell.frame import render_state
from ui.shell.site import Site
from ui.teach.answers import Teaching, Visit
from ui.understand.check_cards import render_strict
from ui.words import ENGLISH, LANGUAGES
from ui.words.visitors import said_here


@pytest.fixture
def site(indexed: tuple[Path, Path] | Path) -> Site:
    gallery = indexed if isinstance(indexed, Path) else indexed[0]
    return Site("R", SearcherTwin(), Addresses("1"), 1000, gallery, Jobs(gallery, may_write=False), may_write=False)


def test_the_labels_page_gives_no_label(site: Site) -> None:
    assert site.gallery is not None
    with Gallery(site.gallery) as opened:
        first = int(opened.catalog.images.passing(opened.live_space().id, Filters())[0])
    before = progress(site.gallery)
    shown = LabelAnswers(site, ENGLISH).change(Asked(do="label", answers=((first, "new"),)))
    assert "Here one may look" in shown.head
    assert progress(site.gallery) == before


@pytest.mark.parametrize(
    "deed",
    [
        lambda page, visit: page.start(visit),
        lambda page, visit: page.act(visit, "back-now", ""),
        lambda page, visit: page.act(visit, "calibrate", ""),
        lambda page, visit: page.act(visit, "stop", "1"),
    ],
)
def test_the_teaching_page_starts_and_changes_nothing(site: Site, deed: Callable[[Teaching, Visit], None]) -> None:
    visit = Visit()
    deed(Teaching(site, ENGLISH), visit)
    assert "Here one may look" in visit.notice
    assert site.jobs is not None
    assert site.jobs.list() == []


def test_the_library_page_does_nothing(site: Site) -> None:
    library = Library(site, ENGLISH)
    assert not library.may_write
    library.do("scan", "")
    library.add(str(site.gallery))
    assert site.jobs is not None
    assert site.jobs.list() == []


def test_pages_that_live_on_paths_are_left_out_where_paths_are_hidden(site: Site) -> None:
    for hidden in (False, True):
        app = create_app(
            SearcherTwin(), ViewsTwin(), gallery=site.gallery, hosts={"testserver"}, hide_paths=hidden, read_only=True
        )
        with TestClient(app) as client:
            page = client.get("/").text
            for address in ("library", "labels", "teach"):
                assert (f'href="./{address}"' in page) is not hidden
                assert (client.get(f"/{address}").status_code == 404) is hidden
            assert (client.get("/labels/export.csv").status_code == 404) is hidden


def test_where_paths_are_hidden_nothing_leads_to_pages_that_are_not_there(site: Site) -> None:
    bare = SearcherTwin(state=replace(SUMMARY, images=0))

    def said(site: Site) -> str:
        may = {"known": True, "words": ENGLISH, "may_write": True, "shows_paths": site.shows_paths}
        with gr.Blocks(analytics_enabled=False) as blocks:
            first = SearchPage(site, ENGLISH, blocks)._show_first()
        return f"{first}{render_state(site, ENGLISH)}{render_strict(None, None, None, **may)}"  # type: ignore[arg-type]

    async def within_a_loop(site: Site) -> str:
        return said(site)

    def leads(site: Site) -> set[str]:
        return set(re.findall(r'href="\./(library|labels|teach)', asyncio.run(within_a_loop(site))))

    site = replace(site, searcher=bare, may_write=True)
    assert leads(site) == {"library", "labels"}
    assert leads(replace(site, shows_paths=False)) == set()
    # Where one may only look the pages are there, and nothing can be added on them.
    assert "library" not in leads(replace(site, may_write=False))


def test_hints_are_those_for_visitors_where_no_folder_can_be_added(site: Site) -> None:
    for may_write, shows_paths in ((True, True), (False, True), (True, False)):
        told = said_here(replace(site, may_write=may_write, shows_paths=shows_paths).may_add)
        assert told.keys() == LANGUAGES.keys()
        for code, words in told.items():
            assert (words is LANGUAGES[code]) is (may_write and shows_paths)
            assert (words.search.no_match_alone_hint == words.errors.ask_owner) is not (may_write and shows_paths)
