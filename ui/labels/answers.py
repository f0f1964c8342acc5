"""From what a person asked for to what the page shows: every outcome, errors too, becomes HTML."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from retrieval.core.errors import BadValue, EmptyGallery, RetrievalError
from retrieval.core.text import shown
from retrieval.workflows import labelling
from retrieval.workflows.calibrating import LEAST
from retrieval.workflows.jobs import Job, Jobs
from retrieval.workflows.jobs.requests import AutoLabelsJob
from retrieval.workflows.label_upload import import_upload
from retrieval.workflows.labelling import LEAST_LABELS, PAGE, Progress, Shelf, TilePage
from retrieval.workflows.labels import import_folders, undo
from retrieval.workflows.look_alikes import look_alikes
from retrieval.workflows.questions import next_questions
from ui import cards
from ui.labels.asked import Asked, Look, Tab
from ui.labels.files import render_files, render_sent
from ui.labels.grid import Sheet, open_view, render_busy, render_grid
from ui.labels.groups import render_groups
from ui.labels.head import render_head, render_tabs, told
from ui.labels.questions import render_questions
from ui.labels.work import KIND, Visit, render_work
from ui.notices import Refused, render_error, render_notice, too_large
from ui.shell.site import Site
from ui.words import Words

_NEAR_PAGES = 5
"""How far likeness is followed: beyond, pictures are hardly alike."""

_CHOICES = 500


@dataclass(frozen=True, slots=True)
class Shown:
    """What a change leads to.

    Attributes:
        head: HTML.
        view: HTML; None where it stays.
    """

    head: str
    view: str | None


class LabelAnswers:
    """Asks the workflows and renders what they say.

    Args:
        site: the gallery.
        words: the reader's language.
    """

    def __init__(self, site: Site, words: Words) -> None:
        self._site = site
        self._words = words
        self._views: dict[Tab, Callable[[Look, str], str]] = {
            "pick": self._sheet,
            "groups": self._groups,
            "ask": self._questions,
            "files": lambda look, stamp: render_files(look, self._words, stamp, may_write=site.may_write),
        }
        if not site.may_write:
            del self._views["ask"]
        self._changes: dict[str, Callable[[Asked], str]] = {
            "label": self._label,
            "take": self._take,
            "undo": self._undo,
            "folders": self._folders,
            "too-large": self._refuse,
        }

    @property
    def _folder(self) -> Path:
        if self._site.gallery is None:
            raise EmptyGallery("There is no gallery.")
        return self._site.gallery

    @property
    def _jobs(self) -> Jobs:
        return self._site.jobs or Jobs(self._folder, may_write=self._site.may_write)

    # -- looking ---------------------------------------------------------------------------------------------------

    def head(self, stamp: str = "", notice: str = "", *, done: bool = True) -> str:
        """The head, as of now."""
        try:
            return self._head(self._progress(), stamp, notice, done)
        except Exception as error:
            return self._head(_NOTHING, stamp, render_error(error, self._words), False)

    def _head(self, progress: Progress, stamp: str, notice: str, done: bool) -> str:
        may_write = self._site.may_write
        return render_head(progress, self._words, stamp=stamp, notice=notice, done=done, may_write=may_write)

    def busy(self, look: Look) -> str:
        """What stands there until the answer does."""
        said, may_write = self._words.labels, self._site.may_write
        text = {"groups": said.grouping, "ask": said.asking}.get(look.tab, said.loading)
        return render_busy(look, self._words, text, may_write=may_write)

    def view(self, look: Look, stamp: str = "") -> str:
        """What was asked to be looked at; the pictures in the place of a tab that is not there."""
        look = look if look.tab in self._views else look.but(tab="pick")
        try:
            return self._views[look.tab](look, stamp)
        except EmptyGallery:
            return cards.render_empty_gallery(self._words, may_add=self._site.may_add)
        except Exception as error:
            said = render_error(error, self._words)
            tabs = render_tabs(look.tab, self._words, may_write=self._site.may_write)
            return f"{open_view(look, stamp)}{tabs}{said}</section>"

    def opening(self) -> str:
        """What a visitor sees first: what has no label, or everything where nothing is without or none may be given.

        Its stamp is ``opening``: where the visitor has asked for something else meanwhile, the script asks again.
        """
        if not self._site.may_write:
            return self.view(Look(show="all"), "opening")
        try:
            left = labelling.tile_page(self._folder, Shelf("unlabelled", "", ""), 1).total
        except RetrievalError:
            # The view itself says what is wrong.
            left = 1
        return self.view(Look(show="unlabelled" if left else "all"), "opening")

    def work(self, visit: Visit) -> str:
        """HTML of the automatic labelling that runs now, or that this visit has seen run; empty for none."""
        try:
            newest = self._newest()
        except Exception as error:
            return render_error(error, self._words)
        if newest is None or (newest.state.is_over and newest.id != visit.job):
            return ""
        visit.job, visit.is_over = newest.id, newest.state.is_over
        site = self._site
        return render_work(newest, self._words, may_write=site.may_write, shows_paths=site.shows_paths)

    def _newest(self) -> Job | None:
        if self._site.gallery is None:
            return None
        return next((job for job in self._jobs.list() if job.kind == KIND), None)

    def _progress(self) -> Progress:
        try:
            return labelling.progress(self._folder)
        except EmptyGallery:
            return _NOTHING

    def _sheet(self, look: Look, stamp: str) -> str:
        progress = self._progress()
        if not progress.images:
            return cards.render_empty_gallery(self._words, may_add=self._site.may_add)
        real = {shown(label): label for label, _ in progress.labels}
        shelf = Shelf(look.show, real.get(look.label, look.label), self._under(look))
        page = self._near(shelf, look) if look.near else labelling.tile_page(self._folder, shelf, look.page)
        choices = [(shown(label), images) for label, images in progress.labels[:_CHOICES]]
        sheet = Sheet(look.but(page=page.number), page.tiles, page.pages, page.total, choices)
        return render_grid(sheet, self._site.addresses, self._words, stamp, may_write=self._site.may_write)

    def _groups(self, look: Look, stamp: str) -> str:
        # The page is the seed: another one gives other groups.
        found = look_alikes(self._folder, under=self._under(look), seed=look.page)
        ids = [image_id for group in found.groups for image_id in group]
        known = {tile.id: tile for tile in labelling.tiles(self._folder, ids)}
        addresses, may_write = self._site.addresses, self._site.may_write
        return render_groups(found, known, look, addresses, self._words, stamp, may_write=may_write)

    def _questions(self, look: Look, stamp: str) -> str:
        try:
            asked = next_questions(self._folder, seed=look.page)
        except BadValue:
            said = self._words.labels
            text = said.too_few_text.format(least=LEAST, labels=LEAST_LABELS)
            notice = render_notice("info", said.too_few, text)
            return f"{open_view(look, stamp)}{render_tabs(look.tab, self._words)}{notice}</section>"
        ids = [one.image_id for one in asked.questions]
        known = {tile.id: tile for tile in labelling.tiles(self._folder, ids)}
        return render_questions(asked, known, look, self._site.addresses, self._words, stamp)

    def _near(self, shelf: Shelf, look: Look) -> TilePage:
        found = self._site.searcher.by_id(look.near, PAGE * _NEAR_PAGES, shelf.filters())
        ids = [one.id for one in found.neighbours]
        pages = max(1, -(-len(ids) // PAGE))
        number = min(look.page, pages)
        tiles = labelling.tiles(self._folder, ids[(number - 1) * PAGE : number * PAGE])
        return TilePage(tiles, number, pages, found.searched)

    def _under(self, look: Look) -> str:
        if not look.under:
            return ""
        path = Path(look.under).expanduser()
        if not path.is_absolute():
            said = self._words.search
            raise Refused(said.relative_folder.format(folder=shown(look.under, 60)), said.relative_folder_hint)
        return str(path)

    # -- changing --------------------------------------------------------------------------------------------------

    def change(self, asked: Asked, visit: Visit | None = None) -> Shown:
        """Do what was asked, and say so. A request that cannot be leaves everything as it was.

        Args:
            asked: by the page.
            visit: of the page; it follows the job that this begins.
        """
        change = partial(self._auto, visit or Visit()) if asked.do == "auto" else self._changes.get(asked.do)
        head, done = self._write(asked.stamp, lambda: "" if change is None else change(asked))
        # What was worked out is not worked out again for every answer: the script puts away what was answered.
        view = self.view(asked.look, asked.stamp) if done and asked.look.tab == "pick" else None
        return Shown(head, view)

    def send(self, file: str | None) -> Shown:
        """Take the labels of a table that was uploaded."""
        words = self._words
        head, _ = self._write("", lambda: render_sent(import_upload(self._folder, self._content(file)), words))
        return Shown(head, None)

    def _write(self, stamp: str, change: Callable[[], str]) -> tuple[str, bool]:
        """(the head after a change, whether it was made): every change that the page makes is made here."""
        try:
            self._site.require_may_write()
            notice = change()
        except Exception as error:
            return self.head(stamp, render_error(error, self._words), done=False), False
        return self.head(stamp, notice), True

    def _label(self, asked: Asked) -> str:
        said = self._words.labels
        if not asked.answers:
            raise Refused(said.nothing_selected, said.nothing_selected_hint)
        if not all(label for _, label in asked.answers):
            raise Refused(said.no_label_given, said.no_label_given_hint)
        labelling.answer(self._folder, dict(asked.answers))
        return ""

    def _take(self, asked: Asked) -> str:
        if not asked.answers:
            raise Refused(self._words.labels.nothing_selected, self._words.labels.nothing_selected_hint)
        # Where one label is looked at it is that one that goes.
        only = asked.look.label if asked.look.show == "label" else None
        labelling.take_away(self._folder, [image_id for image_id, _ in asked.answers], only)
        return ""

    def _auto(self, visit: Visit, _: Asked) -> str:
        newest = self._newest()
        # One that waits or runs does what is asked for.
        job = self._jobs.submit(AutoLabelsJob()) if newest is None or newest.state.is_over else newest
        visit.job, visit.is_over = job.id, False
        return ""

    def stop(self, number: int) -> None:
        """Stop the automatic labelling, where ``number`` is one; nothing happens where it may not, or is none."""
        if self._site.may_write and any(job.id == number and job.kind == KIND for job in self._jobs.list()):
            self._jobs.cancel(number)

    def _folders(self, _: Asked) -> str:
        said, report = self._words.labels, import_folders(self._folder)
        return render_notice("info", said.folders_done.of(report.added))

    def _content(self, file: str | None) -> bytes:
        limit = self._site.max_upload_bytes
        if file is None:
            raise Refused(self._words.labels.no_table, about_file=False)
        with open(file, "rb") as table:
            content = table.read(limit + 1)
        if len(content) > limit:
            raise self._too_large()
        return content

    def _too_large(self) -> Refused:
        said = too_large(self._site.max_upload_bytes, self._words)
        # It is no picture that was to be searched with.
        return Refused(said.text, said.hint)

    def _refuse(self, _: Asked) -> str:
        """The page's script has not sent a table, since it is too large."""
        raise self._too_large()

    def _undo(self, asked: Asked) -> str:
        last = self._progress().last
        if last is None or (asked.operation and asked.operation != last.operation):
            # Somebody else was quicker: what would be taken back now is not what was read.
            return ""
        undo(self._folder, last.operation)
        return render_notice("info", self._words.labels.undone.format(change=told(last, self._words)))


_NOTHING = Progress(0, 0, 0, (), (), "index", (), None)
