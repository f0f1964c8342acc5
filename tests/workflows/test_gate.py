"""The gate's judgement of a run's measurements, by itself."""

from pathlib import Path
from typing import Any

import pytest

from retrieval.workflows.gate import evidence_against
from retrieval.workflows.run_folder import RunFolder


def gain(low: float, high: float, before: float = 0.5, after: float = 0.6) -> dict[str, Any]:
    return {"mean": (low + high) / 2, "low": low, "high": high, "before": {"mean": before}, "after": {"mean": after}}


def run(folder: Path, recall: dict[str, Any], precision: dict[str, Any], leaks: int = 0) -> RunFolder:
    found = RunFolder(folder)
    found.write(
        "metrics.json", {"comparison": {"recall_at_1": recall, "map_at_r": precision}, "split": {"leaks": leaks}}
    )
    return found


PERFECT = gain(0.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("recall", "precision", "leaks", "words"),
    [
        (gain(0.01, 0.1), gain(0.02, 0.2), 0, []),
        (PERFECT, gain(0.02, 0.2), 0, []),
        (PERFECT, gain(-0.02, 0.2), 0, ["MAP@R"]),
        (gain(-0.01, 0.1), gain(0.001, 0.2), 0, []),
        (gain(-0.011, 0.1), gain(0.02, 0.2), 0, ["recall@1"]),
        (gain(-0.009, -0.001), gain(0.02, 0.2), 0, ["below zero"]),
        (gain(0.1, 0.2), gain(0.0, 0.2), 0, ["touches zero"]),
        (PERFECT, PERFECT, 0, ["proves nothing"]),
        (gain(0.0, 0.0), gain(0.02, 0.2), 0, []),
        (gain(-0.1, 0.1), gain(-0.3, -0.1), 0, ["reaches below -0.01", "below zero"]),
        (gain(0.01, 0.1), gain(0.02, 0.2), 2, ["leaks"]),
    ],
)
def test_what_speaks_against_a_run(
    tmp_path: Path, recall: dict[str, Any], precision: dict[str, Any], leaks: int, words: list[str]
) -> None:
    against = evidence_against(run(tmp_path, recall, precision, leaks))
    assert len(against) == len(words)
    for refusal, word in zip(against, words, strict=True):
        assert word in refusal.why
        assert "--force" in refusal.hint


def test_a_proof_beside_another_encoder_than_the_live_one_is_none(tmp_path: Path) -> None:
    proven = run(tmp_path, gain(0.01, 0.1), gain(0.02, 0.2))
    proven.write("metrics.json", proven.read("metrics.json") | {"start": {"name": "begun", "fingerprint": "a" * 64}})
    assert evidence_against(proven) == evidence_against(proven, "a" * 64) == []
    (refusal,) = evidence_against(proven, "b" * 64)
    assert "compares with begun" in refusal.why
    assert "--force" in refusal.hint
