"""What to ask a person next: unlabelled images with a proposed label, in the order in which the answers teach most.

The proposal is the vote of the nearest labelled images (see ``automatic_labels``), with its measured confidence. The
order is that of ``functional.acquisition``: the least sure ones, and of those such as lie far apart.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval.catalog import TRUSTED
from retrieval.core.errors import BadValue
from retrieval.core.settings import Settings
from retrieval.core.types import EmbeddingSpace, Ids, Matches, Vectors
from retrieval.evaluation.calibration import Calibration
from retrieval.functional.acquisition import margins, most_useful
from retrieval.workflows.automatic_labels import NEIGHBOURS, measured, vote, vote_shares
from retrieval.workflows.calibrating import LabelledSpace, held_out, labelled_space
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.live_index import LiveIndex, Say
from retrieval.workflows.opened import OpenedSpace
from retrieval.workflows.run_parts import learned_from
from retrieval.workflows.unlabelled import unlabelled

MOST_IMAGES = 3_000
"""Unlabelled images that are looked at; where there are more, a random sample of them."""

COUNT = 20
"""Questions at a time: an answer changes what is worth asking, so not too many."""

_BLOCK = 1_024


@dataclass(frozen=True, slots=True)
class Question:
    """An image to ask about.

    Attributes:
        image_id: of the image.
        label: that its neighbours propose.
        confidence: chance in [0, 1] that this is right, measured on the labelled images that have not trained the
            encoder; where these are too few, on all of them, which is said and too high.
        margin: share of the votes for it, less that of the next label, in [0, 1].
        others: the next labels, those with most votes first, at most two.
    """

    image_id: int
    label: str
    confidence: float
    margin: float
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions to ask next.

    Attributes:
        questions: the one that teaches most first.
        looked_at: unlabelled images that were considered.
        of: unlabelled images in all.
        learned_from: labelled images that voted.
        accuracy: share of right answers where these were labelled by each other.
    """

    questions: tuple[Question, ...]
    looked_at: int
    of: int
    learned_from: int
    accuracy: float


def next_questions(
    folder: Path,
    count: int = COUNT,
    *,
    most: int = MOST_IMAGES,
    seed: int = 0,
    settings: Settings | None = None,
    say: Say = lambda _: None,
) -> Questions:
    """What to ask next. Nothing is changed.

    Args:
        folder: the gallery's.
        count: how many questions at most.
        most: unlabelled images to look at.
        seed: of the sample.
        settings: from the environment by default.
        say: told about anything unusual.

    Raises:
        BadValue: too few labelled images to propose anything.
        EmptyGallery: nothing is indexed.
    """
    with Gallery(folder, settings) as gallery:
        space = gallery.live_space()
        known = labelled_space(gallery, space, gallery.catalog.labels.chosen(TRUSTED))
        index = OpenedSpace(gallery, space, say).index
        calibration, accuracy = measured(index, known, _measuring(gallery, space, known, say))
        found = unlabelled(gallery, most, seed=seed)
        if not len(found.ids):
            return Questions((), 0, found.of, len(known.ids), accuracy)
        matches = _neighbours(index, known, found.vectors)
        asked = most_useful(found.vectors, margins(vote_shares(matches, known)), matches.scores[:, 0], count)
        some = Matches(matches.ids[asked], matches.scores[asked])
        questions = _questions(found.ids[asked], some, known, calibration)
        return Questions(questions, len(found.ids), found.of, len(known.ids), accuracy)


def _measuring(gallery: Gallery, space: EmbeddingSpace, known: LabelledSpace, say: Say) -> Ids:
    """Places of the images that tell what a vote is worth. Questions are worth asking even where none can."""
    try:
        return held_out(known, learned_from(gallery, space.fingerprint, say))
    except BadValue as error:
        say(f"Proposals look surer than they are: {error.message} {error.hint}")
        return np.arange(len(known.ids))


def _neighbours(index: LiveIndex, known: LabelledSpace, vectors: Vectors) -> Matches:
    blocks = [
        index.search(vectors[start : start + _BLOCK], NEIGHBOURS, known.ids) for start in range(0, len(vectors), _BLOCK)
    ]
    return Matches(np.concatenate([one.ids for one in blocks]), np.concatenate([one.scores for one in blocks]))


def _questions(ids: Ids, matches: Matches, known: LabelledSpace, calibration: Calibration) -> tuple[Question, ...]:
    shares = vote_shares(matches, known)
    _, evidence, _ = vote(matches, known)
    questions = []
    for image_id, row, margin, chance in zip(
        ids.tolist(), shares, margins(shares).tolist(), calibration.of(evidence).tolist(), strict=True
    ):
        # Of equal shares the lower number, as in the vote.
        order = np.argsort(-row, kind="stable")[:3]
        names = [known.classes[number] for number in order.tolist() if row[number] > 0]
        questions.append(Question(image_id, names[0], round(chance, 6), round(margin, 6), tuple(names[1:])))
    return tuple(questions)
