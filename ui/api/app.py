"""The API as one application, to be mounted below the page's own address."""

from typing import Any

from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse
from fastapi.security import HTTPBasic

from retrieval.core.errors import ReadOnly
from ui.api.docs import render_docs
from ui.api.gallery_routes import gallery_routes
from ui.api.giving import Giving
from ui.api.job_routes import job_routes
from ui.api.problems import RESPONSES, tell_problems
from ui.api.search_routes import search_routes
from ui.api.upkeep_routes import upkeep_routes
from ui.shell.site import Site

PREFIX = "/api/v1"
PICTURE_PATHS = (f"{PREFIX}/search", f"{PREFIX}/match")
"""Take files; what other routes take is small."""

_ABOUT = (
    "The gallery for programs. Pictures are sent as they are, everything else is JSON. Errors have a body with `kind`, "
    "`message` and `hint`. Long work runs as jobs: ask for one, and look at it under its number."
)


def create_api(site: Site, *, with_auth: bool) -> FastAPI:
    """The application.

    Args:
        site: the gallery; without its folder only searching is offered.
        with_auth: say in the description that a password is wanted; the guards before the application want it.
    """
    wanted: list[Any] = [Depends(HTTPBasic(auto_error=False))] if with_auth else []
    api = FastAPI(
        title=f"{site.title}: the API",
        version="1",
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        responses=RESPONSES,
        dependencies=wanted,
    )
    giving = Giving(shows_paths=site.shows_paths)

    def may_write() -> None:
        if not site.may_write:
            raise ReadOnly("This server only shows.", "Ask whoever runs it.")

    api.include_router(search_routes(site.searcher, giving))
    if site.gallery is not None and site.jobs is not None:
        api.include_router(gallery_routes(site.gallery, site.searcher, giving, may_write))
        api.include_router(job_routes(site.jobs, giving, may_write))
        api.include_router(upkeep_routes(site.gallery, site.jobs, giving, may_write))

    @api.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(render_docs({"servers": [{"url": PREFIX}], **api.openapi()}))

    tell_problems(api, shows_paths=site.shows_paths)
    return api
