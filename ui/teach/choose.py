"""Is there enough to learn from, and which lesson shall it be?"""

from retrieval.workflows.lesson_cost import LessonCost
from retrieval.workflows.readiness import Readiness
from ui.icons import STACK
from ui.markup import escape, file_size
from ui.notices import render_notice
from ui.teach.parts import duration, lines, panel
from ui.words import Words

QUICK, DEEP = "quick-head", "triplet-center"


def render_ready(ready: Readiness, words: Words, *, may_write: bool = True) -> str:
    """What there is to learn from, and what is held out; who may give labels is led to them where they lack."""
    said = words.teach
    lacks = {"labels": said.ready_no_labels, "pairs": said.ready_no_pairs, "more": said.ready_more}
    facts = (
        f'<ul class="teach-facts"><li>{escape(said.ready_images.of(ready.labelled))}</li>'
        f"<li>{escape(said.ready_labels.of(ready.classes))}</li></ul>"
    )
    alone = said.alone.of(ready.alone) if ready.alone else ""
    if ready.lack is not None:
        link = f'<p><a class="teach-button quiet" href="./labels">{escape(said.to_labels)}</a></p>'
        return panel(1, said.ready_title, facts + lines(lacks[ready.lack], alone) + (link if may_write else ""))
    held = f"{said.held_out.of(ready.prove)} {said.held_out_why}"
    new = said.held_out_new if ready.new_classes and ready.new_classes == ready.prove_classes else ""
    return panel(1, said.ready_title, facts + lines(said.ready_yes, held, new, alone))


def render_choice(chosen: str, costs: dict[str, LessonCost | None], words: Words) -> str:
    """The two lessons as cards.

    Args:
        chosen: recipe of one of them.
        costs: by recipe; missing where they are being looked at, None where they cannot be known.
        words: the reader's language.
    """
    said = words.teach
    cards = "".join(
        _card(name, title, text, expect, name == chosen, costs, words)
        for name, title, text, expect in (
            (QUICK, said.quick, said.quick_text, said.quick_expect),
            (DEEP, said.deep, said.deep_text, said.deep_expect),
        )
    )
    return panel(2, said.choose_title, f'<div class="teach-cards">{cards}</div>')


def _card(
    name: str, title: str, text: str, expect: str, chosen: bool, costs: dict[str, LessonCost | None], words: Words
) -> str:
    pressed = "true" if chosen else "false"
    mark = f'<span class="teach-mark">{escape(words.teach.chosen)}</span>' if chosen else ""
    return (
        f'<button type="button" class="teach-card" aria-pressed="{pressed}" data-do="choose" data-of="{name}">'
        f'<span class="teach-card-title">{escape(title)}{mark}</span><span>{escape(text)}</span>'
        f'<span class="teach-fine">{escape(expect)}</span>'
        f'<span class="teach-cost">{_cost(name, costs, words)}</span></button>'
    )


def _cost(name: str, costs: dict[str, LessonCost | None], words: Words) -> str:
    said = words.teach
    if name not in costs:
        return f"<span>{escape(said.cost)}</span> <strong>{escape(said.cost_wait)}</strong>"
    cost = costs[name]
    if cost is None:
        return f"<span>{escape(said.cost)}</span> <strong>{escape(said.cost_unknown)}</strong>"
    low, high = (duration(seconds, words) for seconds in (cost.seconds_low, cost.seconds_high))
    device = said.processor if cost.device == "cpu" else said.graphics
    more = (said.cost_device.format(device=device), said.cost_memory.format(size=file_size(cost.bytes, words)))
    return (
        f"<span>{escape(said.cost)}</span> <strong>{escape(said.cost_range.format(low=low, high=high))}</strong>"
        f"<span>{escape(words.writing.comma.join(more))}</span>"
    )


def render_nothing(words: Words, *, may_add: bool = True) -> str:
    """What stands there before anything is indexed, and the way to the first folder for those who may add one."""
    if not may_add:
        return render_notice("info", words.search.empty_title, words.search.empty_how)
    return (
        f'<section class="panel" role="status">{STACK}<h2>{escape(words.search.empty_title)}</h2>'
        f"<p>{escape(words.teach.nothing_indexed)}</p>"
        f'<p><a class="lead" href="./library">{escape(words.library.empty_action)}</a></p></section>'
    )
