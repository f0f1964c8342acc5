"""The gate at a switch: what proves nothing is refused, by whatever name it comes."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retrieval.core.errors import (
    BadValue,
    EmptyGallery,
    ModelDamaged,
    ModelUnsafe,
    NoSuchPath,
)
from retrieval.models.folder import load_encoder
from retrieval.workflows.spaces import rollback, spaces
from retrieval.workflows.switching import SwitchHooks

from .support import (
    BETTER,
    StopAfter,
    fill,
    flip,
    index,
    live_fingerprint,
    refusal,
    switch_to,
)


def gain(low: float) -> dict[str, Any]:
    return {"comparison": {**BETTER["comparison"], "map_at_r": {"mean": 0.02, "low": low, "high": 0.04}}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (gain(-0.01), ("MAP@R", "touches zero", "-0.010")),
        (gain(0.0), ("MAP@R", "touches zero")),
        (gain(float("nan")), ("does not say what MAP@R",)),
        ({"comparison": {"map_at_r": BETTER["comparison"]["map_at_r"]}}, ("does not say what recall@1",)),
        ({"comparison": None}, ("recall@1", "MAP@R")),
        ({"split": {"leaks": 3}}, ("leaks", "3 images")),
        ({"split": {}}, ("whether its split leaks",)),
        ({**gain(-0.01), "split": {"leaks": 1}}, ("MAP@R", "leaks")),
    ],
    ids=str,
)
def test_a_run_that_proves_nothing_is_refused_before_anything_is_embedded(
    six: tuple[Path, Path], run_folder: Callable[..., Path], change: dict[str, Any], words: tuple[str, ...]
) -> None:
    gallery, _ = six
    run = run_folder(**change)
    error = refusal(gallery, run)
    for word in words:
        assert word in error.message
    assert error.report.embedded == 0
    assert len(spaces(gallery)) == 1
    assert not (gallery / "models" / error.report.fingerprint[:16]).exists()
    report = switch_to(gallery, run, force=True)
    assert (report.switched, report.forced) == (True, True)
    assert report.refusals == error.report.refusals == spaces(gallery)[1].forced


def test_a_run_without_metrics_proves_nothing(six: tuple[Path, Path], run_folder: Callable[..., Path]) -> None:
    run = run_folder()
    (run / "metrics.json").write_text("{")
    assert "damaged" in refusal(six[0], run).message
    (run / "metrics.json").unlink()
    assert "metrics.json is missing" in refusal(six[0], run).message
    assert switch_to(six[0], run, force=True).switched


def test_going_back_to_a_forced_run_by_its_fingerprint_asks_for_its_proof_again(
    six: tuple[Path, Path], run_folder: Callable[..., Path]
) -> None:
    gallery, _ = six
    new = switch_to(gallery, run_folder(**gain(-0.1)), force=True).fingerprint
    rollback(gallery)
    assert "touches zero" in refusal(gallery, new).message


def test_the_gate_is_not_passed_by_another_name(
    gallery: Path, tmp_path: Path, run_folder: Callable[..., Path], other_model: Path
) -> None:
    index(gallery, fill(tmp_path / "photos", range(40)))
    fingerprint = load_encoder(other_model)[1].fingerprint
    run = run_folder(**gain(-0.01), result={"fingerprint": fingerprint})
    assert "touches zero" in refusal(gallery, run / "encoder").message
    # Forced and stopped: what goes on with it by the name of its space, or with a copy, is judged as it was.
    stop = StopAfter(4)
    report = switch_to(gallery, run, force=True, hooks=SwitchHooks(progress=stop.progress, stop=stop.stop))
    assert report.interrupted
    for name in (fingerprint[:16], other_model):
        assert "touches zero" in refusal(gallery, name).message
    assert switch_to(gallery, fingerprint[:16], force=True).switched


def test_a_run_that_began_with_another_encoder_than_the_live_one_proves_nothing_here(
    six: tuple[Path, Path], run_folder: Callable[..., Path]
) -> None:
    gallery, _ = six
    live = live_fingerprint(gallery)
    run = run_folder(start={"name": "weak", "fingerprint": "0" * 64})
    assert "compares with weak" in refusal(gallery, run).message
    metrics = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps(metrics | {"start": {"name": "live", "fingerprint": live}}))
    assert switch_to(gallery, run).switched


def test_a_run_that_was_stopped_is_not_taken_for_a_damaged_model(six: tuple[Path, Path], tmp_path: Path) -> None:
    for name in ("recipe.json", "last.ckpt"):
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(BadValue, match="has not ended") as caught:
        switch_to(six[0], tmp_path)
    assert "--resume" in caught.value.hint


@pytest.mark.parametrize("damage", ["flipped", "cut", "pickled", "no weights", "nothing"])
def test_a_damaged_model_is_refused_whatever_is_forced(
    six: tuple[Path, Path], run_folder: Callable[..., Path], damage: str
) -> None:
    gallery, _ = six
    run = run_folder()
    weights = run / "encoder" / "model.safetensors"
    if damage == "flipped":
        flip(weights, -500)
    elif damage == "cut":
        os.truncate(weights, 5000)
    elif damage == "pickled":
        (run / "encoder" / "weights.pth").write_bytes(b"\x80\x04.")
    elif damage == "no weights":
        weights.unlink()
    else:
        shutil.rmtree(run / "encoder")
    before = live_fingerprint(gallery)
    for force in (False, True):
        with pytest.raises((ModelDamaged, ModelUnsafe, BadValue)) as caught:
            switch_to(gallery, run, force=force)
        assert caught.value.hint
    assert live_fingerprint(gallery) == before
    assert len(spaces(gallery)) == 1


def test_what_cannot_be_a_target_is_said(six: tuple[Path, Path], tiny_model: Path, tmp_path: Path) -> None:
    gallery, _ = six
    with pytest.raises(BadValue, match="live already"):
        switch_to(gallery, tiny_model)
    with pytest.raises(BadValue, match="live already"):
        switch_to(gallery, live_fingerprint(gallery)[:10])
    with pytest.raises(BadValue, match="No space"):
        switch_to(gallery, "0123456789ab")
    with pytest.raises(NoSuchPath):
        switch_to(gallery, "./nowhere")
    with pytest.raises(EmptyGallery):
        switch_to(tmp_path / "none", tiny_model)
    assert not (tmp_path / "none").exists()
