"""What ``--model`` takes."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from retrieval.core.errors import ModelDamaged, ModelUnavailable, ModelUnsafe, NoSuchPath
from retrieval.core.preprocessing import Preprocessing
from retrieval.models.folder import read_card
from retrieval.models.resolve import UNTRAINED_BACKBONE, resolve_model


def test_a_folder(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_model(str(saved))[1] == read_card(saved)
    monkeypatch.chdir(saved.parent)
    assert resolve_model(saved.name)[1] == read_card(saved)
    assert resolve_model(f"./{saved.name}")[1] == read_card(saved)


def test_a_run_means_its_encoder(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else lies in it, checkpoints of the training too."""
    shutil.copytree(saved, tmp_path / "run" / "encoder")
    (tmp_path / "run" / "last.ckpt").write_bytes(b"PK")
    assert resolve_model(str(tmp_path / "run"))[1] == read_card(saved)
    # Also where it is called as a backbone of timm's.
    (tmp_path / "run").rename(tmp_path / "resnet18")
    monkeypatch.chdir(tmp_path)
    assert resolve_model("resnet18")[1] == read_card(saved)


def test_a_run_that_has_not_ended_is_named_as_one(tmp_path: Path) -> None:
    """What lies in it is needed to go on."""
    (tmp_path / "recipe.json").write_text("{}")
    (tmp_path / "last.ckpt").write_bytes(b"PK")
    with pytest.raises(ModelDamaged, match="has not ended") as caught:
        resolve_model(str(tmp_path))
    assert "--resume" in caught.value.hint


def test_untrained_is_always_the_same_one() -> None:
    _, card = resolve_model("untrained")
    assert card == resolve_model("untrained")[1] or card.fingerprint == resolve_model("untrained")[1].fingerprint
    assert (card.name, card.backbone, card.trained) == ("untrained", UNTRAINED_BACKBONE, False)


def test_untrained_with_a_backbone() -> None:
    encoder, card = resolve_model("untrained:test_resnet")
    assert (card.backbone, card.trained, encoder.dimension) == ("test_resnet", False, 96)
    with pytest.raises(ModelUnavailable, match="resnet18"):
        resolve_model("untrained:resnet19")


def test_what_is_built_anew_may_see_the_pictures_of_another(saved: Path) -> None:
    like = Preprocessing(input_size=48, crop=0.9, fit="stretch", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    assert resolve_model("untrained:test_resnet", like=like)[1].preprocessing == like
    assert resolve_model("untrained", like=like)[1].preprocessing == like
    assert resolve_model(str(saved), like=like)[1] == read_card(saved)


def test_folders_whose_names_mean_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "untrained").mkdir()
    assert resolve_model("untrained")[1].origin == "untrained, seed 0"
    (tmp_path / "photos").mkdir()
    with pytest.raises(ModelDamaged, match="photos"):
        resolve_model("photos")


@pytest.mark.parametrize(
    "name", ["./nothing", "some/where", "/no/such/folder", "model.pt", "model.safetensors", "~/zzz"]
)
def test_paths_that_do_not_exist(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoSuchPath):
        resolve_model(name)


def test_the_empty_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelDamaged):
        resolve_model("")


def test_single_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("model.pt", "weights.pth", "renamed.safetensors", "noname"):
        torch.save({}, tmp_path / name)
        with pytest.raises(ModelUnsafe):
            resolve_model(name)
    save_file({"a": torch.ones(1)}, tmp_path / "right.safetensors")
    with pytest.raises(ModelDamaged, match="not an encoder folder") as caught:
        resolve_model("right.safetensors")
    assert "retrieval model create" in caught.value.hint


def test_unknown_names() -> None:
    with pytest.raises(ModelUnavailable, match="mobilenetv2_100"):
        resolve_model("mobilenetv2-100")
