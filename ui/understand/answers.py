"""What the page asks of the workflows: every outcome, errors too, becomes pieces of HTML."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrieval.core.errors import EmptyGallery, RetrievalError
from retrieval.workflows import labelling
from retrieval.workflows.jobs import Job, JobRequest, Jobs, State
from retrieval.workflows.jobs.requests import DiagnoseJob, MapJob, TemperatureJob
from retrieval.workflows.labels import undo
from retrieval.workflows.mapping import MapState, map_state
from retrieval.workflows.readiness import Readiness, readiness
from retrieval.workflows.study_cost import study_cost
from retrieval.workflows.upkeep import can_reach
from ui import cards
from ui.notices import Refused, render_error
from ui.shell.site import Site
from ui.understand import check_cards, map_cards
from ui.words import Words

KINDS = ("map", "diagnose", "temperature")
"""Jobs that this page shows, starts and stops."""

PIECES = ("told", "status", "map", "check", "strict")

LEAST_PICTURES = 2
"""That a check-up can read: it compares them with each other."""

MOST_LABELLED = 100_000
"""Images that one answer may label: all of the largest map."""

_MOST_ID = 2**63
_Cost = tuple[float, float] | None


@dataclass
class Visit:
    """What one open page has asked for; lives as long as it.

    Attributes:
        told: HTML of what was done last.
        shown: the pieces as the browser has them.
    """

    told: str = ""
    shown: dict[str, str] = field(default_factory=dict)


class Understanding:
    """The page's answers for one gallery in one language.

    Args:
        site: the gallery.
        words: the reader's language.
    """

    def __init__(self, site: Site, words: Words) -> None:
        self._site = site
        self._words = words
        self._lock = threading.Lock()
        self._state: tuple[object, MapState] | None = None
        self._cost: tuple[Readiness, _Cost] | None = None
        self._requests: Mapping[str, Callable[[], JobRequest]] = {
            "map": MapJob,
            "check": DiagnoseJob,
            "strict": TemperatureJob,
        }

    @property
    def _folder(self) -> Path:
        if self._site.gallery is None:
            raise EmptyGallery("There is no gallery.")
        return self._site.gallery

    @property
    def _jobs(self) -> Jobs:
        return self._site.jobs or Jobs(self._folder, may_write=self._site.may_write)

    # -- what there is to see -------------------------------------------------------------------------------------

    def arrive(self) -> None:
        """Somebody opens the page: the gallery may have changed in ways that its summary does not tell."""
        with self._lock:
            self._state = None

    def pieces(self, visit: Visit) -> dict[str, str]:
        """All pieces as they are now; see ``PIECES``."""
        try:
            return self._pieces(visit)
        except EmptyGallery:
            empty = cards.render_empty_gallery(self._words, may_add=self._site.may_add)
            return dict.fromkeys(PIECES, "") | {"told": empty}
        except Exception as error:
            told = map_cards.render_refused(render_error(error, self._words), "")
            return {name: visit.shown.get(name, "") for name in PIECES} | {"told": told}

    def _pieces(self, visit: Visit) -> dict[str, str]:
        words, site = self._words, self._site
        jobs = [job for job in self._jobs.list() if job.kind in KINDS and _is_of_gallery(job)]
        summary = site.searcher.summary()
        state = self._map_state((summary, tuple((job.id, job.state) for job in jobs)))
        if not state.images:
            raise EmptyGallery("Nothing is indexed.")
        # Drives come and go without a word: nothing that is remembered knows of them.
        enough = can_reach(self._folder, LEAST_PICTURES)
        newest = {kind: next((job for job in jobs if job.kind == kind), None) for kind in KINDS}
        done = {
            kind: next((job for job in jobs if job.kind == kind and job.state is State.DONE), None) for kind in KINDS
        }
        may: dict[str, Any] = {"may_write": site.may_write, "shows_paths": site.shows_paths}
        cost = self._known_cost()
        return {
            "told": visit.told,
            "status": map_cards.render_status(state, newest["map"], words, **may),
            "map": map_cards.render_map(state, site.addresses, words, may_write=site.may_write),
            "check": check_cards.render_check(
                newest["diagnose"],
                done["diagnose"],
                summary.fingerprint,
                site.addresses,
                words,
                enough=enough,
                **may,
            ),
            "strict": check_cards.render_strict(
                newest["temperature"],
                done["temperature"],
                None if cost is None else cost[1],
                known=cost is not None,
                words=words,
                **may,
            ),
        }

    def _map_state(self, key: object) -> MapState:
        """The map's state as it was when ``key`` was last another one."""
        with self._lock:
            known = self._state
        if known is not None and known[0] == key:
            return known[1]
        found = map_state(self._folder)
        with self._lock:
            self._state = (key, found)
        return found

    def _known_cost(self) -> tuple[Readiness, _Cost] | None:
        with self._lock:
            return self._cost

    def measure(self) -> None:
        """Look at what the comparison would cost, where that is not known; takes seconds."""
        if not self._site.may_write:
            return
        try:
            ready = readiness(self._folder)
            with self._lock:
                if self._cost is not None and self._cost[0] == ready:
                    return
            found = study_cost(self._folder, ready=ready)
        except RetrievalError:
            return
        with self._lock:
            self._cost = (ready, found)

    # -- what is done ---------------------------------------------------------------------------------------------

    def act(self, visit: Visit, sent: object) -> None:
        """Do what the page asks for; everything that changes something goes through here.

        Args:
            visit: of the page.
            sent: as the browser sends it; it may be anything.
        """
        asked = sent if isinstance(sent, Mapping) else {}
        do, of, stamp = (_text(asked.get(name)) for name in ("do", "of", "stamp"))
        try:
            self._site.require_may_write()
            if do in self._requests:
                self._jobs.submit(self._requests[do]())
                visit.told = ""
            elif do == "stop":
                self._stop(_number(of))
            elif do == "label":
                visit.told = self._label(asked, stamp)
            elif do == "undo":
                undo(self._folder, _number(of))
                visit.told = map_cards.render_undone(f"undo-{of}", self._words)
        except Exception as error:
            visit.told = map_cards.render_refused(render_error(error, self._words), stamp)

    def _stop(self, job_id: int) -> None:
        if self._jobs.get(job_id).kind in KINDS:
            self._jobs.cancel(job_id)

    def _label(self, asked: Mapping[str, object], stamp: str) -> str:
        said = self._words.understand
        sent = asked.get("ids")
        ids = [one for one in sent[:MOST_LABELLED] if _is_id(one)] if isinstance(sent, list) else []
        label = _text(asked.get("label")).strip()
        if not ids:
            raise Refused(said.nothing_selected, said.nothing_selected_hint)
        if not label:
            raise Refused(said.no_label_given, said.no_label_given_hint)
        report = labelling.answer(self._folder, dict.fromkeys(ids, label))
        return map_cards.render_given(label, len(set(ids)), report.operation, stamp, self._words)


def _is_of_gallery(job: Job) -> bool:
    return job.kind == "map" or job.request.get("dataset") == "gallery"


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MOST_ID


def _text(value: object) -> str:
    return value[:4096] if isinstance(value, str) else ""


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0
