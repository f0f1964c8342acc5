"""The images of a gallery that a run has learned from, by content, by path, and through several runs."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.core.labelled import Labelled, LabelledImage, Split
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.run_parts import learned_from, part_ids, split_document
from retrieval.workflows.seen_contents import contents_of, keep_contents

from .support import id_of


def ids_in(gallery: Path, run: Path, part: str = "train") -> list[int]:
    with Gallery(gallery) as opened:
        return [int(i) for i in part_ids(opened, RunFolder(run), part)]


def write(run: Path, values: Any) -> Path:
    run.mkdir(exist_ok=True)
    (run / "split.json").write_text(json.dumps(values))
    return run


def test_images_are_known_by_content_wherever_they_lie(six: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, photos = six
    files = [photos / "red" / "0000.png", photos / "blue" / "0004.png", photos / "red" / "0002.png"]
    wanted = [id_of(gallery, file) for file in files]
    with Gallery(gallery) as opened:
        digests = [bytes.fromhex(opened.catalog.images.records([i])[i].digest) for i in wanted]
    images = [LabelledImage(b"/away/%d" % n, "x", digest=digest) for n, digest in enumerate(digests)]
    # One is not in the gallery, and of another one only the path is known.
    images += [LabelledImage(os.fsencode(files[0]), "x", digest=bytes(32)), LabelledImage(os.fsencode(files[1]), "x")]
    split = Split(np.array([0, 3]), np.array([2]), np.array([4]), "grouped", 0)
    run = write(tmp_path / "run", split_document(Labelled(images, "a test"), split))
    assert ids_in(gallery, run) == [wanted[0]]
    assert ids_in(gallery, run, "val") == [wanted[2]]
    assert ids_in(gallery, run, "test") == [wanted[1]]


def test_a_run_of_an_older_version_says_paths(six: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, photos = six
    paths = [photos / "red" / "0001.png", photos / "blue" / "0005.png"]
    run = write(tmp_path / "run", {"train": [*map(str, paths), "/nowhere/a.png"], "val": [], "test": []})
    assert ids_in(gallery, run) == sorted(id_of(gallery, path) for path in paths)


@pytest.mark.parametrize(
    "content",
    [[], {}, {"train": 3}, {"train": ["a"], "digests": {"train": []}}, {"train": ["a"], "digests": {"train": ["xyz"]}}],
)
def test_what_cannot_be_read_says_nothing(six: tuple[Path, Path], tmp_path: Path, content: Any) -> None:
    assert ids_in(six[0], write(tmp_path / "run", content)) == []
    assert ids_in(six[0], tmp_path / "none") == []


@pytest.fixture
def record(six: tuple[Path, Path], tmp_path: Path) -> Callable[..., Path]:
    """A run that a gallery knows."""

    def make(made: str, start: str, name: str, **more: Any) -> Path:
        run = write(tmp_path / made, {"train": [str(six[1] / name)]})
        metrics = {"start": {"fingerprint": start}, **more}
        (run / "metrics.json").write_text(json.dumps(metrics))
        with Gallery(six[0]) as opened, opened.writing():
            opened.catalog.runs.record(os.fsencode(run), made, data="", recipe={}, metrics=metrics)
            opened.catalog.seal()
        return run

    return make


def test_an_encoder_has_learned_what_those_before_it_have(six: tuple[Path, Path], record: Callable[..., Path]) -> None:
    gallery, photos = six
    first, second = (id_of(gallery, photos / name) for name in ("red/0000.png", "blue/0003.png"))
    record("one", "bare", "red/0000.png")
    run = record("two", "one", "blue/0003.png")
    said: list[str] = []
    with Gallery(gallery) as opened:
        assert learned_from(opened, "bare", said.append).tolist() == []
        assert learned_from(opened, "one", said.append).tolist() == [first]
        assert learned_from(opened, "two", said.append).tolist() == sorted([first, second])
        assert said == []
        (run / "split.json").unlink()
        assert learned_from(opened, "two", said.append).tolist() == [first]
    (line,) = said
    assert str(run) in line


def test_a_run_without_labels_has_learned_none(six: tuple[Path, Path], record: Callable[..., Path]) -> None:
    (record("one", "bare", "red/0000.png", kind="pretraining") / "split.json").unlink()
    said: list[str] = []
    with Gallery(six[0]) as opened:
        assert learned_from(opened, "one", said.append).tolist() == []
    assert said == []


def test_a_run_without_labels_that_learns_them_all_the_same_has_learned_those_of_the_labelled(
    six: tuple[Path, Path], record: Callable[..., Path]
) -> None:
    gallery, photos = six
    run = record("one", "bare", "red/0000.png", kind="pretraining", labelled={"learned": True})
    (run / "split.json").unlink()
    said: list[str] = []
    with Gallery(gallery) as opened:
        assert learned_from(opened, "one", said.append).tolist() == []
        # A run of an earlier version does not say.
        assert len(said) == 1
        paths = [photos / "red" / "0001.png", photos / "blue" / "0003.png"]
        ids = [id_of(gallery, path) for path in paths]
        digests = [bytes.fromhex(opened.catalog.images.records([i])[i].digest) for i in ids]
        names = zip(paths, ("", "blue"), digests, strict=True)
        images = [LabelledImage(os.fsencode(path), label, digest=digest) for path, label, digest in names]
        keep_contents(RunFolder(run), Labelled(images, "a test"), labels=True)
        said.clear()
        assert learned_from(opened, "one", said.append).tolist() == [ids[1]]
        assert contents_of(RunFolder(run)) == frozenset(digests)
    assert said == []


def test_what_taught_an_encoder_counts_too(six: tuple[Path, Path], record: Callable[..., Path]) -> None:
    gallery, photos = six
    record("teacher", "bare", "red/0000.png")
    teacher = {"name": "teacher", "fingerprint": "teacher"}
    (record("student", "small", "red/0000.png", kind="pretraining", teacher=teacher) / "split.json").unlink()
    with Gallery(gallery) as opened:
        assert learned_from(opened, "student").tolist() == [id_of(gallery, photos / "red" / "0000.png")]
