"""Where two pictures match, as HTML: both pictures, and what the script of the view draws over them."""

import base64
import json

from retrieval.workflows.matching import RAMP, Explanation, Heat, as_bytes
from ui.addresses import Addresses
from ui.asking import Asked, Picture
from ui.markup import escape
from ui.refining import picture_address
from ui.words import Words


def render_match(
    found: Explanation, asked: Asked, image_id: int, addresses: Addresses, words: Words, token: str
) -> str:
    """Both pictures side by side with the data of their heat.

    Args:
        found: of the first example and the image.
        asked: the search.
        image_id: of the image.
        addresses: of pictures.
        words: the reader's language.
        token: by which the browser knows its question again.
    """
    said = words.matching
    first = asked.like[0]
    name = said.query if len(asked.like) + len(asked.unlike) == 1 else said.query_first
    # What a browser cannot show of an upload, it can of the small copy that was kept.
    spare = f"queries/{first.key}" if first.file is not None and first.key else ""
    pictures = _picture(found.query, "query", name, picture_address(first, addresses, large=True), spare, words)
    pictures += _picture(
        found.image, "image", said.image, picture_address(Picture(image_id), addresses, large=True), "", words
    )
    cut = found.query.seen != _WHOLE or found.image.seen != _WHOLE
    meaning = (said.exact if found.exact else said.rough).format(score=f"{found.score:.2f}")
    texts = {"part": said.part, "none": said.part_none}
    return (
        f'<section class="match" data-match="{escape(token)}" data-pairs="{_packed(as_bytes(found.pair_levels))}"'
        f' data-ramp="{escape(json.dumps(RAMP))}" data-texts="{escape(json.dumps(texts, ensure_ascii=False), 4096)}">'
        f'<div class="match-pictures">{pictures}</div>'
        f'<p class="match-says" role="status">{escape(said.how)}</p>'
        f'<div class="match-scale"><p class="match-legend"><span>{escape(said.least)}</span>'
        f'<span class="match-ramp" style="background: {_gradient()}"></span><span>{escape(said.most)}</span></p>'
        f'<label class="match-strength"><span>{escape(said.strength)}</span>'
        f'<input type="range" min="0" max="100" step="10" value="100"></label></div>'
        f'<p class="match-meaning">{escape(meaning)}{" " + escape(said.edges) if cut else ""}</p></section>'
    )


_WHOLE = (0.0, 0.0, 1.0, 1.0)


def _picture(heat: Heat, side: str, name: str, address: str, spare: str, words: Words) -> str:
    rows, columns = heat.levels.shape
    left, top, right, bottom = (100 * share for share in heat.seen)
    seen = f"left: {left:.3f}%; top: {top:.3f}%; width: {right - left:.3f}%; height: {bottom - top:.3f}%"
    # The frame has its size before the picture is there, and nothing jumps.
    shape = f"--across: {heat.width}; --down: {heat.height}"
    source = f'src="{escape(address, 4096)}"' + (f' data-spare="{escape(spare)}"' if spare else "")
    return (
        f'<figure class="match-picture"><figcaption>{escape(name)}</figcaption>'
        f'<div class="match-frame" tabindex="0" role="group" style="{shape}" data-side="{side}" data-rows="{rows}"'
        f' data-columns="{columns}" data-levels="{_packed(as_bytes(heat.levels))}"'
        f' aria-label="{escape(words.matching.parts.format(name=name))}">'
        f'<img {source} alt="{escape(name)}" draggable="false">'
        f'<p class="match-missing" hidden>{escape(words.matching.missing)}</p>'
        f'<div class="match-seen" style="{seen}"><canvas></canvas><span class="match-cell" hidden></span></div>'
        f"</div></figure>"
    )


def _packed(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _gradient() -> str:
    """The ramp over a middling grey, as it lies over pictures."""
    stops = ", ".join(
        f"rgba({red}, {green}, {blue}, {opacity}) {100 * level:g}%" for level, (red, green, blue, opacity) in RAMP
    )
    return f"linear-gradient(to right, {stops}), #96969b"
