"""The encoder that comes with the package, and the larger one that a network gives.

``starter`` is the project's own, distilled on its own recipe; ``retrieval/models/starter_encoder/README.md`` is its
model card. ``auto`` takes ``RECOMMENDED`` where the model hub gives it, else the starter, and says which and why.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.core.errors import RetrievalError
from retrieval.models.card import ModelCard
from retrieval.models.folder import load_encoder, read_card
from retrieval.models.hub import Announce

if TYPE_CHECKING:
    from retrieval.models.encoder import Encoder

STARTER, AUTO = "starter", "auto"
"""Names that ``--model`` takes."""

STARTER_FOLDER = Path(__file__).resolve().parent / "starter_encoder"

RECOMMENDED = "vit_small_patch14_dinov2.lvd142m"
"""DINOv2 ViT-S/14, Apache-2.0: Oquab et al. 2023, https://arxiv.org/abs/2304.07193.

Its embeddings were made to be compared as they are, from 142 million images without labels: 79.0 % of ImageNet by its
nearest neighbours alone, with 21 million weights (https://github.com/facebookresearch/dinov2). The next larger one
gains three points for four times the work, and on a processor it is the work that decides.
"""

RECOMMENDED_SIZE = 224
"""Pixels. It was published for 518, at which it costs seven times as much."""

RECOMMENDED_MEGABYTES = 88


def starter_card() -> ModelCard:
    """What the starter says about itself; no weights are read. Raises ModelDamaged: the installation is not whole."""
    return read_card(STARTER_FOLDER)


def load_starter() -> "tuple[Encoder, ModelCard]":
    """The starter in evaluation mode. Raises ModelDamaged: the installation is not whole."""
    return load_encoder(STARTER_FOLDER)


def stronger() -> str:
    """One line for who begins with the starter."""
    return (
        f"The encoder is the starter, which comes with the program. A stronger and slower one, {RECOMMENDED} "
        f"({RECOMMENDED_MEGABYTES} MB from the model hub), is what a new gallery takes with --model auto, and this one "
        "with `retrieval switch auto`."
    )


def load_best(announce: Announce) -> "tuple[Encoder, ModelCard]":
    """The recommended encoder where it can be had, else the starter.

    Args:
        announce: called with one line before a download, and with one that says which it is and why.
    """
    from retrieval.models.create import create_encoder

    try:
        found = create_encoder(backbone=RECOMMENDED, pretrained=True, input_size=RECOMMENDED_SIZE, announce=announce)
    # Also one that came damaged, or that this timm does not know.
    except RetrievalError as error:
        announce(f"--model auto takes the starter encoder: {error.message}")
        return load_starter()
    announce(f"--model auto takes {RECOMMENDED}: the model hub gives it, and it is stronger than the starter.")
    return found
