"""One space opened for searching: its index, its encoder and what its scores mean stay together."""

import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.core.errors import RetrievalError
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.types import NO_ID, EmbeddingSpace, Ids
from retrieval.evaluation.margin import FIRST, NEIGHBOURS, crowding
from retrieval.vectors import DamagedRows
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
        return FIRST if self._by_margin else 1

    @property
    def _by_margin(self) -> bool:
        return self.calibration is not None and self.calibration.judged_by == "margin"

    def nothing_like_this(
        self, found: Sequence[Scored], left_out: Collection[int] = (), among: Ids | None = None
    ) -> list[bool | None]:
        """Whether the matches of each query are below the threshold; True where there are none at all.

        By margin that takes a search with the first matches of all queries, in one go.

        Args:
            found: for each query its (id, score)s, best first, ``depth`` of them or all that there are.
            left_out: ids that are no results; they do not count as a match's neighbours either.
            among: ids that do; None for all.
        """
        if self.calibration is None or self.calibration.threshold is None:
            return [None] * len(found)
        least = self.calibration.threshold
        if not self._by_margin:
            return [not scored or scored[0][1] < least for scored in found]
        try:
            crowded = self._crowding({i for scored in found for i, _ in scored[:FIRST]}, left_out, among)
        except (KeyError, DamagedRows):
            # A match that is forgotten or damaged since it was found: nobody knows how near its neighbours are.
            return [None] * len(found)
        return [all(score - crowded[i] < least for i, score in scored[:FIRST]) for scored in found]

    def _crowding(self, matches: Collection[int], left_out: Collection[int], among: Ids | None) -> dict[int, float]:
        """The mean cosine of each of these images to its nearest neighbours. Raises KeyError, DamagedRows."""
        if not matches:
            return {}
        assert self.index is not None
        ids = np.array(sorted(matches), np.int64)
        near = self.index.search(self.index.store.read(ids), NEIGHBOURS + 1 + len(left_out), among)
        counted = (near.ids != NO_ID) & (near.ids != ids[:, None]) & ~np.isin(near.ids, list(left_out))
        return dict(zip(ids.tolist(), crowding(near.scores, counted).tolist(), strict=True))


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
