"""A switch made by another process, seen by one that searches and one that indexes meanwhile."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from retrieval.core.errors import GalleryBusy
from retrieval.core.types import Filters
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.results import SearchResult
from retrieval.workflows.searching import Searcher
from retrieval.workflows.spaces import drop_space, spaces
from retrieval.workflows.status import status
from tests.conftest import REPOSITORY

from .support import PLUGINS, PYTHON, copy_gallery, environment, fill, index, save, searchable

Scores = dict[str, float]


class Switcher:
    """The other process."""

    def __init__(self, **env: str) -> None:
        self._process = subprocess.Popen(
            [PYTHON, "-m", "tests.workflows.switcher"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(**env),
        )
        assert self.answer() == "ready"

    def ask(self, *order: object) -> None:
        """Begin."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([str(part) for part in order]) + "\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        """Wait for the end."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def do(self, *order: object) -> None:
        """Begin, and wait for the end."""
        self.ask(*order)
        assert self.answer() == "ok"

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait(30)


@pytest.fixture(scope="module")
def other() -> Iterator[Switcher]:
    process = Switcher()
    yield process
    process.close()


@pytest.fixture(scope="module")
def _both_once(
    tmp_path_factory: pytest.TempPathFactory, _blank_once: Path, other: Switcher, other_model: Path
) -> tuple[Path, Path]:
    """A gallery with two spaces that cover it; the first one is live."""
    base = tmp_path_factory.mktemp("both")
    copy_gallery(_blank_once, base / "gallery")
    index(base / "gallery", fill(base / "photos", range(8)))
    other.do("switch", base / "gallery", other_model)
    other.do("rollback", base / "gallery")
    return base / "gallery", base / "photos"


@pytest.fixture
def both(_both_once: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    return copy_gallery(_both_once[0], tmp_path / "gallery"), _both_once[1]


def scores(found: SearchResult) -> Scores:
    """By file name."""
    return {os.path.basename(neighbour.paths[0]): neighbour.score for neighbour in found.neighbours}


def truths(gallery: Path, photo: bytes, other: Switcher, new: str) -> tuple[Scores, Scores]:
    """What each of the two spaces answers; a searcher is opened anew for each."""

    def answer() -> Scores:
        with Gallery(gallery) as opened, Searcher(opened) as searcher:
            return scores(searcher.by_image(photo, 8))

    old = answer()
    other.do("switch", gallery, new)
    fresh = answer()
    other.do("rollback", gallery)
    assert max(abs(old[name] - fresh[name]) for name in old) > 0.02, "the two spaces could not be told apart"
    return old, fresh


def same(found: Scores, expected: Scores) -> bool:
    return found.keys() == expected.keys() and all(abs(found[n] - expected[n]) < 1e-3 for n in found)


def between(searcher: Searcher, point: str, act: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let something happen once, at a point in the middle of the next search."""
    opened = searcher._live()
    owner: Any
    owner, name = {
        "decoded": (searcher._pool, "run"),
        "embedded": (opened.encoder, "embed"),
        "matched": (opened.index, "search"),
    }[point]
    original, waiting = getattr(owner, name), [act]

    def overtaken(*arguments: Any, **options: Any) -> Any:
        result = original(*arguments, **options)
        if waiting:
            waiting.pop()()
        return result

    monkeypatch.setattr(owner, name, overtaken)


@pytest.mark.slow
@pytest.mark.parametrize("point", ["decoded", "embedded", "matched"])
def test_a_search_that_a_switch_overtakes_ends_where_it_began(
    both: tuple[Path, Path], other: Switcher, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery, _ = both
    photo = save(gallery.parent / "query.png", 777).read_bytes()
    new = spaces(gallery)[1].fingerprint
    old_truth, new_truth = truths(gallery, photo, other, new)
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        assert same(scores(searcher.by_image(photo, 8)), old_truth)
        between(searcher, point, lambda: other.do("switch", gallery, new), monkeypatch)
        assert same(scores(searcher.by_image(photo, 8, Filters(under=(str(both[1]),)))), old_truth)
        # The next one is wholly in the new space, and so is all that the page shows.
        assert same(scores(searcher.by_image(photo, 8)), new_truth)
        assert searcher.summary().fingerprint == searcher.encoder.card.fingerprint == new
        other.do("rollback", gallery)
        assert same(scores(searcher.by_image(photo, 8)), old_truth)


def test_many_searches_at_once_never_mix_two_spaces(both: tuple[Path, Path], other: Switcher) -> None:
    gallery, _ = both
    photo = save(gallery.parent / "query.png", 777).read_bytes()
    new = spaces(gallery)[1].fingerprint
    allowed = truths(gallery, photo, other, new)
    with Gallery(gallery) as opened, Searcher(opened) as searcher, ThreadPoolExecutor(3) as threads:
        stop = False

        def search() -> list[Scores]:
            found = []
            while not stop:
                found.append(scores(searcher.by_image(photo, 8)))
            return found

        running = [threads.submit(search) for _ in range(3)]
        for _ in range(3):
            other.do("switch", gallery, new)
            other.do("rollback", gallery)
        stop = True
        answers = [answer for future in running for answer in future.result()]
    assert all(any(same(answer, truth) for truth in allowed) for answer in answers)
    assert all(any(same(answer, truth) for answer in answers) for truth in allowed)


def test_a_search_whose_space_is_dropped_meanwhile_is_answered_by_the_live_one(
    both: tuple[Path, Path], other: Switcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery, _ = both
    photo = save(gallery.parent / "query.png", 777).read_bytes()
    old, new = (space.fingerprint for space in spaces(gallery))
    _, new_truth = truths(gallery, photo, other, new)

    def drop() -> None:
        other.do("switch", gallery, new)
        drop_space(gallery, old)

    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        searcher.by_image(photo, 8)
        between(searcher, "decoded", drop, monkeypatch)
        assert same(scores(searcher.by_image(photo, 8)), new_truth)


@pytest.mark.slow
def test_indexing_and_searching_go_on_while_a_switch_embeds(gallery: Path, tmp_path: Path, other_model: Path) -> None:
    index(gallery, fill(tmp_path / "photos", range(24)))
    old = spaces(gallery)[0].fingerprint
    slow = Switcher(PYTHONPATH=str(PLUGINS), RETRIEVAL_PLUGINS="slow_decoder", RETRIEVAL_TEST_SLOW="0.2")
    try:
        slow.ask("switch", gallery, other_model)
        wait(lambda: [space for space in spaces(gallery) if not space.live and 0 < space.covered < 24])
        # The switch holds the lock for moments only: whoever comes just then tries again.
        report = index_in_a_gap(gallery, fill(tmp_path / "more", range(100, 104)))
        assert (report.new, report.space) == (4, old)
        with Gallery(gallery) as opened, Searcher(opened) as searcher:
            assert searcher.summary().fingerprint == old
            query = (tmp_path / "more" / "0100.png").read_bytes()
            assert os.path.basename(searcher.by_image(query, 1).neighbours[0].paths[0]) == "0100.png"
            assert slow.answer() == "ok"
            # The same searcher, and what was indexed meanwhile is in the new space too.
            assert searcher.summary().fingerprint != old
            assert os.path.basename(searcher.by_image(query, 1).neighbours[0].paths[0]) == "0100.png"
    finally:
        slow.close()
    assert [(space.live, space.covered, space.total) for space in spaces(gallery)] == [(False, 28, 28), (True, 28, 28)]
    assert len(searchable(gallery)) == 28
    assert status(gallery, check=True).agree


@pytest.mark.slow
def test_a_switch_waits_for_one_who_is_indexing(gallery: Path, tmp_path: Path, other_model: Path) -> None:
    index(gallery, fill(tmp_path / "photos", range(3)))
    process = Switcher()
    try:
        with Gallery(gallery) as opened, opened.writing():
            process.ask("switch", gallery, other_model)
            time.sleep(2)
            assert [space.live for space in opened.catalog.spaces.all()] == [True]
        assert process.answer() == "ok"
    finally:
        process.close()
    assert [space.live for space in spaces(gallery)] == [False, True]


def index_in_a_gap(gallery: Path, photos: Path) -> Any:
    give_up = time.monotonic() + 60
    while True:
        try:
            return index(gallery, photos)
        except GalleryBusy:
            assert time.monotonic() < give_up, "the switch never let go of the lock"
            time.sleep(0.05)


def wait(condition: Callable[[], object], seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.05)
