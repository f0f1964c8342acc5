"""What the tests of the API share: one without a page, and what an error looks like."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from retrieval.workflows.jobs import Jobs
from tests.ui.twins import SearcherTwin
from ui.addresses import Addresses
from ui.api.app import PREFIX, create_api
from ui.app import _guard
from ui.ports import Searches
from ui.shell.site import Site
from ui.without_paths import WithoutPaths

V1 = "/api/v1"


def twin(
    searcher: SearcherTwin | None = None,
    gallery: Path | None = None,
    auth: Sequence[tuple[str, str]] = (),
    hide_paths: bool = False,
    max_upload_bytes: int = 1_000_000,
) -> TestClient:
    """The API of an in-memory gallery behind the guards, without the page, which takes a second to build."""
    asked: Searches = searcher or SearcherTwin()
    jobs = None if gallery is None else Jobs(gallery)
    seen = WithoutPaths(asked) if hide_paths else asked
    site = Site("Retrieval", seen, Addresses(), max_upload_bytes, gallery, jobs, True, not hide_paths)
    app = FastAPI()
    app.state.hosts = {"testserver"}
    app.mount(PREFIX, create_api(site, with_auth=bool(auth)))
    _guard(app, auth, max_upload_bytes)
    return TestClient(app, base_url=f"http://testserver{V1}", raise_server_exceptions=False)


def problem(answer: Any, status: int, kind: str) -> dict[str, str]:
    """The body of an error that is what it should be."""
    assert (answer.status_code, answer.json()["kind"]) == (status, kind), answer.text
    body: dict[str, str] = answer.json()
    assert set(body) == {"kind", "message", "hint"}
    assert body["message"]
    return body
