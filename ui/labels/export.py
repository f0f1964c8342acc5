"""The labels as a table, to be saved by a browser."""

import tempfile
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from retrieval.core.errors import RetrievalError
from retrieval.workflows.labels import export_csv
from ui.shell.site import Site

ADDRESS = "labels/export.csv"
"""Below the application's own."""


def export_routes(site: Site) -> APIRouter:
    """The route of the table."""
    router = APIRouter()

    @router.get(f"/{ADDRESS}")
    def export(automatic: bool = False) -> Response:
        if site.gallery is None:
            return PlainTextResponse("There is no gallery.\n", 404)
        try:
            with tempfile.TemporaryDirectory(prefix="retrieval-labels-") as scratch:
                table = Path(scratch) / "labels.csv"
                export_csv(site.gallery, table, automatic=automatic)
                content = table.read_bytes()
        except RetrievalError as error:
            return PlainTextResponse(f"{error}\n", 409)
        # With the mark that tells a spreadsheet that this is Unicode; an import leaves it out.
        headers = {"Content-Disposition": 'attachment; filename="labels.csv"', "Cache-Control": "no-store"}
        return Response(b"\xef\xbb\xbf" + content, media_type="text/csv; charset=utf-8", headers=headers)

    return router
