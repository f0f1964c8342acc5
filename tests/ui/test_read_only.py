"""Where visitors may only look, no page changes anything; where they may not see paths, no page that lives on them is
there."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from retrieval.core.types import Filters
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.jobs import Jobs
from retrieval.workflows.labelling import progress
from tests.ui.twins import SearcherTwin, ViewsTwin
from ui.addresses import Addresses
from ui.app import create_app
from ui.labels.answers import LabelAnswers
from ui.labels.asked import Asked
from ui.library.library import Library
from ui.shell.site import Site
from ui.teach.answers import Teaching, Visit
from ui.words import ENGLISH


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
    library.add(str(site.gallery), "")
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
