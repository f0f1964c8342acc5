"""What a switch did, and how it talks to whoever started it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from retrieval.core.errors import NotProven
from retrieval.workflows.gate import Refusal, Skipped, refused
from retrieval.workflows.index_report import Progress
from retrieval.workflows.live_index import Say
from retrieval.workflows.switch_estimate import SwitchEstimate


@dataclass(frozen=True, slots=True)
class SwitchReport:
    """What a switch did.

    Attributes:
        fingerprint, model: of the new space.
        previous: fingerprint of the space that was live when it began; a rollback leads there.
        run: folder of the training run; empty for a model from elsewhere.
        switched: the new space is live.
        embedded: images that this run embedded; those of an earlier run that was stopped are not counted again.
        covered, total: the new space has an embedding of so many images, of so many that files hold.
        skipped: the images that could not be embedded.
        refusals: what the gate has to say against the switch.
        forced: it was overruled.
        interrupted: the run was stopped; the same command goes on.
        costs: as estimated before.
        proof: what the gallery's labels say of a model that brings no proof on labels, as ``GalleryProof.to_dict``
            gives it; None where a run proves it, no label can, or they were not asked yet.
        to_measure: so many labelled images will be asked first.
        seconds: the whole run.
    """

    fingerprint: str
    model: str
    previous: str
    run: str
    switched: bool
    embedded: int
    covered: int
    total: int
    skipped: tuple[Skipped, ...]
    refusals: tuple[str, ...]
    forced: bool
    interrupted: bool
    costs: SwitchEstimate | None
    proof: dict[str, Any] | None
    to_measure: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


class SwitchRefused(NotProven):
    """The gate refuses. What was embedded is kept.

    Attributes:
        report: as it would have been returned.
    """

    def __init__(self, report: SwitchReport, refusals: Sequence[Refusal]) -> None:
        said = refused(refusals)
        super().__init__(said.message, said.hint)
        self.report = report


@dataclass(frozen=True, slots=True)
class SwitchHooks:
    """How a switch talks to whoever started it.

    Attributes:
        say: one line about anything unusual.
        estimated: the costs, before anything is embedded.
        progress: now and then.
        stop: asked often; True ends the run cleanly after the batch at hand.
    """

    say: Say = lambda _: None
    estimated: Callable[[SwitchEstimate], None] = lambda _: None
    progress: Callable[[Progress], None] = lambda _: None
    stop: Callable[[], bool] = lambda: False
