"""Encoders from scratch: seeds, preprocessing defaults, weights files, names."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from retrieval.core.errors import BadValue, ModelDamaged, ModelUnavailable, ModelUnsafe, NoSuchPath
from retrieval.models.backbones import parse_backbone_args
from retrieval.models.create import create_encoder
from retrieval.models.folder import save_encoder, verify_folder
from tests.models.conftest import SHARED_WEIGHTS, tiny


def test_the_seed_decides_and_the_global_state_is_left_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = tiny(head="mlp", dim=8)[1].fingerprint
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert tiny(head="mlp", dim=8)[1].fingerprint == first
    assert tiny(head="mlp", dim=8, seed=1)[1].fingerprint != first


@pytest.mark.slow
def test_another_process_makes_the_same_encoder() -> None:
    code = "from tests.models.conftest import tiny; print(tiny(seed=3)[1].fingerprint)"
    root = Path(__file__).resolve().parents[2]
    there = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=root)
    assert there.stdout.strip() == tiny(seed=3)[1].fingerprint


def test_preprocessing_comes_from_timm_and_explicit_values_win() -> None:
    suggested = create_encoder(backbone="resnet10t")[1].preprocessing
    assert (suggested.input_size, suggested.mean, suggested.fit) == (176, (0.485, 0.456, 0.406), "crop")
    assert suggested.crop == 1.0
    wanted: dict[str, Any] = {"input_size": 96, "interpolation": "bilinear", "crop": 0.5, "fit": "stretch"}
    card = create_encoder(backbone="resnet10t", mean=[0.5], std=[0.1, 0.2, 0.3], **wanted)[1]
    assert card.preprocessing.to_dict() == wanted | {"mean": [0.5] * 3, "std": [0.1, 0.2, 0.3], "version": 1}


def test_two_values_for_three_channels() -> None:
    with pytest.raises(BadValue, match="one value or three"):
        tiny(mean=[0.5, 0.5])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_means_that_are_no_numbers(value: float) -> None:
    with pytest.raises(BadValue, match="needs numbers"):
        tiny(mean=[value])
    with pytest.raises(BadValue, match="needs numbers"):
        tiny(std=[0.5, 0.5, value])


def test_a_backbone_of_fixed_size_is_built_for_the_size_asked() -> None:
    encoder, card = create_encoder(backbone="test_vit", input_size=96)
    assert card.backbone_args == {"img_size": 96}
    assert encoder(torch.rand(1, 3, 96, 96)).raw.shape == (1, card.dimension)


def test_a_size_that_the_backbone_cannot_take() -> None:
    with pytest.raises(BadValue, match="images of 30 pixels"):
        create_encoder(backbone="test_vit", backbone_args={"img_size": 160}, input_size=30)


def test_unpooled_features_are_refused() -> None:
    with pytest.raises(BadValue, match="one vector"):
        tiny(backbone_args={"global_pool": ""})


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("resnet19", "resnet18"),
        ("mobilenet_v2_100", "mobilenetv2_100"),
        ("MobileNetV2_100", "mobilenetv2_100"),
        ("qqqqqqqq", "no backbone 'qqqqqqqq'"),
        ("", "no backbone"),
        ("resnet18.nothing", "resnet18.a1_in1k"),
        ("hf-hub:someone/model", "no backbone"),
        ("local-dir:/tmp", "no backbone"),
    ],
)
def test_unknown_backbones_name_the_nearest(name: str, says: str) -> None:
    with pytest.raises(ModelUnavailable, match=says):
        create_encoder(backbone=name)


def test_arguments_that_timm_refuses() -> None:
    with pytest.raises(BadValue, match="colour=red"):
        tiny(backbone_args={"colour": "red"})


@pytest.mark.parametrize("key", ["checkpoint_path", "pretrained", "pretrained_cfg_overlay", "num_classes", "in_chans"])
def test_arguments_that_are_ours(key: str) -> None:
    with pytest.raises(BadValue, match=key):
        tiny(backbone_args={key: "/tmp/stranger.pth"})
    with pytest.raises(BadValue, match=key):
        parse_backbone_args([f"{key}=1"])


def test_parsing_arguments() -> None:
    parsed = parse_backbone_args(
        ["a=1", "b=0.5", "c=true", "d=False", "e=same", "f=", "g=x=y", "h=-3", "i=1e-3", "j=nan", "k=[1, 2,3]", "l=[x]"]
    )
    expected = {
        "a": 1,
        "b": 0.5,
        "c": True,
        "d": False,
        "e": "same",
        "f": "",
        "g": "x=y",
        "h": -3,
        "i": 0.001,
        "j": "nan",
        "k": [1, 2, 3],
        "l": "[x]",
    }
    assert parsed == expected
    assert [type(value) for value in parsed.values()] == [type(value) for value in expected.values()]


def test_a_backbone_of_other_widths_is_kept_with_its_card(tmp_path: Path) -> None:
    args = {"channels": [8, 16, 24, 32]}
    encoder, card = create_encoder(backbone="resnet10t", backbone_args=args, input_size=32)
    assert (card.features, card.format) == (32, 3)
    save_encoder(encoder, card, tmp_path / "narrow")
    assert verify_folder(tmp_path / "narrow").backbone_args == args
    assert create_encoder(backbone="resnet10t", input_size=32)[1].format == 1


@pytest.mark.parametrize("texts", [["a"], ["=1"], ["a b=1"], ["a=1", "a=2"]])
def test_arguments_that_cannot_be_parsed(texts: list[str]) -> None:
    with pytest.raises(BadValue):
        parse_backbone_args(texts)


# Weights from a file -------------------------------------------------------------------------------------------------


def classified() -> dict[str, torch.Tensor]:
    """Weights as they are published: with a classifier. Other weights than those of ``tiny()``."""
    torch.manual_seed(9)
    return timm.create_model("test_resnet", num_classes=10).state_dict()


def from_file(path: Path, **changes: Any) -> Any:
    return tiny(weights=path, **changes)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save_file(classified(), tmp_path / "some.safetensors")
    return tmp_path / "some.safetensors"


def test_weights_with_and_without_a_classifier(weights: Path, tmp_path: Path) -> None:
    encoder, card = from_file(weights)
    bare = {name: tensor for name, tensor in classified().items() if not name.startswith("fc.")}
    assert len(bare) == len(classified()) - 2
    loaded = encoder.backbone.state_dict()
    assert loaded.keys() == bare.keys()
    assert all(torch.equal(loaded[name], bare[name]) for name in bare)
    assert card.trained
    assert card.origin.startswith("file some.safetensors sha256 ")
    assert len(card.origin.split()[-1]) == 64
    save_file(bare, tmp_path / "bare.safetensors")
    assert from_file(tmp_path / "bare.safetensors")[1].fingerprint == card.fingerprint
    assert tiny()[1].fingerprint != card.fingerprint


def test_counters_of_batches_may_be_absent(weights: Path, tmp_path: Path) -> None:
    kept = {name: tensor for name, tensor in classified().items() if not name.endswith("num_batches_tracked")}
    assert len(kept) < len(classified())
    save_file(kept, tmp_path / "kept.safetensors")
    assert from_file(tmp_path / "kept.safetensors")[1].fingerprint == from_file(weights)[1].fingerprint


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"conv1.0.weight": None}, r"conv1\.0\.weight is missing"),
        ({"more.weight": torch.ones(1)}, r"more\.weight is unexpected"),
        ({"conv1.0.weight": torch.ones(2)}, r"conv1\.0\.weight has shape \[2\] instead of"),
    ],
)
def test_weights_that_do_not_fit(tmp_path: Path, change: dict[str, torch.Tensor | None], says: str) -> None:
    changed = {name: tensor for name, tensor in (classified() | change).items() if tensor is not None}
    save_file(changed, tmp_path / "w.safetensors")
    with pytest.raises(ModelDamaged, match=says) as caught:
        from_file(tmp_path / "w.safetensors")
    assert "--backbone-args" in caught.value.hint


def test_weights_of_another_backbone(weights: Path) -> None:
    with pytest.raises(ModelDamaged, match=r"is unexpected; .* is unexpected; .* is unexpected, and \d+ more"):
        create_encoder(backbone="resnet10t", weights=weights)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".pkl", ".ckpt", ".npz", ".PTH", ".safetensors", ""])
@pytest.mark.parametrize("old_format", [False, True])
def test_pickles_are_refused_whatever_they_are_called(tmp_path: Path, suffix: str, old_format: bool) -> None:
    path = tmp_path / f"weights{suffix}"
    torch.save(classified(), path, _use_new_zipfile_serialization=not old_format)
    with pytest.raises(ModelUnsafe) as caught:
        from_file(path)
    assert "safetensors" in caught.value.hint


def test_safetensors_under_a_pickles_name_are_refused_too(weights: Path) -> None:
    path = weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(ModelUnsafe):
        from_file(path)


def test_missing_truncated_and_nonsense_files(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(NoSuchPath):
        from_file(tmp_path / "nothing.safetensors")
    with pytest.raises(NoSuchPath):
        from_file(tmp_path)
    content = weights.read_bytes()
    for cut in (0, 4, 100, len(content) - 1):
        weights.write_bytes(content[:cut])
        with pytest.raises(ModelDamaged):
            from_file(weights)


def test_a_file_and_the_hub_at_once(weights: Path) -> None:
    with pytest.raises(BadValue, match="not from both"):
        from_file(weights, pretrained=True)


def test_the_shared_weights_depend_on_the_padding(mobilenet: Any) -> None:
    _, card = mobilenet
    assert (card.dimension, card.trained, card.parameters) == (1280, True, 2223872)
    assert card.backbone_args == {"pad_type": "same"}
    assert "classifier.weight" in load_file(SHARED_WEIGHTS)
