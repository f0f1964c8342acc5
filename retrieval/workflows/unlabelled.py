"""The images of a gallery that nobody has labelled, with their embeddings: all of them, or as many as can be looked at
in a moment."""

from dataclasses import dataclass

import numpy as np

from retrieval.core.types import Filters, Ids, Vectors
from retrieval.workflows.gallery import Gallery


@dataclass(frozen=True)
class Unlabelled:
    """Images without a label of a person, a table or a folder.

    Attributes:
        ids: [n] ascending.
        vectors: [n, D], unit norm up to half-float rounding.
        of: how many there are in all; more than n where a sample was drawn.
    """

    ids: Ids
    vectors: Vectors
    of: int


def unlabelled(gallery: Gallery, most: int, *, under: str = "", seed: int = 0) -> Unlabelled:
    """The unlabelled images of the live space, or a random sample of them; without those whose vector is lost.

    Args:
        gallery: opened.
        most: how many at most.
        under: only images in this folder; empty for all.
        seed: of the sample: the same images give the same one.

    Raises:
        EmptyGallery: nothing is indexed.
    """
    space = gallery.live_space()
    filters = Filters(under=(under,) if under else (), labelled=False)
    ids = gallery.catalog.images.passing(space.id, filters)
    of = len(ids)
    store = gallery.store(space)
    ids = np.setdiff1d(ids, store.missing(ids))
    if len(ids) > most:
        ids = np.sort(np.random.default_rng(seed).choice(ids, most, replace=False))
    for damaged in store.damaged(ids):
        ids = np.setdiff1d(ids, damaged)
    return Unlabelled(ids, store.read(ids), of)
