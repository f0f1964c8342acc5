"""The card and the fingerprint."""

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.core.errors import ModelDamaged
from retrieval.models.card import CARD_FORMAT, ModelCard, _checksum
from retrieval.models.create import describe
from retrieval.models.fingerprint import fingerprint_of
from tests.models.conftest import tiny

ENCODER, CARD = tiny(head="linear", dim=16)


def test_round_trip() -> None:
    assert ModelCard.from_bytes(CARD.to_bytes()) == CARD
    full = replace(CARD, licence="mit", name="Größe 木", backbone_args={"a": 1, "b": 0.5, "c": True, "d": "same"})
    again = ModelCard.from_bytes(full.to_bytes())
    assert again == full
    assert [type(value) for value in again.backbone_args.values()] == [int, float, bool, str]


def test_what_the_card_says() -> None:
    assert CARD.origin == "untrained, seed 0"
    assert not CARD.trained
    assert CARD.licence is None
    assert CARD.features == 96
    assert CARD.parameters == sum(p.numel() for p in ENCODER.parameters())
    assert CARD.created.endswith("+00:00")


@settings(deadline=None)
@given(st.data())
def test_every_flipped_bit_is_found(data: st.DataObject) -> None:
    content = bytearray(CARD.to_bytes())
    where = data.draw(st.integers(0, len(content) - 1))
    content[where] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ModelDamaged):
        ModelCard.from_bytes(bytes(content))


@pytest.mark.parametrize(("old", "new"), [(b"  ", b" \t"), (b": ", b":\n"), (b"\n", b"\r"), (b"1.0", b"1.00")])
def test_another_text_of_the_same_values_is_found(old: bytes, new: bytes) -> None:
    content = CARD.to_bytes().replace(old, new, 1)
    assert json.loads(content) == json.loads(CARD.to_bytes())
    assert content != CARD.to_bytes()
    with pytest.raises(ModelDamaged, match="bytes"):
        ModelCard.from_bytes(content)


def signed(**changes: Any) -> bytes:
    """A card with a checksum that fits, as another program might write it."""
    values = json.loads(CARD.to_bytes())
    del values["checksum"]
    values |= changes
    values = {key: value for key, value in values.items() if value is not ...}
    values["checksum"] = _checksum(values)
    return (json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def test_signed_writes_what_the_card_writes() -> None:
    assert signed() == CARD.to_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"dimension": "16"},
        {"dimension": True},
        {"dimension": -1},
        {"trained": 1},
        {"name": None},
        {"licence": 3},
        {"backbone_args": [1]},
        {"backbone_args": {"a": ["x"]}},
        {"backbone_args": {"a": [True]}},
        {"preprocessing": {"input_size": 0}},
        {"preprocessing": {"colour": "red"}},
        {"preprocessing": 3},
        {"preprocessing": ...},
        {"fingerprint": ...},
        {"extra": 1},
        {"format": "1"},
    ],
)
def test_wrong_values_under_a_right_checksum(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelDamaged):
        ModelCard.from_bytes(signed(**changes))


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"null", b"{}", b"\xff", b"[" * 100_000, b'{"a": NaN}'])
def test_no_card_at_all(content: bytes) -> None:
    with pytest.raises(ModelDamaged):
        ModelCard.from_bytes(content)


def test_a_newer_card_is_said_to_be_newer() -> None:
    with pytest.raises(ModelDamaged, match="newer version"):
        ModelCard.from_bytes(signed(format=CARD_FORMAT + 1, something_new=1))


def test_name_date_and_origin_do_not_enter_the_fingerprint() -> None:
    again = describe(ENCODER, CARD, name="other", created="2000-01-01T00:00:00+00:00", origin="elsewhere", trained=True)
    assert again.fingerprint == CARD.fingerprint
    assert CARD.renamed("other").fingerprint == CARD.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"input_size": 65},
        {"interpolation": "nearest"},
        {"fit": "stretch"},
        {"crop": 0.9},
        {"mean": (0.5, 0.5, 0.4)},
        {"std": (0.5, 0.5, 0.4)},
        {"version": 2},
    ],
)
def test_every_field_of_the_preprocessing_enters(change: dict[str, Any]) -> None:
    assert set(CARD.preprocessing.to_dict()) == {"input_size", "interpolation", "fit", "crop", "mean", "std", "version"}
    changed = describe(ENCODER, CARD, preprocessing=replace(CARD.preprocessing, **change))
    assert changed.fingerprint != CARD.fingerprint


@pytest.mark.parametrize("change", [{"head": "mlp"}, {"backbone": "test_vit"}, {"backbone_args": {"a": 1}}])
def test_the_architecture_enters(change: dict[str, Any]) -> None:
    assert describe(ENCODER, CARD, **change).fingerprint != CARD.fingerprint


@settings(deadline=None)
@given(st.data())
def test_every_bit_of_every_tensor_enters(data: st.DataObject) -> None:
    state = ENCODER.state_dict()
    name = data.draw(st.sampled_from(sorted(state)))
    changed = state[name].clone().contiguous()
    flat = changed.reshape(-1).view(torch.uint8)
    flat[data.draw(st.integers(0, len(flat) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert fingerprint_of(CARD.identity(), state | {name: changed}) != CARD.fingerprint


def test_order_and_strides_do_not_enter_but_names_types_and_shapes_do() -> None:
    identity: dict[str, Any] = {}
    values = torch.arange(6, dtype=torch.float32)
    two = {"a": values.reshape(2, 3), "b": values[:1]}
    expected = fingerprint_of(identity, two)
    assert fingerprint_of(identity, dict(reversed(two.items()))) == expected
    assert fingerprint_of(identity, two | {"a": values.reshape(2, 3).t().contiguous().t()}) == expected
    assert fingerprint_of(identity, two | {"a": values.reshape(3, 2)}) != expected
    assert fingerprint_of(identity, two | {"a": values.reshape(2, 3).view(torch.int32)}) != expected
    assert fingerprint_of(identity, {"a": two["a"], "c": two["b"]}) != expected


def test_a_scalar_and_an_empty_tensor_can_be_fingerprinted() -> None:
    tensors = {"count": torch.tensor(3), "nothing": torch.zeros(0, 4), "half": torch.ones(2, dtype=torch.bfloat16)}
    assert fingerprint_of({}, tensors) != fingerprint_of({}, tensors | {"count": torch.tensor(4)})


def test_reading_a_card_imports_no_torch() -> None:
    code = (
        "import sys; import retrieval.models.card, retrieval.models.folder, retrieval.models.choice, "
        "retrieval.models.resolve; sys.exit('torch' in sys.modules or 'timm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
