"""The encoder that a command takes where the user names none."""

import contextlib
from pathlib import Path

from retrieval.core.errors import EmptyGallery
from retrieval.core.settings import Settings
from retrieval.workflows.encoders import DEFAULT_MODEL
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.live_index import Say


def start_model(gallery: Path | None, settings: Settings, say: Say) -> str:
    """The encoder of the user's gallery, which a better one would replace; without a gallery the default one.

    Returns:
        What ``models.resolve_model`` takes.
    """
    if gallery is not None:
        with contextlib.suppress(EmptyGallery), Gallery(gallery, settings) as opened:
            space = opened.live_space()
            say(f"Taken is the gallery's encoder {space.model}; --model takes another one.")
            return str(opened.layout.model(space.fingerprint))
    return DEFAULT_MODEL
