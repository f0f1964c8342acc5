"""Proposals to accept, correct or skip, the one whose answer teaches most first."""

from collections.abc import Mapping

from retrieval.core.text import shown
from retrieval.workflows.labelling import Tile
from retrieval.workflows.questions import Question, Questions
from ui.addresses import Addresses
from ui.icons import DRIVE
from ui.labels.asked import Look
from ui.labels.grid import open_view
from ui.labels.head import render_keys, render_tabs
from ui.markup import escape
from ui.notices import render_notice
from ui.words import Words


def render_questions(
    asked: Questions, tiles: Mapping[int, Tile], look: Look, addresses: Addresses, words: Words, stamp: str = ""
) -> str:
    """The tab of suggestions.

    Args:
        asked: what to ask.
        tiles: what is known of the pictures, by id.
        look: what was asked for.
        addresses: of pictures.
        words: the reader's language.
        stamp: of the request.
    """
    said = words.labels
    cards = [
        _card(one, tiles[one.image_id], place == 0, addresses, words)
        for place, one in enumerate(asked.questions)
        if one.image_id in tiles
    ]
    if not cards:
        body = render_notice("info", said.all_labelled, said.all_labelled_there.format(tab=said.tab_pick))
    else:
        body = (
            f'<div class="labels-bar-row"><p class="labels-said">{escape(_explained(asked, words))}</p>'
            f'<div class="ask-all"><button type="button" class="quiet" data-again="{look.page + 1}">'
            f"{escape(said.next_questions)}</button>"
            f'<button type="button" class="quiet" data-do="accept-all">{escape(said.accept_all)}</button></div></div>'
            f'<div class="dock-recent" aria-label="{escape(said.recent)}" role="group"></div>'
            f'<ul class="questions">{"".join(cards)}</ul>{_automatic(words)}'
        )
    return f"{open_view(look, stamp)}{render_tabs('ask', words)}{body}{render_keys(keys(words), words)}</section>"


def keys(words: Words) -> list[tuple[str, str]]:
    """The keys of this tab."""
    said = words.labels
    return [
        ("← ↑ → ↓", said.key_move),
        ("Enter", said.key_accept),
        ("c", said.key_correct),
        ("x", said.key_skip),
        ("1 … 9", said.key_recent),
        ("Shift+A", said.key_accept_all),
        ("u", said.key_undo),
        ("?", said.key_keys),
    ]


def _explained(asked: Questions, words: Words) -> str:
    said = words.labels
    of = said.groups_sample.format(of=f"{asked.of:,}") if asked.looked_at < asked.of else ""
    return said.questions_said.of(asked.looked_at).format(
        of=of, known=f"{asked.learned_from:,}", right=f"{asked.accuracy:.0%}"
    )


def _card(question: Question, tile: Tile, first: bool, addresses: Addresses, words: Words) -> str:
    said = words.labels
    chance = f"{question.confidence:.0%}"
    name = said.question_spoken.format(label=shown(question.label), chance=chance)
    missing = f'<span class="missing">{DRIVE}<span>{escape(words.search.offline)}</span></span>'
    picture = missing
    if not tile.offline:
        picture = f'<img src="{addresses.picture(tile.id, "thumbnail")}" alt="" decoding="async">{missing}'
    others = "".join(
        f'<button type="button" class="chip" data-other="{escape(shown(label))}">'
        f"<span>{escape(label, 28)}</span></button>"
        for label in question.others
    )
    return (
        f'<li class="question" tabindex="{0 if first else -1}" data-id="{tile.id}"'
        f' aria-label="{escape(name, 200)}">'
        f'<span class="thumb{" is-missing" if tile.offline else ""}" title="{escape(tile.name, 200)}">{picture}</span>'
        f'<form data-do="answer"><p class="fine">{escape(said.sure.format(chance=chance))}</p>'
        f'<input name="label" list="label-names" autocomplete="off" maxlength="200" required'
        f' value="{escape(shown(question.label))}" aria-label="{escape(said.label)}">'
        f'<div class="question-others">{others}</div>'
        f'<div class="question-do"><button type="submit" class="main">{escape(said.accept)}</button>'
        f'<button type="button" class="quiet" data-do="skip">{escape(said.skip)}</button></div></form></li>'
    )


def _automatic(words: Words) -> str:
    said = words.labels
    return (
        f'<div class="labels-auto"><div><p class="labels-auto-title">{escape(said.auto_title)}</p>'
        f'<p class="fine">{escape(said.auto_text)}</p></div>'
        f'<button type="button" class="quiet" data-do="auto">{escape(said.auto)}</button></div>'
    )
