"""Views of several sizes on their way through an encoder."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import cast

import torch
from torch import Tensor

from retrieval.models.encoder import EncoderOutput


def encoded(encoder: Callable[[Tensor], object], views: Sequence[Tensor]) -> list[EncoderOutput]:
    """What an encoder, or its momentum twin, makes of each view; views of one size that follow each other in one pass.

    That is how the authors of SwAV and DINO do it: faster than one by one, and batch-norm sees all views of a size
    together.

    Args:
        encoder: [n, 3, S, S] to an ``EncoderOutput`` of n rows, for any S.
        views: [B, 3, S, S] each.

    Returns:
        One for each view, in their order, of B rows.
    """
    outputs: list[EncoderOutput] = []
    for _, group in groupby(views, lambda view: view.shape):
        same = list(group)
        made = cast(EncoderOutput, encoder(torch.cat(same)))
        raw, normalised = (part.chunk(len(same)) for part in made)
        outputs += [EncoderOutput(*one) for one in zip(raw, normalised, strict=True)]
    return outputs
