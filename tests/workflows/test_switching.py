"""Switching to another encoder and the way back."""

from pathlib import Path

import numpy as np
import pytest

from retrieval.core.errors import BadValue
from retrieval.workflows.spaces import rollback, spaces
from retrieval.workflows.status import status
from retrieval.workflows.switching import SwitchHooks
from retrieval.workflows.upkeep import prune

from .support import contents, counts, fill, index, live_fingerprint, names, searchable, switch_to, vectors_by_name


def test_a_switched_gallery_is_what_indexing_with_the_new_encoder_makes(
    six: tuple[Path, Path], other_model: Path, tmp_path: Path
) -> None:
    gallery, photos = six
    said: list[str] = []
    estimates = []
    report = switch_to(gallery, other_model, hooks=SwitchHooks(said.append, estimates.append))
    assert (report.switched, report.embedded, report.covered, report.total) == (True, 6, 6, 6)
    assert (report.skipped, report.refusals, report.forced, report.interrupted) == ((), (), False, False)
    (costs,) = estimates
    assert costs == report.costs
    assert (costs.images, costs.to_embed, costs.unreachable) == (6, 6, 0)
    assert costs.seconds is not None
    assert 0 < costs.bytes < costs.free
    assert any("without a training run" in line and "rollback" in line for line in said)
    index(tmp_path / "fresh", photos, model=str(other_model))
    fresh, switched = vectors_by_name(tmp_path / "fresh", other_model), vectors_by_name(gallery, other_model)
    assert fresh.keys() == switched.keys()
    for name, vector in fresh.items():
        np.testing.assert_allclose(switched[name], vector, atol=2e-3)
    assert searchable(gallery) == searchable(tmp_path / "fresh")
    found = status(gallery, check=True)
    assert found.agree, found.problems


def test_rollback_embeds_nothing_and_switching_again_neither(six: tuple[Path, Path], other_model: Path) -> None:
    gallery, _ = six
    before = live_fingerprint(gallery)
    new = switch_to(gallery, other_model).fingerprint
    done = rollback(gallery)
    assert (done.fingerprint, done.was, done.lacking) == (before, new, 0)
    assert live_fingerprint(gallery) == before
    with pytest.raises(BadValue, match="never switched to"):
        rollback(gallery)
    again = switch_to(gallery, new[:12])
    assert (again.switched, again.embedded, again.fingerprint) == (True, 0, new)
    assert again.costs is not None
    assert again.costs.seconds is None
    assert status(gallery, check=True).agree


def test_indexing_goes_on_in_the_new_space_and_a_rollback_asks_for_what_came_since(
    six: tuple[Path, Path], other_model: Path, tmp_path: Path
) -> None:
    gallery, _ = six
    new = switch_to(gallery, other_model).fingerprint
    assert index(gallery, fill(tmp_path / "more", range(20, 23))).space == new
    assert len(searchable(gallery)) == 9
    done = rollback(gallery)
    assert done.lacking == 3
    assert len(searchable(gallery)) == 6
    report = index(gallery, tmp_path / "more")
    assert counts(report) == {"found": 3, "unchanged": 3, "embedded": 3}
    assert len(searchable(gallery)) == 9
    assert [(s.live, s.covered, s.total) for s in spaces(gallery)] == [(True, 9, 9), (False, 9, 9)]


def test_what_was_forgotten_and_gone_meanwhile_is_so_in_both_spaces(
    tmp_path: Path, gallery: Path, folder: Path, other_model: Path
) -> None:
    index(gallery, folder)
    switch_to(gallery, other_model)
    (folder / "red" / "0000.png").unlink()
    (folder / "red" / "0001.png").rename(folder / "blue" / "moved.png")
    index(gallery, folder)
    prune(gallery)
    rollback(gallery)
    assert names(searchable(gallery)) == {"moved.png", "0002.png", "0003.png", "0004.png", "0005.png"}
    assert status(gallery, check=True).agree


def test_an_estimate_changes_nothing(six: tuple[Path, Path], other_model: Path) -> None:
    gallery, _ = six
    before = contents(gallery)
    report = switch_to(gallery, other_model, estimate_only=True)
    assert not report.switched
    assert report.costs is not None
    assert (report.costs.to_embed, report.covered, report.total) == (6, 0, 6)
    assert contents(gallery) == before
