"""The embedding spaces of a gallery: listed, dropped, made again."""

import json
import re
import shutil
from pathlib import Path

import pytest

from retrieval.core.errors import BadValue
from retrieval.workflows.spaces import drop_space, rollback, spaces
from retrieval.workflows.status import status
from retrieval.workflows.upkeep import prune

from .support import fill, index, live_fingerprint, names, searchable, switch_to


def test_spaces_say_what_is_live_where_a_rollback_leads_and_what_they_cost(
    six: tuple[Path, Path], other_model: Path
) -> None:
    gallery, _ = six
    (only,) = spaces(gallery)
    assert (only.live, only.back, only.covered, only.total, only.calibrated, only.run) == (True, False, 6, 6, False, "")
    switch_to(gallery, other_model)
    old, new = spaces(gallery)
    assert (old.live, old.back, new.live, new.back) == (False, True, True, False)
    assert new.bytes > 1000
    assert json.dumps([space.to_dict() for space in (old, new)])


def test_going_back_and_forth_leaves_no_more_files_and_no_index_that_missed_what_happened(
    gallery: Path, folder: Path, other_model: Path
) -> None:
    """A rollback publishes and discards nothing: the index of the space that was left stays, for the way back, and
    reads in the catalog what it missed."""

    def files() -> set[str]:
        kinds = (path.relative_to(gallery) for path in gallery.rglob("*") if path.is_file())
        return {re.sub(r"snapshot-\d+", "snapshot", str(path)) for path in kinds}

    index(gallery, folder)
    new = switch_to(gallery, other_model).fingerprint
    rollback(gallery)
    before = files()
    for round_ in range(2):
        (folder / "red" / f"000{round_}.png").unlink()
        index(gallery, folder)
        prune(gallery)
        left = {f"000{n}.png" for n in range(round_ + 1, 6)}
        assert names(searchable(gallery)) == left
        # The snapshot that it loads is of the time when it was left.
        assert switch_to(gallery, new[:12]).embedded == 0
        assert names(searchable(gallery)) == left
        rollback(gallery)
        assert names(searchable(gallery)) == left
        assert files() == before
    assert status(gallery, check=True).agree


def test_a_space_that_is_not_live_can_be_dropped_with_all_its_files(six: tuple[Path, Path], other_model: Path) -> None:
    gallery, _ = six
    old = live_fingerprint(gallery)
    new = switch_to(gallery, other_model).fingerprint
    with pytest.raises(BadValue, match="is live"):
        drop_space(gallery, new)
    for unknown in ("", "zz", "0" * 64):
        with pytest.raises(BadValue, match="begins"):
            drop_space(gallery, unknown)
    assert drop_space(gallery, old[:8]).fingerprint == old
    left = [str(path.relative_to(gallery)) for path in gallery.rglob("*")]
    assert not [path for path in left if old[:16] in path]
    assert [space.fingerprint for space in spaces(gallery)] == [new]
    with pytest.raises(BadValue, match="dropped since"):
        rollback(gallery)
    assert len(searchable(gallery)) == 6
    assert status(gallery, check=True).agree


def test_a_dropped_space_can_be_made_again_though_a_crash_left_its_files(
    six: tuple[Path, Path], other_model: Path, tmp_path: Path
) -> None:
    gallery, _ = six
    new = switch_to(gallery, other_model).fingerprint
    rollback(gallery)
    parts = [gallery / part / new[:16] for part in ("spaces", "index", "models")]
    for n, part in enumerate(parts):
        shutil.copytree(part, tmp_path / f"left {n}")
    drop_space(gallery, new)
    index(gallery, fill(tmp_path / "more", range(60, 62)))
    for n, part in enumerate(parts):
        shutil.copytree(tmp_path / f"left {n}", part)
    report = switch_to(gallery, other_model)
    assert (report.embedded, report.covered) == (8, 8)
    assert len(searchable(gallery)) == 8
    assert status(gallery, check=True).agree
