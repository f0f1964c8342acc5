"""The search page: its components, and which action asks which answer."""

import logging
from collections.abc import Iterator
from typing import Any

import gradio as gr

from retrieval.core.errors import RetrievalError
from ui import cards
from ui.answers import MOST, SAMPLES, Answers, Options
from ui.photo import PhotoInput

_log = logging.getLogger(__name__)

# An upload is kept as long as its page may want to search with it again.
_UPLOADS_LOOKED_AT, _UPLOADS_KEPT = 1800, 6 * 3600

_PICK = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-similar]');
  if (button) trigger('select', { id: Number(button.dataset.similar) });
});
"""
_SIMILAR = "document.addEventListener('retrieval:similar', (event) => trigger('select', { id: event.detail.id }));"

_Updates = tuple[Any, ...]


class SearchPage:
    """Builds the page for one gallery.

    Args:
        answers: what the handlers ask.
        title: of the page.
    """

    def __init__(self, answers: Answers, title: str) -> None:
        self._answers = answers
        self._title = title

    def build(self) -> gr.Blocks:
        """The page, ready to be mounted."""
        page: gr.Blocks
        with gr.Blocks(
            title=self._title,
            analytics_enabled=False,
            delete_cache=(_UPLOADS_LOOKED_AT, _UPLOADS_KEPT),
            fill_width=True,
        ) as page:
            self._lay_out()
            self._connect(page)
            self._offer_api()
        page.queue(default_concurrency_limit=2, max_size=64)
        return page

    # -- what there is to see --------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.masthead = _html(cards.render_masthead(self._title, None), "masthead", None)
        with gr.Row(elem_id="desk", equal_height=False):
            with gr.Column(elem_id="query-pane", scale=0, min_width=320):
                self._lay_out_query()
            with gr.Column(elem_id="answer-pane", scale=1, min_width=320):
                self.samples = _html(cards.render_samples_skeleton(SAMPLES), "samples", _PICK)
                self.results = _html("", "results", _SIMILAR)
        self.picked: gr.State = gr.State(None)
        self.known: gr.State = gr.State(0)

    def _lay_out_query(self) -> None:
        self.photo = PhotoInput(
            label="Your photo",
            type="filepath",
            sources=["upload", "webcam", "clipboard"],
            buttons=[],
            height=228,
            elem_id="photo",
            show_label=False,
            alt_text="Your photo",
            placeholder="# Drop a photo here\nor click to choose one",
        )
        with gr.Accordion("Options", open=True, elem_id="options"):
            self.k = gr.Slider(1, MOST, value=12, step=1, label="How many", buttons=[])
            self.keep = gr.Dropdown([], value=[], multiselect=True, label="Only with one of these labels")
            self.drop = gr.Dropdown([], value=[], multiselect=True, label="Without these labels")
            self.under = gr.Textbox("", label="In this folder", placeholder="/photos/2024", max_lines=1)
            self.min_score = gr.Slider(
                0, 1, value=0, step=0.05, label="Minimum score", info="Cosine similarity; 0 keeps all.", buttons=[]
            )
        self.again = gr.Button("Search again", variant="primary", elem_id="again")

    # -- what happens ----------------------------------------------------------------------------------------------

    @property
    def _options(self) -> list[gr.components.Component]:
        return [self.k, self.keep, self.drop, self.under, self.min_score]

    @property
    def _front(self) -> list[gr.components.Component]:
        return [self.masthead, self.samples, self.keep, self.drop, self.known]

    def _connect(self, page: gr.Blocks) -> None:
        page.load(self._show_front, outputs=self._front, api_visibility="private", show_progress="hidden")
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
        return (front.masthead, front.samples, *choices, front.images)

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
        return (cards.render_searching(options.count), picked, photo, *[gr.skip()] * len(self._front))

    def _found(self, html: str, picked: int | None, known: int) -> _Updates:
        # The rest of the page changes only when the gallery comes to life or dies; the number of images always may.
        front = self._show_front()
        images = front[-1]
        if not images:
            html = ""
        if bool(images) == bool(known):
            front = (front[0], *[gr.skip()] * (len(front) - 2), images)
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
            return self._answers.found(image, Options(k, labels, not_labels, under, min_score))
        except RetrievalError as error:
            raise gr.Error(str(error), print_exception=False) from error


def _html(content: str, elem_id: str, script: str | None) -> gr.HTML:
    """A piece of the page whose look is all ours."""
    return gr.HTML(content, elem_id=elem_id, js_on_load=script, apply_default_css=False)
