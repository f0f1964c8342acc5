"""The library page: its components, and which action asks which answer."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from retrieval.workflows.models import STRONGER, STRONGER_BYTES
from ui.library.controls import PASS_ON
from ui.library.folder_cards import render_looking
from ui.library.library import FOLDER, OWN, Answer, Library
from ui.markup import file_size
from ui.shell.site import Site
from ui.words import Words

_EVERY_SECONDS = 2.0

_Updates = dict[Any, Any]


class LibraryPage:
    """Builds the page for one gallery, in one language, within the Blocks of the application.

    Args:
        site: the gallery.
        words: the language.
        blocks: of the application.
    """

    def __init__(self, site: Site, words: Words, blocks: gr.Blocks) -> None:
        self._words = words
        self._library = Library(site, words)
        with gr.Column(elem_id="library"):
            self._lay_out()
        self._connect(blocks)

    # -- what there is to see --------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        said = self._words.library
        self.work = _html("library-work")
        self.stop = gr.Button(said.stop, visible=False, elem_id="library-stop", size="sm")
        self.told = _html("library-told")
        self.ask = _html("library-ask")
        with gr.Column(elem_id="library-add", visible=self._library.may_write):
            self.invitation = _html("library-invitation")
            self.path = gr.Textbox(
                "",
                label=said.path,
                info=said.path_info,
                placeholder=said.path_example,
                max_lines=1,
                elem_id="library-path",
            )
            self.choices = _html("library-choices")
            with gr.Column(visible=False, elem_id="library-encoder") as self.encoder:
                size = file_size(STRONGER_BYTES, self._words)
                choices = [(said.model_own, OWN), (said.model_stronger.format(size=size), STRONGER)]
                self.model = gr.Radio(
                    [*choices, (said.model_folder, FOLDER)],
                    value=OWN,
                    label=said.model,
                    info=said.model_info,
                    elem_id="library-model",
                )
                self.model_path = gr.Textbox(
                    "",
                    label=said.model_path,
                    info=said.model_path_info,
                    placeholder=said.model_path_example,
                    max_lines=1,
                    visible=False,
                    elem_id="library-model-path",
                )
            self.look = gr.Button(said.look, variant="primary", elem_id="library-look")
            self.looked = _html("library-looked")
            self.add = gr.Button(said.add, variant="primary", visible=False, elem_id="library-add-it")
        self.folders = _html("library-folders")
        self.watch = _html("library-watch")
        self.account = _html("library-account")
        self.failures = _html("library-failures")
        self.twins = _html("library-twins")
        self.doubts = _html("library-doubts")
        with gr.Column(elem_id="library-care", visible=False) as self.care:
            self.disk = _html("library-disk")
            self.check = gr.Button(said.check, visible=self._library.may_write, elem_id="library-check")
            self.target = gr.Textbox(
                "",
                label=said.backup_to,
                info=said.backup_info,
                max_lines=1,
                visible=self._library.may_write,
                elem_id="library-target",
            )
            self.backup = gr.Button(said.backup, visible=self._library.may_write, elem_id="library-backup")
        self.chosen: gr.State = gr.State("")
        self.seen: gr.State = gr.State(None)
        self.timer = gr.Timer(_EVERY_SECONDS)

    # -- what happens ----------------------------------------------------------------------------------------------

    @property
    def _pieces(self) -> list[Any]:
        heads = [self.invitation, self.encoder, self.folders, self.watch, self.account, self.failures]
        return [*heads, self.twins, self.doubts, self.care, self.disk, self.target]

    @property
    def _job(self) -> list[gr.components.Component]:
        return [self.work, self.stop, self.seen]

    def _connect(self, blocks: gr.Blocks) -> None:
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        everything = [*self._pieces, *self._job, self.told, self.ask]
        blocks.load(self._show, outputs=[*self._pieces, *self._job, self.choices], **quiet)
        self.timer.tick(self._on_tick, [self.seen], everything, **quiet)
        self.stop.click(self._on_stop, [self.seen], self._job, **quiet)
        for piece in (self.work, self.folders, self.watch, self.failures, self.twins, self.doubts, self.ask):
            piece.select(self._on_deed, [self.seen], everything, trigger_mode="multiple", **quiet)
        self.check.click(self._on_check, [self.seen], everything, **quiet)
        self.backup.click(self._on_backup, [self.target, self.seen], everything, **quiet)
        fresh = [self.choices, self.looked, self.look, self.add, self.chosen]
        self.path.change(self._on_typed, [self.path], fresh, trigger_mode="always_last", **quiet)
        self.choices.select(self._on_choice, None, [self.path], trigger_mode="multiple", **quiet)
        looking = [self.looked, self.look, self.add, self.chosen, self.choices]
        gr.on([self.look.click, self.path.submit], self._on_look, [self.path], looking, **quiet)
        added = [*everything, self.path]
        self.model.change(self._on_model, [self.model], [self.model_path], **quiet)
        self.add.click(self._on_add, [self.chosen, self.model, self.model_path, self.seen], added, **quiet)

    def _show(self) -> _Updates:
        return {**self._all(), **self._at_work(None), self.choices: self._library.choices("")}

    def _all(self) -> _Updates:
        library = self._library
        return {
            self.invitation: library.invitation(),
            self.encoder: gr.update(visible=library.is_new()),
            self.folders: library.folders(),
            self.account: library.account(),
            self.failures: library.failures(),
            self.watch: library.watch(),
            self.twins: library.twins(),
            self.doubts: library.doubts(),
            self.care: gr.update(visible=library.has_folders()),
            self.disk: library.disk(),
            self.target: library.backup_place(),
        }

    def _at_work(self, seen: Any) -> _Updates:
        """The jobs; nothing where they are as they were, so that nobody's place on the page is lost."""
        work = self._library.work()
        now = [work.html, work.running, work.over]
        if now == seen:
            return {self.seen: gr.skip()}
        may_stop = bool(work.running) and self._library.may_write
        return {self.work: work.html, self.stop: gr.update(visible=may_stop), self.seen: now}

    def _on_tick(self, seen: Any) -> _Updates:
        updates = self._at_work(seen)
        now = updates[self.seen]
        if isinstance(now, list) and isinstance(seen, list) and now[2] != seen[2]:
            updates |= self._all()
        return updates

    def _on_stop(self, seen: Any) -> _Updates:
        self._library.stop(seen[1] if isinstance(seen, list) else 0)
        return self._at_work(seen)

    def _on_deed(self, event: gr.EventData, seen: Any) -> _Updates:
        deed, value = _said(event)
        if deed == "failures":
            return {self.failures: self._library.failures(value)}
        if deed == "twins-page":
            return {self.twins: self._library.twins(value)}
        if deed == "doubts-page":
            return {self.doubts: self._library.doubts(value)}
        if deed == "outliers-page":
            return {self.doubts: self._library.doubts("|".join(reversed(value.split("|"))))}
        answer = self._library.do(deed, value)
        if deed in ("relabel", "confirm"):
            # The next one is where this one was: the rest of the page stays as it is.
            return {self.doubts: self._library.doubts(value.split("|", 2)[-1], answer.told)}
        return self._after(answer, seen)

    def _on_check(self, seen: Any) -> _Updates:
        return self._after(self._library.do("check", ""), seen)

    def _on_backup(self, target: str, seen: Any) -> _Updates:
        return self._after(self._library.do("backup", target), seen)

    def _after(self, answer: Answer, seen: Any) -> _Updates:
        shown = {self.told: answer.told, self.ask: answer.ask, **self._at_work(seen)}
        return shown if answer.ask else {**shown, **self._all()}

    def _fresh(self, typed: str) -> _Updates:
        """A path that has not been looked at."""
        return {
            self.choices: self._library.choices(typed),
            self.looked: "",
            **self._offered(""),
            self.chosen: "",
        }

    def _offered(self, path: str) -> _Updates:
        """The two buttons: what is to be pressed next stands out, and nothing else does."""
        return {
            self.look: gr.update(variant="secondary" if path else "primary"),
            self.add: gr.update(visible=bool(path)),
        }

    def _on_typed(self, typed: str) -> _Updates:
        return self._fresh(typed)

    def _on_choice(self, event: gr.EventData) -> _Updates:
        _, path = _said(event)
        return {self.path: path}

    def _on_look(self, typed: str) -> Iterator[_Updates]:
        yield {self.looked: render_looking(self._words), **self._offered(""), self.choices: ""}
        html, path = self._library.look(typed)
        yield {self.looked: html, **self._offered(path), self.chosen: path}

    def _on_model(self, choice: str | None) -> _Updates:
        return {self.model_path: gr.update(visible=choice == FOLDER)}

    def _on_add(self, chosen: str, choice: str | None, folder: str | None, seen: Any) -> _Updates:
        answer = self._library.add(chosen, choice or OWN, folder or "")
        # What was refused can be mended and asked for once more.
        return {**self._after(answer, seen), **({} if answer.told else {self.path: ""})}


def _said(event: gr.EventData) -> tuple[str, str]:
    """(deed, value) of a control; they come from the browser."""
    data = event._data if isinstance(event._data, dict) else {}
    deed, value = data.get("do"), data.get("value")
    return (deed if isinstance(deed, str) else "", value if isinstance(value, str) else "")


def _html(elem_id: str) -> gr.HTML:
    """A piece of the page whose look is all ours."""
    return gr.HTML("", elem_id=elem_id, elem_classes=["lib-piece"], js_on_load=PASS_ON, apply_default_css=False)
