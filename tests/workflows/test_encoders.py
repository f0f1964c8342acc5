"""The encoder of a gallery: chosen once, kept, refused when it is another, opened where it is whole."""

import json
import os
import pickle
import platform
import shutil
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import close_session

from retrieval.core.errors import (
    BadValue,
    ModelDamaged,
    ModelMismatch,
    ModelUnavailable,
    ModelUnsafe,
    NoSuchPath,
    RetrievalError,
)
from retrieval.models.folder import load_encoder
from retrieval.models.starter import RECOMMENDED_MEGABYTES, starter_card
from retrieval.workflows.encoders import open_runtime, refuse_other_encoder
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.index_report import Hooks
from retrieval.workflows.indexing import index_paths
from retrieval.workflows.models import create_model, known_models
from retrieval.workflows.searching import Searcher
from retrieval.workflows.status import status

from .support import DIMENSION, contents, counts, fill, flip, index, searchable

TINY = {"backbone": "test_resnet", "untrained": True, "input_size": 64}


def test_the_gallery_keeps_its_own_copy_of_the_encoder(tmp_path: Path, tiny_model: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    photos = fill(tmp_path / "photos", range(2))
    index(tmp_path / "gallery", photos, model=str(model))
    shutil.rmtree(model)
    fill(photos, range(2, 4))
    assert counts(index(tmp_path / "gallery", photos)) == {"found": 4, "new": 2, "unchanged": 2, "embedded": 2}


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("no_such_backbone_at_all", ModelUnavailable),
        ("./no/such/folder", NoSuchPath),
        ("{tmp}/empty", ModelDamaged),
        ("{tmp}/text.txt", ModelDamaged),
        ("{tmp}/weights.pth", ModelUnsafe),
        ("{tmp}/pickled", ModelUnsafe),
        ("{tmp}/flipped", ModelDamaged),
        ("{tmp}/cut", ModelDamaged),
        ("", RetrievalError),
    ],
)
def test_a_model_that_cannot_be_used_is_refused_before_anything_is_indexed(
    tmp_path: Path, tiny_model: Path, model: str, error: type[RetrievalError]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("no model")
    (tmp_path / "weights.pth").write_bytes(pickle.dumps({"weight": [1.0]}))
    for name in ("pickled", "flipped", "cut"):
        shutil.copytree(tiny_model, tmp_path / name)
    (tmp_path / "pickled" / "model.safetensors").write_bytes(pickle.dumps({"weight": [1.0]}))
    flip(tmp_path / "flipped" / "model.safetensors", -500)
    os.truncate(tmp_path / "cut" / "model.safetensors", 5000)
    photos = fill(tmp_path / "photos", range(2))
    with pytest.raises(error) as caught:
        index(tmp_path / "gallery", photos, model=model.format(tmp=tmp_path))
    assert caught.value.hint
    # The same command with a good model goes through.
    assert counts(index(tmp_path / "gallery", photos, model=str(tiny_model))) == {"found": 2, "new": 2, "embedded": 2}


def test_where_the_hub_is_out_of_reach_the_offline_choices_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = fill(tmp_path / "photos", range(1))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "no cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "no cache"))
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    # The client is kept for the process, with the proxies of whoever asked first.
    close_session()
    try:
        with pytest.raises(ModelUnavailable) as caught:
            index(tmp_path / "new" / "gallery", photos, model="mobilenetv2_100")
    finally:
        close_session()
    assert "model create" in caught.value.hint
    assert "--model starter" in caught.value.hint
    # Nothing is left of a gallery that never came to be, nor of the folder it would have been in.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]


def test_a_new_gallery_begins_with_the_starter_and_names_a_stronger_one_once(tmp_path: Path) -> None:
    gallery, photos, said = tmp_path / "gallery", fill(tmp_path / "photos", range(2)), []
    report = index(gallery, photos, hooks=Hooks(say=said.append))
    assert report.space == starter_card().fingerprint
    (line,) = said
    assert "--model auto" in line
    assert f"{RECOMMENDED_MEGABYTES} MB" in line
    said.clear()
    # Named, and again: nothing more to say, nothing to ask the hub.
    for model in ("starter", None):
        assert index(gallery, photos, model=model, hooks=Hooks(say=said.append)).space == report.space
    assert said == []
    # As auto, which in a gallery is its own: nothing to ask the hub either, but who asked for more is told how.
    assert index(gallery, photos, model="auto", hooks=Hooks(say=said.append)).space == report.space
    (line,) = said
    assert "retrieval switch auto" in line
    with pytest.raises(ModelMismatch):
        index(gallery, photos, model="untrained")
    with Gallery(gallery) as opened:
        for model in ("starter", "auto"):
            refuse_other_encoder(opened, model)


def test_another_starter_than_the_gallerys_is_refused(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an update of the program that brought a new one."""
    gallery, photos = tmp_path / "gallery", fill(tmp_path / "photos", range(2))
    index(gallery, photos, model="starter")
    monkeypatch.setattr("retrieval.models.starter.STARTER_FOLDER", tiny_model)
    assert counts(index(gallery, photos)) == {"found": 2, "unchanged": 2}
    with pytest.raises(ModelMismatch, match="starter"):
        index(gallery, photos, model="starter")


def test_a_first_run_that_fails_leaves_what_was_there_before(tmp_path: Path, tiny_model: Path) -> None:
    photos = fill(tmp_path / "photos", range(1))
    (tmp_path / "gallery").mkdir()
    (tmp_path / "gallery" / ".mine").write_text("mine")
    with pytest.raises(ModelUnavailable):
        index(tmp_path / "gallery", photos, model="no_such_backbone_at_all")
    assert [path.name for path in (tmp_path / "gallery").iterdir()] == [".mine"]
    # Nor does a later run that fails take anything away.
    index(tmp_path / "gallery", photos, model=str(tiny_model))
    before = contents(tmp_path / "gallery")
    with pytest.raises(ModelUnavailable):
        index(tmp_path / "gallery", photos, model="no_such_backbone_at_all")
    assert contents(tmp_path / "gallery") == before


def test_a_first_run_that_is_late_leaves_the_gallery_of_the_other_one_alone(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, gallery = fill(tmp_path / "photos", range(1)), tmp_path / "gallery"

    def late(*arguments: object, **options: object) -> Gallery:
        monkeypatch.undo()
        index(gallery, photos, model=str(tiny_model))
        return Gallery(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("retrieval.workflows.indexing.Gallery", late)
    with pytest.raises(ModelUnavailable):
        index_paths(gallery, [photos], model="no_such_backbone_at_all")
    assert len(searchable(gallery)) == 1


def test_a_first_run_that_fails_leaves_an_empty_gallery_that_somebody_serves(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", range(1))
    with Gallery(tmp_path / "gallery", create=True) as served:
        with pytest.raises(ModelUnavailable):
            index(tmp_path / "gallery", photos, model="no_such_backbone_at_all")
        assert served.catalog.path.exists()
        assert served.catalog.roots.all() == []


def test_a_search_with_another_encoder_is_refused(six: tuple[Path, Path], tiny_model: Path, other_model: Path) -> None:
    gallery, photos = six
    query = photos / "red" / "0000.png"
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        with pytest.raises(ModelMismatch):
            list(searcher.by_path(query, model=str(other_model)))
        assert len(list(searcher.by_path(query, model=str(tiny_model)))) == 1
        # A name that only the card of a local folder has is no model that can be had again.
        with pytest.raises(ModelUnavailable):
            list(searcher.by_path(query, model="tiny"))


@pytest.mark.parametrize("damage", ["flipped weights", "card of another", "gone"])
def test_a_damaged_copy_stops_what_needs_it_and_nothing_else(
    six: tuple[Path, Path], other_model: Path, damage: str
) -> None:
    gallery, photos = six
    (copy,) = (gallery / "models").iterdir()
    if damage == "flipped weights":
        flip(copy / "model.safetensors", -500)
    elif damage == "card of another":
        shutil.copy(other_model / "card.json", copy / "card.json")
    else:
        shutil.rmtree(copy)
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        with pytest.raises(ModelDamaged) as caught:
            searcher.by_image((photos / "red" / "0000.png").read_bytes())
        assert "--model" in caught.value.hint
        # Neighbours of what is indexed need no encoder.
        assert len(searcher.by_id(searcher.samples(1)[0], 10).neighbours) == 5
    assert len(searchable(gallery)) == 6


def test_a_damaged_copy_is_replaced_when_its_name_is_given_again(tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", range(2))
    index(tmp_path / "gallery", photos, model="untrained")
    (copy,) = (tmp_path / "gallery" / "models").iterdir()
    flip(copy / "model.safetensors", -500)
    fill(photos, range(2, 3))
    with pytest.raises(ModelDamaged):
        index(tmp_path / "gallery", photos)
    report = index(tmp_path / "gallery", photos, model="untrained")
    assert counts(report) == {"found": 3, "new": 1, "unchanged": 2, "embedded": 1}


def test_changed_libraries_that_change_the_embeddings_are_said(
    six: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gallery, photos = six
    query = (photos / "red" / "0000.png").read_bytes()
    said: list[str] = []
    monkeypatch.setattr("retrieval.workflows.encoders._version", lambda package: f"{package} of tomorrow")
    with Gallery(gallery) as opened, Searcher(opened, said.append) as searcher:
        searcher.by_image(query)
    # The same embeddings: nothing to say, and the next index run remembers the versions.
    index(gallery, fill(tmp_path / "more", range(30, 31)), hooks=Hooks(say=said.append))
    assert said == []
    monkeypatch.setattr("retrieval.workflows.encoders._version", lambda package: f"{package} of next year")
    monkeypatch.setattr(
        "retrieval.models.probes.probe_embeddings", lambda runtime: np.eye(4, DIMENSION, dtype=np.float32)
    )
    with Gallery(gallery) as opened, Searcher(opened, said.append) as searcher:
        searcher.by_image(query)
    assert len(said) == 1
    assert "other embeddings" in said[0]
    assert "torch of tomorrow → torch of next year" in said[0]


def test_a_search_writes_nothing_on_a_new_machine_with_new_libraries(
    six: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, own_pools: None
) -> None:
    gallery, photos = six
    monkeypatch.setattr("retrieval.workflows.encoders._version", lambda package: f"{package} of tomorrow")
    monkeypatch.setattr("platform.node", lambda: "another-machine")
    # Measured in memory: a write outside of the lock would leave the catalog's seal stale.
    before = contents(gallery)
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        assert len(searcher.by_image((photos / "red" / "0000.png").read_bytes()).neighbours) == 6
    assert contents(gallery) == before


def test_an_index_run_remembers_what_it_measured(
    six: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own_pools: None
) -> None:
    monkeypatch.setenv("RETRIEVAL_PRECISION", "auto")
    monkeypatch.setattr("platform.node", lambda: "another-machine")
    report = index(six[0], fill(tmp_path / "more", range(30, 31)))
    with Gallery(six[0]) as opened:
        assert opened.catalog.get(f"runtime:another-machine:{report.space[:16]}")["batch"] >= 1
    assert status(six[0], check=True).agree


@pytest.mark.parametrize("precision", ["fp32", "bf16", "auto"])
def test_the_precision_that_is_set_is_the_one_that_is_used(
    precision: str, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, own_pools: None
) -> None:
    monkeypatch.setenv("RETRIEVAL_PRECISION", precision)
    photos = fill(tmp_path / "photos", range(6))
    report = index(tmp_path / "gallery", photos, model=str(tiny_model))
    with Gallery(tmp_path / "gallery") as opened, Searcher(opened) as searcher:
        used = open_runtime(opened, *load_encoder(tiny_model)).choice.precision
        assert used in (("fp32", "bf16") if precision == "auto" else (precision,))
        # What was fixed for one run is no measurement, and binds no other.
        remembered = opened.catalog.get(f"runtime:{platform.node()}:{report.space[:16]}")
        assert (remembered is not None) == (precision == "auto")
        best = searcher.by_image(next(photos.rglob("*.png")).read_bytes()).neighbours[0]
    # Eight bits of mantissa, and an untrained encoder.
    assert best.score == pytest.approx(1, abs=1e-2)


def test_models_lists_the_gallerys_own_and_what_can_be_given(six: tuple[Path, Path], tmp_path: Path) -> None:
    listed = known_models(six[0])
    assert (listed[0].state, listed[0].dimension) == ("live", DIMENSION)
    assert "UNTRAINED" in listed[0].what
    assert len(listed[0].fingerprint) == 64
    by_name = {entry.name for entry in known_models(tmp_path / "no gallery")}
    assert {"starter", "auto", "untrained", "NAME", "DIR"} <= by_name
    assert not (tmp_path / "no gallery").exists()


def test_the_path_that_models_lists_can_be_given_as_model(six: tuple[Path, Path], tmp_path: Path) -> None:
    path = known_models(six[0])[0].name
    report = index(tmp_path / "second", six[1], model=path)
    assert counts(report) == {"found": 6, "new": 6, "embedded": 6}


def test_creating_a_model_writes_a_folder_that_works(tmp_path: Path) -> None:
    card, out = create_model(tmp_path / "m", **TINY, head="linear", dim=16, name="mine", mean="0.5", std="0.4,0.5,0.6")
    assert out == tmp_path / "m"
    assert sorted(path.name for path in out.iterdir()) == ["card.json", "model.safetensors"]
    on_disk = json.loads((out / "card.json").read_text())
    assert on_disk["fingerprint"] == card["fingerprint"]
    assert (card["name"], card["dimension"], card["head"], card["trained"]) == ("mine", 16, "linear", False)
    preprocessing = card["preprocessing"]
    assert preprocessing["input_size"] == 64
    assert list(preprocessing["mean"]) == [0.5, 0.5, 0.5]
    assert list(preprocessing["std"]) == [0.4, 0.5, 0.6]
    report = index(tmp_path / "gallery", fill(tmp_path / "photos", range(2)), model=str(out))
    assert (report.embedded, report.space) == (2, card["fingerprint"])


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"input_size": 32},
        {"mean": "0.1"},
        {"std": "0.9"},
        {"interpolation": "nearest"},
        {"crop": 0.8},
        {"fit": "stretch"},
        {"head": "linear", "dim": 8},
        {"head": "mlp", "dim": 8},
        {"backbone_args": ["drop_rate=0.1"]},
    ],
    ids=str,
)
def test_every_option_makes_another_embedding_space(tmp_path: Path, change: dict[str, object]) -> None:
    card, _ = create_model(tmp_path / "a", **TINY)
    changed, _ = create_model(tmp_path / "b", **{**TINY, **change})
    assert changed["fingerprint"] != card["fingerprint"]


def test_a_name_makes_no_other_embedding_space(tmp_path: Path) -> None:
    card, _ = create_model(tmp_path / "a", **TINY)
    again, _ = create_model(tmp_path / "b", **TINY, name="another name")
    assert again["fingerprint"] == card["fingerprint"]


def test_weights_from_a_file_are_used(tmp_path: Path) -> None:
    first, _ = create_model(tmp_path / "a", **TINY)
    options = {**TINY, "untrained": False, "weights": tmp_path / "weights.safetensors"}
    from safetensors.numpy import load_file, save_file

    state = load_file(tmp_path / "a" / "model.safetensors")
    backbone = {name.removeprefix("backbone."): value for name, value in state.items() if name.startswith("backbone.")}
    assert backbone
    save_file(backbone, tmp_path / "weights.safetensors")
    second, _ = create_model(tmp_path / "b", **options)
    assert second["trained"]
    assert "weights.safetensors" in second["origin"]
    mine = load_file(tmp_path / "b" / "model.safetensors")
    assert all(np.array_equal(mine[name], value) for name, value in state.items())
    assert second["dimension"] == first["dimension"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"mean": "a lot"}, BadValue),
        ({"std": "0,0,0"}, BadValue),
        ({"std": "0.1,0.2"}, BadValue),
        ({"mean": "nan"}, BadValue),
        ({"input_size": 0}, BadValue),
        ({"interpolation": "magic"}, BadValue),
        ({"fit": "magic"}, BadValue),
        ({"crop": 2.0}, BadValue),
        ({"head": "magic"}, BadValue),
        ({"head": "linear", "dim": None}, BadValue),
        ({"backbone_args": ["no equals"]}, BadValue),
        ({"backbone_args": ["pretrained=true"]}, BadValue),
        ({"backbone_args": ["no_such_argument=1"]}, BadValue),
        ({"backbone": "no_such_backbone"}, ModelUnavailable),
        ({"weights": Path("x.safetensors")}, BadValue),
        ({"untrained": False, "weights": Path("/no/such/file.safetensors")}, NoSuchPath),
    ],
    ids=str,
)
def test_wrong_options_are_refused_and_leave_nothing(
    tmp_path: Path, change: dict[str, object], error: type[RetrievalError]
) -> None:
    with pytest.raises(error) as caught:
        create_model(tmp_path / "m", **{**TINY, **change})
    assert str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "mine.txt").write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(BadValue, match="holds something else"):
        create_model(tmp_path / "m", **TINY)
    assert contents(tmp_path) == before
