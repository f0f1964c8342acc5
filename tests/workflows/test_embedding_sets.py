"""Embeddings of a dataset: made by the ordinary pipeline, kept for resuming, near-duplicates found on the way."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval.core.errors import BadValue, Interrupted
from retrieval.core.labelled import Labelled, LabelledImage
from retrieval.core.settings import load_settings
from retrieval.models.folder import load_encoder
from retrieval.workflows.embedding_sets import EmbeddedSet, embed_labelled, load_vectors, runtime_of, save_vectors

from ..conftest import picture


def dataset(folder: Path, *, broken: int = 0) -> Labelled:
    images = []
    for n in range(6):
        path = folder / f"{n}.png"
        picture(n, (96, 96)).save(path)
        images.append(LabelledImage(bytes(path), "ab"[n % 2]))
    copy = folder / "copy.jpg"
    Image.open(folder / "0.png").save(copy, quality=60)
    images.append(LabelledImage(bytes(copy), "b"))
    for n in range(broken):
        path = folder / f"broken{n}.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n no")
        images.insert(1, LabelledImage(bytes(path), "a"))
    return Labelled(images, str(folder))


def embed(labelled: Labelled, model: Path, **options: object) -> EmbeddedSet:
    encoder, card = load_encoder(model)
    settings = load_settings()
    runtime = runtime_of(encoder, card, settings)
    return embed_labelled(labelled, runtime, card.preprocessing, settings, workers=1, **options)  # type: ignore[arg-type]


def test_what_cannot_be_read_is_left_out_and_a_saved_again_copy_is_grouped(tmp_path: Path, tiny_model: Path) -> None:
    labelled = dataset(tmp_path, broken=2)
    made = embed(labelled, tiny_model)
    assert len(made.failures) == 2
    for path, error in made.failures:
        assert os.fsdecode(path) in made.left_out()
        assert error.message.rstrip(".") in made.left_out()
    path = tmp_path / "kept.npz"
    save_vectors(path, made, "f" * 64)
    again = load_vectors(path, labelled, "f" * 64)
    assert again is not None
    assert [path for path, _ in again.failures] == [path for path, _ in made.failures]
    assert [image.path for image in made.labelled.images] == [
        *(bytes(tmp_path / f"{n}.png") for n in range(6)),
        bytes(tmp_path / "copy.jpg"),
    ]
    groups = [image.group for image in made.labelled.images]
    assert groups[0] is not None
    assert groups[0] == groups[-1]
    assert groups[1:-1] == [None] * 5
    np.testing.assert_allclose(np.linalg.norm(made.vectors, axis=1), 1, atol=1e-5)
    assert all(image.digest is not None and len(image.digest) == 32 for image in made.labelled.images)


def test_kept_embeddings_come_back_for_the_same_encoder_and_dataset_only(tmp_path: Path, tiny_model: Path) -> None:
    labelled = dataset(tmp_path)
    made = embed(labelled, tiny_model)
    path = tmp_path / "kept.npz"
    save_vectors(path, made, "f" * 64)
    again = load_vectors(path, labelled, "f" * 64)
    assert again is not None
    assert list(again.labelled.images) == list(made.labelled.images)
    np.testing.assert_array_equal(again.vectors, made.vectors)
    assert load_vectors(path, labelled, "e" * 64) is None
    assert load_vectors(path, Labelled(labelled.images[:3], "less"), "f" * 64) is None
    assert load_vectors(tmp_path / "none.npz", labelled, "f" * 64) is None
    picture = Path(os.fsdecode(labelled.images[0].path))
    before = picture.read_bytes(), picture.stat()
    picture.write_bytes(before[0] + b"more")
    assert load_vectors(path, labelled, "f" * 64) is None, "one of the pictures has changed"
    picture.write_bytes(before[0])
    os.utime(picture, ns=(before[1].st_atime_ns, before[1].st_mtime_ns))
    assert load_vectors(path, labelled, "f" * 64) is not None
    content = path.read_bytes()
    for damaged in (content[:-100], content[:50], b"", content[:300] + b"\xff" + content[301:]):
        path.write_bytes(damaged)
        kept = load_vectors(path, labelled, "f" * 64)
        assert kept is None or np.array_equal(kept.vectors, made.vectors)


def test_nothing_readable_is_an_error_and_stopping_is_possible(tmp_path: Path, tiny_model: Path) -> None:
    labelled = dataset(tmp_path, broken=2)
    only = Labelled([image for image in labelled.images if b"broken" in image.path], "broken")
    with pytest.raises(BadValue, match="None of the 2 images"):
        embed(only, tiny_model)
    with pytest.raises(Interrupted):
        embed(labelled, tiny_model, stop=lambda: True)
