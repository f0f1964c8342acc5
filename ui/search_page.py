"""The search page: its components, and which action asks which answer."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from retrieval.core.errors import RetrievalError
from ui import cards
from ui.answers import MOST, SAMPLES, Answers, Options
from ui.notices import Refused
from ui.photo import PhotoInput
from ui.shell.site import Site
from ui.words import ENGLISH, Words

_PICK = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-similar]');
  if (button) trigger('select', { id: Number(button.dataset.similar) });
});
"""
_SIMILAR = "document.addEventListener('retrieval:similar', (event) => trigger('select', { id: event.detail.id }));"

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
        leads_on = site.gallery is not None
        self._answers = Answers(site.searcher, site.addresses, site.max_upload_bytes, words, leads_on=leads_on)
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
                self.samples = _html(cards.render_samples_skeleton(SAMPLES), "samples", _PICK)
                self.results = _html("", "results", _SIMILAR)
        self.picked: gr.State = gr.State(None)
        self.known: gr.State = gr.State(0)

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
        self.again = gr.Button(said.again, variant="primary", elem_id="again")

    # -- what happens ----------------------------------------------------------------------------------------------

    @property
    def _options(self) -> list[gr.components.Component]:
        return [self.k, self.keep, self.drop, self.under, self.min_score]

    @property
    def _front(self) -> list[gr.components.Component]:
        return [self.samples, self.keep, self.drop, self.known]

    def _connect(self, blocks: gr.Blocks) -> None:
        blocks.load(self._show_front, outputs=self._front, api_visibility="private", show_progress="hidden")
        search: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        outputs = [self.results, self.picked, self.photo, *self._front]
        self.photo.input(self._on_photo, [self.photo, self.known, *self._options], outputs, **search)
        for pieces in (self.samples, self.results):
            pieces.select(self._on_pick, [self.known, *self._options], outputs, trigger_mode="multiple", **search)
        again = [self.photo, self.picked, self.known, *self._options]
        gr.on([self.again.click, self.under.submit], self._on_again, again, outputs, **search)

    def _show_front(self) -> _Updates:
        front = self._answers.front()
        choices = [gr.update(choices=front.choices), gr.update(choices=front.choices)]
        return (front.samples, *choices, front.images)

    def _on_photo(self, file: str | None, known: int, *options: Any) -> Iterator[_Updates]:
        if file is None:
            yield ("", None, gr.skip(), *[gr.skip()] * len(self._front))
            return
        yield self._searching(Options(*options), None, gr.skip())
        yield self._found(self._answers.photo(file, Options(*options)), None, known)

    def _on_pick(self, event: gr.EventData, known: int, *options: Any) -> Iterator[_Updates]:
        image_id = event._data.get("id") if isinstance(event._data, dict) else None
        yield self._searching(Options(*options), image_id, None)
        yield self._found(self._answers.similar(image_id, Options(*options)), image_id, known)

    def _on_again(self, file: str | None, picked: int | None, known: int, *options: Any) -> Iterator[_Updates]:
        yield self._searching(Options(*options), picked, gr.skip())
        if picked is None:
            yield self._found(self._answers.photo(file, Options(*options)), None, known)
        else:
            yield self._found(self._answers.similar(picked, Options(*options)), picked, known)

    def _searching(self, options: Options, picked: int | None, photo: Any) -> _Updates:
        return (cards.render_searching(options.count, self._words), picked, photo, *[gr.skip()] * len(self._front))

    def _found(self, html: str, picked: int | None, known: int) -> _Updates:
        # The rest of the page changes only when the gallery comes to life or dies; the number of images always may.
        front = self._show_front()
        images = front[-1]
        if not images:
            html = ""
        if bool(images) == bool(known):
            front = (*[gr.skip()] * (len(front) - 1), images)
        return (html, picked, gr.skip(), *front)

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


def _html(content: str, elem_id: str, script: str | None) -> gr.HTML:
    """A piece of the page whose look is all ours."""
    return gr.HTML(content, elem_id=elem_id, js_on_load=script, apply_default_css=False)
