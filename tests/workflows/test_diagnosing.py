"""Diagnosing from end to end: with labels and without, a folder, a table and a gallery, one model and two."""

import json
from pathlib import Path

import numpy as np
import pytest

from retrieval.core.errors import BadValue, Interrupted, NoSuchPath
from retrieval.evaluation.looks import LOOKS
from retrieval.workflows import pictures_of
from retrieval.workflows.diagnosing import DiagnoseReport, DiagnoseRequest, diagnose_model
from retrieval.workflows.hooks import Hooks
from retrieval.workflows.pictures_of import open_pictures

from .support import fill, index, save


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four changed pictures, each in four ways, are enough to see that they are measured."""
    some = tuple(look for look in LOOKS if look.name in ("mirrored left-right", "turned by 90°", "no colour"))
    monkeypatch.setattr("retrieval.workflows.diagnosing.CHANGED", 4)
    monkeypatch.setattr("retrieval.workflows.diagnosing.LOOKS", some)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``{red,blue,green}/NNNN.png``, six of each; those of red lie in two sub-folders."""
    base = tmp_path_factory.mktemp("diagnosed")
    fill(base / "red" / "dark", range(3))
    fill(base / "red" / "light", range(3, 6))
    fill(base / "blue", range(6, 12))
    fill(base / "green", range(12, 18))
    return base


def run(dataset: Path | str, model: Path, hooks: Hooks | None = None, **options: object) -> DiagnoseReport:
    request = DiagnoseRequest(str(dataset), str(model), workers=1, **options)  # type: ignore[arg-type]
    return diagnose_model(request, hooks=hooks)


def test_class_folders_and_their_sub_folders(folder: Path, tiny_model: Path) -> None:
    report = run(folder, tiny_model)
    found = report.found
    assert (found.images, found.labelled, report.classes) == (18, 18, ["blue", "green", "red"])
    assert found.granularity is not None
    assert found.granularity.subclasses is not None
    assert found.granularity.subclasses.classes == 2
    assert found.granularity.subclasses.margin.queries == 6
    assert len(found.invariance) == 3
    assert {one.cosine.queries for one in found.invariance} == {4}
    said = report.to_dict()
    assert json.loads(json.dumps(said)) == said
    assert said["figures"]["uniformity"]["value"] == found.spread.uniformity
    assert said["against"] is None


def test_pictures_without_labels(tmp_path: Path, tiny_model: Path) -> None:
    report = run(fill(tmp_path / "plain", range(8)), tiny_model)
    assert (report.found.images, report.found.labelled, report.classes) == (8, 0, [])
    assert report.found.granularity is None
    assert "recall_at_1" not in report.to_dict()["figures"]


def test_what_counts_as_labels(folder: Path, tmp_path: Path) -> None:
    assert {image.label for image in open_pictures(str(folder))[0]} == {"red", "blue", "green"}
    # One folder, or one picture a folder, tells nothing apart.
    fill(tmp_path / "one" / "only", range(3))
    assert {image.label for image in open_pictures(str(tmp_path / "one"))[0]} == {""}
    for seed in range(3):
        save(tmp_path / "each" / str(seed) / "a.png", seed)
    images, root = open_pictures(str(tmp_path / "each"))
    assert ({image.label for image in images}, len(images), root) == ({""}, 3, None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadValue, match="no image"):
        open_pictures(str(tmp_path / "empty"))
    with pytest.raises(NoSuchPath):
        open_pictures(str(tmp_path / "nothing"))


def test_pictures_beside_class_folders_are_said(folder: Path, tmp_path: Path) -> None:
    fill(tmp_path / "some" / "a", range(2))
    fill(tmp_path / "some" / "b", range(2, 4))
    save(tmp_path / "some" / "loose.png", 9)
    said: list[str] = []
    images, _ = open_pictures(str(tmp_path / "some"), said.append)
    assert len(images) == 4
    assert any("left out" in line for line in said)


def test_a_table(folder: Path, tmp_path: Path, tiny_model: Path) -> None:
    lines = [f"{path},{path.parent.name}" for path in sorted(folder.rglob("*.png"))]
    (tmp_path / "table.csv").write_text("path,label\n" + "\n".join(lines))
    report = run(tmp_path / "table.csv", tiny_model)
    assert (report.found.images, len(report.classes)) == (18, 4)


def test_a_gallery_gives_its_own_vectors_and_all_its_images(gallery: Path, folder: Path, tiny_model: Path) -> None:
    index(gallery, folder)
    told: list[str] = []
    report = run("gallery", tiny_model, Hooks(working=lambda what, *_: told.append(what)), gallery=gallery)
    assert not any(line.startswith("Embedding") for line in told)
    alone = run(folder, tiny_model)
    assert report.found.images == alone.found.images == 18
    # Stored as half floats: the same to three digits.
    assert report.found.spread.uniformity == pytest.approx(alone.found.spread.uniformity, abs=2e-3)
    assert report.found.hubness.k == alone.found.hubness.k


def test_two_models_stand_beside_each_other(folder: Path, tmp_path: Path, tiny_model: Path, other_model: Path) -> None:
    out = tmp_path / "page.html"
    report = run(folder, tiny_model, against=str(other_model), out=out)
    assert (report.model, report.against) == ("tiny", "other")
    assert report.beside is not None
    figures = {one.figure.key: one for one in report.figures}
    rank = figures["effective_rank"]
    assert rank.before == report.beside.spread.effective_rank
    assert rank.difference == pytest.approx(report.found.spread.effective_rank - report.beside.spread.effective_rank)
    page = out.read_text("utf-8")
    assert page.count('class="map"') == 2
    assert page.count("data:image/jpeg;base64,") > 18
    assert report.to_dict()["against"]["model"] == "other"


def test_an_image_that_only_one_model_could_read_is_left_out_of_both(
    folder: Path, tmp_path: Path, tiny_model: Path, other_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from retrieval.workflows import diagnosing

    kept = diagnosing.picture_set

    def one_less(name, encoder, card, embedding, *, on_disk):  # type: ignore[no-untyped-def]
        made = kept(name, encoder, card, embedding, on_disk=on_disk)
        return made if card.name == "tiny" else made.only({image.path for image in made.images[1:]})

    monkeypatch.setattr(diagnosing, "picture_set", one_less)
    report = run(folder, tiny_model, against=str(other_model))
    assert report.beside is not None
    assert report.found.images == report.beside.images == 17
    assert report.found.purities is not None
    assert len(report.paths) == 17


def test_of_many_images_a_sample_is_looked_at(folder: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures_of, "MOST", 7)
    said: list[str] = []
    reports = [run(folder, tiny_model, Hooks(said.append)) for _ in range(2)]
    assert reports[0].found.images == 7
    assert reports[0].paths == reports[1].paths
    assert any("7 of 18 images are looked at" in line for line in said)


def test_changes_are_those_of_the_encoder(folder: Path, tiny_model: Path) -> None:
    """A picture's own embedding, made again by hand from the changed pixels."""
    from retrieval.core.settings import load_settings
    from retrieval.images.decode import decode
    from retrieval.models.folder import load_encoder
    from retrieval.workflows.embedding_sets import runtime_of

    report = run(folder, tiny_model)
    encoder, card = load_encoder(tiny_model)
    runtime = runtime_of(encoder, card, load_settings())
    from retrieval.functional.diagnostics import sample

    places = sample(18, 4).tolist()
    one = next(change for change in report.found.invariance if change.look.name == "no colour")
    for row, place in enumerate(places):
        pixels = decode(Path(report.paths[place]).read_bytes(), card.preprocessing)[1]
        both = runtime.embed(np.stack([pixels, one.look.apply(pixels)]))
        assert one.cosines[row] == pytest.approx(float(both[0] @ both[1]), abs=1e-4)


def test_what_cannot_be(folder: Path, tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(BadValue, match="no folder for"):
        run(folder, tiny_model, out=tmp_path / "nothing" / "page.html")
    with pytest.raises(BadValue, match="cannot be compared"):
        run(fill(tmp_path / "one", range(1)), tiny_model)
    with pytest.raises(Interrupted):
        run(folder, tiny_model, Hooks(stop=lambda: True))
