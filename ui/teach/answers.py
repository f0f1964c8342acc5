"""What the page asks of the workflows: every outcome, errors too, becomes pieces of HTML."""

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from retrieval.core.errors import EmptyGallery, RetrievalError
from retrieval.workflows.jobs import Job, JobRequest, Jobs, State, request_from
from retrieval.workflows.lesson_cost import LessonCost, lesson_cost
from retrieval.workflows.lessons import Lesson, read_lesson, run_of
from retrieval.workflows.model_cards import SpaceCard, space_cards
from retrieval.workflows.readiness import Readiness, readiness
from retrieval.workflows.recipes import RECIPES, load_recipe
from retrieval.workflows.spaces import drop_space, rollback
from retrieval.workflows.switching import SwitchReport, switch
from ui.markup import escape
from ui.notices import Refused, render_error, render_notice
from ui.shell.site import Site
from ui.teach import choose, models, proof, watch
from ui.words import Words

KINDS = ("train", "switch", "calibrate")
"""Jobs that this page shows, stops and resumes."""

_CHANGES = frozenset({"stop", "resume", "switch-now", "force-now", "back-now", "drop-now", "calibrate"})
"""What buttons say that change something."""

PIECES = ("notice", "ready", "choose", "watch", "live", "log", "proof", "switch", "models")

Found = TypeVar("Found")


@dataclass
class Visit:
    """What one open page has asked for; lives as long as it.

    Attributes:
        recipe: of the card that is chosen.
        exact: another recipe for the deep lesson; empty for the usual one.
        epochs: at most; 0 leaves it to the recipe.
        ask: the question that is open: ``"switch"``, ``"force"``, ``"back"``, ``"drop:FINGERPRINT"`` or none.
        of: the encoder's fingerprint that a switch is asked about.
        costs: of that switch.
        notice: HTML.
        shown: the pieces as the browser has them.
    """

    recipe: str = choose.QUICK
    exact: str = ""
    epochs: int = 0
    ask: str = ""
    of: str = ""
    costs: SwitchReport | None = None
    notice: str = ""
    shown: dict[str, str] = field(default_factory=dict)

    def ask_for(self, question: str = "", of: str = "") -> None:
        """Open a question, in the place of one that was."""
        self.ask, self.of, self.costs = question, of, None


class _Kept:
    """The last answer to a question, as long as what it depends on stays."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Hashable, Any]] = {}
        self._lock = threading.Lock()

    def get(self, name: str, key: Hashable, ask: Callable[[], Found]) -> Found:
        with self._lock:
            known = self._known.get(name)
        if known is not None and known[0] == key:
            found: Found = known[1]
            return found
        found = ask()
        with self._lock:
            self._known[name] = (key, found)
        return found

    def forget(self) -> None:
        with self._lock:
            self._known.clear()


class Teaching:
    """The page's answers for one gallery in one language.

    Args:
        site: the gallery.
        words: the reader's language.
    """

    def __init__(self, site: Site, words: Words) -> None:
        self._site = site
        self._words = words
        self._kept = _Kept()
        self._costs: dict[tuple[Hashable, ...], LessonCost | None] = {}

    @property
    def _folder(self) -> Path:
        assert self._site.gallery is not None
        return self._site.gallery

    @property
    def _jobs(self) -> Jobs:
        assert self._site.jobs is not None
        return self._site.jobs

    # -- what there is to see -------------------------------------------------------------------------------------

    def arrive(self) -> None:
        """Somebody opens the page: labels may have changed since."""
        self._kept.forget()

    def pieces(self, visit: Visit) -> dict[str, str]:
        """All pieces as they are now; see ``PIECES``."""
        try:
            return self._pieces(visit)
        except EmptyGallery:
            nothing = choose.render_nothing(self._words, may_add=self._site.may_add)
            return dict.fromkeys(PIECES, "") | {"notice": nothing}
        except Exception as error:
            return {name: visit.shown.get(name, "") for name in PIECES} | {"notice": render_error(error, self._words)}

    def _pieces(self, visit: Visit) -> dict[str, str]:
        words, jobs = self._words, [job for job in self._jobs.list() if job.kind in KINDS]
        state = (self._site.searcher.summary(), tuple((job.id, job.state) for job in jobs))
        ready = self._kept.get("ready", state[0], lambda: readiness(self._folder))
        lesson, number = self._kept.get("lesson", state, lambda: self._lesson(jobs))
        cards = self._kept.get("models", state, lambda: space_cards(self._folder))
        newest = jobs[0] if jobs else None
        events = self._jobs.events(newest.id)[0] if newest is not None else []
        is_busy, may_write = any(not job.state.is_over for job in jobs), self._site.may_write
        choice = "" if ready.lack or not may_write else self._choice(visit, ready)
        return {
            "notice": visit.notice,
            "ready": choose.render_ready(ready, words, may_write=may_write),
            "choose": choice,
            "watch": watch.render_watch(newest, words, may_write=may_write),
            "live": watch.render_live(newest, events, words),
            "log": watch.render_log(events, words),
            "proof": proof.render_no_proof(words)
            if lesson is None
            else proof.render_proof(lesson, number, self._site.addresses, words),
            "switch": self._switch(visit, lesson, cards, jobs),
            "models": models.render_models(cards, visit.ask, is_busy, words, may_write=may_write),
        }

    def _choice(self, visit: Visit, ready: Readiness) -> str:
        return choose.render_choice(visit.recipe, self._known_costs(visit, ready), self._words)

    def _switch(self, visit: Visit, lesson: Lesson | None, cards: list[SpaceCard], jobs: list[Job]) -> str:
        switching = any(job.kind == "switch" and not job.state.is_over for job in jobs)
        can_go_back, may_write = any(card.space.back for card in cards), self._site.may_write
        return models.render_switch(
            lesson, visit.ask, visit.costs, can_go_back, switching, self._words, may_write=may_write
        )

    def _lesson(self, jobs: list[Job]) -> tuple[Lesson | None, int]:
        """The newest that has ended, and the number of its job."""
        for job in jobs:
            run = run_of(self._folder, job) if job.kind == "train" and job.state is State.DONE else None
            if run is not None and job.request.get("dataset") == "gallery":
                try:
                    return read_lesson(self._folder, run), job.id
                except EmptyGallery:
                    raise
                except RetrievalError:
                    # Its folder was deleted: an older one may be there.
                    continue
        return None, 0

    # -- costs ----------------------------------------------------------------------------------------------------

    def measure(self, visit: Visit) -> None:
        """Look at what the lessons would cost, where that is not known and they are offered; takes seconds."""
        if not self._site.may_write:
            return
        try:
            ready = readiness(self._folder)
        except RetrievalError:
            return
        for card in (choose.QUICK, choose.DEEP):
            key = self._cost_key(card, visit, ready)
            if ready.lack is None and key not in self._costs:
                try:
                    recipe = load_recipe(self._recipe(card, visit), _settings(visit))
                    self._costs[key] = lesson_cost(self._folder, recipe, ready=ready)
                except RetrievalError:
                    self._costs[key] = None

    def _known_costs(self, visit: Visit, ready: Readiness) -> dict[str, LessonCost | None]:
        keys = {card: self._cost_key(card, visit, ready) for card in (choose.QUICK, choose.DEEP)}
        return {card: self._costs[key] for card, key in keys.items() if key in self._costs}

    def _cost_key(self, card: str, visit: Visit, ready: Readiness) -> tuple[Hashable, ...]:
        return (self._recipe(card, visit), visit.epochs, ready, self._site.searcher.summary().fingerprint)

    @staticmethod
    def _recipe(card: str, visit: Visit) -> str:
        return visit.exact if card == choose.DEEP and visit.exact in RECIPES else card

    # -- what is done ---------------------------------------------------------------------------------------------

    def start(self, visit: Visit) -> None:
        """Begin the lesson that is chosen."""
        name = self._recipe(visit.recipe, visit)
        self._said(visit, lambda: self._submit("train", {"recipe": name, "settings": _settings(visit)}))

    def act(self, visit: Visit, do: str, of: str) -> None:
        """Do what a button says; everything that changes something goes through here or ``start``.

        Args:
            visit: of the page.
            do, of: as the browser sends them; they may be anything.
        """
        known: dict[str, Callable[[], object]] = {
            "choose": lambda: self._choose(visit, of),
            "stop": lambda: self._jobs.cancel(self._job(of).id),
            "resume": lambda: self._jobs.resume(self._job(of).id),
            "leave": visit.ask_for,
            "ask-switch": lambda: visit.ask_for("switch", of),
            "ask-force": lambda: visit.ask_for("force", of),
            "ask-back": lambda: visit.ask_for("back"),
            "ask-drop": lambda: visit.ask_for(f"drop:{of}"),
            "switch-now": lambda: self._switch_to(visit, of, force=False),
            "force-now": lambda: self._switch_to(visit, of, force=True),
            "back-now": lambda: self._go_back(visit),
            "drop-now": lambda: self._drop(visit, of),
            "calibrate": lambda: self._submit("calibrate", {}),
        }
        if do in known:
            self._said(visit, partial(self._permitted, do, known[do]))

    def _permitted(self, do: str, deed: Callable[[], object]) -> None:
        if do in _CHANGES:
            self._site.require_may_write()
        deed()

    def estimate(self, visit: Visit) -> None:
        """Look at the costs of the switch that is asked about; takes seconds."""
        if visit.ask not in ("switch", "force") or visit.costs is not None:
            return
        of = visit.of

        def look() -> None:
            found = switch(self._folder, self._target(of), estimate_only=True)
            if visit.of == of and visit.ask in ("switch", "force"):
                visit.costs = found
                visit.ask = "force" if found.refusals else visit.ask

        self._said(visit, look)
        if visit.costs is None and visit.notice:
            visit.ask_for()

    def _said(self, visit: Visit, do: Callable[[], object]) -> None:
        visit.notice = ""
        try:
            do()
        except Exception as error:
            visit.notice = render_error(error, self._words)

    def _submit(self, kind: str, values: dict[str, Any]) -> None:
        request: JobRequest = request_from(kind, values)
        self._jobs.submit(request)

    def _choose(self, visit: Visit, of: str) -> None:
        if of in (choose.QUICK, choose.DEEP):
            visit.recipe = of

    def _job(self, of: str) -> Job:
        job = self._jobs.get(int(of) if of.isascii() and of.isdecimal() and len(of) < 16 else 0)
        if job.kind not in KINDS:
            raise Refused(self._words.teach.no_such_job, self._words.teach.anew)
        return job

    def _target(self, of: str) -> str:
        """What a switch takes. A browser names fingerprints only, and only such as are here: never a path."""
        lesson, number = self._lesson([job for job in self._jobs.list() if job.kind in KINDS])
        if lesson is not None and of == lesson.result:
            run = run_of(self._folder, self._jobs.get(number))
            assert run is not None
            return str(run)
        return self._space(of)

    def _space(self, of: str) -> str:
        if of not in {card.space.fingerprint for card in space_cards(self._folder)}:
            raise Refused(self._words.teach.no_such_model, self._words.teach.anew)
        return of

    def _switch_to(self, visit: Visit, of: str, *, force: bool) -> None:
        model = self._target(of)
        # A double click, or another visitor: what is on its way already needs no second one, which could only fail.
        on_the_way = [job for job in self._jobs.list() if job.kind == "switch" and not job.state.is_over]
        if not any(job.request.get("model") == model for job in on_the_way):
            self._submit("switch", {"model": model, "force": force})
        visit.ask_for()

    def _go_back(self, visit: Visit) -> None:
        rollback(self._folder)
        self._changed(visit, self._words.teach.went_back)

    def _drop(self, visit: Visit, of: str) -> None:
        drop_space(self._folder, self._space(of))
        self._changed(visit, self._words.teach.dropped)

    def _changed(self, visit: Visit, text: str) -> None:
        self._kept.forget()
        visit.ask_for()
        visit.notice = render_notice("info", text)


def _settings(visit: Visit) -> dict[str, Any]:
    return {"epochs": visit.epochs} if visit.epochs > 0 else {}


def render_lead(words: Words) -> str:
    """What the page is for; there before the first answer."""
    return f'<p class="teach-lead">{escape(words.teach.lead)}</p>'
