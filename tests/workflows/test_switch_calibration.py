"""The calibration that a switch brings, and what a search says by it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from retrieval.workflows.gallery import Gallery
from retrieval.workflows.searching import Searcher
from retrieval.workflows.spaces import rollback, spaces

from .support import PLATT, an_image, switch_to


def test_a_run_brings_its_calibration_and_is_remembered(
    six: tuple[Path, Path], run_folder: Callable[..., Path]
) -> None:
    gallery, photos = six
    report = switch_to(gallery, run_folder())
    assert report.refusals == ()
    (_, new) = spaces(gallery)
    assert (new.calibrated, new.run, new.live) == (True, report.run, True)
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        found = searcher.by_image((photos / "red" / "0000.png").read_bytes(), 3)
        assert found.nothing_like_this is False
        for neighbour in found.neighbours:
            expected = 1 / (1 + np.exp(-(12 * neighbour.score - 6)))
            assert neighbour.probability == pytest.approx(expected, abs=1e-6)
    # An old space has none, and says so by silence.
    rollback(gallery)
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        found = searcher.by_id(an_image(gallery), 3)
        assert (found.nothing_like_this, {n.probability for n in found.neighbours}) == (None, {None})


def test_nothing_like_this_is_said_where_the_best_score_is_below_the_threshold(six: tuple[Path, Path]) -> None:
    gallery, _ = six
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        image = an_image(gallery)
        best = searcher.by_id(image, 1).neighbours[0].score
        space = opened.live_space().id
        for threshold, expected in ((best + 1e-4, True), (best, False), (None, None)):
            opened.catalog.calibrations.add(space, {**PLATT, "threshold": threshold})
            assert searcher.by_id(image, 1).nothing_like_this is expected


def test_a_calibration_that_cannot_be_read_is_said_once_and_is_none(six: tuple[Path, Path]) -> None:
    said: list[str] = []
    with Gallery(six[0]) as opened, Searcher(opened, said.append) as searcher:
        opened.catalog.calibrations.add(opened.live_space().id, {"kind": "magic"})
        for _ in range(2):
            found = searcher.by_id(an_image(six[0]), 2)
            assert (found.nothing_like_this, {n.probability for n in found.neighbours}) == (None, {None})
    assert len([line for line in said if "without probabilities" in line]) == 1
