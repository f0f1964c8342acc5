"""Switching, going back, and the models of a gallery."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from retrieval.workflows.gate import doubtful
from retrieval.workflows.lessons import Lesson
from retrieval.workflows.model_cards import SpaceCard
from retrieval.workflows.switching import SwitchReport
from ui.markup import escape, file_size, moment
from ui.notices import render_notice
from ui.teach.parts import button, buttons, duration, lines, of_hundred, panel, signed
from ui.words import Words


def render_switch(
    lesson: Lesson | None,
    ask: str,
    costs: SwitchReport | None,
    can_go_back: bool,
    busy: bool,
    words: Words,
    *,
    may_write: bool = True,
) -> str:
    """The gate's verdict and what follows from it.

    Args:
        lesson: the newest that has ended.
        ask: the question that is open: ``"switch"``, ``"force"``, ``"back"`` or none of these.
        costs: of the switch that is asked about; None while they are looked at.
        can_go_back: there was a switch that can be taken back.
        busy: a switch is queued or running.
        words: the reader's language.
        may_write: whether the reader may switch; otherwise only what is so is said.
    """
    said = words.teach
    if not may_write:
        return "" if lesson is None or not (lesson.live or lesson.refusals) else _verdict(lesson, words)
    if lesson is None and not can_go_back and ask not in ("switch", "force"):
        return ""
    body = "" if lesson is None else _gate(lesson, words)
    if busy:
        return panel(5, said.switch_title, body + lines(said.switching))
    if ask in ("switch", "force"):
        # The lesson's verdict says nothing of another model.
        about = body if lesson is None or costs is None or costs.fingerprint == lesson.result else ""
        return panel(5, said.switch_title, about + _question(ask, costs, words))
    if ask == "back":
        yes, no = button("back-now", said.back_now, "primary", focus=True), button("leave", said.not_now)
        return panel(5, said.switch_title, body + _ask(lines(said.back_means), yes, no))
    choices = []
    if lesson is not None and not lesson.live:
        proven = not lesson.refusals
        choices.append(
            button("ask-switch", said.switch_ask, "primary", lesson.result)
            if proven
            else button("ask-force", said.force_ask, "quiet", lesson.result)
        )
    if can_go_back:
        choices.append(button("ask-back", said.back_ask))
    return panel(5, said.switch_title, body + (buttons(*choices) if choices else ""))


def _verdict(lesson: Lesson, words: Words) -> str:
    return panel(5, words.teach.switch_title, _gate(lesson, words))


def _gate(lesson: Lesson, words: Words) -> str:
    said = words.teach
    if lesson.live:
        return lines(said.is_live)
    if not lesson.refusals:
        return f'<p class="teach-verdict better">{escape(said.gate_yes)}</p>'
    reasons = _reasons(lesson, words) or [said.gate_other]
    listed = "".join(f"<li>{escape(reason)}</li>" for reason in reasons)
    return f'<p class="teach-verdict">{escape(said.gate_no)}</p><ul class="teach-reasons">{listed}</ul>' + lines(
        said.gate_hint
    )


def _reasons(lesson: Lesson, words: Words) -> list[str]:
    said = words.teach
    found = [said.outdated] if lesson.outdated else []
    found += [said.gate_perfect] if lesson.perfect else []
    for name, gain in (("recall_at_1", lesson.recall), ("map_at_r", lesson.map_at_r)):
        change = gain.difference
        found += [] if lesson.perfect else _doubt(name, change.mean, change.low, change.high, words)
    return [*found, said.gate_leaks.of(lesson.leaks)] if lesson.leaks else found


def _doubt(metric: str, mean: float, low: float, high: float, words: Words) -> list[str]:
    """What the gate has against a metric's gain; nothing where it has none."""
    if not doubtful(metric, low, high):
        return []
    said = words.teach
    first, ranking = (said.gate_first_worse, said.gate_all_worse) if high < 0 else (said.gate_first, said.gate_all)
    sentence = first if metric == "recall_at_1" else ranking
    return [sentence.format(mean=signed(mean), low=signed(low), high=signed(high))]


def _measured(proof: Mapping[str, Any], words: Words) -> str:
    """What the gallery's labels have said of a model that brings no proof; empty where they are for it."""
    gains = proof["comparison"]
    reasons = [
        reason
        for name in ("recall_at_1", "map_at_r")
        for reason in _doubt(name, gains[name]["mean"], gains[name]["low"], gains[name]["high"], words)
    ]
    if not reasons:
        return ""
    listed = "".join(f"<li>{escape(reason)}</li>" for reason in reasons)
    return lines(words.teach.proof_measured.of(proof["images"])) + f'<ul class="teach-reasons">{listed}</ul>'


def _question(ask: str, costs: SwitchReport | None, words: Words) -> str:
    said = words.teach
    no = button("leave", said.not_now)
    if costs is None or costs.costs is None:
        return f'<div class="teach-ask" aria-busy="true">{lines(said.looking)}{buttons(no)}</div>'
    found = costs.costs
    time = said.switch_cost_none
    if found.to_embed > found.unreachable and found.seconds is not None:
        time = said.switch_cost.format(n=f"{found.to_embed:,}", time=duration(found.seconds, words))
    disk = said.switch_disk.format(size=file_size(found.bytes, words), free=file_size(found.free, words))
    facts = lines(
        said.switch_cover.format(n=f"{found.images:,}"),
        time,
        disk,
        said.switch_away.of(found.unreachable) if found.unreachable else "",
        said.switch_measures.of(costs.to_measure) if costs.to_measure and ask == "switch" else "",
        said.switch_meanwhile,
    )
    if ask == "switch":
        return _ask(facts, button("switch-now", said.switch_now, "primary", costs.fingerprint, focus=True), no)
    warning = render_notice("warning", said.force_warning)
    if costs.proof is not None:
        warning += _measured(costs.proof, words)
    return _ask(warning + facts, no, button("force-now", said.force_now, "danger", costs.fingerprint, focus=True))


def _ask(body: str, *some: str) -> str:
    return f'<div class="teach-ask">{body}{buttons(*some)}</div>'


def render_models(models: Sequence[SpaceCard], ask: str, busy: bool, words: Words, *, may_write: bool = True) -> str:
    """The encoders and spaces of the gallery.

    Args:
        models: the newest first.
        ask: ``"drop:FINGERPRINT"`` where that question is open.
        busy: a job is running that could be in the way.
        words: the reader's language.
        may_write: whether the reader may use another one, or delete one.
    """
    said = words.teach
    cards = "".join(_model(model, ask, busy or not may_write, words) for model in models)
    return panel(0, said.models_title, lines(said.models_lead) + f'<ul class="teach-models">{cards}</ul>')


def _model(model: SpaceCard, ask: str, busy: bool, words: Words) -> str:
    said, space = words.teach, model.space
    state = said.live if space.live else said.kept
    marks = f'<span class="teach-mark{"" if space.live else " off"}">{escape(state)}</span>'
    if not space.trained:
        marks += f'<span class="teach-mark off">{escape(said.untrained)}</span>'
    facts = [
        (said.from_what, escape(_origin(model.origin), 120)),
        (said.made, escape(_when(model.created, words))),
        (said.covers, escape(said.of_total.format(done=f"{space.covered:,}", total=f"{space.total:,}"))),
        (said.numbers, f"{space.dimension:,}"),
        (said.size, escape(file_size(space.bytes, words))),
        (said.chances, escape(said.chances_yes if space.calibrated else said.chances_no)),
    ]
    if model.after is not None and model.before is not None:
        line = said.figures_line.format(after=of_hundred(model.after), before=of_hundred(model.before))
        facts.append((said.figures, escape(line)))
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in facts if value)
    forced = render_notice("warning", said.forced) if space.forced else ""
    return (
        f'<li class="teach-model"><h3><span>{escape(space.model, 60)}</span>{marks}</h3><dl>{rows}</dl>{forced}'
        f"{_actions(model, ask, busy, words)}</li>"
    )


def _actions(model: SpaceCard, ask: str, busy: bool, words: Words) -> str:
    said, space = words.teach, model.space
    if busy:
        return ""
    if space.live:
        hint = lines(said.calibrate_means, kind="teach-fine")
        return "" if space.calibrated else hint + buttons(button("calibrate", said.calibrate))
    if ask == f"drop:{space.fingerprint}":
        means = lines(said.drop_means.format(size=file_size(space.bytes, words)))
        no = button("leave", said.not_now)
        return _ask(means, no, button("drop-now", said.drop_now, "danger", space.fingerprint, focus=True))
    again = button("ask-switch", said.use_again, of=space.fingerprint)
    return buttons(again, button("ask-drop", said.drop_ask, of=space.fingerprint))


def _origin(origin: str) -> str:
    """Where weights came from without their checksums, which say nothing to a person and push out what does."""
    return re.sub(r" (?:sha256 )?[0-9a-f]{12,}(?=\W|$)", "", origin)


def _when(created: str, words: Words) -> str:
    try:
        return moment(datetime.fromisoformat(created).astimezone(), words)
    except ValueError:
        return ""
