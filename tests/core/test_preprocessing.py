"""The preprocessing spec: there and back through JSON, and what it refuses."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.core.errors import BadValue
from retrieval.core.preprocessing import FITS, INTERPOLATIONS, PREPROCESSING_VERSION, Preprocessing

unit = st.floats(0, 1, exclude_min=True)
triple = st.tuples(unit, unit, unit)
specs = st.builds(
    Preprocessing,
    input_size=st.integers(1, 4096),
    interpolation=st.sampled_from(INTERPOLATIONS),
    fit=st.sampled_from(FITS),
    crop=st.floats(0.01, 1),
    mean=triple,
    std=triple,
)


@given(specs)
def test_a_spec_survives_json(spec: Preprocessing) -> None:
    assert Preprocessing.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@given(specs)
def test_the_short_side_is_resized_so_that_the_crop_fits(spec: Preprocessing) -> None:
    assert spec.resize_to >= spec.input_size
    if spec.fit == "stretch":
        assert spec.resize_to == spec.input_size
    else:
        assert abs(spec.resize_to * spec.crop - spec.input_size) <= 1


def test_the_usual_crop() -> None:
    assert Preprocessing(input_size=224, crop=0.875).resize_to == 256


def test_the_version_is_written_down() -> None:
    assert Preprocessing().to_dict()["version"] == PREPROCESSING_VERSION


BAD: list[dict[str, Any]] = [
    {"input_size": 0},
    {"input_size": 4097},
    {"input_size": 224.0},
    {"input_size": "224"},
    {"input_size": True},
    {"input_size": None},
    {"interpolation": "cubic"},
    {"interpolation": None},
    {"fit": "pad"},
    {"crop": 0},
    {"crop": 1.01},
    {"crop": float("nan")},
    {"crop": "1"},
    {"mean": [0.5, 0.5]},
    {"mean": [0.5, 0.5, float("nan")]},
    {"mean": ["a", "b", "c"]},
    {"mean": "abc"},
    {"mean": 0.5},
    {"std": [0.5, 0.5, 0.0]},
    {"std": [0.5, 0.5, -1.0]},
    {"std": [float("nan"), 0.5, 0.5]},
    {"std": [float("inf"), 0.5, 0.5]},
    {"std": []},
    {"version": "1"},
    {"size": 224},
]


@pytest.mark.parametrize("values", BAD, ids=repr)
def test_a_value_that_cannot_be_used_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        Preprocessing.from_dict(Preprocessing().to_dict() | values)


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(BadValue, match="colour, size"):
        Preprocessing.from_dict({"size": 1, "colour": 2})
