"""Encoder folders: the round trip, and every way they can be damaged or unsafe."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from retrieval.core.errors import BadValue, ModelDamaged, ModelUnavailable, ModelUnsafe, NoSuchPath, RetrievalError
from retrieval.models import folder as folder_module
from retrieval.models.create import describe
from retrieval.models.folder import CARD, WEIGHTS, halved, load_encoder, read_card, save_encoder, verify_folder
from tests.models.conftest import tiny


@pytest.fixture
def copied(saved: Path, tmp_path: Path) -> Path:
    """A folder that may be changed."""
    return Path(shutil.copytree(saved, tmp_path / "copy"))


@pytest.mark.parametrize(("head", "dim"), [("none", None), ("linear", 16), ("mlp", 8), ("hidden", 8)])
def test_round_trip_bit_for_bit(tmp_path: Path, head: str, dim: int | None) -> None:
    encoder, card = tiny(head=head, dim=dim, seed=4, backbone_args={"stem_type": ""}, mean=[0.5])
    written = save_encoder(encoder, card, tmp_path / "deep" / "er")
    loaded, read = load_encoder(tmp_path / "deep" / "er")
    assert read == written == replace(card, weights_sha256=written.weights_sha256)
    assert read == read_card(tmp_path / "deep" / "er") == verify_folder(tmp_path / "deep" / "er")
    before, after = encoder.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys()
    assert all(before[n].dtype == after[n].dtype and torch.equal(before[n], after[n]) for n in before)
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(encoder.encode(images), loaded.encode(images))
    assert not any(module.training for module in loaded.modules())
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert sorted(path.name for path in (tmp_path / "deep" / "er").iterdir()) == [CARD, WEIGHTS]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["er"]


def test_a_trained_encoder_needs_a_new_description(tmp_path: Path) -> None:
    encoder, card = tiny(head="linear", dim=4)
    with torch.no_grad():
        encoder.head.bias.add_(1)
    with pytest.raises(ValueError, match="describe"):
        save_encoder(encoder, card, tmp_path / "x")
    assert not (tmp_path / "x").exists()
    new = describe(encoder, card, origin="trained here", trained=True)
    save_encoder(encoder, new, tmp_path / "x")
    assert verify_folder(tmp_path / "x").fingerprint == new.fingerprint != card.fingerprint


def test_existing_places(tmp_path: Path) -> None:
    encoder, card = tiny()
    (tmp_path / "empty").mkdir()
    first = save_encoder(encoder, card, tmp_path / "empty")
    again = save_encoder(encoder, replace(card, name="other"), tmp_path / "empty")
    assert again == first
    with pytest.raises(BadValue, match="something else"):
        save_encoder(*tiny(seed=1), tmp_path / "empty")
    assert verify_folder(tmp_path / "empty") == first
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(BadValue, match="something else"):
        save_encoder(encoder, card, tmp_path / "full")
    assert (tmp_path / "full" / "photo.jpg").read_bytes() == b"mine"
    with pytest.raises(BadValue, match="something else"):
        save_encoder(encoder, card, tmp_path / "full" / "photo.jpg")


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_a_crash_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def crash(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(folder_module.os, step, crash)
    with pytest.raises(KeyboardInterrupt):
        save_encoder(*tiny(), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_every_flipped_byte_is_found(copied: Path, data: st.DataObject) -> None:
    path = copied / data.draw(st.sampled_from([CARD, WEIGHTS]))
    content = path.read_bytes()
    where = data.draw(st.integers(0, len(content) - 1))
    flip = data.draw(st.integers(1, 255))
    path.write_bytes(content[:where] + bytes([content[where] ^ flip]) + content[where + 1 :])
    try:
        with pytest.raises((ModelDamaged, ModelUnsafe)):
            load_encoder(copied)
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("name", [CARD, WEIGHTS])
@pytest.mark.parametrize("keep", [0, 1, 9, 200, -1])
def test_truncated_or_grown(copied: Path, name: str, keep: int) -> None:
    content = (copied / name).read_bytes()
    (copied / name).write_bytes(content[:keep])
    with pytest.raises(ModelDamaged, match=name):
        load_encoder(copied)
    (copied / name).write_bytes(content + b"\n")
    with pytest.raises(ModelDamaged, match=name):
        load_encoder(copied)
    (copied / name).unlink()
    with pytest.raises(ModelDamaged, match=f"{name} is missing"):
        read_card(copied)


def test_no_folder_or_a_file(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(NoSuchPath):
        load_encoder(tmp_path / "nothing")
    with pytest.raises(ModelDamaged, match="not an encoder folder"):
        load_encoder(saved / CARD)
    with pytest.raises(ModelDamaged, match="is missing"):
        load_encoder(tmp_path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind here")
def test_unreadable(copied: Path) -> None:
    (copied / WEIGHTS).chmod(0)
    with pytest.raises(ModelDamaged, match="cannot be read"):
        load_encoder(copied)


@pytest.mark.parametrize("old_format", [False, True])
def test_a_pickle_in_place_of_the_weights(copied: Path, old_format: bool) -> None:
    torch.save({"x": torch.ones(1)}, copied / WEIGHTS, _use_new_zipfile_serialization=not old_format)
    for read in (read_card, load_encoder, verify_folder):
        with pytest.raises(ModelUnsafe):
            read(copied)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "extra.PKL"])
@pytest.mark.parametrize("alone", [False, True])
def test_a_pickle_beside_or_instead_of_the_weights(copied: Path, name: str, alone: bool) -> None:
    torch.save({}, copied / name)
    if alone:
        (copied / WEIGHTS).unlink()
    with pytest.raises(ModelUnsafe, match=name):
        load_encoder(copied)


def forge(folder: Path, **changes: Any) -> None:
    """A card that is right in itself, as a stranger could write it."""
    (folder / CARD).write_bytes(replace(read_card(folder), **changes).to_bytes())


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"backbone": "resnet10t"}, ModelDamaged),
        ({"backbone": "no_such_net"}, ModelUnavailable),
        ({"backbone": "hf-hub:someone/model"}, ModelUnavailable),
        ({"backbone": "local-dir:/tmp/someone"}, ModelUnavailable),
        ({"backbone_args": {"checkpoint_path": "/tmp/stranger.pth"}}, ModelDamaged),
        ({"backbone_args": {"pretrained_cfg_overlay": "x"}}, ModelDamaged),
        ({"head": "mlp"}, ModelDamaged),
        ({"head": "conv"}, ModelDamaged),
        ({"dimension": 17}, ModelDamaged),
        ({"features": 97}, ModelDamaged),
        ({"weights_sha256": "0" * 64}, ModelDamaged),
    ],
)
def test_forged_cards(copied: Path, changes: dict[str, Any], error: type[RetrievalError]) -> None:
    forge(copied, **changes)
    with pytest.raises(error):
        load_encoder(copied)


def test_a_forged_fingerprint_is_found_by_verifying(copied: Path) -> None:
    forge(copied, fingerprint="0" * 64)
    with pytest.raises(ModelDamaged, match="fingerprint"):
        verify_folder(copied)


def test_the_layout_of_the_file_does_not_enter_the_fingerprint(copied: Path) -> None:
    import hashlib

    before = (copied / WEIGHTS).read_bytes()
    save_file(load_file(copied / WEIGHTS), copied / WEIGHTS, metadata={"written": "by another program"})
    assert (copied / WEIGHTS).read_bytes() != before
    forge(copied, weights_sha256=hashlib.sha256((copied / WEIGHTS).read_bytes()).hexdigest())
    assert verify_folder(copied).fingerprint == read_card(copied).fingerprint


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from retrieval.core.errors import DiskFull

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(folder_module.os, "fsync", full)
    with pytest.raises(DiskFull):
        save_encoder(*tiny(), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_half_the_size_and_the_same_encoder(tmp_path: Path) -> None:
    encoder, card = tiny()
    with pytest.raises(ValueError, match="float16 changes"):
        save_encoder(encoder, card, tmp_path / "no", half=True)
    small = halved(encoder)
    described = describe(small, card)
    saved = save_encoder(small, described, tmp_path / "half", half=True)
    save_encoder(small, described, tmp_path / "whole")
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("half", "whole")]
    assert sizes[0] < 0.6 * sizes[1]
    loaded, again = load_encoder(tmp_path / "half")
    assert again == saved
    assert verify_folder(tmp_path / "half").fingerprint == read_card(tmp_path / "whole").fingerprint
    assert all(t.dtype in (torch.float32, torch.int64) for t in loaded.state_dict().values())
    assert all(torch.equal(t, small.state_dict()[name]) for name, t in loaded.state_dict().items())
    # The original is as it was.
    assert any(not torch.equal(t, small.state_dict()[name]) for name, t in encoder.state_dict().items())


def test_what_half_floats_cannot_hold_is_refused() -> None:
    encoder, _ = tiny()
    next(encoder.parameters()).data.fill_(1e6)
    with pytest.raises(ValueError, match="float16 cannot hold"):
        halved(encoder)
