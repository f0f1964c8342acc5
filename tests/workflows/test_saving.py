"""The result of a run says of itself what it is, not what its start was."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from retrieval.models.card import ModelCard
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.saving import save_result
from tests.models.conftest import tiny


def test_a_result_is_as_old_as_itself_and_names_its_start(tmp_path: Path) -> None:
    encoder, card = tiny(head="linear", dim=16)
    start = replace(card, name="start", created="2000-01-01T00:00:00+00:00")
    began = datetime.now(UTC) - timedelta(seconds=1)
    saved = save_result(
        RunFolder(tmp_path), encoder, start, start, "quick-head", "trained with quick-head", again=False
    )
    assert began < datetime.fromisoformat(saved.created) < datetime.now(UTC) + timedelta(seconds=1)
    assert saved.name == "start-quick-head"
    assert saved.origin == f"trained with quick-head from start {start.fingerprint[:12]} (untrained, seed 0)"
    assert saved.trained
    assert ModelCard.from_bytes((tmp_path / "encoder" / "card.json").read_bytes()) == saved
