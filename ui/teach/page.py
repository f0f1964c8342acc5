"""The teaching page: its components, and which action asks which answer."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from retrieval.workflows.recipes import RECIPES
from ui.shell.site import Site
from ui.teach import choose
from ui.teach.answers import PIECES, Teaching, Visit, render_lead
from ui.words import Words

_SECONDS = 1.0
_MOST_EPOCHS = 200

# What was clicked is often gone with the answer: the focus goes to what has come in its place.
_DO = """
let clicked = false;
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-do]');
  if (!button) return;
  clicked = true;
  trigger('select', { do: button.dataset.do, of: button.dataset.of ?? '' });
});
new MutationObserver(() => {
  const next = element.querySelector('[data-focus]');
  if (!clicked || !next) return;
  clicked = false;
  next.focus();
}).observe(element, { childList: true, subtree: true });
"""
_CLICKED = ("choose", "watch", "switch", "models")

_Updates = tuple[Any, ...]


class TeachPage:
    """Builds the page for one gallery, in one language, within the Blocks of the application.

    Args:
        site: the gallery.
        words: the language.
        blocks: of the application.
    """

    def __init__(self, site: Site, words: Words, blocks: gr.Blocks) -> None:
        self._words = words
        self._teaching = Teaching(site, words)
        self._may_write = site.may_write
        self._pieces: dict[str, gr.HTML] = {}
        self._lay_out()
        self._connect(blocks)

    # -- what there is to see -------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        said = self._words.teach
        with gr.Column(elem_id="teach"):
            self._piece("notice")
            gr.HTML(render_lead(self._words), elem_id="teach-lead", apply_default_css=False)
            self._piece("ready")
            self._piece("choose")
            if self._may_write:
                self._lay_out_start()
            self._piece("watch")
            self._piece("live")
            with gr.Accordion(said.log, open=False, elem_id="teach-messages"):
                self._piece("log")
            for name in ("proof", "switch", "models"):
                self._piece(name)
        self.visit: gr.State = gr.State(Visit())
        self.timer = gr.Timer(_SECONDS)

    def _lay_out_start(self) -> None:
        said = self._words.teach
        with gr.Accordion(said.more, open=False, elem_id="teach-more"):
            full = [(name, name) for name, recipe in RECIPES.items() if recipe.scope == "full"]
            self.exact = gr.Dropdown(
                [(said.recipe_own, ""), *full], value="", label=said.recipe, info=said.recipe_info, filterable=False
            )
            self.epochs = gr.Slider(
                0, _MOST_EPOCHS, value=0, step=1, label=said.epochs, info=said.epochs_info, buttons=[]
            )
        self.start = gr.Button(said.start, variant="primary", elem_id="teach-start")

    def _piece(self, name: str) -> None:
        script = _DO if name in _CLICKED else None
        self._pieces[name] = gr.HTML("", elem_id=f"teach-{name}", js_on_load=script, apply_default_css=False)

    # -- what happens ---------------------------------------------------------------------------------------------

    def _connect(self, blocks: gr.Blocks) -> None:
        outputs = [self._pieces[name] for name in PIECES]
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        blocks.load(self._on_load, self.visit, outputs, **quiet)
        blocks.load(self._on_measure, self.visit, None, **quiet)
        self.timer.tick(self._on_tick, self.visit, outputs, **quiet)
        for name in _CLICKED:
            self._pieces[name].select(self._on_click, self.visit, outputs, trigger_mode="multiple", **quiet)
        if not self._may_write:
            return
        options = [self.visit, self.exact, self.epochs]
        for event in (self.exact.input, self.epochs.release):
            event(self._on_options, options, outputs, **quiet).then(self._on_measure, self.visit, None, **quiet)
        self.start.click(self._on_start, options, outputs, **quiet)

    def _on_load(self, visit: Visit) -> _Updates:
        visit.shown.clear()
        self._teaching.arrive()
        return self._fresh(visit)

    def _on_measure(self, visit: Visit) -> None:
        self._teaching.measure(visit)

    def _on_tick(self, visit: Visit) -> _Updates:
        return self._fresh(visit)

    def _on_click(self, event: gr.EventData, visit: Visit) -> Iterator[_Updates]:
        sent = event._data if isinstance(event._data, dict) else {}
        self._teaching.act(visit, str(sent.get("do", "")), str(sent.get("of", "")))
        yield self._fresh(visit)
        if visit.ask in ("switch", "force") and visit.costs is None:
            self._teaching.estimate(visit)
            yield self._fresh(visit)

    def _on_options(self, visit: Visit, exact: str | None, epochs: float | None) -> _Updates:
        self._take(visit, exact, epochs)
        if visit.exact:
            visit.recipe = choose.DEEP
        return self._fresh(visit)

    def _on_start(self, visit: Visit, exact: str | None, epochs: float | None) -> _Updates:
        self._take(visit, exact, epochs)
        self._teaching.start(visit)
        return self._fresh(visit)

    @staticmethod
    def _take(visit: Visit, exact: str | None, epochs: float | None) -> None:
        visit.exact = exact if exact is not None and exact in RECIPES else ""
        visit.epochs = max(0, min(_MOST_EPOCHS, int(epochs or 0)))

    def _fresh(self, visit: Visit) -> _Updates:
        """The pieces that are not in the browser as they are now; others stay, with what has the focus in them."""
        now = self._teaching.pieces(visit)
        changed = [now[name] if visit.shown.get(name) != now[name] else gr.skip() for name in PIECES]
        visit.shown = now
        return tuple(changed)
