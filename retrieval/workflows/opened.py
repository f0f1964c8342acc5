"""One space opened for searching: its index, its encoder and what its scores mean stay together."""

import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.core.errors import RetrievalError
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.types import NO_ID, EmbeddingSpace
from retrieval.evaluation.margin import FIRST, NEAR_COPY, NEIGHBOURS, best_margins, crowding
from retrieval.workflows.encoders import GalleryEncoder
from retrieval.workflows.gallery import Gallery, nothing_indexed
from retrieval.workflows.live_index import LiveIndex, Say

if TYPE_CHECKING:
    from retrieval.evaluation.calibration import Calibration

_DIGITS = 6

Scored = Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What scores mean in a space; everything is None where it is not calibrated.

    Attributes:
        calibration: of the space.
        index: of the space; margins are looked up in it.
    """

    calibration: "Calibration | None" = None
    index: LiveIndex | None = None

    def probability(self, score: float) -> float | None:
        """Chance in [0, 1] that an image with this cosine carries the query's label."""
        return None if self.calibration is None else round(self.calibration.probability(score), _DIGITS)

    @property
    def depth(self) -> int:
        """How many of a query's first matches ``nothing_like_this`` wants to see."""
        return 1 if self.calibration is None or self.calibration.margin is None else FIRST

    def nothing_by_cosine(self, best: Sequence[float | None]) -> list[bool | None]:
        """Whether the cosine of each query's best match is below the threshold; True where there is no match."""
        if self.calibration is None or self.calibration.threshold is None:
            return [None] * len(best)
        least = self.calibration.threshold
        return [score is None or score < least for score in best]

    def nothing_like_this(self, found: Sequence[Scored], left_out: Collection[int] = ()) -> list[bool | None]:
        """Whether there is nothing like each query: by margin where one holds, else by cosine; True without a match.

        By margin that takes a search with the first matches of all queries, in one go.

        Args:
            found: for each query its (id, score)s, best first, ``depth`` of them or all that there are.
            left_out: ids that are no results; they do not count as a match's neighbours either.

        Returns:
            None for a query of which that is not known: nothing was measured, or a match is damaged or forgotten since
            it was found, so that nobody knows how near its neighbours are.
        """
        calibration = self.calibration
        if calibration is None or self.index is None or not calibration.by_margin(len(self.index)):
            return self.nothing_by_cosine([scored[0][1] if scored else None for scored in found])
        assert calibration.margin is not None
        firsts = [scored[:FIRST] for scored in found]
        crowded = self._crowding({i for scored in firsts for i, _ in scored}, left_out)
        return [_none_reaches(calibration.margin, scored, crowded) for scored in firsts]

    def _crowding(self, matches: Collection[int], left_out: Collection[int]) -> dict[int, float]:
        """The mean cosine of each of these images to its nearest neighbours, as far as their vectors can be read."""
        assert self.index is not None
        store, ids = self.index.store, np.array(sorted(matches), np.int64)
        ids = np.setdiff1d(ids, store.missing(ids))
        for damaged in store.damaged(ids):
            ids = np.setdiff1d(ids, damaged)
        if not len(ids):
            return {}
        near = self.index.search(store.read(ids), NEIGHBOURS + 1 + len(left_out))
        counted = (near.ids != NO_ID) & (near.ids != ids[:, None]) & ~np.isin(near.ids, list(left_out))
        return dict(zip(ids.tolist(), crowding(near.scores, counted).tolist(), strict=True))


def _none_reaches(least: float, scored: Scored, crowded: Mapping[int, float]) -> bool | None:
    """Whether no match has this margin; None where that hangs on one whose crowding is not known."""
    known = [(score, crowded[i]) for i, score in scored if i in crowded]
    # A near-copy is one whatever lies around it, and be it damaged meanwhile.
    if any(score >= NEAR_COPY for _, score in scored):
        return False
    scores, around = (np.array([pair[n] for pair in known], np.float64) for n in (0, 1))
    if best_margins(scores[None], around[None])[0] >= least:
        return False
    return True if len(known) == len(scored) else None


def read_calibration(content: Mapping[str, Any]) -> "Calibration":
    """The calibration in a JSON document. Raises RetrievalError where it cannot be one."""
    # Only where there is one: it is not needed to open a gallery.
    from retrieval.evaluation.calibration import Calibration

    return Calibration.from_dict(content)


class OpenedSpace:
    """A space of a gallery, opened; thread-safe.

    Args:
        gallery: opened.
        space: which.
        say: told about anything unusual.

    Attributes:
        space: as given.
        index: kept up to date.
    """

    def __init__(self, gallery: Gallery, space: EmbeddingSpace, say: Say) -> None:
        self.space = space
        self.index = LiveIndex(gallery, space, say)
        self._gallery = gallery
        self._say = say
        self._lock = threading.Lock()
        self._encoder: GalleryEncoder | None = None
        self._calibrated: tuple[int, Calibrated] = (0, Calibrated())

    @property
    def encoder(self) -> GalleryEncoder:
        """Its encoder; opened by the first who asks. Raises ModelDamaged."""
        with self._lock:
            if self._encoder is None:
                self._encoder = GalleryEncoder(self._gallery, self.space, self._say)
            return self._encoder

    def spec(self) -> Preprocessing:
        """How its encoder wants pictures. Raises EmptyGallery where there is nothing to find, ModelDamaged."""
        self.index.refresh()
        if not len(self.index):
            raise nothing_indexed(self._gallery.folder)
        return self.encoder.spec

    def warm(self) -> None:
        """Load the index and the encoder. Raises ModelDamaged."""
        side = self.encoder.spec.input_size
        self.encoder.embed(np.zeros((1, side, side, 3), np.uint8))

    def warm_soon(self) -> None:
        """The same meanwhile; what is wrong with the encoder the first who searches is told."""

        def warm() -> None:
            with suppress(RetrievalError):
                self.warm()

        threading.Thread(target=warm, daemon=True).start()

    def calibrated(self) -> Calibrated:
        """What its scores mean, as of now. A calibration that cannot be read is said once, and is none."""
        found = self._gallery.catalog.calibrations.current(self.space.id)
        if found is None:
            return Calibrated()
        number, content = found
        with self._lock:
            if self._calibrated[0] != number:
                self._calibrated = (number, self._read(content))
            return self._calibrated[1]

    def _read(self, content: Mapping[str, Any]) -> Calibrated:
        try:
            return Calibrated(read_calibration(content), self.index)
        except RetrievalError as error:
            self._say(f"Scores are shown without probabilities: {error.message}")
            return Calibrated()
