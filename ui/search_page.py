"""The search page: its components, and which action asks which answer."""

import base64
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import gradio as gr

from retrieval.core.errors import RetrievalError
from ui import cards
from ui.answers import SAMPLES, Answers
from ui.asking import Asked, Nonsense, Picture, a_key, a_number, acted, added, similar_to
from ui.links import read_link
from ui.notices import Refused
from ui.options import MOST, Options
from ui.photo import PhotoInput
from ui.shell.site import Site
from ui.words import ENGLISH, Words

# Every button of ours says what it does in its data; what other scripts ask for arrives as an event of the document.
_CLICKS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-similar], [data-do]');
  if (!button || button.disabled) return;
  const { similar, ...action } = button.dataset;
  trigger('select', similar ? { do: 'similar', id: similar } : action);
});
"""
# An address that names a search is one more click.
_LINKED = """
if (/[?&]like=/.test(location.search)) setTimeout(() => trigger('select', { do: 'link', query: location.search }), 0);
"""
_ASKED = """
document.addEventListener('retrieval:do', (event) => trigger('select', event.detail));
document.addEventListener('retrieval:too-large', () => trigger('select', { do: 'too-large' }));
"""

_OPTIONS = tuple(field.name for field in fields(Options))
# Every output that is left as it is costs Gradio milliseconds, so each event has those that it may change, and no more.
_ANSWER = ("results", "asked", "browsed", "history", "known")
_PIECES = (*_ANSWER, "photo", "match")
_LINK = (*_PIECES, *_OPTIONS)
_Updates = tuple[Any, ...]


class SearchPage:
    """Builds the page for one gallery, in one language, within the Blocks of the application.

    Args:
        site: the gallery.
        words: the language.
        blocks: of the application.
    """

    def __init__(self, site: Site, words: Words, blocks: gr.Blocks) -> None:
        self._words = words
        self._shows_paths = site.shows_paths
        # Judgements and uploads are kept in the gallery's folder, by those who may write there.
        kept = site.gallery if site.may_write else None
        self._answers = Answers(site.searcher, site.addresses, site.max_upload_bytes, words, kept, may_add=site.may_add)
        # What a program is told does not depend on whose browser is open.
        self._for_programs = Answers(site.searcher, site.addresses, site.max_upload_bytes, ENGLISH)
        self._lay_out()
        self._connect(blocks)
        self._offer_api()

    # -- what there is to see --------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        with gr.Row(elem_id="desk", equal_height=False):
            with gr.Column(elem_id="query-pane", scale=0, min_width=320):
                self._lay_out_query()
            with gr.Column(elem_id="answer-pane", scale=1, min_width=320):
                self.samples = _html(cards.render_samples_skeleton(SAMPLES), "samples", _CLICKS)
                self.history = _html("", "history", _CLICKS)
                self.browsed = _html("", "browse", _CLICKS)
                self.results = _html("", "results", _CLICKS + _ASKED)
                self.match = _html("", "match", _LINKED)
        self.asked: gr.State = gr.State(None)
        # Whether the gallery holds anything, as far as this page shows it.
        self.known: gr.State = gr.State(True)

    def _lay_out_query(self) -> None:
        said = self._words.search
        self.photo = PhotoInput(
            label=said.photo,
            type="filepath",
            sources=["upload", "webcam", "clipboard"],
            buttons=[],
            height=228,
            elem_id="photo",
            show_label=False,
            alt_text=said.photo,
            placeholder=f"# {said.drop_photo}",
        )
        self.add = gr.Checkbox(False, label=self._words.refine.add_photo, elem_id="add-photo", container=False)
        with gr.Accordion(said.options, open=True, elem_id="options"):
            self.k = gr.Slider(1, MOST, value=12, step=1, label=said.how_many, buttons=[])
            self.keep = gr.Dropdown([], value=[], multiselect=True, label=said.only_labels)
            self.drop = gr.Dropdown([], value=[], multiselect=True, label=said.without_labels)
            self.under = gr.Textbox(
                "", label=said.in_folder, placeholder=said.folder_example, max_lines=1, visible=self._shows_paths
            )
            self.min_score = gr.Slider(
                0, 1, value=0, step=0.05, label=said.min_score, info=said.min_score_info, buttons=[]
            )
            self._lay_out_bounds()
        self.again = gr.Button(said.again, variant="primary", elem_id="again")

    def _lay_out_bounds(self) -> None:
        said = self._words.refine
        with gr.Accordion(said.more_filters, open=False, elem_id="bounds"):
            self.after = gr.Textbox("", label=said.after, placeholder=said.date_example, max_lines=1)
            self.before = gr.Textbox("", label=said.before, placeholder=said.date_example, max_lines=1)
            self.min_side = gr.Number(None, label=said.min_side, minimum=0, precision=0)
            self.max_side = gr.Number(None, label=said.max_side, minimum=0, precision=0)
            self.min_size = gr.Textbox("", label=said.min_size, placeholder=said.size_example, max_lines=1)
            self.max_size = gr.Textbox("", label=said.max_size, placeholder=said.size_example, max_lines=1)

    # -- what happens ----------------------------------------------------------------------------------------------

    @property
    def _options(self) -> list[gr.components.Component]:
        plain = [self.k, self.keep, self.drop, self.under, self.min_score]
        return [*plain, self.after, self.before, self.min_side, self.max_side, self.min_size, self.max_size]

    @property
    def _front(self) -> list[gr.components.Component]:
        return [self.samples, self.keep, self.drop]

    def _named(self, pieces: tuple[str, ...]) -> list[gr.components.Component]:
        """The components by the names of ``_LINK``."""
        return [self._options[_OPTIONS.index(name)] if name in _OPTIONS else getattr(self, name) for name in pieces]

    def _connect(self, blocks: gr.Blocks) -> None:
        blocks.load(
            self._show_first,
            outputs=[self.history, self.known, *self._front],
            api_visibility="private",
            show_progress="hidden",
        )
        search: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        # The gallery came to life, or has died.
        self.known.change(self._show_front, None, self._front, **search)
        photo = [self.photo, self.add, self.asked, self.known, *self._options]
        self.photo.input(self._on_photo, photo, self._named(_ANSWER), **search)
        acted = [self.asked, self.known, *self._options]
        for clicked in (self.samples, self.history, self.browsed, self.results):
            clicked.select(self._on_act, acted, self._named(_PIECES), trigger_mode="multiple", **search)
        self.match.select(self._on_link, [self.known], self._named(_LINK), **search)
        again = [self.photo, self.asked, self.known, *self._options]
        submitted = [one.submit for one in (self.under, self.after, self.before, self.min_size, self.max_size)]
        gr.on([self.again.click, *submitted], self._on_again, again, self._named(_ANSWER), **search)

    def _show_first(self) -> _Updates:
        return (self._answers.history(), self._answers.alive(), *self._show_front())

    def _show_front(self) -> _Updates:
        front = self._answers.front()
        choices = [gr.update(choices=front.choices), gr.update(choices=front.choices)]
        return (front.samples, *choices)

    def _on_photo(
        self, file: str | None, add: bool, asked: Asked | None, known: bool, *options: Any
    ) -> Iterator[_Updates]:
        if file is None:
            # Where the next photo is one more example, the one before is taken away only to make room for it.
            yield _updates(_ANSWER) if add else _updates(_ANSWER, results="", asked=None)
            return
        chosen = Options(*options)
        picture = self._answers.uploaded(file)
        now = added(asked, picture) if add and asked is not None else Asked((picture,))
        yield self._searching(_ANSWER, chosen, asked=now)
        yield self._found(_ANSWER, self._answers.answer(now, chosen), now, known)
        # After the answer, which need not wait for it.
        if self._answers.remember(picture):
            yield _updates(_ANSWER, history=self._answers.history())

    def _on_act(
        self, event: gr.EventData, request: gr.Request, asked: Asked | None, known: bool, *options: Any
    ) -> Iterator[_Updates]:
        action = event._data if isinstance(event._data, dict) else {}
        aside = self._aside(action, asked)
        if aside is not None:
            yield aside
            return
        chosen, does = Options(*options), action.get("do")
        try:
            now = self._after(asked, action)
        except (Nonsense, RetrievalError) as error:
            yield self._found(_PIECES, self._answers.said(error), asked, known)
            return
        if now is None:
            yield _updates(_PIECES, results="", asked=None, photo=None)
            return
        refused = ""
        if does == "judge":
            # No placeholders: what is there changes its order at once.
            refused = self._answers.keep(now, a_number(action.get("id")), _who(request))
        else:
            begins = {"photo": None} if does in ("similar", "kept") else {}
            yield self._searching(_PIECES, chosen, asked=now, **begins)
        yield self._found(_PIECES, self._answers.answer(now, chosen, refused), now, known)

    def _on_link(self, event: gr.EventData, known: bool) -> Iterator[_Updates]:
        """An address that names a search: the fields of the page become its own."""
        action = event._data if isinstance(event._data, dict) else {}
        try:
            now, chosen = read_link(action.get("query"))
            fields_of_page = dict(zip(_OPTIONS, self._answers.settings(chosen), strict=True))
        except (Nonsense, RetrievalError) as error:
            yield self._found(_LINK, self._answers.said(error), None, known)
            return
        yield self._searching(_LINK, chosen, asked=now, photo=None, **fields_of_page)
        yield self._found(_LINK, self._answers.answer(now, chosen), now, known)

    @staticmethod
    def _after(asked: Asked | None, action: dict[str, object]) -> Asked | None:
        if action.get("do") == "similar":
            return similar_to(action.get("id"))
        if action.get("do") == "kept":
            return Asked((Picture(key=a_key(action.get("key"))),))
        if asked is None:
            raise Nonsense
        return acted(asked, action)

    def _aside(self, action: dict[str, object], asked: Asked | None) -> _Updates | None:
        """What a click shows beside the search; None where it is about the search."""
        match action.get("do"):
            case "browse":
                return _updates(_PIECES, browsed=self._answers.browsed(action.get("n")))
            case "browse-close":
                return _updates(_PIECES, browsed="")
            case "match":
                matched = self._answers.matched(asked, action.get("id"), action.get("n"))
                return _updates(_PIECES, match=matched)
            case "too-large":
                return _updates(_PIECES, browsed="", results=self._answers.too_large())
            case "history-clear":
                return _updates(_PIECES, history=self._answers.forget_history())
        return None

    def _on_again(self, file: str | None, asked: Asked | None, known: bool, *options: Any) -> Iterator[_Updates]:
        chosen = Options(*options)
        now = replace(asked, page=0) if asked else Asked((self._answers.uploaded(file),)) if file else None
        yield self._searching(_ANSWER, chosen, asked=now)
        yield self._found(_ANSWER, self._answers.answer(now, chosen), now, known)

    def _searching(self, pieces: tuple[str, ...], options: Options, **more: Any) -> _Updates:
        placeholders = cards.render_searching(options.count, self._words)
        return _updates(pieces, results=placeholders, browsed="", **more)

    def _found(self, pieces: tuple[str, ...], html: str, asked: Asked | None, known: bool) -> _Updates:
        # The rest of the page follows where the gallery comes to life or dies.
        alive = self._answers.alive()
        changes = {} if alive == known else {"known": alive}
        return _updates(pieces, results=html if alive else "", asked=asked, **changes)

    # -- for programs ----------------------------------------------------------------------------------------------

    def _offer_api(self) -> None:
        """``/search`` for gradio_client; its own fields, so that labels need not be among those of the page."""
        labels = gr.Dropdown([], value=[], multiselect=True, allow_custom_value=True, label="labels", visible=False)
        without = gr.Dropdown(
            [], value=[], multiselect=True, allow_custom_value=True, label="not_labels", visible=False
        )
        answer = gr.JSON(label="neighbours", visible=False)
        gr.Button(visible=False).click(
            self._search_for_program,
            [self.photo, self.k, labels, without, self.under, self.min_score],
            answer,
            api_name="search",
            api_description="The nearest neighbours of an image file in the gallery, best first.",
            api_visibility="public",
            # Called at once. A queued one the tool server would call over HTTP, without a password, at whatever address
            # the first request gave as this server's own.
            queue=False,
        )

    def _search_for_program(
        self,
        image: str | None,
        k: float = 12,
        labels: list[str] | None = None,
        not_labels: list[str] | None = None,
        under: str = "",
        min_score: float = 0.0,
    ) -> dict[str, Any]:
        if image is None:
            raise gr.Error("Send an image file.", print_exception=False)
        try:
            return self._for_programs.found(image, Options(k, labels, not_labels, under, min_score))
        except (RetrievalError, Refused) as error:
            raise gr.Error(str(error), print_exception=False) from error


def _updates(pieces: tuple[str, ...], **parts: Any) -> _Updates:
    """What changes, by name; the rest of the pieces stays."""
    return tuple(parts.get(name, gr.skip()) for name in pieces)


def _html(content: str, elem_id: str, script: str | None) -> gr.HTML:
    """A piece of the page whose look is all ours."""
    return gr.HTML(content, elem_id=elem_id, js_on_load=script, apply_default_css=False)


def _who(request: gr.Request) -> str:
    """Who is signed in; empty where everybody may in. The password was checked before anything came here."""
    kind, _, value = str(request.headers.get("authorization", "")).partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[0]
    except ValueError:
        return ""
