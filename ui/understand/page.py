"""The Understand page: its components, and which action asks which answer."""

from typing import Any

import gradio as gr

from ui.shell.site import Site
from ui.understand.answers import PIECES, Understanding, Visit
from ui.understand.map_cards import render_waiting
from ui.words import Words

_SECONDS = 2.0

_DO = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-do]');
  if (button && !button.disabled) trigger('select', { do: button.dataset.do, of: button.dataset.of ?? '' });
});
"""
# What the map's script wants arrives as an event of the document.
_ASKED = "document.addEventListener('retrieval:map', (event) => trigger('select', event.detail));"

_Updates = tuple[Any, ...]


class UnderstandPage:
    """Builds the page for one gallery, in one language, within the Blocks of the application.

    Args:
        site: the gallery.
        words: the language.
        blocks: of the application.
    """

    def __init__(self, site: Site, words: Words, blocks: gr.Blocks) -> None:
        self._answers = Understanding(site, words)
        with gr.Column(elem_id="understand"):
            # The map's place among the pieces: what was done stands right below it, where the button was.
            order = ("status", "map", "told", "check", "strict")
            self._pieces = {name: self._piece(name, words) for name in order}
        self.visit: gr.State = gr.State(Visit())
        self.timer = gr.Timer(_SECONDS)
        self._connect(blocks)

    @staticmethod
    def _piece(name: str, words: Words) -> gr.HTML:
        script = {"map": None, "told": _DO + _ASKED}.get(name, _DO)
        first = render_waiting(words) if name == "status" else ""
        return gr.HTML(first, elem_id=f"understand-{name}", js_on_load=script, apply_default_css=False)

    def _connect(self, blocks: gr.Blocks) -> None:
        outputs = [self._pieces[name] for name in PIECES]
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        blocks.load(self._on_load, self.visit, outputs, **quiet)
        # What it finds comes with the next tick.
        blocks.load(self._answers.measure, None, None, **quiet)
        self.timer.tick(self._fresh, self.visit, outputs, **quiet)
        for name in ("told", "status", "check", "strict"):
            # One after the other: what was asked first is done first.
            self._pieces[name].select(
                self._on_act, self.visit, outputs, trigger_mode="multiple", concurrency_limit=1, **quiet
            )

    def _on_load(self, visit: Visit) -> _Updates:
        visit.shown.clear()
        self._answers.arrive()
        return self._fresh(visit)

    def _on_act(self, event: gr.EventData, visit: Visit) -> _Updates:
        self._answers.act(visit, event._data)
        return self._fresh(visit)

    def _fresh(self, visit: Visit) -> _Updates:
        """The pieces that are not in the browser as they are now; others stay, with what has the focus in them."""
        now = self._answers.pieces(visit)
        changed = [now[name] if visit.shown.get(name) != now[name] else gr.skip() for name in PIECES]
        visit.shown = now
        return tuple(changed)
