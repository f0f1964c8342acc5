"""What a gallery's own labels say of an encoder that brings no proof on labels: its space beside the live one.

Only the labels that have trained neither of the two are asked, and their images are embedded first, so that a refusal
costs little however large the gallery is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrieval.core.errors import RetrievalError
from retrieval.core.types import EmbeddingSpace, Filters, Ids, Vectors
from retrieval.evaluation.comparison import Comparison, compare
from retrieval.evaluation.retrieval import RetrievalResult, retrieve
from retrieval.functional.metrics import Ints
from retrieval.models.card import ModelCard
from retrieval.models.starter import starter_card
from retrieval.workflows.encoders import GalleryEncoder
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.gate import Refusal, gallery_against
from retrieval.workflows.labelled_sets import stored_vectors
from retrieval.workflows.live_index import Say
from retrieval.workflows.run_folder import RECIPE, RunFolder
from retrieval.workflows.run_parts import learned_from, learns_labels, taught_by

LEAST_IMAGES, LEAST_CLASSES = 20, 4
"""With fewer, equal encoders are told apart by chance, and much better ones are refused."""

MOST_IMAGES, MOST_OF_A_CLASS = 5_000, 250
"""More make the interval hardly smaller, and would have to be embedded before anything is known."""

_NAMED = 12
"""Digits of a fingerprint in an origin."""

_SEED = 0


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Labelled images of a gallery that have trained neither of two encoders.

    Attributes:
        ids: [N] of the images.
        numbers: [N] class number of each.
        certain: it is known that they have not trained the one that would come. They would flatter it otherwise: what
            they say against it holds, what they say for it does not.
    """

    ids: Ids
    numbers: Ints
    certain: bool

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class GalleryProof:
    """Two spaces measured on the same labelled images of a gallery, each image searching among the others.

    Attributes:
        images: how many.
        comparison: the live space before, the new one after.
        certain: see ``HeldOut``.
    """

    images: int
    comparison: Comparison
    certain: bool

    @property
    def against(self) -> list[Refusal]:
        """What it has to say against a switch; nothing where the new space is proven better."""
        return gallery_against(self.to_dict()["comparison"], self.images)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "images": self.images,
            "certain": self.certain,
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


def held_out(
    gallery: Gallery, live: EmbeddingSpace, card: ModelCard, run: RunFolder | None, say: Say
) -> HeldOut | None:
    """The labelled images that can tell an encoder from the live one; None where there are none, which is said.

    A person's labels, a table's and those from folder names are asked, of images that have trained neither of the two.

    Args:
        gallery: opened.
        live: the space in use.
        card: of the other encoder.
        run: that made it, without labels; None for one from elsewhere.
        say: told why nothing can be asked.
    """
    taught = _learned(gallery, [live.fingerprint], card, say)
    if taught is None:
        say("What has trained the model in use is not known: labels that may flatter it are not asked.")
        return None
    before = [card.fingerprint] if run is None else _before(run)
    learned = _learned(gallery, before, card, say) if before else None
    if run is not None and learned is None:
        return None
    label_of = gallery.catalog.labels.chosen()
    labelled = np.intersect1d(
        gallery.catalog.images.passing(live.id, Filters()), np.fromiter(label_of, np.int64, len(label_of))
    )
    ids = np.setdiff1d(labelled, taught if learned is None else np.concatenate([taught, learned]))
    number_of = {label: number for number, label in enumerate(sorted(set(label_of.values())))}
    numbers = np.fromiter((number_of[label_of[i]] for i in ids.tolist()), np.int64, len(ids))
    chosen = _chosen(numbers)
    if len(chosen) < LEAST_IMAGES or len(np.unique(numbers[chosen])) < LEAST_CLASSES:
        say(
            f"The gallery has too few labels to compare encoders: it takes {LEAST_IMAGES} images of {LEAST_CLASSES} "
            "labels, two or more of each, that have trained neither."
        )
        return None
    return HeldOut(ids[chosen], numbers[chosen], learned is not None)


def _before(run: RunFolder) -> list[str]:
    """The encoders that taught one of a run without labels; none where it has learned labels itself."""
    recipe, metrics = _read(run, RECIPE), _read(run, run.metrics.name)
    return [] if learns_labels(recipe, metrics) else taught_by(recipe, metrics)


def _learned(gallery: Gallery, fingerprints: Sequence[str], card: ModelCard, say: Say) -> Ids | None:
    """[n] images of a gallery whose labels have trained any of some encoders; None where that is not known.

    An encoder that no run of the gallery made has learned none, unless its card names one of the gallery's among those
    that it came from: then it may be a copy of a result.

    Args:
        gallery: opened.
        fingerprints: of the encoders.
        card: of one that the gallery may have no space of.
        say: told which run does not say any more what it has learned from.
    """
    unknown: list[str] = []
    found = [learned_from(gallery, one, unknown.append) for one in fingerprints]
    for line in dict.fromkeys(unknown):
        say(line)
    spaces = {space.fingerprint: space for space in gallery.catalog.spaces.all()}
    # The program brings the starter; what its card names, as its teacher, has not come from any gallery.
    pending, seen = list(fingerprints), {starter_card().fingerprint}
    while pending:
        one = pending.pop()
        if one in seen:
            continue
        known = gallery.catalog.runs.all(one)
        if known:
            pending += taught_by(known[-1].recipe, known[-1].metrics)
        elif one == card.fingerprint:
            unknown += [one] if _names_any(card.origin, spaces, one) else []
        elif one not in spaces or _names_any(_origin(gallery, spaces[one]), spaces, one):
            unknown.append(one)
        seen.add(one)
    return None if unknown else np.unique(np.concatenate(found))


def _names_any(origin: str | None, fingerprints: Iterable[str], but: str) -> bool:
    """Whether an origin names any encoder but one, or cannot be read."""
    return origin is None or any(one[:_NAMED] in origin for one in fingerprints if one != but)


def _origin(gallery: Gallery, space: EmbeddingSpace) -> str | None:
    try:
        return GalleryEncoder.card_of(gallery, space).origin
    except RetrievalError:
        return None


def _chosen(numbers: Ints) -> Ids:
    """Places of the images that are asked, ascending: of every class with two images or more as many as fit, the same
    number of each; where not even two do, of some of the classes.

    Args:
        numbers: [n] class number of each image.
    """
    random = np.random.default_rng(_SEED)
    shuffled = random.permutation(len(numbers)).astype(np.int64)
    by_class = shuffled[np.argsort(numbers[shuffled], kind="stable")]
    ends = np.flatnonzero(np.diff(numbers[by_class])) + 1
    several = [members for members in np.split(by_class, ends) if len(members) > 1]
    if not several:
        return np.empty(0, np.int64)
    sizes = np.array([len(members) for members in several])
    fitting = (most for most in range(MOST_OF_A_CLASS, 2, -1) if np.minimum(sizes, most).sum() <= MOST_IMAGES)
    most = next(fitting, 2)
    order = random.permutation(len(several))[: MOST_IMAGES // 2] if most == 2 else range(len(several))
    return np.sort(np.concatenate([several[i][:most] for i in order]))


def measure(gallery: Gallery, images: HeldOut, live: EmbeddingSpace, new: EmbeddingSpace) -> GalleryProof | None:
    """Two spaces on the images that both hold; None where these are not enough."""
    (old_there, old_vectors), (new_there, new_vectors) = (_sound(gallery, space, images.ids) for space in (live, new))
    both, of_old, of_new = np.intersect1d(old_there, new_there, assume_unique=True, return_indices=True)
    ids, numbers = images.ids[both], images.numbers[both]
    if len(ids) < LEAST_IMAGES:
        return None

    def result(vectors: Vectors) -> RetrievalResult:
        return retrieve(vectors, numbers, ids, seed=_SEED)

    try:
        comparison = compare(result(old_vectors[of_old]), result(new_vectors[of_new]), seed=_SEED)
    except RetrievalError:
        return None
    return GalleryProof(len(both), comparison, images.certain)


def _sound(gallery: Gallery, space: EmbeddingSpace, ids: Ids) -> tuple[Ids, Vectors]:
    """(places of images in ``ids``, their vectors) that a space holds. One without a direction is like nothing."""
    vectors, there = stored_vectors(gallery, space, ids)
    pointing = np.flatnonzero(np.any(vectors != 0, axis=1))
    return there[pointing], vectors[pointing]


def _read(run: RunFolder, name: str) -> Mapping[str, Any]:
    try:
        found = run.read(name)
    except RetrievalError:
        return {}
    return found if isinstance(found, Mapping) else {}
