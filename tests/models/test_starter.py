"""The encoder that comes with the package: whole, small, the same everywhere, and better than what it began with."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from retrieval.core.errors import ModelDamaged
from retrieval.datasets.samples import samples_folder
from retrieval.images.decode import decode
from retrieval.models.create import create_encoder
from retrieval.models.encoder import Encoder
from retrieval.models.folder import CARD, WEIGHTS, verify_folder
from retrieval.models.resolve import resolve_model
from retrieval.models.starter import STARTER_FOLDER, load_starter, starter_card
from tests.conftest import REPOSITORY

MOST_BYTES = 8_000_000


def test_the_package_holds_it_whole_and_small() -> None:
    card = verify_folder(STARTER_FOLDER)
    assert card == starter_card() == resolve_model("starter")[1]
    assert (card.name, card.trained, card.licence) == ("starter", True, "mit")
    assert (STARTER_FOLDER / WEIGHTS).stat().st_size <= MOST_BYTES
    stored = load_file(STARTER_FOLDER / WEIGHTS)
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16, torch.int64}


def test_its_fingerprint_is_that_of_the_stored_half_floats_on_any_machine() -> None:
    """Widening is exact, so that nothing about the machine enters: the values that are loaded are those in the file."""
    encoder, card = load_starter()
    stored = load_file(STARTER_FOLDER / WEIGHTS)
    state = encoder.state_dict()
    assert state.keys() == stored.keys()
    assert all(
        np.array_equal(state[name].numpy(), stored[name].numpy().astype(state[name].numpy().dtype)) for name in state
    )
    assert card.fingerprint == json.loads((STARTER_FOLDER / CARD).read_text(encoding="utf-8"))["fingerprint"]


def test_its_card_for_people_says_what_it_must() -> None:
    text = (STARTER_FOLDER / "README.md").read_text(encoding="utf-8")
    card = starter_card()
    sets = ("grocery", "omniglot", "caltech101", "flowers90", "imagenette", "cifar10")
    facts = (card.fingerprint, f"{card.parameters:,}", f"{card.preprocessing.input_size} pixels", "hours", "recall@1")
    commands = ("retrieval distil", "python -m tests.benchmarks starter")
    for said in ("mobilenetv2_100", "Apache-2.0", "Limits", *sets, *facts, *commands):
        assert said in text, said
    assert "mobilenetv2_100" in card.origin


def test_a_file_of_it_that_is_gone_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / CARD).write_bytes((STARTER_FOLDER / CARD).read_bytes())
    monkeypatch.setattr("retrieval.models.starter.STARTER_FOLDER", tmp_path)
    with pytest.raises(ModelDamaged, match=r"model\.safetensors is missing"):
        load_starter()


def test_it_finds_drawn_things_better_than_its_own_beginning_and_than_colour() -> None:
    """The samples, of which it has seen none: recall@1, leave one out."""
    card = starter_card()
    spec = card.preprocessing
    files = [file for folder in sorted(samples_folder().iterdir()) for file in sorted(folder.glob("*.jpg"))]
    labels = np.array([file.parent.name for file in files])
    pixels = np.stack([decode(file.read_bytes(), spec)[1] for file in files])
    own = {"input_size": spec.input_size, "mean": spec.mean, "std": spec.std, "pooling": card.pooling}
    begun, _ = create_encoder(backbone=card.backbone, backbone_args=card.backbone_args, **own)
    encoders = {"own": load_starter()[0], "begun": begun}
    found = {name: _recall(_embedded(encoder, pixels), labels) for name, encoder in encoders.items()}
    small = np.stack([np.asarray(Image.fromarray(p).resize((8, 8)), np.float32).ravel() for p in pixels])
    colour = _recall(torch.nn.functional.normalize(torch.from_numpy(small - small.mean(0)), dim=1), labels)
    assert found["own"] > max(found["begun"] + 0.05, colour)


def _embedded(encoder: Encoder, pixels: np.ndarray) -> torch.Tensor:
    with torch.inference_mode():
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(127.5).sub(1)
        return torch.cat([encoder.encode(batch) for batch in images.split(49)])


def _recall(vectors: torch.Tensor, labels: np.ndarray) -> float:
    nearest = (vectors @ vectors.T).fill_diagonal_(-2).argmax(1).numpy()
    return float((labels[nearest] == labels).mean())


def test_the_wheel_is_told_to_take_it() -> None:
    """What lies below ``retrieval`` is packed unless git ignores it."""
    ignored = (REPOSITORY / ".gitignore").read_text(encoding="utf-8")
    assert STARTER_FOLDER == REPOSITORY / "retrieval" / "models" / "starter_encoder"
    assert "starter" not in ignored
    assert "safetensors" not in ignored
