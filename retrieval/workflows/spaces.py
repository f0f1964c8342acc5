"""The embedding spaces of a gallery: listing them, going back to the one before, dropping what is not needed."""

import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from retrieval import index as engines
from retrieval.core.errors import BadValue, GalleryDamaged, RetrievalError
from retrieval.core.settings import Settings
from retrieval.core.types import EmbeddingSpace
from retrieval.models.folder import verify_folder
from retrieval.workflows.disk import bytes_in
from retrieval.workflows.encoders import GalleryEncoder
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.patience import alone

_SHORT = 16


@dataclass(frozen=True, slots=True)
class SpaceInfo:
    """One embedding space of a gallery.

    Attributes:
        fingerprint: of the encoder.
        model: its name.
        trained: False for an untrained encoder, or one whose card cannot be read.
        dimension: D.
        live: searches use it.
        back: a rollback leads here.
        covered, total: images that it has an embedding of, of those that files hold.
        calibrated: scores in it have probabilities.
        bytes: on disk: vectors, index and encoder.
        run: folder of the training run that made the encoder, as ``os.fsdecode`` gives it; empty for others.
        forced: what the gate had to say against the live space, and was overruled.
    """

    fingerprint: str
    model: str
    trained: bool
    dimension: int
    live: bool
    back: bool
    covered: int
    total: int
    calibrated: bool
    bytes: int
    run: str
    forced: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RollbackReport:
    """What a rollback did.

    Attributes:
        fingerprint, model: of the space that is live now.
        was: fingerprint of the one that was.
        lacking: images that came after the space was left; the next index embeds them.
        seconds: it took.
    """

    fingerprint: str
    model: str
    was: str
    lacking: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


def spaces(folder: Path, settings: Settings | None = None) -> list[SpaceInfo]:
    """Every embedding space of a gallery, oldest first.

    Raises:
        EmptyGallery: there is no gallery.
    """
    with Gallery(folder, settings) as gallery:
        return [_info(gallery, space) for space in gallery.catalog.spaces.all()]


def _info(gallery: Gallery, space: EmbeddingSpace) -> SpaceInfo:
    catalog = gallery.catalog
    covered, total = catalog.coverage.count(space.id)
    last = catalog.switches.last()
    runs = catalog.runs.all(space.fingerprint)
    parts = (gallery.layout.vectors(space), gallery.layout.index(space), gallery.layout.model(space.fingerprint))
    return SpaceInfo(
        fingerprint=space.fingerprint,
        model=space.model,
        trained=_is_trained(gallery, space),
        dimension=space.dimension,
        live=space.live,
        back=last is not None and last.previous_id == space.id,
        covered=covered,
        total=total,
        calibrated=catalog.calibrations.current(space.id) is not None,
        bytes=sum(bytes_in(part) for part in parts),
        run=os.fsdecode(runs[-1].folder) if runs else "",
        forced=last.forced if space.live and last is not None else (),
    )


def _is_trained(gallery: Gallery, space: EmbeddingSpace) -> bool:
    try:
        return GalleryEncoder.card_of(gallery, space).trained
    except RetrievalError:
        return False


def find_space(gallery: Gallery, fingerprint: str) -> EmbeddingSpace:
    """The space whose fingerprint begins so.

    Raises:
        BadValue: none, or several.
    """
    wanted = fingerprint.strip().lower()
    found = [space for space in gallery.catalog.spaces.all() if wanted and space.fingerprint.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    what = "No space of the gallery has" if not found else f"{len(found)} spaces of the gallery have"
    raise BadValue(f"{what} a fingerprint that begins with {fingerprint!r}.", "`retrieval spaces` lists them.")


def rollback(folder: Path, settings: Settings | None = None) -> RollbackReport:
    """Make the space live again that was live before the last switch. Nothing is embedded; it takes seconds.

    Raises:
        BadValue: there is nothing to go back to.
        ModelDamaged, GalleryDamaged: what it would go back to cannot be used; nothing was changed.
        GalleryBusy: another process is writing.
        EmptyGallery: nothing is indexed.
    """
    started = monotonic()
    with Gallery(folder, settings) as gallery, gallery.writing():
        live = gallery.live_space()
        last = gallery.catalog.switches.last()
        if last is None or last.previous_id is None:
            why = "was never switched to" if last is None else "replaced one that was dropped since"
            others = [space for space in gallery.catalog.spaces.all() if space.id != live.id]
            back = "".join(f" `retrieval switch {one.fingerprint[:_SHORT]}` goes to {one.model}." for one in others[:3])
            raise BadValue(
                f"There is nothing to roll back to: the live space {live.fingerprint[:_SHORT]} ({live.model}) {why}.",
                f"`retrieval spaces` lists the spaces.{back}",
            )
        before = next(space for space in gallery.catalog.spaces.all() if space.id == last.previous_id)
        _refuse_unusable(gallery, before)
        done = gallery.catalog.switches.roll_back()
        assert done is not None
        gallery.catalog.seal()
        return RollbackReport(
            before.fingerprint, before.model, live.fingerprint, done[1], round(monotonic() - started, 3)
        )


def _refuse_unusable(gallery: Gallery, space: EmbeddingSpace) -> None:
    GalleryEncoder.card_of(gallery, space)
    verify_folder(gallery.layout.model(space.fingerprint))
    if gallery.store(space).rows < space.rows:
        raise GalleryDamaged(
            f"Vectors of the space {space.fingerprint[:_SHORT]} ({space.model}) are lost.",
            "Run `retrieval status --check --repair` first; nothing was changed.",
        )


def drop_space(folder: Path, fingerprint: str, settings: Settings | None = None) -> SpaceInfo:
    """Remove a space that is not live, with its vectors, its index and the gallery's copy of its encoder.

    Args:
        folder: the gallery's.
        fingerprint: its beginning is enough.
        settings: from the environment by default.

    Returns:
        What was dropped.

    Raises:
        BadValue: there is no such space, or it is live.
        GalleryBusy: another process is writing or switching.
    """
    with Gallery(folder, settings) as gallery, alone(gallery), gallery.writing():
        space = find_space(gallery, fingerprint)
        if space.live:
            raise BadValue(
                f"The space {space.fingerprint[:_SHORT]} ({space.model}) is live: searches use it.",
                "`retrieval switch` or `retrieval rollback` makes another one live first.",
            )
        dropped = _info(gallery, space)
        # The index first: it is derived. What a crash leaves after that belongs to no space, and is in nobody's way.
        engines.discard(gallery.layout.index(space))
        gallery.layout.map(space).unlink(missing_ok=True)
        gallery.catalog.switches.drop(space.id)
        shutil.rmtree(gallery.layout.vectors(space), ignore_errors=True)
        shutil.rmtree(gallery.layout.model(space.fingerprint), ignore_errors=True)
        gallery.catalog.seal()
        return dropped
