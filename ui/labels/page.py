"""The Labels page: its components, and which action asks which answer.

What is drawn on it is ours; its script sends one of two events: to look at something, or to change something. All
changes are made in ``LabelAnswers``.
"""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from ui.labels.answers import LabelAnswers
from ui.labels.asked import Look, read_asked
from ui.shell.site import Site
from ui.words import Words

_EVENTS = """
document.addEventListener('retrieval:look', (event) => trigger('select', event.detail));
document.addEventListener('retrieval:change', (event) => trigger('submit', event.detail));
"""


class LabelsPage:
    """Builds the page for one gallery, in one language, within the Blocks of the application.

    Args:
        site: the gallery.
        words: the language.
        blocks: of the application.
    """

    def __init__(self, site: Site, words: Words, blocks: gr.Blocks) -> None:
        self._answers = LabelAnswers(site, words)
        self.head = gr.HTML("", elem_id="labels-head", apply_default_css=False)
        self.view = gr.HTML(
            self._answers.busy(Look()), elem_id="labels-view", js_on_load=_EVENTS, apply_default_css=False
        )
        self.table = gr.UploadButton(
            words.labels.send, file_types=[".csv", ".tsv", ".txt"], elem_id="labels-table", variant="primary"
        )
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        both = [self.head, self.view]
        blocks.load(self._open, outputs=both, **quiet)
        self.view.select(self._look, outputs=self.view, trigger_mode="multiple", **quiet)
        # One after the other: what was asked first is done first.
        self.view.submit(self._change, outputs=both, trigger_mode="multiple", concurrency_limit=1, **quiet)

        self.table.upload(self._send, self.table, both, concurrency_limit=1, **quiet)

    def _send(self, file: str | None) -> tuple[str, Any]:
        return self._answers.send(file).head, gr.skip()

    def _open(self) -> tuple[str, str]:
        return self._answers.head(), self._answers.opening()

    def _look(self, event: gr.EventData) -> Iterator[str]:
        asked = read_asked(event._data)
        if asked.look.tab != "pick":
            yield self._answers.busy(asked.look)
        yield self._answers.view(asked.look, asked.stamp)

    def _change(self, event: gr.EventData) -> tuple[str, Any]:
        done = self._answers.change(read_asked(event._data))
        return done.head, gr.skip() if done.view is None else done.view
