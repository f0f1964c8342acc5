"""Labels proposed for images that have none: what their nearest labelled neighbours carry, with a measured confidence.

The proposal is the label with the most votes among the nearest labelled images, each vote weighing
exp((cosine - best cosine) / tau) (the weights of Wu et al., CVPR 2018, https://arxiv.org/abs/1805.01978). Its evidence
is the share of its votes times the best cosine: low where neighbours disagree, and low where none is near. What an
evidence is worth is measured on the labelled images themselves, without those that have trained the encoder: each is
labelled by all the others, and the share of right answers, as a monotone function of the evidence, is the confidence.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.catalog import AUTOMATIC, TRUSTED, Entry
from retrieval.core.errors import BadValue, disk_full_is_said
from retrieval.core.settings import Settings
from retrieval.core.types import NO_ID, Ids, Matches
from retrieval.evaluation.calibration import Calibration, fit_calibration
from retrieval.workflows.calibrating import LabelledSpace, held_out, labelled_space
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.live_index import LiveIndex, Say
from retrieval.workflows.opened import OpenedSpace
from retrieval.workflows.run_parts import learned_from

NEIGHBOURS = 10
TEMPERATURE = 0.07
LEAST_CONFIDENCE = 0.9
_MOST_MEASURED = 5_000
_BLOCK = 1_024

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AutoReport:
    """What labelling by neighbours did.

    Attributes:
        operation: its number, for ``undo``; None where nothing had to be changed.
        proposed: images that carry an automatic label now.
        added, removed: what that changed against an earlier run.
        unsure: images without a label whose proposal was not sure enough, or like nothing that is labelled.
        learned_from: labelled images that voted.
        accuracy: share of right answers where these were labelled by each other; those that have trained the encoder
            were not asked.
        least: confidence that was asked for.
        shown: some of the proposals, the surest of each label first: (image id, label, confidence).
    """

    operation: int | None
    proposed: int
    added: int
    removed: int
    unsure: int
    learned_from: int
    accuracy: float
    least: float
    shown: tuple[tuple[int, str, float], ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


def auto_label(
    folder: Path,
    *,
    least: float = LEAST_CONFIDENCE,
    sources: Sequence[str] = TRUSTED,
    settings: Settings | None = None,
    say: Say = lambda _: None,
) -> AutoReport:
    """Label the images that have no label, where their neighbours are sure enough.

    The labels are marked automatic, carry their confidence, are never learned from, and are taken back by one
    ``undo``. A later run replaces them all.

    Args:
        folder: the gallery's.
        least: confidence in [0, 1] below which nothing is said.
        sources: whose labels are learned from; images that only others labelled count as unlabelled.
        settings: from the environment by default.
        say: told about anything unusual.

    Raises:
        BadValue: too few labelled images, or too few that have not trained the encoder, or values that cannot be.
        GalleryBusy: another process is writing.
        EmptyGallery: nothing is indexed.
    """
    if not 0 <= least <= 1:
        raise BadValue(f"The confidence {least} is not between 0 and 1.", "0.9 is the default.")
    if not sources or not set(sources) <= set(TRUSTED):
        raise BadValue(f"Labels are learned from {', '.join(TRUSTED)}.", "Leave the sources out to take all of them.")
    with disk_full_is_said(str(folder)), Gallery(folder, settings) as gallery:
        space = gallery.live_space()
        known = labelled_space(gallery, space, gallery.catalog.labels.chosen(sources))
        asked = held_out(known, learned_from(gallery, space.fingerprint, say))
        opened = OpenedSpace(gallery, space, say)
        calibration, accuracy = measured(opened.index, known, asked)
        entries = []
        unsure = 0
        for some in _proposals(opened.index, known, _unlabelled(gallery, known, sources)):
            sure = [one for one in some if calibration.probability(one.evidence) >= least]
            # By cosine, which was measured as here: labelled images alone are searched.
            strange = opened.calibrated().nothing_by_cosine([one.best for one in sure])
            entries += [
                Entry(one.image_id, one.label, AUTOMATIC, round(calibration.probability(one.evidence), 6))
                for one, unlike in zip(sure, strange, strict=True)
                if not unlike
            ]
            unsure += len(some) - len(sure) + sum(map(bool, strange))
        with gallery.writing():
            stale = _stale(gallery, entries)
            change = gallery.catalog.labels.change("automatic", entries, stale)
            gallery.catalog.seal()
        return AutoReport(
            operation=change.operation,
            proposed=len(entries),
            added=change.added,
            removed=change.removed,
            unsure=unsure,
            learned_from=len(known.ids),
            accuracy=round(accuracy, 4),
            least=least,
            shown=_shown(entries),
        )


def _unlabelled(gallery: Gallery, known: LabelledSpace, sources: Sequence[str]) -> Ids:
    there = gallery.catalog.spaces.findable(gallery.live_space().id)[0]
    labelled = {event.image_id for event in gallery.catalog.labels.standing(sources=sources)}
    return np.setdiff1d(there, np.union1d(known.ids, np.array(sorted(labelled), np.int64)))


def measured(index: LiveIndex, known: LabelledSpace, asked: Ids) -> tuple[Calibration, float]:
    """What evidence is worth, and how often the vote is right.

    Args:
        index: of the space.
        known: labelled images, which vote.
        asked: [n] places of those among them that are labelled by the others. Where they are very many, a sample is.

    Returns:
        (from evidence to the chance that the vote is right, share of right votes).
    """
    if len(asked) > _MOST_MEASURED:
        asked = np.sort(np.random.default_rng(2).choice(asked, _MOST_MEASURED, replace=False))
    winners, evidence = [], []
    for start in range(0, len(asked), _BLOCK):
        some = asked[start : start + _BLOCK]
        matches = index.search(known.vectors[some], NEIGHBOURS + 1, known.ids)
        numbers, values, _ = vote(without_itself(matches, known.ids[some]), known)
        winners.append(numbers)
        evidence.append(values)
    right = np.concatenate(winners) == known.numbers[asked]
    calibration = fit_calibration(np.concatenate(evidence), right, classes=known.numbers[asked])
    return calibration, float(right.mean())


@dataclass(frozen=True, slots=True)
class _Proposal:
    """What the nearest labelled images say of an image, the evidence for it, and the cosine of the nearest."""

    image_id: int
    label: str
    evidence: float
    best: float


def _proposals(index: LiveIndex, known: LabelledSpace, ids: Ids) -> Iterator[list[_Proposal]]:
    """For each image that has a vector, a block at a time."""
    ids = np.setdiff1d(ids, index.store.missing(ids))
    for start in range(0, len(ids), _BLOCK):
        some = ids[start : start + _BLOCK]
        for damaged in index.store.damaged(some):
            some = np.setdiff1d(some, damaged)
        if not len(some):
            continue
        matches = index.search(index.store.read(some), NEIGHBOURS, known.ids)
        numbers, evidence, best = vote(matches, known)
        yield [
            _Proposal(image_id, known.classes[number], value, cosine)
            for image_id, number, value, cosine in zip(
                some.tolist(), numbers.tolist(), evidence.tolist(), best.tolist(), strict=True
            )
        ]


def without_itself(matches: Matches, own: Ids) -> Matches:
    """The matches without the query itself, or else without the last one; as many for each."""
    keep = matches.ids != own[:, None]
    keep[keep.all(axis=1), -1] = False
    shape = (len(own), matches.ids.shape[1] - 1)
    return Matches(matches.ids[keep].reshape(shape), matches.scores[keep].reshape(shape))


def vote(matches: Matches, known: LabelledSpace) -> tuple[Ids, Floats, Floats]:
    """The label that the neighbours vote for.

    Args:
        matches: [Q, k] labelled neighbours, at least one for each query.
        known: their labels.

    Returns:
        [Q] class numbers (of equal sums the lowest), [Q] evidence in [-1, 1], [Q] cosine of the nearest.
    """
    best = matches.scores[:, 0]
    shares = vote_shares(matches, known)
    winner = shares.argmax(axis=1)
    return winner.astype(np.int64), np.asarray(shares[np.arange(len(best)), winner] * best), np.asarray(best)


def vote_shares(matches: Matches, known: LabelledSpace) -> Floats:
    """[Q, C] each label's share of the votes; arguments as of ``vote``."""
    there = matches.ids != NO_ID
    best = matches.scores[:, 0]
    weights = np.where(there, np.exp((np.where(there, matches.scores, -1.0) - best[:, None]) / TEMPERATURE), 0.0)
    numbers = known.numbers[np.searchsorted(known.ids, np.where(there, matches.ids, known.ids[0]))]
    sums = np.zeros((len(best), len(known.classes)))
    np.add.at(sums, (np.arange(len(best))[:, None], numbers), weights)
    return np.asarray(sums / weights.sum(axis=1, keepdims=True))


def _stale(gallery: Gallery, entries: Sequence[Entry]) -> list[int]:
    """The automatic labels of earlier runs that this one does not repeat."""
    said = {(entry.image_id, entry.label) for entry in entries}
    standing = gallery.catalog.labels.standing(sources=[AUTOMATIC])
    return [event.id for event in standing if (event.image_id, event.label) not in said]


def _shown(entries: Sequence[Entry], each: int = 3, most: int = 30) -> tuple[tuple[int, str, float], ...]:
    by_label: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda e: (-(e.confidence or 0.0), e.image_id)):
        by_label.setdefault(entry.label, []).append(entry)
    some = [entry for label in sorted(by_label) for entry in by_label[label][:each]]
    return tuple((entry.image_id, entry.label, entry.confidence or 0.0) for entry in some[:most])
