"""What a person sees of a path is safe in any terminal and on any page."""

import os
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retrieval.core.text import shown

ANY_TEXT = st.text(st.characters(codec=None), max_size=60)


@given(text=ANY_TEXT | st.binary(max_size=60).map(os.fsdecode), limit=st.none() | st.integers(0, 30))
@example(text="a\x1b[31mred\u202egnp.exe", limit=None)
@example(text="a\ud800\udcff\u2028\u0085\r\n", limit=None)
@example(text="long enough", limit=0)
def test_what_is_shown_is_one_encodable_line_within_its_limit(text: str, limit: int | None) -> None:
    line = shown(text, limit)
    line.encode("utf-8")
    assert not {unicodedata.category(char) for char in line} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert len(line.splitlines()) <= 1
    assert limit is None or len(line) <= limit


@given(ANY_TEXT)
def test_showing_twice_changes_nothing(text: str) -> None:
    assert shown(shown(text)) == shown(text)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=40))
def test_ordinary_text_is_shown_as_it_is(text: str) -> None:
    assert shown(text) == text
    assert shown(text, len(text)) == text


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"caf\xc3\xa9", "café"),
        (b"caf\xe9", "caf\\xe9"),
        (b"\xff/\x80", "\\xff/\\x80"),
        (b"a\nb\tc\rd", "a\\nb\\tc\\rd"),
        (b"a\x00\x1b\x7f", "a\\u0000\\u001b\\u007f"),
        ("a\u202eb\u200bc".encode(), "a\\u202eb\\u200bc"),
    ],
)
def test_bytes_that_cannot_be_shown_are_escaped(raw: bytes, expected: str) -> None:
    assert shown(os.fsdecode(raw)) == expected


def test_a_limit_cuts_the_middle_out() -> None:
    assert shown("/home/me/photos/2024/summer/IMG_1.jpg", 15) == "/home/m…G_1.jpg"
    assert shown("abcdef", 1) == "…"
    assert shown("abcdef", 2) == "…f"
