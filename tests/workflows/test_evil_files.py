"""Files that crash or hang their decoder, through the whole product: each costs itself, for indexing and uploads."""

import os
from pathlib import Path

import pytest

from retrieval.core.errors import ImageError, Reason
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.indexing import retry_failures
from retrieval.workflows.searching import Searcher
from retrieval.workflows.upkeep import failures
from tests.conftest import REPOSITORY

from .support import counts, index, names, searchable

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="the evil formats use POSIX signals"),
    pytest.mark.usefixtures("own_pools"),
]

EVIL = {"SEGFAULT": Reason.CRASHED, "SPINC": Reason.TIMEOUT}


@pytest.fixture
def evil(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "tests" / "images" / "plugins"))
    monkeypatch.setenv("RETRIEVAL_PLUGINS", "evil_formats")
    monkeypatch.setenv("RETRIEVAL_DECODE_SECONDS", "1")


@pytest.mark.usefixtures("evil")
def test_a_crashing_and_a_hanging_file_are_failures_and_all_others_are_indexed(gallery: Path, folder: Path) -> None:
    for name in EVIL:
        (folder / "red" / f"{name}.jpg").write_bytes(f"EVIL-{name}".encode())
    assert counts(index(gallery, folder)) == {"found": 8, "new": 6, "failed": 2, "embedded": 6}
    assert names(searchable(gallery)) == {f"{number:04d}.png" for number in range(6)}
    listed = {Path(failed.path).stem: failed for failed in failures(gallery)}
    assert {name: failed.reason for name, failed in listed.items()} == EVIL
    assert all(failed.message for failed in listed.values())
    # They are as they were: a second run leaves them alone, a retry does not.
    assert counts(index(gallery, folder)) == {"found": 8, "unchanged": 6, "failed": 2}
    assert counts(retry_failures(gallery, workers=1)) == {"found": 2, "failed": 2}


@pytest.mark.usefixtures("evil")
def test_an_upload_that_crashes_or_hangs_is_said_and_the_next_is_searched(six: tuple[Path, Path]) -> None:
    gallery, photos = six
    good = (photos / "red" / "0000.png").read_bytes()
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        for name, reason in EVIL.items():
            with pytest.raises(ImageError) as caught:
                searcher.by_image(f"EVIL-{name}".encode())
            assert caught.value.reason == reason
            assert searcher.by_image(good, 1).neighbours[0].paths == (str(photos / "red" / "0000.png"),)
