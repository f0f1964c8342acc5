"""The Labels page: its components, and which action asks which answer.

What is drawn on it is ours; its script sends one of two events: to look at something, or to change something. All
changes are made in ``LabelAnswers``.
"""

from collections.abc import Iterator
from typing import Any

import gradio as gr
from gradio.components import Component

from ui.labels.answers import LabelAnswers
from ui.labels.asked import Look, read_asked, read_stop
from ui.labels.work import Visit
from ui.shell.site import Site
from ui.words import Words

_SECONDS = 1.0
"""Between two looks at a job, while there is one."""

_EVENTS = """
document.addEventListener('retrieval:look', (event) => trigger('select', event.detail));
document.addEventListener('retrieval:change', (event) => trigger('submit', event.detail));
document.addEventListener('retrieval:too-large', () => trigger('submit', { do: 'too-large' }));
"""
_STOP = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-job-stop]');
  if (button) trigger('select', { stop: Number(button.dataset.jobStop) });
});
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
        self.work = gr.HTML("", elem_id="labels-work", js_on_load=_STOP, apply_default_css=False)
        self.view = gr.HTML(
            self._answers.busy(Look()), elem_id="labels-view", js_on_load=_EVENTS, apply_default_css=False
        )
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        self.visit: gr.State = gr.State(Visit())
        # It looks only while there is a job to look at.
        self.timer = gr.Timer(_SECONDS, active=False)
        both: list[Component] = [self.head, self.view]
        working: list[Component] = [self.work, self.timer]
        blocks.load(self._open, self.visit, both + working, **quiet)
        self.view.select(self._look, outputs=self.view, trigger_mode="multiple", **quiet)
        # One after the other: what was asked first is done first.
        self.view.submit(
            self._change, self.visit, both + working, trigger_mode="multiple", concurrency_limit=1, **quiet
        )
        self.work.select(self._stop, self.visit, working, **quiet)
        self.timer.tick(self._tick, self.visit, [self.head, *working], **quiet)
        if site.may_write:
            table = gr.UploadButton(
                words.labels.send, file_types=[".csv", ".tsv", ".txt"], elem_id="labels-table", variant="primary"
            )
            table.upload(self._send, table, both, concurrency_limit=1, **quiet)

    def _send(self, file: str | None) -> tuple[str, Any]:
        return self._answers.send(file).head, gr.skip()

    def _open(self, visit: Visit) -> tuple[Any, ...]:
        visit.shown = ""
        return self._answers.head(), self._answers.opening(), *self._working(visit)

    def _look(self, event: gr.EventData) -> Iterator[str]:
        asked = read_asked(event._data)
        if asked.look.tab != "pick":
            yield self._answers.busy(asked.look)
        yield self._answers.view(asked.look, asked.stamp)

    def _change(self, event: gr.EventData, visit: Visit) -> tuple[Any, ...]:
        done = self._answers.change(read_asked(event._data), visit)
        return done.head, gr.skip() if done.view is None else done.view, *self._working(visit)

    def _stop(self, event: gr.EventData, visit: Visit) -> tuple[Any, ...]:
        self._answers.stop(read_stop(event._data))
        return self._working(visit)

    def _tick(self, visit: Visit) -> tuple[Any, ...]:
        work, timer = self._working(visit)
        # With its end there are other labels to be counted, and something to be taken back.
        return self._answers.head() if visit.is_over else gr.skip(), work, timer

    def _working(self, visit: Visit) -> tuple[Any, gr.Timer]:
        now = self._answers.work(visit)
        # What is there already stays, with what has the focus in it.
        work = now if now != visit.shown else gr.skip()
        visit.shown = now
        return work, gr.Timer(_SECONDS, active=not visit.is_over)
