"""What is served beside the page: the map's points as bytes, and the reports of jobs, by number alone.

``GET /understand/map.bin`` gives, little-endian: the characters ``RMAP``; uint32 bytes of the header; uint32 N; the
header (JSON: ``labels``, a list of [name, images], most frequent first), filled up with spaces to a multiple of 4;
float32 x and then y of all points, in [-1, 1]; uint32 image ids; uint16 labels, 0 for none and n for the n-th.
"""

import json
import struct

import numpy as np
from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from retrieval.core.errors import RetrievalError
from retrieval.core.text import shown
from retrieval.workflows.jobs import Jobs, State
from retrieval.workflows.mapping import MapPoints, map_points
from ui.shell.site import Site

_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
_FRESH = {"Cache-Control": "no-store"}
_MOST_LABELS = 65_534
_MOST_ID = 2**32


def understand_routes(site: Site) -> APIRouter:
    """``GET /understand/map.bin`` and ``GET /understand/report/{job}``. They read, and block while they do.

    Args:
        site: the gallery.
    """
    routes = APIRouter()

    @routes.get("/understand/map.bin")
    def points() -> Response:
        try:
            found = None if site.gallery is None else map_points(site.gallery)
        except RetrievalError:
            found = None
        if found is None:
            return PlainTextResponse("There is no map.\n", 404, headers=_FRESH)
        return Response(packed(found), media_type="application/octet-stream", headers=_FRESH)

    @routes.get("/understand/report/{number:int}")
    def report(number: int) -> Response:
        # The page holds names of files and labels, which are a stranger's words: it gets a sandbox without scripts,
        # forms or an origin.
        headers = {**_FRESH, "Content-Security-Policy": _POLICY}
        content = None if site.jobs is None else _page(site.jobs, number)
        if content is None:
            return PlainTextResponse(f"There is no report of job {number}.\n"[:80], 404, headers=headers)
        return Response(content, media_type="text/html; charset=utf-8", headers=headers)

    return routes


def packed(points: MapPoints) -> bytes:
    """The map as bytes."""
    there = points.ids < _MOST_ID
    places, numbers = points.places[there], points.numbers[there]
    # More labels than there are numbers for: the rarest are called none.
    numbers = np.where(numbers > _MOST_LABELS, 0, numbers)
    labels = [[shown(label), images] for label, images in points.labels[:_MOST_LABELS]]
    header = json.dumps({"labels": labels}).encode()
    header += b" " * (-len(header) % 4)
    return b"".join(
        (
            b"RMAP",
            struct.pack("<II", len(header), len(places)),
            header,
            places[:, 0].astype("<f4").tobytes(),
            places[:, 1].astype("<f4").tobytes(),
            points.ids[there].astype("<u4").tobytes(),
            numbers.astype("<u2").tobytes(),
        )
    )


def _page(jobs: Jobs, number: int) -> bytes | None:
    try:
        job = jobs.get(number)
        # Of the gallery's own pictures: a report of a folder would tell what lies elsewhere on this machine.
        if job.state is not State.DONE or job.request.get("dataset") != "gallery":
            return None
        return jobs.folder(number).page.read_bytes() if job.kind in ("diagnose", "temperature") else None
    except (RetrievalError, OSError):
        return None
