"""What a gallery's own labels say of an encoder that brings no proof on labels: its space beside the live one.

Only the labels that have trained neither of the two are asked, and their images are embedded first, so that a refusal
costs little however large the gallery is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrieval.core.errors import BadValue, EmptyGallery, RetrievalError
from retrieval.core.types import EmbeddingSpace, Ids
from retrieval.evaluation.comparison import Comparison, compare
from retrieval.evaluation.retrieval import RetrievalResult, retrieve
from retrieval.functional.metrics import Ints
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.gate import Refusal, gallery_against
from retrieval.workflows.labelled_sets import gallery_set, stored_vectors
from retrieval.workflows.live_index import Say
from retrieval.workflows.run_folder import WITHOUT_LABELS, RunFolder
from retrieval.workflows.run_parts import learned_from

MOST_IMAGES = 5_000
"""More labels make the interval hardly smaller, and would have to be embedded before anything is known."""

_MOST_OF_A_CLASS = MOST_IMAGES // 4

_SEED = 0


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Labelled images of a gallery that have trained neither of two encoders, of two classes or more.

    Attributes:
        ids: [N] of the images.
        numbers: [N] class number of each.
    """

    ids: Ids
    numbers: Ints

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class GalleryProof:
    """Two spaces measured on the same labelled images of a gallery, each image searching among the others.

    Attributes:
        images: how many.
        comparison: the live space before, the new one after.
    """

    images: int
    comparison: Comparison

    @property
    def against(self) -> list[Refusal]:
        """What it has to say against a switch; nothing where the new space is proven better."""
        return gallery_against(self.to_dict()["comparison"], self.images)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "images": self.images,
            "comparison": self.comparison.to_dict(),
            "verdict": self.comparison.verdict,
        }

    def __str__(self) -> str:
        gains = []
        for name, word in (("recall_at_1", "recall@1"), ("map_at_r", "MAP@R")):
            change = self.comparison.changes[name]
            gain = change.difference
            gains.append(
                f"{word} {change.before.mean:.3f} → {change.after.mean:.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
            )
        return f"on {self.images:,} labelled images of the gallery: {', '.join(gains)}"


def may_be_asked(gallery: Gallery, run: RunFolder | None) -> bool:
    """Whether the gallery's labels are held out from an encoder, as far as can be known.

    They are from one that comes without a run, unless it was trained on them elsewhere, and from one that has trained
    without labels; not where that began with an encoder that this gallery does not know, or learned from a teacher:
    what these have learned from is not known.

    Args:
        gallery: opened.
        run: the training run that made the encoder; None for one from elsewhere.
    """
    if run is None:
        return True
    metrics = _metrics(run)
    known = {space.fingerprint for space in gallery.catalog.spaces.all()}
    return metrics.get("kind") == WITHOUT_LABELS and "teacher" not in metrics and _start(metrics) in known


def held_out(gallery: Gallery, live: EmbeddingSpace, run: RunFolder | None, say: Say) -> HeldOut | None:
    """The labelled images that can tell two encoders apart; None where there are not enough.

    Args:
        gallery: opened.
        live: the space in use: what has trained its encoder would flatter it.
        run: that made the other encoder; None for one from elsewhere.
        say: told where it is not known what has trained one of them.
    """
    try:
        found = gallery_set(gallery)
    except (BadValue, EmptyGallery):
        return None
    fingerprints = dict.fromkeys([live.fingerprint, *([] if run is None else [str(_start(_metrics(run)))])])
    learned = np.concatenate([learned_from(gallery, fingerprint, say) for fingerprint in fingerprints])
    chosen = _chosen(found.labelled.numbers, np.flatnonzero(~np.isin(found.ids, learned)))
    return None if len(chosen) == 0 else HeldOut(found.ids[chosen], found.labelled.numbers[chosen])


def _chosen(numbers: Ints, places: Ids) -> Ids:
    """Of some images those that are asked, ascending: of classes with two images or more, at most ``MOST_IMAGES``; none
    where there are not two such classes."""
    random = np.random.default_rng(_SEED)
    shuffled = random.permutation(places)
    by_class = shuffled[np.argsort(numbers[shuffled], kind="stable")]
    ends = np.flatnonzero(np.diff(numbers[by_class])) + 1
    of_class = [members[:_MOST_OF_A_CLASS] for members in np.split(by_class, ends)]
    # Whole classes: a part of each would leave images without another one of their class.
    several = [members for members in of_class if len(members) > 1]
    if len(several) < 2:
        return np.empty(0, np.int64)
    order = random.permutation(len(several))
    fitting = np.cumsum([len(several[i]) for i in order]) <= MOST_IMAGES
    return np.sort(np.concatenate([several[i] for i in order[fitting]]))


def measure(gallery: Gallery, images: HeldOut, live: EmbeddingSpace, new: EmbeddingSpace) -> GalleryProof | None:
    """Two spaces on the images that both hold; None where these are not enough."""
    old_vectors, old_there = stored_vectors(gallery, live, images.ids)
    new_vectors, new_there = stored_vectors(gallery, new, images.ids)
    both, of_old, of_new = np.intersect1d(old_there, new_there, assume_unique=True, return_indices=True)
    ids, numbers = images.ids[both], images.numbers[both]

    def result(vectors: Any) -> RetrievalResult:
        return retrieve(vectors, numbers, ids, seed=_SEED)

    try:
        comparison = compare(result(old_vectors[of_old]), result(new_vectors[of_new]), seed=_SEED)
    except RetrievalError:
        return None
    return GalleryProof(len(both), comparison)


def _metrics(run: RunFolder) -> Mapping[str, Any]:
    try:
        found = run.read(run.metrics.name)
    except RetrievalError:
        return {}
    return found if isinstance(found, Mapping) else {}


def _start(metrics: Mapping[str, Any]) -> str | None:
    start = metrics.get("start")
    return str(start.get("fingerprint")) if isinstance(start, Mapping) else None
