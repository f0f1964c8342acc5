"""Settings: every variable, its default, and what it refuses."""

import re
from pathlib import Path

import psutil
import pytest

from retrieval.core import settings
from retrieval.core.errors import BadValue
from retrieval.core.settings import available_cores, load_settings
from retrieval.models.choice import PRECISIONS

NUMBERS = {
    "RETRIEVAL_MAX_MEGAPIXELS": (lambda s: s.limits.max_pixels, 150_000_000, "0.5", 500_000),
    "RETRIEVAL_MAX_FILE_MB": (lambda s: s.limits.max_bytes, 1 << 30, "2", 2 << 20),
    "RETRIEVAL_MAX_UPLOAD_MB": (lambda s: s.max_upload_bytes, 64 << 20, "1.5", 3 << 19),
    "RETRIEVAL_DECODE_SECONDS": (lambda s: s.limits.seconds, 30.0, "0.25", 0.25),
    "RETRIEVAL_THREADS": (lambda s: s.threads, available_cores(), "3", 3),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_variable_sets_its_own_setting_and_no_other(name: str) -> None:
    read, default, text, expected = NUMBERS[name]
    assert read(load_settings({})) == default
    assert read(load_settings({name: ""})) == default
    changed = load_settings({name: text})
    assert read(changed) == expected
    for other, (read_other, other_default, _, _) in NUMBERS.items():
        assert other == name or read_other(changed) == other_default


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e999", "many", "3 GB", "0x10"])
def test_what_is_no_positive_number_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(BadValue) as refused:
        load_settings({name: text})
    assert name in refused.value.message
    assert text in refused.value.message
    assert "default" in refused.value.hint


@pytest.mark.parametrize("name", sorted(set(NUMBERS) - {"RETRIEVAL_DECODE_SECONDS"}))
def test_a_tiny_number_does_not_become_zero(name: str) -> None:
    assert NUMBERS[name][0](load_settings({name: "1e-9"})) == 1


def test_the_precision_is_one_of_its_words() -> None:
    assert load_settings({}).precision == load_settings({"RETRIEVAL_PRECISION": ""}).precision == "auto"
    assert load_settings({"RETRIEVAL_PRECISION": "bf16"}).precision == "bf16"
    with pytest.raises(BadValue, match="RETRIEVAL_PRECISION='int8'") as refused:
        load_settings({"RETRIEVAL_PRECISION": "int8"})
    assert "auto, fp32, bf16, fp16" in refused.value.hint
    # What the runtime knows and what may be asked for must stay the same words.
    assert ("auto", *PRECISIONS) == settings.PRECISIONS


def test_the_gallery_is_a_folder_of_the_user() -> None:
    assert load_settings({"RETRIEVAL_GALLERY": "/some/where"}).gallery == Path("/some/where")
    assert load_settings({"RETRIEVAL_GALLERY": "~/g"}).gallery == Path.home() / "g"
    default = load_settings({}).gallery
    assert default.is_absolute()
    assert load_settings({"RETRIEVAL_GALLERY": ""}).gallery == default


def test_the_home_of_nobody_is_refused() -> None:
    with pytest.raises(BadValue, match="RETRIEVAL_GALLERY"):
        load_settings({"RETRIEVAL_GALLERY": "~no-such-user-here/gallery"})


@pytest.mark.parametrize(
    ("text", "expected"), [("", ()), ("a", ("a",)), ("a.b,c", ("a.b", "c")), (" a , ,b,", ("a", "b"))]
)
def test_plugins_are_a_list_of_modules(text: str, expected: tuple[str, ...]) -> None:
    assert load_settings({"RETRIEVAL_PLUGINS": text}).plugins == expected


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRIEVAL_THREADS", "7")
    assert load_settings().threads == 7


def test_every_variable_in_the_table_is_read_and_the_other_way_round() -> None:
    asked = set()

    class Recorder(dict[str, str]):
        def get(self, key: str, default: object = None) -> object:  # type: ignore[override]
            asked.add(key)
            return default

    load_settings(Recorder())
    assert asked == set(re.findall(r"``(RETRIEVAL_\w+)``", settings.__doc__ or ""))


def test_at_least_one_core_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    assert available_cores() >= 1

    class NoAffinity:
        """As psutil is on macOS."""

    monkeypatch.setattr(psutil, "Process", NoAffinity)
    monkeypatch.setattr(settings.os, "cpu_count", lambda: None)
    assert available_cores() == 1
