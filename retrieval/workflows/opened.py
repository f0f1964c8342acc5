"""One space opened for searching: its index, its encoder and what its scores mean stay together."""

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.core.errors import RetrievalError
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.types import EmbeddingSpace
from retrieval.workflows.encoders import GalleryEncoder
from retrieval.workflows.gallery import Gallery, nothing_indexed
from retrieval.workflows.live_index import LiveIndex, Say

if TYPE_CHECKING:
    from retrieval.evaluation.calibration import Calibration

_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What scores mean in a space; everything is None where it is not calibrated."""

    calibration: "Calibration | None" = None

    def probability(self, score: float) -> float | None:
        """Chance in [0, 1] that an image with this cosine carries the query's label."""
        return None if self.calibration is None else round(self.calibration.probability(score), _DIGITS)

    def nothing_like_this(self, scored: Sequence[tuple[int, float]]) -> bool | None:
        """Whether the best of these (id, score), best first, is below the threshold; True for none at all."""
        if self.calibration is None or self.calibration.threshold is None:
            return None
        return not scored or scored[0][1] < self.calibration.threshold


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
            return Calibrated(read_calibration(content))
        except RetrievalError as error:
            self._say(f"Scores are shown without probabilities: {error.message}")
            return Calibrated()
