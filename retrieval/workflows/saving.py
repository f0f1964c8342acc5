"""The result of a run: its encoder, described and saved."""

import shutil
from datetime import UTC, datetime

from retrieval.models.card import ModelCard
from retrieval.models.create import describe
from retrieval.models.encoder import Encoder
from retrieval.models.folder import save_encoder
from retrieval.workflows.run_folder import RunFolder


def save_result(
    run: RunFolder, encoder: Encoder, card: ModelCard, start: ModelCard, recipe: str, words: str, *, again: bool
) -> ModelCard:
    """Save a trained encoder into the run's folder.

    Args:
        run: where to.
        encoder: on the CPU.
        card: of it, as it is built; what training changes is filled in.
        start: of the encoder that the run began with.
        recipe: its name, which becomes part of the encoder's.
        words: how it was trained, e.g. ``"trained with quick-head"``.
        again: the run was resumed: a result that is there already is replaced.

    Returns:
        The card as it lies in the folder.

    Raises:
        BadValue: there is another result.
        DiskFull: no space is left.
    """
    described = describe(
        encoder,
        card,
        name=f"{start.name}-{recipe}",
        trained=True,
        # Not when the start was made: people tell their models apart by it.
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        origin=f"{words} from {start.name} {start.fingerprint[:12]} ({start.origin})",
    )
    if again and run.encoder.exists():
        shutil.rmtree(run.encoder)
    return save_encoder(encoder, described, run.encoder)
