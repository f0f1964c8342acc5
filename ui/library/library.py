"""From what a person asked of the library to what the page shows; every outcome, errors too, becomes HTML."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from retrieval.core.errors import BadValue, EmptyGallery
from retrieval.workflows import upkeep
from retrieval.workflows.duplicates import kept_groups
from retrieval.workflows.folders import complete_folder, look_at_folder
from retrieval.workflows.jobs import Job, JobRequest, Jobs, State
from retrieval.workflows.jobs.requests import BackupJob, CheckJob, DuplicatesJob, IndexJob, LabelCheckJob, RetryJob
from retrieval.workflows.label_check import enough_to_check
from retrieval.workflows.last_run import last_run
from retrieval.workflows.models import STRONGER
from retrieval.workflows.status import status
from retrieval.workflows.watching import set_watch, watch_of
from ui.library import account_cards, care_cards, doubt_cards, folder_cards, work_cards
from ui.library.doubts import answer_doubt, newest_check
from ui.notices import Refused, render_error, render_notice
from ui.shell.site import Site
from ui.words import Words

T = TypeVar("T")

OWN, FOLDER = "", "folder"
"""Choices of a model beside ``STRONGER``: the one that comes with the program, and one in a folder."""

SHOWN_SECONDS = 600
"""How long the end of a job is told to whoever opens the page."""


@dataclass(frozen=True, slots=True)
class Work:
    """The jobs, as the page shows them.

    Attributes:
        html: what is at work, or how the last work ended; may be empty.
        running: number of the job that can be stopped; 0 for none.
        over: number of the newest job that is over: once it changes, so has the gallery.
    """

    html: str = ""
    running: int = 0
    over: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes of a deed.

    Attributes:
        told: a box that says so.
        ask: a question that has to be answered first.
    """

    told: str = ""
    ask: str = ""


class Library:
    """Asks the workflows and renders what they say.

    Args:
        site: the gallery.
        words: the reader's language.

    Attributes:
        may_write: whether anything may be changed from here. Every deed that changes something goes through ``do``.
    """

    KINDS = ("index", "retry", "duplicates", "label-check", "backup", "check")
    """Jobs whose end is told on this page."""

    def __init__(self, site: Site, words: Words) -> None:
        self._site = site
        self._words = words
        self.may_write = site.may_write and site.gallery is not None
        self._deeds: Mapping[str, Callable[[str], Answer]] = {
            "scan": lambda _: self._submit(IndexJob()),
            "retry": lambda _: self._submit(RetryJob()),
            "ask-remove": self._ask_remove,
            "remove": self._remove,
            "ask-prune": lambda _: self._ask_prune(),
            "prune": lambda _: self._prune(),
            "keep": lambda _: Answer(),
            "watch": lambda value: self._watch(value == "on", None),
            "period": lambda value: self._watch(None, int(value)),
            "twins": lambda _: self._submit(DuplicatesJob()),
            "doubts": lambda _: self._submit(LabelCheckJob()),
            "relabel": lambda value: self._answer_doubt(value, is_right=False),
            "confirm": lambda value: self._answer_doubt(value, is_right=True),
            "check": lambda _: self._submit(CheckJob()),
            "repair": lambda _: self._submit(CheckJob(repair=True)),
            "backup": self._backup,
        }

    @property
    def _gallery(self) -> Path:
        if self._site.gallery is None:
            raise EmptyGallery("Nothing is indexed in the gallery yet.")
        return self._site.gallery

    @property
    def _jobs(self) -> Jobs:
        return self._site.jobs or Jobs(self._gallery)

    # -- looking --------------------------------------------------------------------------------------------------

    def is_new(self) -> bool:
        """Whether nothing was ever indexed: an encoder is yet to be chosen."""
        try:
            return not self._site.searcher.summary().model
        except Exception:
            return False

    def has_folders(self) -> bool:
        """Whether the gallery has any."""
        return self._quietly(lambda: len(upkeep.list_roots(self._gallery)) > 0, False)

    def invitation(self) -> str:
        """The heading over the field for a folder."""
        return folder_cards.render_invitation(self._words, is_first=not self.has_folders())

    def folders(self) -> str:
        """The folders of the gallery."""
        return self._shown(
            lambda: folder_cards.render_folders(upkeep.list_roots(self._gallery), self._words, may_write=self.may_write)
        )

    def account(self) -> str:
        """What became of every file in the last run."""
        return self._shown(lambda: account_cards.render_account(last_run(self._gallery), self._words))

    def failures(self, page: str = "0|") -> str:
        """Files that failed.

        Args:
            page: place of the first one, a bar, and the reason that was chosen; comes from the browser.
        """
        first, _, reason = page.partition("|")
        start = int(first) if first.isascii() and first.isdecimal() and len(first) < 10 else 0
        chosen = reason if reason in self._words.library.reasons else ""
        return self._shown(
            lambda: account_cards.render_failures(
                upkeep.failure_page(self._gallery, start, account_cards.FAILURES, chosen or None),
                chosen,
                self._words,
                may_write=self.may_write,
            )
        )

    def watch(self) -> str:
        """The switch that keeps folders up to date."""
        # A server that only shows does not watch either.
        if not self.may_write or not self.has_folders():
            return ""
        return self._shown(lambda: care_cards.render_watch(watch_of(self._gallery), self._words))

    def twins(self, first: str = "0") -> str:
        """Groups of near-duplicates.

        Args:
            first: place of the first group; comes from the browser.
        """
        if not self.has_folders():
            return ""
        start = int(first) if first.isascii() and first.isdecimal() and len(first) < 10 else 0
        return self._shown(lambda: self._twins(start))

    def _twins(self, first: int) -> str:
        done = (job for job in self._jobs.list() if job.kind == "duplicates" and job.state is State.DONE)
        job = next(done, None)
        groups = [] if job is None else kept_groups(self._jobs.folder(job.id).duplicates)
        addresses, may_write = self._site.addresses, self.may_write
        return care_cards.render_twins(job, groups, first, addresses, self._words, may_write=may_write)

    def doubts(self, turned: str = "", told: str = "") -> str:
        """Labels that may be wrong, and pictures like no other.

        Args:
            turned: see ``doubt_cards.Turned``; comes from the browser.
            told: a box that says what came of the last answer.
        """
        if not self.has_folders():
            return ""
        return self._shown(
            lambda: doubt_cards.render_doubts(
                newest_check(self._gallery, self._jobs),
                doubt_cards.Turned.read(turned),
                self._site.addresses,
                self._words,
                may_write=self.may_write,
                enough=self.may_write and enough_to_check(self._gallery),
                told=told,
            )
        )

    def disk(self) -> str:
        """What each part of the gallery takes."""
        if not self.has_folders():
            return ""
        return self._shown(lambda: care_cards.render_disk(status(self._gallery).bytes, self._words))

    def backup_place(self) -> str:
        """Where a backup would go: a file that is not there yet, beside the gallery."""
        if self._site.gallery is None:
            return ""
        place = self._gallery.absolute().parent
        return str(place / f"retrieval-backup-{time.strftime('%Y%m%d-%H%M%S')}.tar")

    def work(self) -> Work:
        """The jobs as they are now."""
        if self._site.gallery is None:
            return Work()
        none: list[Job] = []
        jobs = self._quietly(lambda: list(self._jobs.list()), none)
        active = [job for job in jobs if not job.state.is_over]
        over = max((job.id for job in jobs if job.state.is_over), default=0)
        if active:
            html = "".join(work_cards.render_running(job, self._words) for job in reversed(active))
            running = next((job.id for job in active if job.state is State.RUNNING and not job.cancelling), 0)
            return Work(html, running or (active[-1].id if active[-1].state is State.QUEUED else 0), over)
        last = next((job for job in jobs if self._is_told(job)), None)
        return Work("" if last is None else self._ended(last), 0, over)

    def _is_told(self, job: Job) -> bool:
        # What nobody asked for is told only where it went wrong.
        if job.request.get("quiet") and job.state is State.DONE:
            return False
        return job.kind in self.KINDS and time.time() - (job.ended or 0) < SHOWN_SECONDS

    def _ended(self, job: Job) -> str:
        findable = self._quietly(lambda: self._site.searcher.summary().images, 0)
        result = job.result or {}
        if job.state is State.DONE and job.kind == "backup":
            return care_cards.render_backup(result, job.id, self._words)
        if job.state is State.DONE and job.kind == "check":
            return care_cards.render_check(result, self._words, may_write=self.may_write)
        return work_cards.render_over(job, findable, self._words)

    def choices(self, typed: str) -> str:
        """Folders that a path may go on with; only for those who may add one."""
        if not self.may_write:
            return ""
        found = complete_folder(typed or os.path.join("~", ""))
        return folder_cards.render_choices(found, typed, self._words)

    def look(self, typed: str) -> tuple[str, str]:
        """(what a folder would cost, the folder's path where it can be added)."""
        if not self.may_write:
            return "", ""
        try:
            look = look_at_folder(self._gallery, typed)
        except Exception as error:
            return render_error(error, self._words), ""
        return folder_cards.render_look(look, self._words), look.path if look.to_read or not look.whole else ""

    # -- changing -------------------------------------------------------------------------------------------------

    def do(self, deed: object, value: object) -> Answer:
        """Do what a control says. Both come from the browser and may be anything; what is unknown does nothing."""
        known = self._deeds.get(deed) if isinstance(deed, str) else None
        if known is None or not self.may_write:
            return Answer()
        try:
            return known(value if isinstance(value, str) else "")
        except Exception as error:
            return Answer(render_error(error, self._words))

    def add(self, path: str, choice: str = OWN, folder: str = "") -> Answer:
        """Index a folder that was looked at.

        Args:
            path: the folder; nothing is done without one.
            choice: which model compares the pictures of a new gallery: ``OWN``, ``STRONGER`` or ``FOLDER``.
            folder: of the model, where that was chosen.
        """
        if not self.may_write or not path:
            return Answer()
        try:
            return self._submit(IndexJob(paths=(path,), model=self._model(choice, folder)))
        except Exception as error:
            return Answer(render_error(error, self._words))

    def _model(self, choice: str, folder: str) -> str | None:
        """The model of a choice. All of it comes from the browser. Raises Refused: there is no such folder."""
        if choice != FOLDER:
            return STRONGER if choice == STRONGER else None
        path = Path(folder.strip()).expanduser()
        if not folder.strip() or not path.is_absolute() or not path.is_dir():
            raise Refused(self._words.library.model_missing, self._words.library.model_missing_hint)
        return str(path)

    def stop(self, job_id: int) -> None:
        """Ask a job to stop."""
        if self.may_write and job_id:
            self._quietly(lambda: self._jobs.cancel(job_id), None)

    def _submit(self, request: JobRequest) -> Answer:
        self._jobs.submit(request)
        return Answer()

    def _answer_doubt(self, value: str, *, is_right: bool) -> Answer:
        return Answer(answer_doubt(self._gallery, self._jobs, value, self._words, is_right=is_right))

    def _watch(self, on: bool | None, minutes: int | None) -> Answer:
        now = watch_of(self._gallery)
        wanted = replace(now, on=now.on if on is None else on, minutes=minutes or now.minutes)
        set_watch(self._gallery, wanted)
        return Answer()

    def _backup(self, target: str) -> Answer:
        path = Path(target.strip()).expanduser()
        if not path.is_absolute():
            raise BadValue("This is not a full path.", "Write it from the root of the drive.")
        return self._submit(BackupJob(target=str(path)))

    def _root(self, value: str) -> upkeep.RootStatus:
        found = [root for root in upkeep.list_roots(self._gallery) if str(root.id) == value]
        if not found:
            raise BadValue("This folder is not in the gallery any more.", "Open the page anew.")
        return found[0]

    def _ask_remove(self, value: str) -> Answer:
        return Answer(ask=folder_cards.render_ask_remove(self._root(value), self._words))

    def _remove(self, value: str) -> Answer:
        forgotten = upkeep.remove_root(self._gallery, Path(self._root(value).path))
        return Answer(render_notice("info", self._words.library.removed.of(forgotten)))

    def _gone(self) -> list[str]:
        return upkeep.missing_files(self._gallery)

    def _ask_prune(self) -> Answer:
        gone = self._gone()
        if not gone:
            return Answer(render_notice("info", self._words.library.nothing_new))
        return Answer(ask=folder_cards.render_ask_prune(gone, self._words))

    def _prune(self) -> Answer:
        forgotten = upkeep.prune(self._gallery, only=set(upkeep.missing_files(self._gallery)))
        return Answer(render_notice("info", self._words.library.pruned.of(forgotten)))

    # -- errors ---------------------------------------------------------------------------------------------------

    def _shown(self, render: Callable[[], str]) -> str:
        if self._site.gallery is None:
            return ""
        try:
            return render()
        except EmptyGallery:
            return ""
        except Exception as error:
            return render_error(error, self._words)

    @staticmethod
    def _quietly(ask: Callable[[], T], otherwise: T) -> T:
        """What is asked for beside the matter; its error is told where the matter is."""
        try:
            return ask()
        except Exception:
            return otherwise
