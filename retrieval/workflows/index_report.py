"""What an indexing run says: its costs before, how far it is, and every file accounted for."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from retrieval.workflows.live_index import Say
from retrieval.workflows.planning import Plan

LEAST_FOR_A_RATE = 100
"""Images from which on a run's rate is kept for the next estimate: the first and the last batch of a small run, in
which one half of the pipeline waits for the other, make it look slow."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run is about to cost, said before it starts.

    Attributes:
        plan: what the scan found.
        offline: files in roots that cannot be reached.
        seconds: for reading, decoding and embedding; None where nothing must be read.
        bytes: disk that the gallery will take in addition.
    """

    plan: Plan
    offline: int
    seconds: float | None
    bytes: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: files that must be read, of which so many are done and failed; rate and time left."""

    done: int
    total: int
    failed: int
    images_per_second: float
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class IndexReport:
    """Every file accounted for: found = new + changed + moved + copied + unchanged + failed.

    Attributes:
        found: image files in what was indexed (and files that claim to be images).
        new: with a content never seen before.
        changed: known paths with another content than before.
        moved: known contents whose known place is gone.
        copied: known contents that are still at a known place too.
        unchanged: as they were.
        failed: that could not be used; each is listed with its reason.
        skipped: files that are no images.
        missing: files that were there before and are gone from a folder that was looked at; each run counts them all.
        offline: files in folders that cannot be reached; nothing is concluded about them. Each run counts them all,
            except those that were missing already.
        embedded: image contents that were embedded.
        seconds: the whole run.
        images_per_second: contents embedded in the time spent on reading and embedding; 0 where none were.
        space: fingerprint of the embedding space.
        interrupted: the run was stopped; the next one goes on from here.
    """

    found: int
    new: int
    changed: int
    moved: int
    copied: int
    unchanged: int
    failed: int
    skipped: int
    missing: int
    offline: int
    embedded: int
    seconds: float
    images_per_second: float
    space: str
    interrupted: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Hooks:
    """How a run talks to whoever started it.

    Attributes:
        say: one line about anything unusual.
        estimated: the costs, before anything is read.
        progress: now and then.
        stop: asked often; True ends the run cleanly after the batch at hand.
    """

    say: Say = lambda _: None
    estimated: Callable[[Estimate], None] = lambda _: None
    progress: Callable[[Progress], None] = lambda _: None
    stop: Callable[[], bool] = lambda: False
