"""The encoders of a gallery as one shows them: what each is, from what, when, and what it has proven."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.core.errors import RetrievalError
from retrieval.core.settings import Settings
from retrieval.workflows.encoders import GalleryEncoder
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.spaces import SpaceInfo, spaces


@dataclass(frozen=True, slots=True)
class SpaceCard:
    """One space and its encoder.

    Attributes:
        space: where it stands in the gallery.
        origin: where the weights came from; what is wrong where the card cannot be read.
        created: UTC, ISO 8601; empty where it is not known.
        before, after: recall@1 on held-out images of the run that made it; None without a run.
    """

    space: SpaceInfo
    origin: str
    created: str
    before: float | None
    after: float | None


def space_cards(folder: Path, settings: Settings | None = None) -> list[SpaceCard]:
    """Every space of a gallery with its encoder's card, the newest first.

    Raises:
        EmptyGallery: there is no gallery.
    """
    found = spaces(folder, settings)
    with Gallery(folder, settings) as gallery:
        known = {space.fingerprint: space for space in gallery.catalog.spaces.all()}
        cards = []
        for info in found:
            try:
                card = GalleryEncoder.card_of(gallery, known[info.fingerprint])
                origin, created = card.origin, card.created
            except (RetrievalError, KeyError) as error:
                origin, created = getattr(error, "message", ""), ""
            runs = gallery.catalog.runs.all(info.fingerprint)
            metrics: Mapping[str, Any] = runs[-1].metrics if runs else {}
            cards.append(SpaceCard(info, origin, created, _recall(metrics, "before"), _recall(metrics, "after")))
    return cards[::-1]


def _recall(metrics: Mapping[str, Any], side: str) -> float | None:
    try:
        return float(metrics[side]["metrics"]["recall_at_1"]["mean"])
    except (KeyError, TypeError, ValueError):
        return None
