"""What a switch is about to cost, said before it starts."""

import random
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from time import monotonic
from typing import Any

from retrieval.core.errors import DiskFull
from retrieval.workflows.disk import bytes_in
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.gate import Skipped

_SAMPLE = 16
_CATALOG_BYTES_AN_IMAGE = 60
"""What an embedding and its change take in the catalog, indexes included; measured on 10,000 images: 53."""


@dataclass(frozen=True, slots=True)
class SwitchEstimate:
    """The costs of a switch.

    Attributes:
        images: that files hold.
        to_embed: of these, how many must be read and embedded; the others were, by an earlier run.
        unreachable: of these, how many no file can be read of just now.
        seconds: for reading, decoding and embedding; None where nothing must be.
        bytes: disk that the gallery will take in addition.
        free: on the disk that holds the gallery.
    """

    images: int
    to_embed: int
    unreachable: int
    seconds: float | None
    bytes: int
    free: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


class Sample:
    """A uniform sample of a stream (reservoir sampling), always the same one for the same stream."""

    def __init__(self) -> None:
        self._random = random.Random(0)
        self.seen = 0
        self.items: list[bytes] = []

    def add(self, item: bytes) -> None:
        """Offer one."""
        self.seen += 1
        if len(self.items) < _SAMPLE:
            self.items.append(item)
            return
        at = self._random.randrange(self.seen)
        if at < _SAMPLE:
            self.items[at] = item


def estimate(
    gallery: Gallery,
    dimension: int,
    encoder_bytes: int,
    reachable: Sample,
    unreachable: Sequence[Skipped],
    rate: Callable[[], float | None],
) -> SwitchEstimate:
    """The costs, from what a look at the catalog and a few files tell.

    Args:
        gallery: to be switched.
        dimension: D of the new space.
        encoder_bytes: that the copy of the encoder will take.
        reachable: of the images that must be embedded and can be read.
        unreachable: those that cannot.
        rate: images a second with the new encoder; asked only where there are some.
    """
    live = gallery.live_space()
    images = gallery.catalog.coverage.count(live.id)[1]
    per_second = rate() if reachable.seen else None
    index = bytes_in(gallery.layout.index(live)) * dimension // live.dimension
    rows = reachable.seen * (2 * dimension + 16 + _CATALOG_BYTES_AN_IMAGE)
    return SwitchEstimate(
        images=images,
        to_embed=reachable.seen + len(unreachable),
        unreachable=len(unreachable),
        seconds=reachable.seen / per_second if per_second else None,
        bytes=rows + index + encoder_bytes,
        free=shutil.disk_usage(gallery.folder).free,
    )


def measured_rate(read: Callable[[Iterable[bytes]], int], sample: Sample) -> float:
    """Images a second, from reading a few: the first one alone, since it starts the decoders."""
    read(sample.items[:1])
    start = monotonic()
    read(sample.items)
    return len(sample.items) / max(1e-3, monotonic() - start)


def refuse_full_disk(gallery: Gallery, costs: SwitchEstimate) -> None:
    """Raises DiskFull where the disk cannot hold the new space; nothing was changed."""
    if costs.bytes > costs.free:
        raise DiskFull(
            f"The new space needs about {costs.bytes / 1e9:,.1f} GB beside {gallery.folder}, and "
            f"{costs.free / 1e9:,.1f} GB are free.",
            "Free some space, or drop a space that is not needed: `retrieval spaces --drop FINGERPRINT`.",
        )
